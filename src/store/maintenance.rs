//! What is done behind the events: the counts of topics, the segments of the key index, checkpoints.
//!
//! While events come, the first two ride along with the commits, in proportion, so that they cost no
//! fsync of their own and cannot fall behind; idle moments do the rest. A checkpoint always waits until
//! the answers of its turn are out.

use rusqlite::Connection;

use super::connection::limit_log;
use super::error::{expect_changed, StoreError};
use super::index::KeyIndex;
use super::options::Durability;
use super::schema::SCHEMA_VERSION;
use super::state::Store;
use super::topics::topic::{Topic, TopicId};
use super::topics::Topics;
use super::wal::recovery::Doubt;
use crate::limits;

/// When to look how much of the write-ahead log has still to be copied into the database.
#[derive(Default)]
pub(super) struct CheckpointPlan {
    /// Frames in the log from which on it is looked at.
    look_at: u32,
    /// Frames when last looked at.
    seen: u32,
    /// The file of the log is to be shortened further when there is time.
    is_cutting: bool,
    /// Tries in a row that another program has made vain.
    vain_tries: u32,
}

impl CheckpointPlan {
    pub(super) fn new() -> Self {
        Self {
            look_at: limits::CHECKPOINT_FRAMES,
            ..Self::default()
        }
    }

    /// Another program stands in the way. Each further try waits until the log has grown by twice as much.
    pub(super) fn put_off(&mut self) {
        self.vain_tries = (self.vain_tries + 1).min(limits::CHECKPOINT_VAIN_TRIES_MAX);
        self.look_at = self.seen + (limits::CHECKPOINT_FRAMES << self.vain_tries);
    }

    fn must_look(&mut self, frames: u32, quiet: bool) -> bool {
        // Another program has copied all of the log, and it was begun anew.
        if frames < self.seen {
            *self = Self::new();
        }
        self.seen = frames;
        // Where cutting does not go on, a reader holds the log; then the next checkpoint tries.
        let cuts = quiet && std::mem::take(&mut self.is_cutting);
        let must_look = frames >= self.look_at || cuts;
        if must_look {
            self.look_at = frames + limits::CHECKPOINT_FRAMES;
        }
        must_look
    }
}

/// A round of bringing the rows of `topics` up to date.
pub(super) struct TopicSweep {
    /// What the mark becomes when the round is done: the last seq when it began.
    mark: u64,
    /// The topics before this one have been looked at.
    next: TopicId,
}

/// Rows of `topics` that a transaction writes: those of a range of ids that are behind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TopicRows {
    from: TopicId,
    /// The first id that is not of the range.
    to: TopicId,
    /// The mark, where the round ends with them.
    mark: Option<u64>,
}

impl TopicRows {
    /// The topics whose rows are to be written.
    fn ids(self, topics: &Topics) -> impl Iterator<Item = TopicId> + '_ {
        topics
            .stale_from(self.from)
            .take_while(move |id| *id < self.to)
    }
}

/// Maintenance that failed.
#[derive(Debug)]
pub struct IdleError {
    /// What it was, for the log.
    pub task: &'static str,
    pub error: StoreError,
}

fn in_task(task: &'static str) -> impl FnOnce(StoreError) -> IdleError {
    move |error| IdleError { task, error }
}

impl Store {
    /// The rows of `topics` to be written with a commit of so many events: twice as many, so that a
    /// round ends before the next is due.
    pub(super) fn topics_due(&mut self, events: usize) -> TopicRows {
        let behind = self.last_seq - self.topics_mark;
        if self.sweep.is_none() && is_sweep_due(behind, self.topics.stale_count() as u64) {
            self.sweep = Some(TopicSweep {
                mark: self.last_seq,
                next: 0,
            });
        }
        let Some(sweep) = &self.sweep else {
            return TopicRows::default();
        };
        let first_left = self.topics.stale_from(sweep.next).nth(2 * events);
        TopicRows {
            from: sweep.next,
            to: first_left.unwrap_or(TopicId::MAX),
            mark: first_left.is_none().then_some(sweep.mark),
        }
    }

