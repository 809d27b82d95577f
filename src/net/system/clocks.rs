//! The one place that asks the operating system for the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::clock::Now;

/// Both clocks, the monotonic one counted from `started`.
pub(crate) fn read_clocks(started: Instant) -> Now {
    now_at(started, Instant::now())
}

/// The same where the monotonic clock has just been read.
pub(crate) fn now_at(started: Instant, now: Instant) -> Now {
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Now {
        mono_ms: now.duration_since(started).as_millis() as u64,
        unix_us: unix.as_micros() as i64,
    }
}
