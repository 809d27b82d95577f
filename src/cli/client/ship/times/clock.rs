//! The time of day: `hh:mm`, seconds, their fraction, AM or PM, and the zone.

use super::cursor::Cursor;
use super::stamp::Clock;
use super::zone::zone;

/// Reads a time of day to its end. None if there is none, or one that is not understood.
pub(super) fn clock<'a>(cursor: &mut Cursor<'a>) -> Option<Clock<'a>> {
    let mut after = *cursor;
    let clock = digits(&mut after)?;
    let clock = with_half_and_zone(clock, &mut after)?;
    *cursor = after;
    Some(clock)
}

/// The same for forms that have neither AM and PM nor a zone, but go on with any word.
pub(super) fn clock_alone<'a>(cursor: &mut Cursor<'a>) -> Option<Clock<'a>> {
    let mut after = *cursor;
    let clock = digits(&mut after)?;
    if after.is_in_word() {
        return None;
    }
    *cursor = after;
    Some(clock)
}

fn with_half_and_zone<'a>(mut clock: Clock<'a>, cursor: &mut Cursor<'a>) -> Option<Clock<'a>> {
    if let Some(half) = half(cursor) {
        clock.has_half = true;
        clock.hour = match (half, clock.hour) {
            (Half::Am, 12) => 0,
            (Half::Am, hour @ 0..=11) => hour,
            (Half::Pm, hour @ 1..=11) => hour + 12,
            // Some write 13 PM.
            (Half::Pm, hour @ 12..=23) => hour,
            _ => return None,
        };
    }
    clock.zone = zone(cursor)?;
    (!cursor.is_in_word()).then_some(clock)
}

/// The digits of a time of day, in range.
fn digits<'a>(cursor: &mut Cursor<'a>) -> Option<Clock<'a>> {
    let hour = cursor.number(1, 2).filter(|hour| *hour <= 23)?;
    if !cursor.eat(b':') {
        return None;
    }
    let minute = cursor.number(2, 2).filter(|minute| *minute <= 59)?;
    let mut clock = Clock {
        hour,
        minute,
        second: None,
        fraction: "",
        has_half: false,
        zone: String::new(),
    };
    let mut after = *cursor;
    if !after.eat(b':') {
        return Some(clock);
    }
    // A colon may also end the time.
    let Some(second) = after.number(2, 2) else {
        return (!after.is_in_word()).then_some(clock);
    };
    // 60 is a leap second.
    clock.second = Some(second).filter(|second| *second <= 60);
    clock.second?;
    *cursor = after;
    if let Some(mark) = after.eat_any(b".,:") {
        let fraction = after.all_digits();
        // After a colon there are thousandths, or something else.
        if !fraction.is_empty() && (mark != b':' || fraction.len() == 3) {
            clock.fraction = fraction;
            *cursor = after;
        }
    }
    Some(clock)
}

#[derive(Clone, Copy)]
enum Half {
    Am,
    Pm,
}

/// AM or PM, perhaps with points and apart from the time.
fn half(cursor: &mut Cursor) -> Option<Half> {
    let mut after = *cursor;
    // Java and browsers write a narrow blank that does not break lines.
    let _ = ["\u{202f}", "\u{a0}", " "]
        .iter()
        .any(|blank| after.eat_text(blank));
    let half = match after.eat_any(b"AaPp")? {
        b'A' | b'a' => Half::Am,
        _ => Half::Pm,
    };
    if after.eat(b'.') {
        let _ = after.eat_text("\u{a0}") || after.eat(b' ');
    }
    after.eat_any(b"Mm")?;
    after.eat(b'.');
    if after.is_in_word() {
        return None;
    }
    *cursor = after;
    Some(half)
}
