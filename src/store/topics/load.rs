//! Reading the topics: their rows, and the events that the rows do not count yet. In slices, since the server may have
//! to do it while it serves.

use std::collections::BTreeSet;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Rows};

use super::topic::TopicId;
use super::Topics;
use crate::limits::{LOAD_ROW_UNITS, READ_BYTES_PER_UNIT, TOPICS_RESERVED_MAX};
use crate::store::error::damaged;
use crate::store::rows::unsigned;
use crate::store::work::LoadBudget;

/// Topics that are being read.
pub(crate) struct TopicsLoad {
    topics: Topics,
    /// Those whose rows were changed by another program. Their events are counted again.
    damaged: BTreeSet<TopicId>,
    /// The ids in the order of the names, as far as it has been read.
    order: Vec<TopicId>,
    stage: Stage,
}

/// What is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Rows,
    /// The events up to the mark, after this seq: those of topics whose rows are damaged are counted again.
    Recount(u64),
    /// The events after the mark, after this seq.
    Count(u64),
    Order,
    Done,
}

impl TopicsLoad {
    /// Begins to read the topics of a database whose greatest seq is `last_seq`.
    pub(crate) fn begin(db: &Connection, last_seq: u64) -> rusqlite::Result<Self> {
        let mark = "SELECT topics_mark FROM counters";
        let mark = db.query_row(mark, [], |row| unsigned(row, 0))?;
        if mark > last_seq {
            return Err(damaged(format!(
                "last_seq is {last_seq} in the table counters, but there are later marks"
            )));
        }
        let most = "SELECT ifnull(max(id), 0) FROM topics";
        let most = db.query_row(most, [], |row| unsigned(row, 0))? as usize;
        let mut topics = Topics {
            mark,
            ..Topics::default()
        };
        topics.reserve(most.min(TOPICS_RESERVED_MAX));
        Ok(Self {
            topics,
            damaged: BTreeSet::new(),
            order: Vec::new(),
            stage: Stage::Rows,
        })
    }

    /// Reads on. Returns whether all has been read.
    pub(crate) fn step(
        &mut self,
        db: &Connection,
        budget: &mut LoadBudget,
    ) -> rusqlite::Result<bool> {
        while !budget.is_spent() && self.stage != Stage::Done {
            match self.stage {
                Stage::Rows => {
                    if self.read_rows(db, budget)? {
                        self.stage = self.after_rows();
                    }
                }
                Stage::Recount(after) => {
                    let next = self.count(db, after, self.topics.mark, budget)?;
                    self.stage = next.map_or(Stage::Count(self.topics.mark), Stage::Recount);
                }
                Stage::Count(after) => {
                    let next = self.count(db, after, u64::MAX, budget)?;
                    self.stage = next.map_or(Stage::Order, Stage::Count);
                }
                Stage::Order => {
                    if self.read_order(db, budget)? {
                        self.stage = Stage::Done;
                    }
                }
                Stage::Done => {}
            }
        }
        Ok(self.stage == Stage::Done)
    }

    /// The topics, once all has been read.
    pub(crate) fn finish(self) -> Topics {
        let mut topics = self.topics;
        topics.set_order(&self.order);
        topics.committed = topics.list.len();
        topics
    }

    /// What comes after the rows.
    fn after_rows(&mut self) -> Stage {
        if self.damaged.is_empty() {
            return Stage::Count(self.topics.mark);
        }
        for id in &self.damaged {
            log::error!("the counts of topic {id} are damaged: its events are counted again");
            self.topics.recount(*id);
        }
        Stage::Recount(0)
    }

