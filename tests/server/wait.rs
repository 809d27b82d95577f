//! Waiting for what cannot be waited for with a read.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::TIMEOUT;

/// Tries again until `done`; gives up with `what` when that takes too long.
pub fn wait_until(what: &str, done: impl FnMut() -> bool) {
    wait_within(TIMEOUT, what, done);
}

/// The same with a timeout of its own.
pub fn wait_within(timeout: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        let waited = start.elapsed();
        assert!(waited < timeout, "timed out waiting for {what}");
        // A long wait is not made much longer by looking less often.
        thread::sleep((waited / 20).clamp(Duration::from_millis(2), Duration::from_secs(1)));
    }
}
