//! Fingerprints of a few bits: many keys share one, and still each is a key of its own.

use std::collections::HashSet;

use logagg::limits::MERGE_WIDTH;
use logagg::store::{Dedup, OpenOptions, Outcome, Store};

use crate::audit::audit;
use crate::damage::errors_logged;
use crate::harness::{
    commit, find, idle_until_done, options, seeds, template_event, Chance, Event, Folder,
    SMALL_ENTRIES, SMALL_SLOTS,
};

fn few_bits(folder: &Folder, bits: u32) -> OpenOptions {
    let mut options = options(&folder.file("db"), Dedup::Index);
    options.fingerprint_bits = bits;
    options
}

/// Sends repeats and conflicts of the events up to `last`, and looks them up.
fn check(store: &mut Store, last: u64, chance: &mut Chance) {
    for _ in 0..100 {
        let seq = 1 + chance.below(last);
        let event = template_event(seq);
        let other = Event {
            version: 9,
            ..event
        };
        assert_eq!(
            commit(store, &[event, other]),
            [Outcome::Duplicate(seq), Outcome::Conflict(seq)]
        );
        assert_eq!(find(store, &event).unwrap().0, seq);
        let absent = Event {
            id: event.id | 1 << 50,
            ..event
        };
        assert_eq!(find(store, &absent), None);
    }
}

#[test]
fn eight_bits_tell_two_hundred_keys_of_a_fingerprint_apart() {
    for seed in seeds(1) {
        eprintln!("SEED={seed}");
        let folder = Folder::new();
        let options = few_bits(&folder, 8);
        let mut store = Store::open(&options).unwrap();
        let mut chance = Chance::new(seed);
        let mut seqs = HashSet::new();
        for n in 1..=5_000 {
            let repeats = Event {
                version: chance.below(2) as u32,
                ..template_event(1 + chance.below(n))
            };
            for outcome in commit(&mut store, &[template_event(n), repeats]) {
                if let Outcome::Accepted(seq) = outcome {
                    assert!(seqs.insert(seq));
                }
            }
        }
        assert_eq!(seqs.len(), 5_000);
        check(&mut store, 5_000, &mut chance);
        drop(store);
        let mut store = Store::open(&options).unwrap();
        check(&mut store, 5_000, &mut chance);
    }
}

/// A few keys of each fingerprint, in one segment, in several and in a merged one.
#[test]
fn segments_tell_keys_of_one_fingerprint_apart() {
    errors_logged("");
    for seed in seeds(1) {
        eprintln!("SEED={seed}");
        let folder = Folder::new();
        let mut options = few_bits(&folder, 17);
        options.filter_memory_bytes = [usize::MAX, 0][seed as usize % 2];
        let mut store = Store::open(&options).unwrap();
        store.set_memtable_slots(SMALL_SLOTS);
        let mut chance = Chance::new(seed);
        let last = (MERGE_WIDTH * SMALL_ENTRIES) as u64 + 10;
        for first in (1..=last).step_by(40_000) {
            let events: Vec<_> = (first..(first + 40_000).min(last + 1))
                .map(template_event)
                .collect();
            let outcomes = commit(&mut store, &events);
            assert!((first..)
                .zip(outcomes)
                .all(|(seq, o)| o == Outcome::Accepted(seq)));
            check(&mut store, first, &mut chance);
        }
        idle_until_done(&mut store);
        check(&mut store, last, &mut chance);
        let audit = audit(&options.path, 17);
        assert_eq!((audit.by_level[1], audit.orphans), (1, 0));
    }
    // The other test with such errors has events of its own numbers.
    let errors = errors_logged("have one key");
    assert!(
        errors.iter().all(|error| error.contains(" and 4900")),
        "{errors:?}"
    );
}
