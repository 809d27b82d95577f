//! What memory holds of the database, read at start: the counters, the topics, the key index. Costs
//! what lies behind the marks, not what the database holds.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::connection::Connection;
use super::counters::Counters;
use super::error::damaged;
use super::files::OpenedFiles;
use super::head::Head;
use super::identity;
use super::index::fingerprint::Fingerprinter;
use super::index::KeyIndex;
use super::lock::Lock;
use super::maintenance::CheckpointPlan;
use super::options::{Dedup, OpenOptions};
use super::retention::horizons::Horizons;
use super::retention::Retainer;
use super::rows::removed_behind;
use super::rows::{event_parts, unsigned, EVENTS_BEHIND};
use super::schema::{fingerprint_key, recorded_check};
use super::state::Store;
use super::subscriptions::Positions;
use super::topics::topic::TopicId;
use super::topics::Topics;
use super::wal::recovery::Doubt;
use super::work::Work;

impl Store {
    /// Makes the store of a connection whose tables are there and whose log is trusted. The one way to make
    /// one, at the start and after a fault.
    pub(super) fn load(
        // First, so that it is dropped last.
        lock: Rc<Lock>,
        db: Connection,
        options: OpenOptions,
        path: PathBuf,
    ) -> rusqlite::Result<Store> {
        let key = fingerprint_key(&db)?;
        let head = Head::of(&path);
        let files = OpenedFiles::take_down(&options.path, &path, &lock).map_err(cannot_open)?;
        let identity = identity::read(&db)?;
        let mut store = Store {
            db,
            identity,
            path,
            lock,
            head,
            files,
            topics: Topics::default(),
            counters: Counters::default(),
            last_seq: 0,
            positions: Positions::default(),
            horizons: Horizons::default(),
            retainer: Retainer::new(options.retention),
            fingerprinter: Fingerprinter::new(key, options.fingerprint_bits),
            topics_mark: 0,
            checkpoint_plan: CheckpointPlan::new(),
            needs_help: false,
            last_help: None,
            sweep: None,
            batch_topics: Vec::new(),
            keys: None,
            doubt: Doubt::default(),
            work: Work::default(),
            options,
        };
        store.load_counters()?;
        store.load_retention()?;
        store.load_topics()?;
        store.load_order_of_topics()?;
        store.load_subscriptions()?;
        if recorded_check(&store.db)? == Dedup::Index {
            store.load_keys()?;
        }
        store.db.count_wal_frames()?;
        let watched = store.db.watch_syncs(&store.path);
        watched.map_err(|error| cannot_open(error.to_string()))?;
        // From here on nothing waits for another program: the caller decides when to try again.
        store.db.busy_timeout(Duration::ZERO)?;
        Ok(store)
    }

    fn load_counters(&mut self) -> rusqlite::Result<()> {
        let row = "SELECT last_seq, unique_processed, duplicate_dropped, conflicts, topics_mark FROM counters";
        self.db.query_row(row, [], |row| {
            self.last_seq = unsigned(row, 0)?;
            self.counters = Counters {
                unique_processed: unsigned(row, 1)?,
                duplicate_dropped: unsigned(row, 2)?,
                conflicts: unsigned(row, 3)?,
            };
            self.topics_mark = unsigned(row, 4)?;
            Ok(())
        })?;
        // The next event gets the seq behind `last_seq`, so no row may have it.
        let newest = self
            .db
            .query_row("SELECT ifnull(max(seq), 0) FROM events", [], |row| {
                row.get::<_, i64>(0)
            })?;
        if newest > self.last_seq as i64 || self.topics_mark > self.last_seq {
            return Err(damaged(format!(
                "last_seq is {} in the table counters, but there are later events or marks",
                self.last_seq
            )));
        }
        Ok(())
    }

