//! Reading the topics at start: their rows, and the events that the rows do not count yet.

use std::collections::BTreeSet;

use rusqlite::types::ValueRef;
use rusqlite::Connection;

use super::topic::TopicId;
use super::Topics;
use crate::store::error::damaged;
use crate::store::rows::unsigned;

impl Topics {
    /// Reads the topics of a database whose greatest seq is `last_seq`, and counts the events after the mark.
    pub(crate) fn load(db: &Connection, last_seq: u64) -> rusqlite::Result<Self> {
        let mark = "SELECT topics_mark FROM counters";
        let mut topics = Topics {
            mark: db.query_row(mark, [], |row| unsigned(row, 0))?,
            ..Topics::default()
        };
        if topics.mark > last_seq {
            return Err(damaged(format!(
                "last_seq is {last_seq} in the table counters, but there are later marks"
            )));
        }
        let damaged = topics.load_rows(db)?;
        topics.recount_damaged(db, &damaged)?;
        let sql = "SELECT topic_id, seq, processed_at FROM events WHERE seq > ?1 ORDER BY seq";
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query([topics.mark as i64])?;
        while let Some(row) = rows.next()? {
            let id = row.get::<_, TopicId>(0)?;
            if id == 0 || id as usize > topics.len() {
                return Err(rusqlite::Error::IntegralValueOutOfRange(0, id.into()));
            }
            topics.count(id, unsigned(row, 1)?, row.get(2)?);
        }
        topics.load_order(db)?;
        topics.committed = topics.list.len();
        Ok(topics)
    }

    /// Reads the rows. Says which of them are damaged.
    fn load_rows(&mut self, db: &Connection) -> rusqlite::Result<BTreeSet<TopicId>> {
        let sql = "SELECT id, name, events, last_seq, last_processed_at, checksum FROM topics ORDER BY id";
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut damaged = BTreeSet::new();
        while let Some(row) = rows.next()? {
            let (id, name) = (row.get::<_, u32>(0)?, row.get_ref(1)?.as_str()?);
            let (events, last_seq) = (unsigned(row, 2)?, unsigned(row, 3)?);
            if self.push_stored(name, events, last_seq, row.get(4)?) != id {
                return Err(rusqlite::Error::IntegralValueOutOfRange(0, id.into()));
            }
            let is_right = match row.get_ref(5)? {
                // Rows of older tables have none.
                ValueRef::Null => true,
                ValueRef::Integer(checksum) => checksum == i64::from(self.get(id).checksum(id)),
                _ => false,
            };
            if !is_right {
                damaged.insert(id);
            }
        }
        Ok(damaged)
    }

    /// Counts the events up to the mark again of topics whose rows were changed by something else.
    fn recount_damaged(
        &mut self,
        db: &Connection,
        damaged: &BTreeSet<TopicId>,
    ) -> rusqlite::Result<()> {
        if damaged.is_empty() {
            return Ok(());
        }
        for id in damaged {
            log::error!("the counts of topic {id} are damaged: its events are counted again");
            self.recount(*id);
        }
        let sql = "SELECT topic_id, seq, processed_at FROM events WHERE seq <= ?1 ORDER BY seq";
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query([self.mark as i64])?;
        while let Some(row) = rows.next()? {
            let id = row.get::<_, TopicId>(0)?;
            if damaged.contains(&id) {
                self.count(id, unsigned(row, 1)?, row.get(2)?);
            }
        }
        Ok(())
    }

    /// Reads the order of the names out of the index that makes them unique.
    fn load_order(&mut self, db: &Connection) -> rusqlite::Result<()> {
        // The index has a copy of each name, and each is the only check of the other: under a name that was
        // changed, all its keys would be new.
        let mut statement = db.prepare("SELECT id, name FROM topics ORDER BY name")?;
        let mut rows = statement.query([])?;
        let mut ids = Vec::with_capacity(self.len());
        while let Some(row) = rows.next()? {
            let (id, name) = (row.get::<_, i64>(0)?, row.get_ref(1)?.as_bytes()?);
            if self.stored(id)?.name.as_bytes() != name {
                return Err(damaged(format!(
                    "the topic with id {id} has another name in the table than in its index"
                )));
            }
            ids.push(id as TopicId);
        }
        if ids.len() != self.len() {
            return Err(damaged(
                "the index of the topics' names is not that of the table",
            ));
        }
        self.set_order(&ids);
        Ok(())
    }
}
