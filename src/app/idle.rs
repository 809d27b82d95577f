//! What waits for idle moments, and when something is due again.

use std::path::Path;

use super::{App, LogDuplicates};
use crate::clock::Now;
use crate::limits;
use crate::store::{Help, StoreError};

impl App {
    /// One slice of the work that waits for an idle moment; says whether there is more.
    pub fn idle_work(&mut self, now: Now) -> bool {
        if now.mono_ms < self.idle_at {
            return false;
        }
        // Without a database there is nothing to do but to open it, which probes do.
        if self.store.is_replaced() || self.store.readable().is_err() {
            self.idle_at = now.mono_ms + limits::RETRY_MS;
            return false;
        }
        let quiet = !std::mem::take(&mut self.has_committed);
        self.idle_slice(quiet, now).unwrap_or_else(|error| {
            log::warn!(
                "a checkpoint, a merge, the counts of topics or retention has to wait: {error}"
            );
            self.idle_at = now.mono_ms + limits::RETRY_MS;
            if self.store.readable().is_err() {
                self.failed(&error, now);
            }
            false
        })
    }

    /// In quiet turns retention and all else take turns: merges need room that retention makes, and
    /// retention fills a log that has to be checkpointed.
    fn idle_slice(&mut self, quiet: bool, now: Now) -> Result<bool, StoreError> {
        if !quiet {
            // What a commit has brought may have made something else too much.
            return Ok(self.store.idle_work(false)? || self.store.retains());
        }
        self.retains_first = !self.retains_first;
        let retain_at = self.steady_time(now);
        if self.retains_first && self.store.retain(retain_at)? {
            return Ok(true);
        }
        let has_more =
            self.store.idle_work(true)? || !self.retains_first && self.store.retain(retain_at)?;
        Ok(has_more || self.store.scrub(now.mono_ms)?)
    }

    /// What time it is for retention, in microseconds since the epoch.
    pub(super) fn steady_time(&mut self, now: Now) -> i64 {
        let jump = self.steady.see(now).filter(|_| self.store.retains());
        if let Some(ahead_us) = jump {
            log::warn!(
                "the wall clock went ahead by {} s: retention follows it when that has lasted an hour",
                ahead_us / 1_000_000
            );
        }
        self.steady.at(now)
    }

    /// Looks at the names of the database's files, where nobody publishes who would make it look. After a
    /// fault probing does it.
    pub(super) fn look_at_files(&mut self, now: Now) {
        if self.fault.is_some() || now.mono_ms < self.look_at {
            return;
        }
        self.look_at = now.mono_ms + limits::FILES_LOOK_MS;
        if let Err(error) = self.store.look_at_files(now.unix_us) {
            self.failed(&error, now);
        }
    }

    /// The database whose write-ahead log another process is to copy, if that is needed.
    pub fn wants_help(&self) -> Option<&Path> {
        self.store.wants_help().then(|| self.store.path())
    }

    /// What became of [`App::wants_help`].
    pub fn helped(&mut self, help: Help) {
        self.store.helped(help);
    }

    /// When [`App::tick`], [`App::drain`] or [`App::idle_work`] has something to do next, in `mono_ms`.
    pub fn deadline(&self, now: Now) -> Option<u64> {
        let retry = (self.fault.is_some() || self.locked_since.is_some()).then_some(self.retry_at);
        let summarises = self.options.log_duplicates == LogDuplicates::Summary;
        let summary = (summarises && self.summary.0 > 0).then_some(self.summary.1);
        let retention = self.store.retention_due().map(|due| {
            let wait = u64::try_from(due.saturating_sub(self.steady.at(now))).unwrap_or(0);
            let wait = wait.div_ceil(1_000);
            now.mono_ms.saturating_add(wait).max(self.idle_at)
        });
        let scrub = self.store.scrub_due_ms();
        let scrub = scrub.map(|due| due.max(self.idle_at));
        let look = self.fault.is_none().then_some(self.look_at);
        [retry, summary, retention, scrub, look]
            .into_iter()
            .flatten()
            .min()
    }
}
