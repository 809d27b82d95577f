//! Waiting for what cannot be waited for with a read.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::PATIENCE;

/// Tries again until `done`; gives up with `what` when that takes too long.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
