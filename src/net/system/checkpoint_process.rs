//! The process that copies a long write-ahead log, so that the loop need not. There is at most one, it
//! writes nothing but the database, and the server does not wait for it.

use std::process::{Child, Command, Stdio};

use crate::app::App;
use crate::clock::Now;
use crate::limits::{HELPER_LOOK_MS, RETRY_MS};
use crate::store::Help;

/// This program, whatever has become of its file meanwhile.
pub const PROGRAM: &str = "/proc/self/exe";

/// The helper, and when it is needed next.
#[derive(Default)]
pub(super) struct CheckpointProcess {
    child: Option<Child>,
    /// When to look again, in `mono_ms`.
    at: Option<u64>,
}

impl CheckpointProcess {
    /// Starts a helper where one is wanted, and tells of one that has ended.
    pub(super) fn turn(&mut self, app: &mut App, now: Now) {
        if self.at.is_some_and(|at| now.mono_ms < at) {
            return;
        }
        self.at = None;
        if let Some(child) = &mut self.child {
            self.at = Some(now.mono_ms + HELPER_LOOK_MS);
            match child.try_wait() {
                Ok(None) => return,
                Ok(Some(status)) if status.success() => app.helped(Help::Given),
                Ok(Some(status)) => {
                    log::warn!("copying the write-ahead log failed: {status}");
                    app.helped(Help::Failed);
                }
                Err(error) => {
                    log::warn!("the helper cannot be waited for: {error}");
                    app.helped(Help::Failed);
                }
            }
            self.child = None;
            // While a reader holds the log back, this is how often it is tried.
            self.at = Some(now.mono_ms + RETRY_MS);
        } else if let Some(path) = app.wants_help() {
            let mut command = Command::new(PROGRAM);
            command.arg("checkpoint").arg(path);
            let spawned = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            match spawned {
                Ok(child) => {
                    log::debug!("another process copies the write-ahead log");
                    self.child = Some(child);
                    self.at = Some(now.mono_ms + HELPER_LOOK_MS);
                }
                Err(error) => {
                    log::warn!("no process can be started to copy the write-ahead log: {error}");
                    app.helped(Help::None);
                    self.at = Some(now.mono_ms + RETRY_MS);
                }
            }
        }
    }

    /// When to look at it next, or whether one is wanted again.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.at
    }
}
