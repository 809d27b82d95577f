//! The process that checkpoints a long WAL, so that the loop does not have to. There is at most one, it writes nothing
//! but the database, and the server never waits for it.

use std::process::{Child, Command, Stdio};

use crate::app::App;
use crate::clock::Now;
use crate::limits::{RETRY_MS, WAL_COPIER_POLL_MS};
use crate::store::CopyResult;

/// The running program, even if its file was replaced or removed.
pub const PROGRAM: &str = "/proc/self/exe";

/// The process, and when to check it next.
#[derive(Default)]
pub(super) struct CheckpointProcess {
    child: Option<Child>,
    /// When to check again, in `mono_ms`.
    at: Option<u64>,
}

/// Ends the process: the server stops, and copies the rest itself.
impl Drop for CheckpointProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // If it has ended already there is nothing to do.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl CheckpointProcess {
    /// Starts a process if the application wants one, and reports one that has ended.
    pub(super) fn turn(&mut self, app: &mut App, now: Now) {
        if self.at.is_some_and(|at| now.mono_ms < at) {
            return;
        }
        self.at = None;
        if let Some(child) = &mut self.child {
            self.at = Some(now.mono_ms + WAL_COPIER_POLL_MS);
            match child.try_wait() {
                Ok(None) => return,
                Ok(Some(status)) if status.success() => app.offloaded(CopyResult::Copied),
                Ok(Some(status)) => {
                    log::warn!("the process that copies the WAL failed: {status}");
                    app.offloaded(CopyResult::Failed);
                }
                Err(error) => {
                    log::warn!("the process that copies the WAL cannot be waited for: {error}");
                    app.offloaded(CopyResult::Failed);
                }
            }
            self.child = None;
            // While a reader holds the WAL back, this is how often it is tried.
            self.at = Some(now.mono_ms + RETRY_MS);
        } else if let Some(path) = app.needs_offload() {
            let mut command = Command::new(PROGRAM);
            command.arg("checkpoint").arg(path);
            let spawned = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            match spawned {
                Ok(child) => {
                    log::debug!("another process copies the WAL");
                    self.child = Some(child);
                    self.at = Some(now.mono_ms + WAL_COPIER_POLL_MS);
                }
                Err(error) => {
                    log::warn!("no process can be started to copy the WAL: {error}");
                    app.offloaded(CopyResult::Unavailable);
                    self.at = Some(now.mono_ms + RETRY_MS);
                }
            }
        }
    }

    /// When to check it next, or whether another one is needed.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.at
    }
}
