//! A store as a destination: the statements with which events come into it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::batch::{Batch, Event};
use super::destination::{Counts, Destination, Position, Written};
use super::trouble::Trouble;
use crate::client::engine::{prepare, Engine, EngineError};
use crate::client::Interrupt;
use crate::postgres::statement::{self, BatchRow, Hash, NewEvent, BEGIN};
use crate::postgres::url::EngineUrl;
use crate::postgres::{Answer, Param};

/// A store, with its connection where there is one.
pub(super) struct Store {
    url: EngineUrl,
    interrupt: Arc<Interrupt>,
    engine: Option<Engine>,
    /// It has been connected before: a database that is missing now is being restored.
    was_connected: bool,
    writer: Writer,
}

impl Store {
    pub(super) fn new(url: EngineUrl, interrupt: &Arc<Interrupt>) -> Store {
        Store {
            url,
            interrupt: interrupt.clone(),
            engine: None,
            was_connected: false,
            writer: Writer::default(),
        }
    }

    fn connected(&mut self) -> Result<(&mut Engine, &mut Writer), EngineError> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => {
                let mut engine = Engine::connect(&self.url, &self.interrupt)?;
                prepare(&mut engine)?;
                self.was_connected = true;
                engine
            }
        };
        Ok((self.engine.insert(engine), &mut self.writer))
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store at {}", self.url)
    }
}

impl Destination for Store {
    fn noun(&self) -> &'static str {
        "store"
    }

    fn position(&mut self, database_id: &str) -> Result<Option<Position>, Trouble> {
        let (engine, _) = self.connected()?;
        Ok(position_of(&engine.query(&position_sql(database_id))?))
    }

    fn begin_life(&mut self, database_id: &str, life: i32, name: &str) -> Result<(), Trouble> {
        let sql = "INSERT INTO logagg.nodes(database_id, life, name, first_seen) \
                   VALUES ($1::text::uuid, $2, $3, now()) ON CONFLICT DO NOTHING";
        let params = [
            Param::text(database_id),
            Param::int(life),
            Param::text(name),
        ];
        let (engine, _) = self.connected()?;
        engine.execute(sql, &params)?;
        Ok(())
    }

    fn write(
        &mut self,
        database_id: &str,
        expected: &Position,
        batch: &Batch,
    ) -> Result<Written, EngineError> {
        let (engine, writer) = self.connected()?;
        writer.write(engine, database_id, expected, batch)
    }

    fn is_final(&self, error: &EngineError) -> bool {
        match error {
            EngineError::Unfit(_) => true,
            EngineError::Refused(error) => {
                error.is_about_credentials()
                    || error.is_about_rights()
                    || error.is_without_database() && !self.was_connected
            }
            EngineError::Lost(_) | EngineError::Stopped(_) => false,
        }
    }

    fn disconnect(&mut self) {
        self.engine = None;
    }

    fn close(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.close();
        }
    }
}

/// Asks for the position of the database with this id, which is a UUID.
fn position_sql(database_id: &str) -> String {
    format!(
        "SELECT m.store_id, n.id, n.life, p.upto, encode(p.mark, 'hex') FROM logagg.meta m \
         LEFT JOIN LATERAL (SELECT id, life FROM logagg.nodes WHERE database_id = '{database_id}' \
         ORDER BY life DESC LIMIT 1) n ON true \
         LEFT JOIN LATERAL (SELECT b.upto, b.mark FROM logagg.batches b WHERE b.node = n.id \
         ORDER BY b.after DESC LIMIT 1) p ON true"
    )
}

/// None where the node is not known.
fn position_of(answer: &Answer) -> Option<Position> {
    let row = answer.rows().first()?;
    Some(Position {
        store_id: row.text(0)?.to_owned(),
        node: row.value(1)?,
        life: row.value(2)?,
        upto: row.value(3).unwrap_or(0),
        mark: row.text(4).and_then(mark_of),
    })
}

fn mark_of(hex: &str) -> Option<Hash> {
    let mut mark = Hash::default();
    for (at, byte) in mark.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(mark)
}

/// Writes batches over one connection.
#[derive(Debug, Default)]
struct Writer {
    /// Topics that the store had when they were last looked for.
    topics: HashSet<String>,
}

impl Writer {
    /// Stores a batch in one transaction.
    fn write(
        &mut self,
        engine: &mut Engine,
        database_id: &str,
        expected: &Position,
        batch: &Batch,
    ) -> Result<Written, EngineError> {
        self.create_topics(engine, &batch.events)?;
        let found = engine.query(&format!("{BEGIN}{}", position_sql(database_id)))?;
        let ids = match position_of(&found).as_ref() == Some(expected) {
            true => self.topic_ids(engine, &batch.events)?,
            false => None,
        };
        let Some(ids) = ids else {
            engine.query("ROLLBACK")?;
            return Ok(Written::Moved);
        };
        let id = batch_id(engine)?;
        let events = new_events(&batch.events, &ids);
        let new = insert_keys(engine, id, &events)?;
        let first_seq = insert_events(engine, &events, &new)?;
        let duplicates = events.len() - new.len();
        let conflicts = match duplicates {
            0 => 0,
            _ => count_conflicts(engine, &events, &new)?,
        };
        insert_gaps(engine, expected.node, batch)?;
        let row = statement::insert_batch(&BatchRow {
            id,
            node: Some(expected.node),
            after: Some(expected.upto as i64),
            upto: Some(batch.upto as i64),
            mark: batch.mark().as_ref().map(|mark| &mark[..]),
            first_seq,
            events: events.len(),
            stored: new.len(),
            duplicates,
            conflicts,
        });
        match engine.run(&row) {
            Err(EngineError::Refused(error)) if error.is_about_uniqueness() => {
                engine.query("ROLLBACK")?;
                // Another forwarder has stored this part of the chain.
                return Ok(Written::Moved);
            }
            done => done.map(drop)?,
        }
        let answer = engine.query(statement::COMMIT)?;
        answer.confirm().map_err(EngineError::Lost)?;
        Ok(Written::Stored(Counts {
            stored: new.len() as u64,
            duplicates: duplicates as u64,
            conflicts: conflicts as u64,
        }))
    }

