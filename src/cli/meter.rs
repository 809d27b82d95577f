//! How far a transfer is: a bar on standard error where that is a terminal, and lines beside it.

use std::io::{stderr, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two turns of the sign that something still happens.
const TICK: Duration = Duration::from_millis(100);

/// A bar, removed from the terminal when the last of its clones goes.
#[derive(Clone)]
pub(super) struct Meter(Option<ProgressBar>);

impl Meter {
    /// A bar of bytes; without a total, their number alone.
    pub(super) fn of_bytes(total: Option<u64>) -> Meter {
        let template = match total {
            Some(_) => "{spinner} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}  {msg}",
            None => "{spinner} {bytes} {bytes_per_sec} {elapsed}  {msg}",
        };
        Meter::new(total, template)
    }

    /// A bar of numbers up to a total.
    pub(super) fn of_numbers(total: u64) -> Meter {
        Meter::new(
            Some(total),
            "{spinner} [{bar:30}] {human_pos}/{human_len} {eta}  {msg}",
        )
    }

    /// No bar.
    pub(super) fn none() -> Meter {
        Meter(None)
    }

    fn new(total: Option<u64>, template: &str) -> Meter {
        Meter(stderr().is_terminal().then(|| {
            let bar = match total {
                Some(total) => ProgressBar::new(total),
                None => ProgressBar::new_spinner(),
            };
            bar.set_style(ProgressStyle::with_template(template).expect("the template is legal"));
            bar.enable_steady_tick(TICK);
            bar
        }))
    }

    /// Shows how far it is; the message is made only where somebody sees it.
    pub(super) fn show(&self, position: u64, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.0 {
            bar.set_position(position);
            bar.set_message(message());
        }
    }

    /// Writes a line to standard error, above the bar.
    pub(super) fn tell(&self, line: &str) {
        // Where nobody can read it, the transfer goes on all the same.
        let write = || drop(writeln!(stderr(), "{line}"));
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
