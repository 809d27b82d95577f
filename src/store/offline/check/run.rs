//! What all steps of a check share: what they read, what they have found, and the report.

use rusqlite::Connection;

use super::problems::Problems;
use super::sum::Adder;
use crate::limits;
use crate::store::options::Dedup;
use crate::store::retention::horizons::Horizons;

/// How far a long piece of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub step: &'static str,
    /// Records done of `total`.
    pub done: u64,
    /// 0 where nothing can be said.
    pub total: u64,
}

/// What a check found.
#[derive(Debug)]
pub struct Report {
    pub dedup: Dedup,
    pub events: u64,
    /// Events that retention has removed.
    pub removed: u64,
    pub topics: u64,
    pub segments: u64,
    /// Pages of segments that were replaced; the server will delete them.
    pub garbage_pages: u64,
    /// Keys of removed events that damage has taken.
    pub lost_keys: u64,
    /// A conversion to the key index was interrupted; its parts are unused.
    pub has_unused_parts: bool,
    /// What is certain now.
    pub proven: Vec<&'static str>,
    /// What is wrong, one line each. They may stand for more than one problem.
    pub problems: Vec<String>,
}

/// What all steps of a check need.
pub(super) struct Run<'a> {
    pub(super) db: &'a Connection,
    pub(super) problems: Problems,
    pub(super) progress: &'a mut dyn FnMut(Progress),
    pub(super) adder: Adder,
    /// Events that there should be.
    pub(super) expected: u64,
    /// What retention has removed.
    pub(super) horizons: Horizons,
    /// The version of the tables.
    pub(super) version: i32,
}

impl Run<'_> {
    pub(super) fn progress(&mut self, step: &'static str, done: u64) {
        if done.is_multiple_of(limits::PROGRESS_RECORDS) {
            let total = self.expected;
            (self.progress)(Progress { step, done, total });
        }
    }

    /// Runs a step, and notes what it proves if it finds nothing wrong.
    pub(super) fn step<T>(
        &mut self,
        report: &mut Report,
        proves: &'static str,
        step: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let before = self.problems.count();
        let result = step(self)?;
        if self.problems.count() == before {
            report.proven.push(proves);
        }
        Ok(result)
    }
}

/// Nothing if the damage that is looked for prevents it.
pub(super) fn unless_damaged<T>(result: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) => Ok(None),
        Err(e) => Err(e),
    }
}
