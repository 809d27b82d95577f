//! Both checks agree while events are removed and keys forgotten, and what has gone stays gone.

use std::collections::HashMap;

use logagg::store::{Bound, Dedup, Limit, Outcome, PageQuery, Retention, Store};

use crate::differential::Pair;
use crate::harness::{options, page, publication, seeds, Chance, Event, Folder};

/// Ages in microseconds; a commit moves the clock of the pairs by some twenty.
fn ages(events: i64, keys: Option<i64>) -> Retention {
    Retention {
        events: Some(Limit::Age(events)),
        keys: keys.map(Limit::Age),
        ..Retention::default()
    }
}

#[test]
fn both_checks_agree_while_events_are_removed() {
    let (mut came_again, mut events, mut removed) = (0, 0, 0);
    for seed in seeds(1) {
        for (age, keys) in [(200, None), (200, Some(200)), (1_000, Some(2_000))] {
            eprintln!("SEED={seed} {age} {keys:?}");
            let mut pair = Pair::new(seed, false, ages(age, keys));
            pair.run(1_500, &[1, 3, 50]);
            pair.run(5_000, &[1, 50, 500]);
            assert!(pair.index().first_seq() > 1);
            let stored = pair.index().counters().unique_processed;
            events += stored;
            removed += pair.index().events_removed();
            let forgotten = stored.saturating_sub(pair.keys());
            assert!(forgotten == 0 || keys.is_some());
            came_again += forgotten;
            pair.finish_retained();
        }
    }
    assert!(came_again > 0);
    println!(
        "FIGURE dedup-retention: {events} events in random traffic, {removed} of them removed meanwhile, \
         {came_again} stored again behind forgotten keys, commits made to fail, restarts and crashes: key \
         index and SQLite's own constraint gave the same answers and hold the same rows"
    );
}

#[test]
fn both_checks_agree_while_segments_are_merged_and_forgotten() {
    for seed in seeds(1) {
        let keys = (seed % 2 == 1).then_some(3_000);
        eprintln!("SEED={seed} {keys:?}");
        let mut pair = Pair::new(seed, true, ages(1_500, keys));
        pair.run(12_000, &[1, 300, 1_000]);
        assert!(pair.index().first_seq() > crate::harness::TEMPLATE_EVENTS);
        pair.finish_retained();
    }
}

/// The oldest event that is left.
fn oldest(store: &mut Store) -> Option<(u64, i64)> {
    let query = PageQuery {
        topics: &[],
        bound: Bound::After(0),
        limit: 1,
    };
    let mut found = None;
    let take = |event: logagg::store::StoredEvent| found = Some((event.seq, event.processed_at));
    page(store, &query, take).unwrap();
    found
}

#[test]
fn nothing_goes_before_its_time_and_all_of_it_soon_behind() {
    const EVENTS: i64 = 10_000;
    const KEYS: i64 = 25_000;
    for (seed, dedup) in seeds(1)
        .into_iter()
        .flat_map(|s| [(s, Dedup::Index), (s, Dedup::Constraint)])
    {
        eprintln!("SEED={seed} {dedup:?}");
        let folder = Folder::new();
        let mut options = options(&folder.file("db"), dedup);
        options.retention = ages(EVENTS, Some(KEYS));
        let mut store = Store::open(&options).unwrap();
        let mut chance = Chance::new(seed);
        let mut clock = 1_000_000_000;
        // When a key was stored, and when it was found to be known.
        let mut stored: HashMap<u64, i64> = HashMap::new();
        let mut again = 0;
        for _ in 0..4_000 {
            clock += chance.pick(&[0, 3, 30, 300]);
            let ids: Vec<u64> = (0..1 + chance.below(5))
                .map(|_| chance.below(700))
                .collect();
            let events: Vec<Event> = ids
                .iter()
                .map(|id| Event {
                    topic: 1,
                    id: *id,
                    version: 0,
                })
                .collect();
            let mut outcomes = Vec::new();
            let batch = publication(&events);
            store
                .commit([&batch].into_iter(), clock, &mut outcomes)
                .unwrap();
            for (id, outcome) in ids.into_iter().zip(outcomes) {
                if let Outcome::Accepted(_) = outcome {
                    let before = stored.insert(id, clock);
                    assert!(before.is_none_or(|at| clock - at >= KEYS), "{id}");
                    again += usize::from(before.is_some());
                } else {
                    // A row of times and the pause between two looks make it later, by so much.
                    let age = clock - stored[&id];
                    assert!(
                        age <= KEYS + EVENTS / 8 + KEYS / 8 + KEYS / 32 + 600,
                        "{age}"
                    );
                }
            }
            if chance.percent(20) {
                while store.retain(clock).unwrap() {}
            }
            if chance.percent(1) {
                drop(store);
                store = Store::open(&options).unwrap();
            }
            let young = stored.values().filter(|at| clock - **at < EVENTS).count() as u64;
            let (first, at) = oldest(&mut store).expect("the last commit is young");
            assert_eq!(first, store.first_seq());
            assert!(store.last_seq() + 1 - first >= young);
            assert!(clock - at <= EVENTS + EVENTS / 8 + 300, "{}", clock - at);
        }
        assert!(again > 100, "{again}");
    }
}

