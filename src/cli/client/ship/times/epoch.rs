//! Times that are a number: seconds, milliseconds, microseconds or nanoseconds since 1970.

use super::stamp::timestamp_of_epoch;

/// What numbers of seconds are times: from 1973 to 5138. A thousand times more are milliseconds, and so on,
/// so a number can only be one of them.
const SECONDS: std::ops::Range<u64> = 100_000_000..100_000_000_000;

/// The time that a number says, as an event may have it: digits, and perhaps a point and more digits.
pub(super) fn epoch(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) || text.ends_with('.') {
        return None;
    }
    let number: u64 = whole.parse().ok()?;
    let mut unit = 1;
    for places in [0, 3, 6, 9] {
        if SECONDS.contains(&(number / unit)) {
            let seconds = i64::try_from(number / unit).ok()?;
            let below = format!("{:0places$}", number % unit);
            let below = if places == 0 { "" } else { &below };
            return timestamp_of_epoch(seconds, &format!("{below}{fraction}"));
        }
        unit *= 1_000;
    }
    None
}
