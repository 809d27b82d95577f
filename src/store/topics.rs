//! The topics that have events, interned: a name costs one hash look-up, and what the table `topics`
//! says of each is known without a read.
//!
//! The counts of a topic are exact in memory and lazy on disk. A row of the table says: of the events
//! with a seq up to `last_seq`, the topic has `events`. So a row that is behind is still true, and
//! counting the events behind the mark brings it up to date at start.

use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use hashbrown::HashTable;

use crate::limits::KEYS_ASKED_AT_ONCE;

/// A topic's `id` in the table `topics`; counts from 1.
pub type TopicId = u32;

/// One topic. Retention may have removed all of its events; the topic stays, because it is part of keys.
#[derive(Clone, Debug)]
pub struct Topic {
    pub name: Rc<str>,
    pub events: u64,
    pub last_seq: u64,
    /// Microseconds since the epoch.
    pub last_processed_at: i64,
    /// Whether the table's row is behind.
    stale: bool,
}

/// All topics.
#[derive(Debug, Default)]
pub struct Topics {
    /// Ids, found by the hashes of their names.
    by_name: HashTable<TopicId>,
    hasher: RandomState,
    /// By id, less one.
    list: Vec<Topic>,
    /// Ids in the order of the names' bytes; the newest ids may be missing until someone asks.
    sorted: Vec<TopicId>,
    /// Ids whose rows are behind, in the order in which they fell behind.
    stale: Vec<TopicId>,
}

impl Topics {
    /// The id of a name, if any event has it.
    pub fn id(&self, name: &str) -> Option<TopicId> {
        self.hashed(self.hasher.hash_one(name), name)
    }

    /// The same of many names. Each look-up waits for the memory of three places; those of many names are
    /// fetched side by side.
    pub(super) fn ids(&self, names: &[&str], ids: &mut Vec<Option<TopicId>>) {
        let mut hashes = [0; KEYS_ASKED_AT_ONCE];
        for names in names.chunks(hashes.len()) {
            for (hash, name) in hashes.iter_mut().zip(names) {
                *hash = self.hasher.hash_one(name);
            }
            let of_names = hashes.iter().copied().zip(names);
            self.fetch(&hashes[..names.len()]);
            ids.extend(of_names.map(|(hash, name)| self.hashed(hash, name)));
        }
    }

    fn hashed(&self, hash: u64, name: &str) -> Option<TopicId> {
        let is_it = |id: &TopicId| *self.get(*id).name == *name;
        self.by_name.find(hash, is_it).copied()
    }

    /// Reads what look-ups of these hashes will read: the places in the table, then the topics, then names.
    fn fetch(&self, hashes: &[u64]) {
        let mut found = [0; KEYS_ASKED_AT_ONCE];
        for (found, hash) in found.iter_mut().zip(hashes) {
            *found = self.by_name.find(*hash, |_| true).copied().unwrap_or(0);
        }
        let topics = || {
            found
                .iter()
                .filter_map(|id| self.list.get((*id as usize).checked_sub(1)?))
        };
        std::hint::black_box(topics().fold(0, |read, topic| read | topic.events));
        let first_byte = |topic: &Topic| topic.name.as_bytes().first().copied();
        std::hint::black_box(topics().fold(0, |read, topic| read | first_byte(topic).unwrap_or(0)));
    }

    /// The topic of an id that this map gave.
    pub fn get(&self, id: TopicId) -> &Topic {
        &self.list[id as usize - 1]
    }