    /// Reads the topics, and counts the events behind the mark.
    fn load_topics(&mut self) -> rusqlite::Result<()> {
        let sql = "SELECT id, name, events, last_seq, last_processed_at, checksum FROM topics ORDER BY id";
        let mut statement = self.db.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut changed = BTreeSet::new();
        while let Some(row) = rows.next()? {
            let (id, name) = (row.get::<_, u32>(0)?, row.get_ref(1)?.as_str()?);
            let (events, last_seq) = (unsigned(row, 2)?, unsigned(row, 3)?);
            if self.topics.push_stored(name, events, last_seq, row.get(4)?) != id {
                return Err(rusqlite::Error::IntegralValueOutOfRange(0, id.into()));
            }
            let checksum: Option<i32> = row.get(5)?;
            if checksum.is_some_and(|checksum| checksum != self.topics.get(id).checksum(id)) {
                changed.insert(id);
            }
        }
        drop(rows);
        drop(statement);
        self.recount_topics(&changed)?;
        let sql = "SELECT topic_id, seq, processed_at FROM events WHERE seq > ?1 ORDER BY seq";
        let mut statement = self.db.prepare(sql)?;
        let mut rows = statement.query([self.topics_mark as i64])?;
        while let Some(row) = rows.next()? {
            let id = row.get::<_, TopicId>(0)?;
            if id == 0 || id as usize > self.topics.len() {
                return Err(rusqlite::Error::IntegralValueOutOfRange(0, id.into()));
            }
            self.topics.count(id, unsigned(row, 1)?, row.get(2)?);
        }
        Ok(())
    }

    /// Counts the events up to the mark again of topics whose rows were changed by something else.
    fn recount_topics(&mut self, changed: &BTreeSet<TopicId>) -> rusqlite::Result<()> {
        if changed.is_empty() {
            return Ok(());
        }
        for id in changed {
            log::error!("the counts of topic {id} are damaged: its events are counted again");
            self.topics.recount(*id);
        }
        let sql = "SELECT topic_id, seq, processed_at FROM events WHERE seq <= ?1 ORDER BY seq";
        let mut statement = self.db.prepare(sql)?;
        let mut rows = statement.query([self.topics_mark as i64])?;
        while let Some(row) = rows.next()? {
            let id = row.get::<_, TopicId>(0)?;
            if changed.contains(&id) {
                self.topics.count(id, unsigned(row, 1)?, row.get(2)?);
            }
        }
        Ok(())
    }

    /// Reads the order of the topics' names out of the index that makes them unique.
    fn load_order_of_topics(&mut self) -> rusqlite::Result<()> {
        // The index has a copy of each name, and each is the only check of the other: under a name that was
        // changed, all its keys would be new.
        let mut statement = self
            .db
            .prepare("SELECT id, name FROM topics ORDER BY name")?;
        let mut rows = statement.query([])?;
        let mut ids = Vec::with_capacity(self.topics.len());
        while let Some(row) = rows.next()? {
            let (id, name) = (row.get::<_, i64>(0)?, row.get_ref(1)?.as_bytes()?);
            if self.topics.stored(id)?.name.as_bytes() != name {
                return Err(damaged(format!(
                    "the topic with id {id} has another name in the table than in its index"
                )));
            }
            ids.push(id as TopicId);
        }
        if ids.len() != self.topics.len() {
            return Err(damaged(
                "the index of the topics' names is not that of the table",
            ));
        }
        self.topics.set_order(&ids);
        Ok(())
    }

    /// Reads the segments, and fills the memtables from the events behind them.
    fn load_keys(&mut self) -> rusqlite::Result<()> {
        let (memory, horizons) = (self.options.filter_memory_bytes, self.horizons);
        let mut keys = KeyIndex::load(&self.db, self.fingerprinter, memory, horizons)?;
        keys.set_merge_bound(self.merge_bound());
        if keys.mark() > self.last_seq {
            return Err(damaged("a segment is ahead of the events"));
        }
        let known = keys.mark().max(horizons.keys);
        removed_behind(&self.db, known, usize::MAX, |key| keys.restore_removed(key))?;
        let mut statement = self.db.prepare(EVENTS_BEHIND)?;
        let mut rows = statement.query([keys.mark() as i64])?;
        while let Some(row) = rows.next()? {
            keys.restore(&event_parts(row)?, unsigned(row, 0)?)?;
        }
        self.keys = Some(keys);
        Ok(())
    }
}

/// The files are not what they must be to be opened.
fn cannot_open(why: String) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    rusqlite::Error::SqliteFailure(code, Some(why))
}
