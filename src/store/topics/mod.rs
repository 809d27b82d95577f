//! The topics that have events, interned: a name costs one hash look-up, and what the table `topics` says about each is
//! known without a read.
//!
//! The counts of a topic are exact in memory and lazy on disk. A row of the table says: of the events
//! with a seq up to `last_seq`, the topic has `events`. So a row that is out of date is still true, and
//! counting the events after the mark brings it up to date at start.

pub(super) mod load;
mod order;
mod stale;
pub(super) mod topic;
mod transaction;
mod writing;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use hashbrown::HashTable;
use order::{Order, Place};
use stale::Stale;
use topic::{Topic, TopicId};

use crate::event::{NameFilter, Pattern};
use crate::limits::KEYS_LOOKED_UP_AT_ONCE;
use crate::text::json_len;

/// All topics.
#[derive(Debug, Default)]
pub struct Topics {
    /// Ids, found by the hashes of their names.
    by_name: HashTable<TopicId>,
    hasher: RandomState,
    /// By id, less one.
    list: Vec<Topic>,
    /// Ids in the order of the names' bytes.
    order: Order,
    /// Ids whose rows are out of date.
    stale: Stale,
    /// Bytes of all names as JSON text, without quotes.
    names_json_len: usize,
    /// How many topics the table has.
    committed: usize,
    /// Every event up to this seq is counted in the rows.
    mark: u64,
    /// The current round of bringing the rows up to date.
    sweep: Option<Sweep>,
    open: OpenChanges,
}

/// A round of bringing the rows of `topics` up to date.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    /// What the mark becomes when the round is done: the last seq when it began.
    mark: u64,
    /// The topics before this one have been looked at.
    next: TopicId,
}

/// Rows that a transaction writes: those of a range of ids that are out of date.
#[derive(Clone, Copy, Debug)]
struct RowRange {
    from: TopicId,
    /// The first id that is not of the range.
    to: TopicId,
    /// The mark, where the round ends with them.
    mark: Option<u64>,
}

/// What the open transaction does.
#[derive(Debug, Default)]
struct OpenChanges {
    /// The topic of each event that it stores, in the order of their seqs. Kept for its memory.
    events: Vec<TopicId>,
    first_seq: u64,
    processed_at: i64,
    rows: Option<RowRange>,
    /// Events that it removes of each topic.
    removed: BTreeMap<TopicId, u64>,
}

impl Topics {
    /// The id of a name, if any event has it.
    pub fn id(&self, name: &str) -> Option<TopicId> {
        self.hashed(self.hasher.hash_one(name), name)
    }

    fn hashed(&self, hash: u64, name: &str) -> Option<TopicId> {
        let is_it = |id: &TopicId| *self.get(*id).name == *name;
        self.by_name.find(hash, is_it).copied()
    }

    fn hash_all(&self, names: &[&str], hashes: &mut [u64; KEYS_LOOKED_UP_AT_ONCE]) {
        for (hash, name) in hashes.iter_mut().zip(names) {
            *hash = self.hasher.hash_one(name);
        }
        self.prefetch(&hashes[..names.len()]);
    }

    /// Reads what look-ups of these hashes will read: the places in the table, then the topics, then names.
    fn prefetch(&self, hashes: &[u64]) {
        let mut found = [0; KEYS_LOOKED_UP_AT_ONCE];
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

    /// Bytes that all names take as JSON text, without quotes.
    pub fn names_json_len(&self) -> usize {
        self.names_json_len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All ids in the order of the names' bytes, or those after a name. Nothing is held between two calls,
    /// so a reader that continues after the last name also finds the topics that were added meanwhile.
    pub fn in_order<'t>(&'t self, after: Option<&str>) -> impl Iterator<Item = TopicId> + 't {
        let is_before = |name: &[u8]| after.is_some_and(|after| name <= after.as_bytes());
        self.order.from(self.order.place(&self.list, is_before))
    }