    /// The transaction that wrote these rows has been committed.
    pub(super) fn topics_written(&mut self, rows: TopicRows) {
        self.topics.written(rows.from..rows.to);
        if let Some(sweep) = &mut self.sweep {
            sweep.next = rows.to;
        }
        if let Some(mark) = rows.mark {
            self.topics_mark = mark;
            self.sweep = None;
        }
    }

    /// Brings all rows of `topics` up to date.
    pub(super) fn write_all_topics(&mut self) -> Result<(), StoreError> {
        let rows = TopicRows {
            from: 0,
            to: TopicId::MAX,
            mark: Some(self.last_seq),
        };
        self.sweep = None;
        self.in_transaction(|store| write_topics(&store.db, &store.topics, rows))?;
        self.topics_written(rows);
        Ok(())
    }

    /// One slice, of a few milliseconds, of what waits. With `quiet`, when the turn has committed
    /// nothing, that is all of it; else only what cannot ride along with a commit. Says whether there
    /// is more for a quiet turn.
    pub fn idle_work(&mut self, quiet: bool) -> Result<bool, IdleError> {
        let frames = self.db.wal_frames();
        if self.checkpoint_plan.must_look(frames, quiet) {
            return self
                .checkpoint()
                .map(|()| true)
                .map_err(in_task("the checkpoint"));
        }
        // Also under load: what needs a damaged page waits for it.
        if self.needs_repair() {
            return self
                .repair_keys()
                .map(|()| true)
                .map_err(in_task("the repair of damaged pages"));
        }
        if self
            .keys
            .as_ref()
            .is_some_and(KeyIndex::needs_checksums_now)
        {
            return self
                .seal_keys()
                .map(|()| true)
                .map_err(in_task("adding checksums to the key index"));
        }
        let has_keys = self.keys.as_ref().is_some_and(KeyIndex::has_work);
        if !quiet {
            return Ok(has_keys || self.sweep.is_some() || self.checkpoint_plan.is_cutting);
        }
        if has_keys {
            return self
                .work_on_keys()
                .map(|()| true)
                .map_err(in_task("the compaction of the key index"));
        }
        if self.keys.as_ref().is_some_and(KeyIndex::needs_checksums) {
            return self
                .seal_keys()
                .map(|()| true)
                .map_err(in_task("adding checksums to the key index"));
        }
        self.write_topic_counts()
            .map_err(in_task("the counts of topics"))
    }

    fn write_topic_counts(&mut self) -> Result<bool, StoreError> {
        // Before anything is planned: the database may be opened again in here, and with it all that a plan
        // relies on.
        self.settle_log()?;
        let rows = self.topics_due(limits::TOPICS_WRITTEN_AT_ONCE);
        if self.sweep.is_none() {
            return Ok(false);
        }
        self.in_transaction(|store| write_topics(&store.db, &store.topics, rows))?;
        self.topics_written(rows);
        Ok(self.sweep.is_some())
    }

    fn work_on_keys(&mut self) -> Result<(), StoreError> {
        self.settle_log()?;
        let result = self.in_transaction(|store| match &mut store.keys {
            Some(keys) => keys.compact(&store.db, limits::SEGMENT_RECORDS_PER_SLICE),
            None => Ok(()),
        });
        if let Some(keys) = &mut self.keys {
            match &result {
                Ok(()) => keys.committed(),
                Err(_) => keys.rolled_back(),
            }
        }
        match result {
            // The next slice begins to make it again.
            Err(StoreError::Repairing) => Ok(()),
            result => result,
        }
    }

