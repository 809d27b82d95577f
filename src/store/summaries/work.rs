//! Making summaries, a slice at a time.

use super::table::{Extent, Step};
use crate::store::error::StoreError;
use crate::store::options::SearchIndex;
use crate::store::state::Store;

impl Store {
    /// One slice of making summaries, or of dropping those that are not wanted any more. It takes about `budget`
    /// nanoseconds and subtracts what it took; with none left it only returns whether there is more to do. `now_ms` is
    /// of the monotonic clock.
    pub fn summarize(&mut self, now_ms: u64, budget: &mut i64) -> Result<bool, StoreError> {
        let at = Extent {
            horizon: self.horizon(),
            last_seq: self.last_seq(),
            now_ms,
        };
        let (db, parts) = (&self.db, &mut self.parts);
        if *budget <= 0 {
            return Ok(parts.summaries.has_work(at));
        }
        match parts.summaries.step(db, &parts.topics, at, budget) {
            Ok(Step::Nothing) => return Ok(false),
            Ok(Step::More) => {}
            Ok(Step::Write(write)) => {
                self.require_synced_wal()?;
                let written = self.lazy_transaction(|db, parts| {
                    let written = parts.summaries.write(db, write, budget);
                    written.inspect_err(|error| {
                        parts.summaries.stop_if_corrupt(error);
                    })
                });
                if !self.parts.summaries.is_stopped() {
                    written?;
                }
            }
            Err(error) if parts.summaries.stop_if_corrupt(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.parts.summaries.has_work(at))
    }

    /// When [`Store::summarize`] has something to do although nothing more is stored, in milliseconds of the monotonic
    /// clock.
    pub fn summaries_due_ms(&self) -> Option<u64> {
        self.parts.summaries.due_ms()
    }

    /// About how many nanoseconds the summary of an event takes, as it is estimated.
    pub fn summary_event_ns(&self) -> u64 {
        self.parts.summaries.event_ns()
    }

    /// Whether summaries are made.
    pub fn search_index(&self) -> SearchIndex {
        self.parts.summaries.setting()
    }

    /// The events up to this seq have summaries; 0 where none are made. After a start quiet turns find out how far that
    /// is.
    pub fn search_index_through(&self) -> u64 {
        self.parts.summaries.through(self.horizon())
    }

    /// About how many bytes the summaries take.
    pub fn search_index_bytes(&self) -> u64 {
        self.parts.summaries.bytes()
    }
}