    /// All names in the order of their bytes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.in_order(None).map(|id| &*self.get(id).name)
    }

    /// The ids of the topics that a pattern wants, in the order of the names' bytes; of those only the ones
    /// after a name, where one is given.
    pub fn matching<'t>(
        &'t self,
        pattern: Pattern<'t>,
        after: Option<&str>,
    ) -> impl Iterator<Item = TopicId> + 't {
        let (prefix, name) = match pattern {
            Pattern::Prefix(prefix) => (Some(prefix), None),
            Pattern::Name(name) => (None, std::str::from_utf8(name).ok()),
        };
        let named = name.and_then(|name| self.id(name));
        let named = named.filter(|id| after.is_none_or(|after| *self.get(*id).name > *after));
        let with_prefix = prefix.map(|prefix| {
            let is_before =
                |name: &[u8]| name < prefix || after.is_some_and(|after| name <= after.as_bytes());
            let from = self.order.from(self.order.place(&self.list, is_before));
            from.take_while(move |id| self.get(*id).name.as_bytes().starts_with(prefix))
        });
        named.into_iter().chain(with_prefix.into_iter().flatten())
    }

    /// How many topics a filter wants.
    pub fn count_matching(&self, filter: &NameFilter) -> usize {
        if filter.is_all() {
            return self.len();
        }
        let count = |pattern| match pattern {
            Pattern::Prefix(prefix) => self.count_prefix(prefix),
            Pattern::Name(_) => self.matching(pattern, None).count(),
        };
        filter.patterns().map(count).sum()
    }

    fn count_prefix(&self, prefix: &[u8]) -> usize {
        let place = |is_before: &dyn Fn(&[u8]) -> bool| -> Place {
            self.order.place(&self.list, is_before)
        };
        let from = place(&|name| name < prefix);
        let to = place(&|name| name < prefix || name.starts_with(prefix));
        self.order.count(from, to)
    }

    /// Adds a new topic after the others and returns its id.
    fn push(&mut self, name: &str) -> TopicId {
        let id = self.push_stored(name, 0, 0, 0);
        self.order.insert(&self.list, id);
        id
    }

    /// Adds a topic that the table has, at start. [`Topics::set_order`] then sets the order of all: to find a place for
    /// each takes a second for a million.
    fn push_stored(
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
        self.names_json_len += json_len(name);
        self.list.push(Topic {
            name: name.into(),
            events,
            last_seq,
            last_processed_at,
        });
        id
    }

    /// Makes room for this number of topics, so that adding one of them never moves all others.
    fn reserve(&mut self, topics: usize) {
        let (list, hasher) = (&self.list, &self.hasher);
        let hash = |id: &TopicId| hasher.hash_one(&list[*id as usize - 1].name);
        self.by_name.reserve(topics, hash);
        self.list.reserve(topics);
    }

    /// The order of the names' bytes, as all ids that there are.
    fn set_order(&mut self, ids: &[TopicId]) {
        self.order = Order::known(&self.list, ids);
    }

    /// Drops the topics after the first `len`: their transaction failed.
    fn truncate(&mut self, len: usize) {
        while self.list.len() > len {
            let id = self.list.len() as TopicId;
            let hash = self.hasher.hash_one(&self.list[id as usize - 1].name);
            if let Ok(entry) = self.by_name.find_entry(hash, |of| *of == id) {
                entry.remove();
            }
            self.order.remove(&self.list, id);
            self.stale.remove(id..id + 1);
            let gone = self.list.pop();
            self.names_json_len -= gone.map_or(0, |topic| json_len(&topic.name));
        }
    }

    /// Counts a committed event. One that the row has counted already changes nothing.
    fn count(&mut self, id: TopicId, seq: u64, processed_at: i64) {
        let topic = &mut self.list[id as usize - 1];
        if seq <= topic.last_seq {
            return;
        }
        topic.events += 1;
        topic.last_seq = seq;
        topic.last_processed_at = processed_at;
        self.stale.add(id);
    }

    /// `events` of a topic have been removed, and its row says so.
    fn remove(&mut self, id: TopicId, events: u64) {
        let topic = &mut self.list[id as usize - 1];
        topic.events = topic.events.saturating_sub(events);
    }

    /// How many topics have rows that are out of date.
    fn stale_count(&self) -> usize {
        self.stale.count()
    }

    /// The topics from `from` on whose rows are out of date, ascending: in the order of their rows, so that
    /// writing some of them touches few pages.
    fn stale_from(&self, from: TopicId) -> impl Iterator<Item = TopicId> + '_ {
        self.stale.from(from)
    }

    /// Begins to count a topic's events again, because its row was changed.
    fn recount(&mut self, id: TopicId) {
        let topic = &mut self.list[id as usize - 1];
        (topic.events, topic.last_seq, topic.last_processed_at) = (0, 0, 0);
        self.stale.add(id);
    }

    /// The rows of these topics have been written.
    fn written(&mut self, ids: Range<TopicId>) {
        self.stale.remove(ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Topics {
        let mut topics = Topics::default();
        for name in names {
            topics.push(name);
        }
        topics
    }

    fn names(topics: &Topics) -> Vec<&str> {
        topics.names().collect()
    }

    fn matching(topics: &Topics, pattern: Pattern, after: Option<&str>) -> Vec<String> {
        let ids = topics.matching(pattern, after);
        ids.map(|id| topics.get(id).name.to_string()).collect()
    }

    #[test]
    fn names_are_sorted_by_their_bytes() {
        let mut topics = with_names(["b", "ä", "B"]);
        assert_eq!(names(&topics), ["B", "b", "ä"]);
        topics.push("a");
        assert_eq!(names(&topics), ["B", "a", "b", "ä"]);
    }

    #[test]
    fn many_names_are_sorted_as_sorting_them_does() {
        // A prime goes through all numbers below another one.
        let scattered = |number: u32| format!("t{}", number * 7_919 % 10_007);
        let mut all: Vec<String> = (0..10_007).map(scattered).collect();
        let mut topics = with_names(all.iter().map(String::as_str));
        all.sort_unstable();
        assert_eq!(names(&topics), all);
        let prefixed = || all.iter().filter(|name| name.starts_with("t12"));
        let patterns = ["t12*".to_owned(), "t1".to_owned(), "none".to_owned()];
        let filter = NameFilter::new(&patterns);
        assert_eq!(topics.count_matching(&filter), prefixed().count() + 1);
        let after = prefixed().nth(50).expect("there are more");
        let found = matching(&topics, Pattern::Prefix(b"t12"), Some(after));
        assert!(found.iter().eq(prefixed().skip(51)));
        // Most are dropped again, like those of a failed transaction.
        let kept: Vec<String> = topics.list[..100]
            .iter()
            .map(|t| t.name.to_string())
            .collect();
        topics.truncate(100);
        let mut sorted = kept.clone();
        sorted.sort_unstable();
        assert_eq!(names(&topics), sorted);
        let ids: Vec<TopicId> = topics.in_order(None).collect();
        topics.set_order(&ids);
        assert_eq!(names(&topics), sorted);
    }

    /// Names that share long starts, end inside one another and hold zeros: a piece's eight bytes of each
    /// then say little, and the starts that they leave out get shorter and longer.
    #[test]
    fn names_that_share_much_are_sorted_by_their_bytes() {
        for seed in 0..8_u64 {
            let mut state = seed + 1;
            let mut random = |below: u64| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 33) % below
            };
            let mut all = std::collections::BTreeSet::new();
            let mut topics = Topics::default();
            while topics.len() < 3_000 {
                let start = [
                    "",
                    "host/",
                    "host/system/unit-0000000",
                    "host/system/unit-0000000\0",
                ];
                let mut name = start[random(4) as usize].to_owned();
                for _ in 0..random(14) {
                    name.push(['\0', 'a', 'b', 'ä'][random(4) as usize]);
                }
                if topics.id(&name).is_none() {
                    topics.push(&name);
                    all.insert(name);
                }
                if topics.len() > 20 && random(500) == 0 {
                    for topic in &topics.list[topics.len() - 20..] {
                        all.remove(&*topic.name);
                    }
                    topics.truncate(topics.len() - 20);
                }
            }
            assert!(topics.names().eq(all.iter()), "seed {seed}");
        }
    }

    #[test]
    fn a_pattern_selects_a_range_or_one() {
        let topics = with_names(["order.a", "order", "order.b", "orders", "ord"]);
        let prefix = Pattern::Prefix(b"order.");
        assert_eq!(matching(&topics, prefix, None), ["order.a", "order.b"]);
        assert_eq!(matching(&topics, prefix, Some("order.a")), ["order.b"]);
        assert_eq!(matching(&topics, Pattern::Name(b"ord"), None), ["ord"]);
        assert!(matching(&topics, Pattern::Name(b"ord"), Some("ord")).is_empty());
        assert_eq!(matching(&topics, Pattern::Prefix(b""), None).len(), 5);
        assert!(matching(&topics, Pattern::Prefix(b"z"), None).is_empty());
    }

    #[test]
    fn an_event_is_counted_once() {
        let mut topics = Topics::default();
        let id = topics.push_stored("t", 5, 10, 100);
        topics.count(id, 9, 90);
        assert_eq!(topics.get(id).events, 5);
        assert_eq!(topics.stale_count(), 0);
        topics.count(id, 11, 110);
        assert_eq!((topics.get(id).events, topics.get(id).last_seq), (6, 11));
        assert!(topics.stale_from(0).eq([id]));
        topics.written(id..id + 1);
        assert_eq!(topics.stale_count(), 0);
    }

    #[test]
    fn a_failed_transaction_takes_its_topics_with_it() {
        let mut topics = with_names(["kept", "gone"]);
        topics.truncate(1);
        assert_eq!((topics.id("kept"), topics.id("gone")), (Some(1), None));
        assert_eq!(names(&topics), ["kept"]);
    }
}
