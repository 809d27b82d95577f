//! What the open transaction does to the topics, until it ends.

use rusqlite::Connection;

use super::topic::TopicId;
use super::Topics;
use crate::limits::KEYS_LOOKED_UP_AT_ONCE;
use crate::store::error::expect_changed;
use crate::store::transaction::Part;

impl Topics {
    /// Appends the ids of these names to `ids`; inserts the topics that are new. Each look-up waits for the
    /// memory of three places; those of many names are prefetched together.
    pub(crate) fn intern(
        &mut self,
        db: &Connection,
        names: &[&str],
        ids: &mut Vec<TopicId>,
    ) -> rusqlite::Result<()> {
        let mut hashes = [0; KEYS_LOOKED_UP_AT_ONCE];
        for names in names.chunks(hashes.len()) {
            self.hash_all(names, &mut hashes);
            for (hash, name) in hashes.iter().zip(names) {
                let id = match self.hashed(*hash, name) {
                    Some(id) => id,
                    None => self.insert(db, name)?,
                };
                ids.push(id);
            }
        }
        Ok(())
    }

    fn insert(&mut self, db: &Connection, name: &str) -> rusqlite::Result<TopicId> {
        let id = self.push(name);
        db.prepare_cached("INSERT INTO topics(id, name) VALUES (?1, ?2)")?
            .execute((id, name))
            .and_then(|changed| expect_changed(changed, 1, "topics"))?;
        Ok(id)
    }

    /// The events that follow are stored at this time, the first of them with this seq.
    pub(crate) fn begin_events(&mut self, first_seq: u64, processed_at: i64) {
        self.open.first_seq = first_seq;
        self.open.processed_at = processed_at;
    }

    /// The transaction stores an event with the next seq.
    pub(crate) fn add_event(&mut self, topic: TopicId) {
        self.open.events.push(topic);
    }

    /// The transaction removes an event. Returns whether it is the first of its topic.
    pub(crate) fn remove_event(&mut self, topic: TopicId) -> bool {
        let removed = self.open.removed.entry(topic).or_insert(0);
        *removed += 1;
        *removed == 1
    }
}

impl Part for Topics {
    fn committed(&mut self) {
        if let Some(rows) = self.open.rows.take() {
            self.rows_written(rows);
        }
        for (topic, events) in std::mem::take(&mut self.open.removed) {
            self.remove(topic, events);
        }
        let events = std::mem::take(&mut self.open.events);
        let processed_at = self.open.processed_at;
        for (seq, topic) in (self.open.first_seq..).zip(&events) {
            self.count(*topic, seq, processed_at);
        }
        self.open.events = events;
        self.open.events.clear();
        self.committed = self.list.len();
    }

    fn rolled_back(&mut self) {
        self.truncate(self.committed);
        self.open.events.clear();
        self.open.rows = None;
        self.open.removed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::topic::TopicId;
    use super::*;
    use crate::store::options::Dedup;
    use crate::store::schema::create_tables;

    #[test]
    fn many_names_are_interned_at_once() {
        let db = Connection::open_in_memory().unwrap();
        create_tables(&db, Dedup::Index).unwrap();
        let mut topics = Topics::default();
        let names: Vec<String> = (0..3 * KEYS_LOOKED_UP_AT_ONCE)
            .map(|number| format!("topic-{number}"))
            .collect();
        let known: Vec<&str> = names.iter().step_by(2).map(String::as_str).collect();
        let mut ids = Vec::new();
        topics.intern(&db, &known, &mut ids).unwrap();
        topics.committed();
        let asked: Vec<&str> = names.iter().chain(&names).map(String::as_str).collect();
        ids.clear();
        topics.intern(&db, &asked, &mut ids).unwrap();
        assert_eq!(topics.len(), names.len());
        for (name, id) in asked.iter().zip(&ids) {
            assert_eq!(*topics.get(*id).name, **name);
        }
        topics.rolled_back();
        let left: Vec<TopicId> = names.iter().filter_map(|name| topics.id(name)).collect();
        assert_eq!(left, (1..=known.len() as TopicId).collect::<Vec<_>>());
    }
}