    /// Reads rows after those that there are. Returns whether these were the last.
    fn read_rows(&mut self, db: &Connection, budget: &mut LoadBudget) -> rusqlite::Result<bool> {
        let sql = "SELECT id, name, events, last_seq, last_processed_at, checksum FROM topics \
                   WHERE id > ?1 ORDER BY id";
        let mut statement = db.prepare_cached(sql)?;
        // A row with a bad id is found because the first slice begins with it.
        let after = match self.topics.len() {
            0 => i64::MIN,
            read => read as i64,
        };
        let mut rows = statement.query([after])?;
        while let Some(row) = next_within(&mut rows, budget)? {
            let (id, name) = (row.get::<_, u32>(0)?, row.get_ref(1)?.as_str()?);
            let (events, last_seq) = (unsigned(row, 2)?, unsigned(row, 3)?);
            let topics = &mut self.topics;
            if topics.push_stored(name, events, last_seq, row.get(4)?) != id {
                return Err(rusqlite::Error::IntegralValueOutOfRange(0, id.into()));
            }
            let is_right = match row.get_ref(5)? {
                // Rows of older tables have none.
                ValueRef::Null => true,
                ValueRef::Integer(checksum) => checksum == i64::from(topics.get(id).checksum(id)),
                _ => false,
            };
            if !is_right {
                self.damaged.insert(id);
            }
        }
        Ok(!budget.is_spent())
    }

    /// Counts the events after a seq and up to `last`: all that the rows do not count, or up to the mark those of
    /// damaged rows. Returns after which seq it goes on; `None` if there are no more.
    fn count(
        &mut self,
        db: &Connection,
        after: u64,
        last: u64,
        budget: &mut LoadBudget,
    ) -> rusqlite::Result<Option<u64>> {
        let is_again = last != u64::MAX;
        let sql = "SELECT topic_id, seq, processed_at, octet_length(payload) FROM events \
                   WHERE seq > ?1 AND seq <= ?2 ORDER BY seq";
        let mut statement = db.prepare_cached(sql)?;
        let last = i64::try_from(last).unwrap_or(i64::MAX);
        let mut rows = statement.query((after.cast_signed(), last))?;
        let mut next = after;
        while let Some(row) = next_within(&mut rows, budget)? {
            // The time is stored after the payload, which SQLite then goes through.
            let bytes = unsigned(row, 3).unwrap_or(0);
            budget.take(bytes / READ_BYTES_PER_UNIT);
            next = unsigned(row, 1)?;
            let id = row.get::<_, TopicId>(0)?;
            if id == 0 || id as usize > self.topics.len() {
                return Err(rusqlite::Error::IntegralValueOutOfRange(0, id.into()));
            }
            if !is_again || self.damaged.contains(&id) {
                self.topics.count(id, next, row.get(2)?);
            }
        }
        Ok(budget.is_spent().then_some(next))
    }

    /// Reads the order of the names out of the index that makes them unique, after those that have been read. Says
    /// whether these were the last.
    fn read_order(&mut self, db: &Connection, budget: &mut LoadBudget) -> rusqlite::Result<bool> {
        // The index has a copy of each name, and the two are checked against each other: under a changed name, all keys
        // of a topic would be new.
        let topics = &self.topics;
        let after = self.order.last().map(|id| &*topics.get(*id).name);
        let sql = match after {
            None => "SELECT id, name FROM topics ORDER BY name",
            Some(_) => "SELECT id, name FROM topics WHERE name > ?1 ORDER BY name",
        };
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = match after {
            None => statement.query([])?,
            Some(name) => statement.query([name])?,
        };
        while let Some(row) = next_within(&mut rows, budget)? {
            let (id, name) = (row.get::<_, i64>(0)?, row.get_ref(1)?.as_bytes()?);
            if topics.stored(id)?.name.as_bytes() != name {
                return Err(damaged(format!(
                    "the topic with id {id} has another name in the table than in its index"
                )));
            }
            self.order.push(id as TopicId);
        }
        if budget.is_spent() && self.order.len() <= topics.len() {
            return Ok(false);
        }
        if self.order.len() != topics.len() {
            return Err(damaged(
                "the index of the topics' names is not that of the table",
            ));
        }
        Ok(true)
    }
}

/// The next row, if the budget is not spent.
fn next_within<'r, 's>(
    rows: &'r mut Rows<'s>,
    budget: &mut LoadBudget,
) -> rusqlite::Result<Option<&'r rusqlite::Row<'s>>> {
    if budget.is_spent() {
        return Ok(None);
    }
    budget.take(LOAD_ROW_UNITS);
    rows.next()
}
