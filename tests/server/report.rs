//! What the tests say beside passing and failing: figures for docs/RELIABILITY.md, and what was left out.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A count over several tests, each of which tells the total so far. The last line of a run has all of it.
pub struct Tally {
    key: &'static str,
    what: &'static str,
    count: AtomicU64,
    line: Mutex<()>,
}

impl Tally {
    /// `what` stands after the number.
    pub const fn new(key: &'static str, what: &'static str) -> Tally {
        Tally {
            key,
            what,
            count: AtomicU64::new(0),
            line: Mutex::new(()),
        }
    }

    /// Counts one case that was as it should be.
    pub fn count(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub fn tell(&self) {
        // Held, so that no line stands after one with a greater total.
        let _line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.count.load(Ordering::Relaxed);
        println!("FIGURE {}: {count} {}", self.key, self.what);
    }
}

/// Says that something was not tried here. The output of tests that pass is not shown, so this goes
/// past that to standard error.
pub fn skipped(what: &str, why: impl Display) {
    // Whoever has closed standard error does not want to know.
    let _ = writeln!(io::stderr(), "SKIPPED {what}: {why}");
}
