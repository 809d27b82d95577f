//! How often each value of a field was met. The first values are kept, others only counted; an event counts once for
//! each of its values.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::limits::{FIELD_VALUES_MAX, FIELD_VALUES_UNKEPT, FIELD_VALUE_BYTES};

/// The values of one field.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The texts of all values, one after the other.
    texts: Vec<u8>,
    entries: Vec<Entry>,
    /// Places in `entries` by the hash of the text.
    places: HashTable<u16>,
    /// Events that have a value.
    events: u64,
    /// The last of them, by its number.
    last_event: u64,
    /// How often values were met that are not kept.
    unkept: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    len: u32,
    count: u64,
    /// The number of the last event that has it.
    last_event: u64,
}

/// What all fields of a list share.
#[derive(Debug)]
pub(super) struct Shared {
    hasher: std::hash::RandomState,
    /// Bytes that values may still take.
    pub bytes_left: usize,
    /// Values of the current event that are not kept, by their hashes, in order.
    unkept: Vec<u64>,
    /// The number of that event, from 1.
    event: u64,
}

impl Shared {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            hasher: std::hash::RandomState::new(),
            bytes_left: bytes,
            unkept: Vec::new(),
            event: 0,
        }
    }

    pub(super) fn begin_event(&mut self) {
        self.event += 1;
        self.unkept.clear();
    }

    /// Whether a value that is not kept is met for the first time in this event, as far as is remembered.
    fn is_new(&mut self, hash: u64) -> bool {
        let Err(place) = self.unkept.binary_search(&hash) else {
            return false;
        };
        if self.unkept.len() < FIELD_VALUES_UNKEPT {
            self.unkept.insert(place, hash);
        }
        true
    }
}

impl Tally {
    /// Counts a value of the current event. `field` tells this field from others.
    pub(super) fn add(&mut self, shared: &mut Shared, field: usize, value: &[u8]) {
        if self.last_event != shared.event {
            self.last_event = shared.event;
            self.events += 1;
        }
        let hash = shared.hasher.hash_one(value);
        let known = self.places.find(hash, |place| self.text(*place) == value);
        if let Some(place) = known {
            let entry = &mut self.entries[usize::from(*place)];
            if entry.last_event != shared.event {
                entry.last_event = shared.event;
                entry.count += 1;
            }
            return;
        }
        let size = value.len() + FIELD_VALUE_BYTES;
        if self.entries.len() < FIELD_VALUES_MAX && size <= shared.bytes_left {
            shared.bytes_left -= size;
            self.keep(shared, hash, value);
        } else {
            // What did not fit never fits later, so a value is always kept or never.
            let hash = hash.wrapping_add((field as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            self.unkept += u64::from(shared.is_new(hash));
        }
    }

    fn keep(&mut self, shared: &Shared, hash: u64, value: &[u8]) {
        let place = self.entries.len() as u16;
        self.entries.push(Entry {
            start: self.texts.len() as u32,
            len: value.len() as u32,
            count: 1,
            last_event: shared.event,
        });
        self.texts.extend_from_slice(value);
        let (texts, entries) = (&self.texts, &self.entries);
        self.places.insert_unique(hash, place, |place| {
            shared
                .hasher
                .hash_one(entries[usize::from(*place)].of(texts))
        });
    }

    fn text(&self, place: u16) -> &[u8] {
        self.entries[usize::from(place)].of(&self.texts)
    }

    /// Events that have a value.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Values that are kept.
    pub(super) fn distinct(&self) -> usize {
        self.entries.len()
    }

    /// The values by count, the greatest first, equal ones by their bytes, `limit` of them at most; and the sum of
    /// the counts of all others.
    pub(super) fn greatest(&self, limit: usize) -> (Vec<(&[u8], u64)>, u64) {
        let entries = self.entries.iter();
        let mut values: Vec<(&[u8], u64)> = entries
            .map(|entry| (entry.of(&self.texts), entry.count))
            .collect();
        values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let listed = limit.min(values.len());
        let rest: u64 = values[listed..].iter().map(|(_, count)| count).sum();
        values.truncate(listed);
        (values, rest + self.unkept)
    }
}

impl Entry {
    fn of(self, texts: &[u8]) -> &[u8] {
        let start = self.start as usize;
        &texts[start..start + self.len as usize]
    }
}