    /// The topic of an id that a row of the database gave.
    pub(super) fn stored(&self, id: i64) -> rusqlite::Result<&Topic> {
        let at = id.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.list.get(at))
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(1, id))
    }

    /// Number of topics.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All ids in the order of the names' bytes.
    pub fn sorted(&mut self) -> &[TopicId] {
        if self.sorted.len() < self.list.len() {
            let list = &self.list;
            let name = |id: TopicId| list[id as usize - 1].name.as_bytes();
            self.sorted
                .extend(self.sorted.len() as TopicId + 1..=list.len() as TopicId);
            // The merge sort finds the long sorted run in front, so this costs little more than
            // sorting what is new.
            self.sorted.sort_by(|a, b| name(*a).cmp(name(*b)));
        }
        &self.sorted
    }

    /// All names in the order of their bytes.
    pub fn names(&mut self) -> impl Iterator<Item = &str> {
        self.sorted();
        self.sorted
            .iter()
            .map(|id| &*self.list[*id as usize - 1].name)
    }

    /// The ids whose names begin with `prefix`, in the order of the names' bytes.
    pub fn with_prefix(&mut self, prefix: &str) -> &[TopicId] {
        self.sorted();
        let name = |id: &TopicId| self.list[*id as usize - 1].name.as_bytes();
        let from = self
            .sorted
            .partition_point(|id| name(id) < prefix.as_bytes());
        let len = self.sorted[from..].partition_point(|id| name(id).starts_with(prefix.as_bytes()));
        &self.sorted[from..from + len]
    }

    /// Adds a topic behind the others and gives its id.
    pub(super) fn push(
        &mut self,
        name: &str,
        events: u64,
        last_seq: u64,
        last_processed_at: i64,
    ) -> TopicId {
        let id = self.list.len() as TopicId + 1;
        let (list, hasher) = (&self.list, &self.hasher);
        self.by_name.insert_unique(hasher.hash_one(name), id, |id| {
            hasher.hash_one(&list[*id as usize - 1].name)
        });
        self.list.push(Topic {
            name: name.into(),
            events,
            last_seq,
            last_processed_at,
            stale: false,
        });
        id
    }

    /// Forgets the topics behind the first `len`: their transaction failed.
    pub(super) fn truncate(&mut self, len: usize) {
        while self.list.len() > len {
            let id = self.list.len() as TopicId;
            let hash = self.hasher.hash_one(&self.list[id as usize - 1].name);
            if let Ok(entry) = self.by_name.find_entry(hash, |of| *of == id) {
                entry.remove();
            }
            self.list.pop();
        }
        self.sorted.retain(|id| *id as usize <= len);
    }

    /// Counts a committed event. One that the row has counted already changes nothing.
    pub(super) fn count(&mut self, id: TopicId, seq: u64, processed_at: i64) {
        let topic = &mut self.list[id as usize - 1];
        if seq <= topic.last_seq {
            return;
        }
        topic.events += 1;
        topic.last_seq = seq;
        topic.last_processed_at = processed_at;
        if !topic.stale {
            topic.stale = true;
            self.stale.push(id);
        }
    }

    /// So many of a topic's events have been removed, and its row says so.
    pub(super) fn remove(&mut self, id: TopicId, events: u64) {
        let topic = &mut self.list[id as usize - 1];
        topic.events = topic.events.saturating_sub(events);
    }

    /// Puts the topics whose rows are behind in the order of their rows, so that writing some of them
    /// touches few pages, and says how many there are.
    pub(super) fn sort_stale(&mut self) -> usize {
        self.stale.sort_unstable();
        self.stale.len()
    }

    /// The topics whose rows are behind.
    pub(super) fn stale(&self) -> &[TopicId] {
        &self.stale
    }

    /// The first `n` of [`Topics::stale`] have been written.
    pub(super) fn written(&mut self, n: usize) {
        for id in self.stale.drain(..n) {
            self.list[id as usize - 1].stale = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(topics: &Topics, ids: &[TopicId]) -> Vec<String> {
        ids.iter()
            .map(|id| topics.get(*id).name.to_string())
            .collect()
    }

    #[test]
    fn names_are_sorted_by_their_bytes() {
        let mut topics = Topics::default();
        for name in ["b", "ä", "B"] {
            topics.push(name, 0, 0, 0);
        }
        let ids = topics.sorted().to_vec();
        assert_eq!(names(&topics, &ids), ["B", "b", "ä"]);
        topics.push("a", 0, 0, 0);
        let ids = topics.sorted().to_vec();
        assert_eq!(names(&topics, &ids), ["B", "a", "b", "ä"]);
    }

    #[test]
    fn many_names_are_found_at_once() {
        let mut topics = Topics::default();
        let names: Vec<String> = (0..3 * KEYS_ASKED_AT_ONCE)
            .map(|number| format!("topic-{number}"))
            .collect();
        for name in names.iter().step_by(2) {
            topics.push(name, 0, 0, 0);
        }
        topics.truncate(topics.len() - 1);
        let asked: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut ids = Vec::new();
        topics.ids(&asked, &mut ids);
        assert_eq!(ids.iter().flatten().count(), topics.len());
        for (name, id) in asked.iter().zip(ids) {
            assert_eq!(id, topics.id(name));
            assert!(id.is_none_or(|id| *topics.get(id).name == **name));
        }
    }

    #[test]
    fn a_prefix_selects_a_range() {
        let mut topics = Topics::default();
        for name in ["order.a", "order", "order.b", "orders", "ord"] {
            topics.push(name, 0, 0, 0);
        }
        let ids = topics.with_prefix("order.").to_vec();
        assert_eq!(names(&topics, &ids), ["order.a", "order.b"]);
        assert_eq!(topics.with_prefix("").len(), 5);
        assert!(topics.with_prefix("z").is_empty());
    }

    #[test]
    fn an_event_is_counted_once() {
        let mut topics = Topics::default();
        let id = topics.push("t", 5, 10, 100);
        topics.count(id, 9, 90);
        assert_eq!(topics.get(id).events, 5);
        assert!(topics.stale().is_empty());
        topics.count(id, 11, 110);
        assert_eq!((topics.get(id).events, topics.get(id).last_seq), (6, 11));
        assert_eq!(topics.stale(), [id]);
        topics.written(1);
        assert!(topics.stale().is_empty());
    }

    #[test]
    fn a_failed_transaction_takes_its_topics_with_it() {
        let mut topics = Topics::default();
        topics.push("kept", 0, 0, 0);
        topics.push("gone", 0, 0, 0);
        topics.sorted();
        topics.truncate(1);
        assert_eq!((topics.id("kept"), topics.id("gone")), (Some(1), None));
        assert_eq!(topics.sorted(), [1]);
    }
}
