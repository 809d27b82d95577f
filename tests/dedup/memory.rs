//! What the index takes of memory is bounded.

use logagg::limits::{MEMTABLES_MAX, MEMTABLE_ENTRIES, MEMTABLE_SLOTS, MERGE_WIDTH};
use logagg::store::{Dedup, Outcome};

use crate::audit::audit;
use crate::harness::{commit, idle_until_done, open, template_event, Event, Folder, SMALL_SLOTS};

/// Bytes of a memtable: its slots, and 8 bytes for each entry, in a vector that may have grown to
/// twice what it holds.
const MEMTABLE_BYTES: usize = MEMTABLE_SLOTS * 32 + MEMTABLE_ENTRIES * 16;

fn events(first: u64, count: u64) -> Vec<Event> {
    (first..first + count).map(template_event).collect()
}

#[test]
fn a_million_keys_cost_two_bytes_each() {
    let folder = Folder::new();
    let mut store = open(&folder.file("db"), Dedup::Index);
    for first in (1..=1_000_000).step_by(50_000) {
        commit(&mut store, &events(first, 50_000));
        let memory = store.index_memory().unwrap();
        assert!(memory.memtables_bytes <= MEMTABLES_MAX * MEMTABLE_BYTES);
        assert!(memory.filter_and_fence_bytes <= 2 * (first + 50_000) as usize);
    }
    idle_until_done(&mut store);
    let memory = store.index_memory().unwrap();
    let behind = 1_000_000 / MEMTABLE_ENTRIES;
    assert_eq!(memory.segments, behind / MERGE_WIDTH + behind % MERGE_WIDTH);
    assert!(memory.filter_and_fence_bytes <= 2 * behind * MEMTABLE_ENTRIES);
    assert!(memory.memtables_bytes <= MEMTABLE_BYTES);
}

/// A commit used to flush one memtable at the most and to merge one segment of each level, however
/// many memtables it brought.
#[test]
fn commits_of_many_generations_leave_no_more_of_them_than_small_ones() {
    let folder = Folder::new();
    let path = folder.file("db");
    let mut store = open(&path, Dedup::Index);
    store.set_memtable_slots(SMALL_SLOTS);
    for (first, count) in [(1, 1_600_000), (1_600_001, 400_000)] {
        let outcomes = commit(&mut store, &events(first, count));
        assert_eq!(outcomes.last(), Some(&Outcome::Accepted(first + count - 1)));
        let memory = store.index_memory().unwrap();
        assert!(memory.memtables_bytes <= MEMTABLES_MAX * MEMTABLE_BYTES / 2);
    }
    // The first has left segments for two merges; the second has merged these, and added eight.
    let audit = audit(&path, 128);
    assert_eq!(audit.by_level[..2], [8, 2], "{audit:?}");
}
