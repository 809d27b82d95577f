//! What real loggers write, line by line.

use proptest::prelude::*;
use time::format_description::well_known::Rfc3339;
use time::{Month, OffsetDateTime, UtcOffset, Weekday};

mod lines;

use super::{in_line, in_value};
use lines::LINES;

const NOW: &str = "2026-11-30T12:00:00.000000Z";

#[test]
fn lines_tell_the_times_that_their_loggers_meant() {
    for (line, expected) in LINES {
        let found = in_line(line, NOW).map(|found| found.timestamp);
        assert_eq!(found.as_deref(), *expected, "{line:?}");
        if !line.is_empty() {
            let coloured = format!("\u{1b}[1;31m{line}\u{1b}[0m");
            let found = in_line(&coloured, NOW).map(|found| found.timestamp);
            assert_eq!(found.as_deref(), *expected, "{coloured:?}");
        }
    }
}

#[test]
fn members_tell_times_as_texts_and_as_numbers() {
    for (value, expected) in [
        ("1796000523", Some("2026-11-30T01:02:03Z")),
        ("1796000523.25", Some("2026-11-30T01:02:03.25Z")),
        ("1796000523456", Some("2026-11-30T01:02:03.456Z")),
        ("1796000523456.5", Some("2026-11-30T01:02:03.4565Z")),
        ("1796000523456789", Some("2026-11-30T01:02:03.456789Z")),
        (
            "1796000523000000001",
            Some("2026-11-30T01:02:03.000000001Z"),
        ),
        ("999999999.5", Some("2001-09-09T01:46:39.5Z")),
        ("2026-11-30", Some("2026-11-30")),
        (
            "30/Nov/2026:01:02:03 +0100",
            Some("2026-11-30T01:02:03+01:00"),
        ),
        (
            "Mon, 30 Nov 2026 01:02:03 GMT",
            Some("2026-11-30T01:02:03Z"),
        ),
        ("2026-11-30 01:02:03,5", Some("2026-11-30 01:02:03.5")),
        ("2026-11-30 01:02:03 CET", None),
        ("2026-11-30 01:02:03 and more", None),
        ("17", None),
        ("-1796000523", None),
        ("1.796e9", None),
        ("1796000523.", None),
        ("99999999999999999999999", None),
        ("now", None),
        ("", None),
    ] {
        let found = in_value(value, NOW).map(|found| found.timestamp);
        assert_eq!(found.as_deref(), expected, "{value}");
    }
}

#[test]
fn a_date_without_a_year_is_the_nearest_one() {
    for (now, line, expected) in [
        (
            "2026-01-01T00:00:01Z",
            "Dec 31 23:59:59 host x",
            "2025-12-31T23:59:59",
        ),
        (
            "2025-12-31T23:59:59Z",
            "Jan  1 00:00:00 host x",
            "2026-01-01T00:00:00",
        ),
        ("2026-11-30T00:00:00Z", "Feb 29 01:02:03 host x", ""),
        (
            "2024-12-30T00:00:00Z",
            "Feb 29 01:02:03 host x",
            "2024-02-29T01:02:03",
        ),
        (
            "2023-12-30T00:00:00Z",
            "Feb 29 01:02:03 host x",
            "2024-02-29T01:02:03",
        ),
    ] {
        let found = in_line(line, now);
        let depends = found.as_ref().is_some_and(|found| found.depends_on_now);
        assert_eq!(depends, found.is_some(), "{line}");
        let text = found.map_or(String::new(), |found| found.timestamp);
        assert_eq!(text, expected, "{line} at {now}");
    }
    assert!(
        !in_line("2026-11-30 01:02:03 x", NOW)
            .unwrap()
            .depends_on_now
    );
}