/// A clock that is ahead again and again, and right in between: nothing goes before its time, and nothing
/// stays much longer than it would by a right clock.
#[test]
fn times_ahead_of_the_clock_hold_up_nothing() {
    const EVENTS: i64 = 1_000_000_000;
    const KEYS: i64 = 2 * EVENTS;
    const PAUSE: i64 = 1_000_000;
    for (seed, dedup) in seeds(1)
        .into_iter()
        .flat_map(|s| [(s, Dedup::Index), (s, Dedup::Constraint)])
    {
        eprintln!("SEED={seed} {dedup:?}");
        let folder = Folder::new();
        let mut options = options(&folder.file("db"), dedup);
        options.retention = ages(EVENTS, Some(KEYS));
        let mut store = Store::open(&options).unwrap();
        let mut chance = Chance::new(seed);
        let reader = rusqlite::Connection::open(folder.file("db")).unwrap();
        let (mut clock, mut ahead, mut steps_ahead) = (EVENTS, 0, 0);
        // When events were stored by a right clock, by seq.
        let mut stored = vec![0];
        for id in 0..800 {
            clock += chance.pick(&[0, EVENTS / 300, EVENTS / 30, EVENTS / 10]);
            if steps_ahead == 0 && chance.percent(5) {
                steps_ahead = 1 + chance.below(5);
                ahead = chance.pick(&[EVENTS / 2, 3 * EVENTS, 10_000 * EVENTS]);
            }
            let wrong = if steps_ahead > 0 { ahead } else { 0 };
            steps_ahead = steps_ahead.saturating_sub(1);
            let batch = publication(&[Event {
                topic: 1,
                id,
                version: 0,
            }]);
            let mut outcomes = Vec::new();
            store
                .commit_all(
                    [&batch].into_iter(),
                    &[],
                    clock + wrong,
                    clock,
                    &mut outcomes,
                )
                .unwrap();
            stored.push(clock);
            if chance.percent(1) {
                drop(store);
                store = Store::open(&options).unwrap();
            }
            while store.retain(clock).unwrap() {}
            let age = |seq: u64| clock - stored[seq as usize];
            let sql = "SELECT keys_horizon FROM retention";
            let keys = reader
                .query_row(sql, [], |row| row.get::<_, i64>(0))
                .unwrap() as u64;
            let first = store.first_seq();
            assert!(first == 1 || age(first - 1) >= EVENTS);
            assert!(age(first) <= 2 * EVENTS + EVENTS / 4, "{}", age(first));
            assert!(keys == 0 || age(keys) >= KEYS);
            let oldest_key = age(keys + 1);
            assert!(oldest_key <= 2 * KEYS + KEYS / 4 + PAUSE, "{oldest_key}");
        }
    }
}
