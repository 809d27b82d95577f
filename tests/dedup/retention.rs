//! Both checks agree while events are removed and keys forgotten, and what has gone stays gone.

use logagg::store::{Limit, Retention};

use crate::differential::Pair;
use crate::harness::seeds;

/// Ages in microseconds; a commit moves the clock of the pairs by some twenty.
fn ages(events: i64, keys: Option<i64>) -> Retention {
    Retention {
        events: Some(Limit::Age(events)),
        keys: keys.map(Limit::Age),
    }
}

#[test]
fn both_checks_agree_while_events_are_removed() {
    for seed in seeds(1) {
        for (age, keys) in [(200, None), (200, Some(200)), (1_000, Some(2_000))] {
            eprintln!("SEED={seed} {age} {keys:?}");
            let mut pair = Pair::new(seed, false, ages(age, keys));
            pair.run(1_500, &[1, 3, 50]);
            pair.run(5_000, &[1, 50, 500]);
            assert!(pair.index().first_seq() > 1);
            let stored = pair.index().counters().unique_processed;
            let forgotten = stored.saturating_sub(pair.keys());
            assert_eq!(forgotten > 0, keys.is_some(), "{forgotten} came again");
            pair.finish_retained();
        }
    }
}

#[test]
fn both_checks_agree_while_segments_are_merged_and_forgotten() {
    for seed in seeds(1) {
        for keys in [None, Some(3_000)] {
            eprintln!("SEED={seed} {keys:?}");
            let mut pair = Pair::new(seed, true, ages(1_500, keys));
            pair.run(12_000, &[1, 300, 1_000]);
            assert!(pair.index().first_seq() > crate::harness::TEMPLATE_EVENTS);
            pair.finish_retained();
        }
    }
}