    /// Copies what it may of the write-ahead log into the database. A reader in another process can
    /// hold some of it back, and another process can be copying it; then the next try waits until the log
    /// has grown on.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        if self.options.durability == Durability::Normal && self.doubt == Doubt::default() {
            if let Err(error) = self.db.sync_log() {
                self.doubt.log = true;
                return Err(StoreError::Failed(format!("the write-ahead log: {error}")));
            }
        }
        if self.wants_to_be_helped()? {
            return Ok(());
        }
        self.settle_database()?;
        let done = self
            .db
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                let is_refused = row.get::<_, bool>(0)?;
                Ok(!is_refused && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
            });
        let is_all_copied = done.inspect_err(|error| self.doubt(error, true))?;
        if is_all_copied {
            self.db.forget_wal_frames();
            self.checkpoint_plan = CheckpointPlan::new();
            self.record_head();
            self.cut_log()?;
        }
        Ok(())
    }

    /// Cuts a log that has grown beyond what is kept, and of which all has been copied, by a piece: to free
    /// gigabytes at once takes a file system a second. SQLite does it when a commit begins the log anew, so
    /// there is one of nothing; as long as that helps, the next checkpoint goes on, or a quiet turn.
    fn cut_log(&mut self) -> Result<(), StoreError> {
        let (_, size) = self.file_sizes();
        let kept = limits::WAL_KEPT_BYTES as u64;
        if size <= kept {
            return Ok(());
        }
        let limit = kept.max(size.saturating_sub(limits::WAL_CUT_BYTES));
        limit_log(&self.db, limit)?;
        self.in_transaction(|store| store.db.pragma_update(None, "user_version", SCHEMA_VERSION))?;
        let (_, left) = self.file_sizes();
        self.checkpoint_plan.is_cutting = kept < left && left < size;
        Ok(())
    }
}

/// Whether so many rows are to be written that are so many events behind. Where there are many rows, they wait
/// for more events.
fn is_sweep_due(events: u64, rows: u64) -> bool {
    let wanted = limits::EVENTS_PER_TOPIC_ROW * rows;
    events >= wanted.clamp(limits::TOPICS_MARK_EVENTS, limits::TOPICS_MARK_MAX_EVENTS)
}

/// Writes what a topic's row has to say.
pub(super) fn write_topic(db: &Connection, id: TopicId, topic: &Topic) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE topics SET events = ?2, last_seq = ?3, last_processed_at = ?4, checksum = ?5 WHERE id = ?1",
    )?
    .execute((
        id,
        topic.events as i64,
        topic.last_seq as i64,
        topic.last_processed_at,
        topic.checksum(id),
    ))
    .and_then(|changed| expect_changed(changed, 1, "topics"))
}

/// Writes these rows, and the mark where the round ends with them.
pub(super) fn write_topics(
    db: &Connection,
    topics: &Topics,
    rows: TopicRows,
) -> rusqlite::Result<()> {
    for id in rows.ids(topics) {
        write_topic(db, id, topics.get(id))?;
    }
    if let Some(mark) = rows.mark {
        let changed = db
            .prepare_cached("UPDATE counters SET topics_mark = ?1")?
            .execute([mark as i64])?;
        expect_changed(changed, 1, "counters")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_cannot_be_cut_further_is_left_until_the_next_checkpoint() {
        let mut plan = CheckpointPlan::new();
        plan.is_cutting = true;
        assert!(!plan.must_look(1, false), "there are commits to be made");
        assert!(plan.must_look(1, true));
        assert!(!plan.must_look(1, true), "it was tried, and did not go on");
        assert!(plan.must_look(1 + limits::CHECKPOINT_FRAMES, false));
    }

    #[test]
    fn many_rows_wait_for_more_events_but_not_for_ever() {
        let (least, most) = (limits::TOPICS_MARK_EVENTS, limits::TOPICS_MARK_MAX_EVENTS);
        let between = (least + most) / 2;
        for (events, rows, is_due) in [
            (least - 1, 1, false),
            (least, 1, true),
            (between - 1, between / limits::EVENTS_PER_TOPIC_ROW, false),
            (between, between / limits::EVENTS_PER_TOPIC_ROW, true),
            (most - 1, most, false),
            (most, most, true),
        ] {
            assert_eq!(is_sweep_due(events, rows), is_due, "{events} and {rows}");
        }
    }
}
