//! Work that waits for idle moments, and when it is due.

use std::path::Path;
use std::time::Duration;

use super::schedule::Turn;
use super::App;
use crate::clock::{earlier, Now};
use crate::limits;
use crate::store::{CopyResult, IdleError, StoreError};

fn in_summaries(error: StoreError) -> IdleError {
    IdleError {
        task: "making summaries for searches",
        error,
    }
}

impl App {
    /// One slice of the work that waits for an idle moment; returns whether there is more.
    pub fn idle_work(&mut self, now: Now) -> bool {
        self.schedule.summaries_at = None;
        if self.store.is_reloading() {
            // Probes read on, one in each turn.
            return true;
        }
        if now.mono_ms < self.schedule.resume_at {
            return false;
        }
        // Without a database there is nothing to do but to open it, which probes do.
        if self.store.is_replaced() || self.store.readable().is_err() {
            self.schedule.pause(now);
            return false;
        }
        let quiet = self.schedule.take_quiet();
        self.idle_slice(quiet, now)
            .unwrap_or_else(|IdleError { task, error }| {
                let seconds = limits::RETRY_MS / 1_000;
                log::warn!("{task} failed and is tried again in {seconds} s: {error}");
                self.schedule.pause(now);
                if self.store.readable().is_err() {
                    self.health.failed(&error, now);
                }
                false
            })
    }

    /// In quiet turns retention and all else take turns: compaction needs room that retention makes, and
    /// retention fills a write-ahead log that needs a checkpoint.
    fn idle_slice(&mut self, quiet: bool, now: Now) -> Result<bool, IdleError> {
        self.store.warn_of_hold(now.mono_ms);
        if !quiet {
            // A commit may have put something else over its bound.
            let has_more = self.store.idle_work(false)? || self.store.retains();
            self.summarize_beside_commits(now)?;
            return Ok(has_more);
        }
        let in_retention = |error| IdleError {
            task: "retention",
            error,
        };
        let retains_first = self.schedule.take_turn_of_retention();
        let retain_at = self.steady_time(now);
        if retains_first && self.store.retain(retain_at).map_err(in_retention)? {
            return Ok(true);
        }
        if self.store.idle_work(true)? {
            return Ok(true);
        }
        if !retains_first && self.store.retain(retain_at).map_err(in_retention)? {
            return Ok(true);
        }
        if self.summarize_in_quiet(now)? {
            return Ok(true);
        }
        let scrubbed = self.store.scrub(now.mono_ms);
        scrubbed.map_err(|error| IdleError {
            task: "the check of unread pages",
            error,
        })
    }

    /// The turn has taken this long so far, after the loop had `waited` for it. Summaries get a part of that where
    /// events have been committed.
    pub fn turn_took(&mut self, time: Duration, waited: Duration) {
        let events = self.schedule.new_events(self.store.last_seq());
        let needed_ns = events.saturating_mul(self.store.summary_event_ns());
        let turn = Turn {
            time,
            waited,
            needed_ns,
        };
        self.schedule.for_summaries.add(turn);
    }

    /// Makes summaries for as long as the turns with commits, and the waits for them, have left for that.
    fn summarize_beside_commits(&mut self, now: Now) -> Result<(), IdleError> {
        let saved = &mut self.schedule.for_summaries.saved_ns;
        let mut nothing = 0;
        let budget = match *saved >= limits::SUMMARY_SLICE_MIN_NS as i64 {
            true => saved,
            false => &mut nothing,
        };
        let has_more = self.store.summarize(now.mono_ms, budget);
        if has_more.map_err(in_summaries)? {
            self.schedule.put_summaries_off();
        }
        Ok(())
    }

    /// Makes summaries in a quiet turn, the longer a slice the longer nothing has been committed. Returns whether the
    /// next quiet turn goes on with it.
    fn summarize_in_quiet(&mut self, now: Now) -> Result<bool, IdleError> {
        let mut budget = self.schedule.quiet_summaries_ns(now);
        let has_slice = budget > 0;
        let has_more = self.store.summarize(now.mono_ms, &mut budget);
        let has_more = has_more.map_err(in_summaries)?;
        if has_more && !has_slice {
            self.schedule.put_summaries_off();
        }
        Ok(has_more && has_slice)
    }

    /// The time that retention goes by, in microseconds since the epoch.
    pub(super) fn steady_time(&mut self, now: Now) -> i64 {
        let jump = self
            .schedule
            .steady
            .see(now)
            .filter(|_| self.store.retains());
        if let Some(ahead_us) = jump {
            log::warn!(
                "the wall clock jumped ahead by {} s: retention follows it when that has lasted an hour",
                ahead_us / 1_000_000
            );
        }
        self.schedule.steady.at(now)
    }

    /// Checks that the names of the database's files still lead to it: commits do so only while events come, and
    /// probes only after a fault.
    pub(super) fn check_files(&mut self, now: Now) {
        if self.health.fault().is_some() || now.mono_ms < self.schedule.files_check_at {
            return;
        }
        self.schedule.files_check_at = now.mono_ms + limits::FILES_CHECK_INTERVAL_MS;
        if let Err(error) = self.store.check_files(now.unix_us) {
            self.health.failed(&error, now);
        }
    }

    /// The database whose write-ahead log another process is to copy, if that is needed.
    pub fn needs_offload(&self) -> Option<&Path> {
        self.store.needs_offload().then(|| self.store.path())
    }

    /// What became of [`App::needs_offload`].
    pub fn offloaded(&mut self, result: CopyResult) {
        self.store.offloaded(result);
    }

    /// When [`App::tick`], [`App::drain`] or [`App::idle_work`] has something to do next, in `mono_ms`.
    pub fn deadline(&self, now: Now) -> Option<u64> {
        let retention = self.store.retention_due().map(|due| {
            let wait = u64::try_from(due.saturating_sub(self.schedule.steady.at(now))).unwrap_or(0);
            let wait = wait.div_ceil(1_000);
            now.mono_ms
                .saturating_add(wait)
                .max(self.schedule.resume_at)
        });
        let scrub = self.store.scrub_due_ms();
        let scrub = scrub.map(|due| due.max(self.schedule.resume_at));
        let summaries = earlier(self.store.summaries_due_ms(), self.schedule.summaries_at);
        let summaries = summaries.map(|due| due.max(self.schedule.resume_at));
        let hold = self.store.hold_warning_due_ms();
        let hold = hold.map(|due| due.max(self.schedule.resume_at));
        let is_well = self.health.fault().is_none();
        let files = is_well.then_some(self.schedule.files_check_at);
        let due = [
            self.health.deadline(),
            self.duplicates.deadline(),
            retention,
            scrub,
            files,
            summaries,
            hold,
        ];
        due.into_iter().flatten().min()
    }
}
