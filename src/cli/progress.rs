//! The bar that shows how far a long command is; drawn only where standard error is a terminal.

use std::io::{stderr, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::store::Progress;

/// Time between two turns of the sign that something still happens.
const TICK: Duration = Duration::from_millis(100);

/// A bar, removed from the terminal when it goes.
pub(super) struct Bar(Option<ProgressBar>);

impl Bar {
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

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