    /// Gives topics that are new their ids, in a transaction of its own: no other writer waits for it.
    fn create_topics(&mut self, engine: &mut Engine, events: &[Event]) -> Result<(), EngineError> {
        // In their order, or two writers could wait for each other.
        let names: BTreeSet<&str> = events.iter().map(|event| event.topic.as_str()).collect();
        let new: Vec<&str> = names
            .into_iter()
            .filter(|name| !self.topics.contains(*name))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        engine.run(&statement::create_topics(new.iter().copied()))?;
        self.topics.extend(new.into_iter().map(str::to_owned));
        Ok(())
    }

    /// The ids of all topics of a batch; none if one is gone because the store was restored.
    fn topic_ids(
        &mut self,
        engine: &mut Engine,
        events: &[Event],
    ) -> Result<Option<HashMap<String, i32>>, EngineError> {
        let names: HashSet<&str> = events.iter().map(|event| event.topic.as_str()).collect();
        let answer = engine.run(&statement::topic_ids(names.iter().copied()))?;
        let ids = statement::read_topic_ids(answer.rows()).ok_or_else(unfit)?;
        if ids.len() < names.len() {
            self.topics.clear();
            return Ok(None);
        }
        Ok(Some(ids))
    }
}

/// The events of a batch as the store takes them.
fn new_events<'a>(events: &'a [Event], ids: &HashMap<String, i32>) -> Vec<NewEvent<'a>> {
    let new = |event: &'a Event| NewEvent {
        topic_id: ids[&event.topic],
        event_id: &event.event_id,
        timestamp: &event.timestamp,
        source: &event.source,
        payload: &event.payload,
        processed_at: &event.processed_at,
        content: event.content,
    };
    events.iter().map(new).collect()
}

fn batch_id(engine: &mut Engine) -> Result<i64, EngineError> {
    let number = |answer: &Answer| answer.rows().first().and_then(|row| row.value(0));
    if let Some(id) = number(&engine.query(statement::BATCH_ID)?) {
        return Ok(id);
    }
    number(&engine.query(statement::BATCH_ID_BY_ROW)?)
        .ok_or_else(|| EngineError::Lost("it gives no id for a batch".to_owned()))
}

/// Inserts the keys that are new; the places of their events in the batch, in order.
fn insert_keys(
    engine: &mut Engine,
    batch: i64,
    events: &[NewEvent],
) -> Result<Vec<usize>, EngineError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let answer = engine.run(&statement::insert_keys(batch, events))?;
    statement::read_new(answer.rows(), events.len()).ok_or_else(unfit)
}

fn unfit() -> EngineError {
    EngineError::Lost("its answer does not fit the statement".to_owned())
}

/// Appends the new events. Returns where the seqs of the batch begin, if there is a new one.
fn insert_events(
    engine: &mut Engine,
    events: &[NewEvent],
    new: &[usize],
) -> Result<Option<i64>, EngineError> {
    if new.is_empty() {
        return Ok(None);
    }
    let locked = engine.query(statement::LOCK_HEAD)?;
    if locked.rows().is_empty() {
        return Err(EngineError::Lost(
            "the table logagg.head has no row".to_owned(),
        ));
    }
    let answer = engine.query(statement::NEXT_SEQ)?;
    let first_seq = statement::read_next_seq(answer.rows()).ok_or_else(unfit)?;
    engine.run(&statement::insert_events(first_seq, events, new))?;
    Ok(Some(first_seq))
}

/// How many of the events that were not new differ from what is stored.
fn count_conflicts(
    engine: &mut Engine,
    events: &[NewEvent],
    new: &[usize],
) -> Result<usize, EngineError> {
    let answer = engine.run(&statement::known(events, new))?;
    let known = statement::read_known(answer.rows()).ok_or_else(unfit)?;
    Ok(known.iter().filter(|known| known.is_conflict).count())
}

fn insert_gaps(engine: &mut Engine, node: i32, batch: &Batch) -> Result<(), EngineError> {
    for gap in &batch.gaps {
        let sql = "INSERT INTO logagg.gaps(node, from_seq, to_seq, at) VALUES ($1, $2, $3, now()) \
                   ON CONFLICT DO NOTHING";
        let [from, to] = [gap.from, gap.to].map(|seq| Param::bigint(seq as i64));
        engine.execute(sql, &[Param::int(node), from, to])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_are_written() {
        let mark = mark_of("000102030405060708090a0b0c0d0eff").unwrap();
        assert_eq!((mark[1], mark[15]), (1, 255));
        assert_eq!(mark_of("00"), None);
        assert_eq!(mark_of("zz0102030405060708090a0b0c0d0eff"), None);
    }
}
