//! Progress bars on standard error, drawn only on a terminal: of transfers, and of the steps of a long command.

use std::io::{stderr, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::store::Progress;

/// Time between two steps of the spinner.
const TICK: Duration = Duration::from_millis(100);

/// The progress of a transfer, and lines above it. The bar is removed when the last clone is dropped.
#[derive(Clone)]
pub(super) struct TransferProgress(Option<ProgressBar>);

impl TransferProgress {
    /// A bar of bytes; without a total, their number alone.
    pub(super) fn of_bytes(total: Option<u64>) -> TransferProgress {
        let template = match total {
            Some(_) => "{spinner} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}  {msg}",
            None => "{spinner} {bytes} {bytes_per_sec} {elapsed}  {msg}",
        };
        TransferProgress::new(total, template)
    }

    /// A bar of numbers up to a total.
    pub(super) fn of_numbers(total: u64) -> TransferProgress {
        TransferProgress::new(
            Some(total),
            "{spinner} [{bar:30}] {human_pos}/{human_len} {eta}  {msg}",
        )
    }

    /// A line of text.
    pub(super) fn of_text() -> TransferProgress {
        TransferProgress::new(None, "{spinner} {msg}")
    }

    /// No bar.
    pub(super) fn none() -> TransferProgress {
        TransferProgress(None)
    }

    fn new(total: Option<u64>, template: &str) -> TransferProgress {
        TransferProgress(stderr().is_terminal().then(|| {
            let bar = match total {
                Some(total) => ProgressBar::new(total),
                None => ProgressBar::new_spinner(),
            };
            bar.set_style(ProgressStyle::with_template(template).expect("the template is legal"));
            bar.enable_steady_tick(TICK);
            bar
        }))
    }

    /// Shows how far it is; the message is made only if it is shown.
    pub(super) fn show(&self, position: u64, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.0 {
            bar.set_position(position);
            bar.set_message(message());
        }
    }

    /// Shows the progress towards a total that was not known at the start.
    #[cfg(feature = "fleet")]
    pub(super) fn show_of(&self, position: u64, total: u64) {
        if let Some(bar) = &self.0 {
            bar.set_length(total);
            bar.set_position(position);
        }
    }

    /// Writes a line to standard error, above the bar.
    pub(super) fn report(&self, line: &str) {
        // If it cannot be shown, the transfer goes on nevertheless.
        self.suspend(|| drop(writeln!(stderr(), "{line}")));
    }

    /// Writes to the terminal without the bar in between.
    pub(super) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Removes the bar.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// The progress of a command that works in steps. The bar is removed when this is dropped.
pub(super) struct StepProgress(Option<ProgressBar>);

impl StepProgress {
    pub(super) fn new() -> Self {
        Self(stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(TICK);
            bar
        }))
    }

    pub(super) fn show(&self, progress: Progress) {
        let Some(bar) = &self.0 else {
            return;
        };
        if progress.step != bar.message() {
            let template = match progress.total {
                0 => "{spinner} {msg} {elapsed}",
                _ => "{spinner} {msg} [{bar:30}] {human_pos}/{human_len} {eta}",
            };
            bar.reset();
            bar.set_style(ProgressStyle::with_template(template).expect("the template is legal"));
            bar.set_message(progress.step);
        }
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    }
}

impl Drop for StepProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