/// What an event's timestamp means, by another crate.
fn instant(text: &str) -> OffsetDateTime {
    let zone = if text.ends_with('Z') || text[11..].contains(['+', '-']) {
        ""
    } else {
        "Z"
    };
    let text = text.replacen(' ', "T", 1) + zone;
    OffsetDateTime::parse(&text, &Rfc3339).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A time in each form, with as many digits of the second as the form has.
fn written(at: OffsetDateTime, blanks: &str) -> Vec<(String, u32)> {
    let (year, month, day) = (at.year(), at.month(), at.day());
    let (hour, minute, second, nano) = (at.hour(), at.minute(), at.second(), at.nanosecond());
    let (milli, micro) = (nano / 1_000_000, nano / 1_000);
    let number = u8::from(month);
    let short = &format!("{month}")[..3];
    let weekday = match at.weekday() {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    };
    let clock = format!("{hour:02}:{minute:02}:{second:02}");
    let offset = at.offset();
    let sign = if offset.is_negative() { '-' } else { '+' };
    let (hours, minutes) = (offset.whole_hours().abs(), offset.minutes_past_hour().abs());
    let zone = format!("{sign}{hours:02}{minutes:02}");
    let colon = format!("{sign}{hours:02}:{minutes:02}");
    let (half, of_half) = (if hour < 12 { "AM" } else { "PM" }, (hour + 11) % 12 + 1);
    let iso = format!("{year}-{number:02}-{day:02}");
    let unix = at.unix_timestamp();
    let mut forms = vec![
        (format!("{iso}T{clock}.{nano:09}{colon} x"), 9),
        (format!("{iso} {clock},{milli:03} {zone} x"), 3),
        (format!("{iso} {clock} {colon}{blanks}x"), 0),
        (format!("[{iso} {clock} {zone}] x"), 0),
        (
            format!("h - - [{day:02}/{short}/{year}:{clock} {zone}] \"GET /\""),
            0,
        ),
        (
            format!("{weekday}, {day:02} {short} {year} {clock} {zone} x"),
            0,
        ),
        (
            format!("{weekday} {short} {day:02} {year} {clock} GMT{zone} (x)"),
            0,
        ),
        (
            format!("{short} {day}, {year} {of_half}:{minute:02}:{second:02} {half} UTC{colon} x"),
            0,
        ),
        (
            format!("{year}/{number:02}/{day:02} {clock}.{micro:06} {zone} x"),
            6,
        ),
        (
            format!("1:M {day:02} {short} {year} {clock}.{milli:03} {zone} x"),
            3,
        ),
        (format!("level=info ts={iso}T{clock}{colon}"), 0),
        (format!("{day:02}.{number:02}.{year} {clock} {zone} x"), 0),
    ];
    if unix >= 1_000_000_000 {
        forms.push((format!("{unix}.{milli:03} x"), 3));
        forms.push((format!("ts={unix}{milli:03} x=y"), 3));
        forms.push((format!("ts={unix}{nano:09}"), 9));
    }
    forms
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        unix in 0_i64..4_000_000_000,
        nano in 0_u32..1_000_000_000,
        quarters in -48_i32..=56,
        blanks in " {1,3}",
    ) {
        let offset = UtcOffset::from_whole_seconds(quarters * 900).unwrap();
        let at = OffsetDateTime::from_unix_timestamp(unix).unwrap().replace_nanosecond(nano).unwrap();
        for (line, digits) in written(at.to_offset(offset), &blanks) {
            let found = in_line(&line, NOW).map(|found| found.timestamp);
            let Some(found) = found else {
                panic!("nothing in {line:?}");
            };
            let unit = 10_u32.pow(9 - digits);
            let expected = at.replace_nanosecond(nano / unit * unit).unwrap();
            prop_assert_eq!(instant(&found), expected, "{} in {}", found, line);
        }
    }

    #[test]
    fn dates_without_a_year_are_near(unix in 1_000_000_000_i64..4_000_000_000, days in -180_i64..=180) {
        let now = OffsetDateTime::from_unix_timestamp(unix).unwrap();
        let at = now + time::Duration::days(days);
        prop_assume!((at.month(), at.day()) != (Month::February, 29));
        let short = &format!("{}", at.month())[..3];
        let line = format!("{short} {:2} {:02}:{:02}:{:02} host x", at.day(), at.hour(), at.minute(), at.second());
        let found = in_line(&line, &crate::clock::rfc3339(unix * 1_000_000)).expect("it is one");
        prop_assert_eq!(instant(&found.timestamp), at);
    }

    #[test]
    fn no_text_ends_it(text in ".{0,80}", at in 0_usize..150, cut in 0_usize..60) {
        let line = LINES[at % LINES.len()].0;
        let line: String = line.chars().take(cut).chain(text.chars()).collect();
        let _ = (in_line(&line, NOW), in_line(&line, &text), in_value(&line, NOW));
    }
}
