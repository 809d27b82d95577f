//! What the server filled in is not compared: the retry of a record without a time is a duplicate, no conflict.

use logagg::event::{EventSpans, Filled, Publication, Span};
use logagg::store::{Dedup, Limit, OpenOptions, Outcome, Retention, Store};

use crate::harness::{idle_until_done, options, Folder};

const NOTHING: Filled = Filled {
    timestamp: false,
    source: false,
};
const TIME: Filled = Filled {
    timestamp: true,
    source: false,
};
const SOURCE: Filled = Filled {
    timestamp: false,
    source: true,
};
const BOTH: Filled = Filled {
    timestamp: true,
    source: true,
};

/// Identity, timestamp, source and payload of an event, and which of them the server filled in.
type Sent<'a> = (&'a str, &'a str, &'a str, &'a str, Filled);

/// The first event, as it is stored before the others come.
const FIRST: Sent = ("id", "2026-01-01T00:00:00Z", "one", r#"{"v":1}"#, BOTH);

fn publication(events: &[Sent]) -> Publication {
    let mut made = Publication::default();
    for (event_id, timestamp, source, payload, filled) in events {
        let [topic, event_id, timestamp, source, payload] =
            ["topic", event_id, timestamp, source, payload].map(|text| {
                let start = made.body.len() as u32;
                made.body.extend_from_slice(text.as_bytes());
                let len = text.len() as u32;
                Span { start, len }
            });
        made.events.push(EventSpans {
            topic,
            event_id,
            timestamp,
            source,
            payload,
        });
        made.filled.push(*filled);
    }
    made
}

fn commit(store: &mut Store, events: &[Sent], now_us: i64) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let publication = publication(events);
    store
        .commit([&publication].into_iter(), now_us, &mut outcomes)
        .unwrap();
    outcomes
}

/// Events with the key of the first one, and whether they are taken for the same.
const LATER: [(Sent, bool); 8] = [
    (FIRST, true),
    (("id", "2027", "two", r#"{"v":1}"#, BOTH), true),
    (("id", "2027", "two", r#"{"v":2}"#, BOTH), false),
    (("id", "2027", "one", r#"{"v":1}"#, TIME), true),
    (("id", "2027", "two", r#"{"v":1}"#, TIME), false),
    (
        ("id", "2026-01-01T00:00:00Z", "two", r#"{"v":1}"#, SOURCE),
        true,
    ),
    (("id", "2027", "two", r#"{"v":1}"#, SOURCE), false),
    (("id", "2027", "one", r#"{"v":1}"#, NOTHING), false),
];

fn each_check(mut run: impl FnMut(OpenOptions)) {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        eprintln!("{dedup:?}");
        let folder = Folder::new();
        run(options(&folder.file("db"), dedup));
    }
}

fn assert_told_apart(store: &mut Store) {
    for (later, is_same) in LATER {
        let expected = match is_same {
            true => Outcome::Duplicate(1),
            false => Outcome::Conflict(1),
        };
        assert_eq!(commit(store, &[later], 1), [expected], "{later:?}");
    }
}

#[test]
fn what_was_filled_in_is_not_compared() {
    each_check(|options| {
        let mut store = Store::open(&options).unwrap();
        assert_eq!(commit(&mut store, &[FIRST], 1), [Outcome::Accepted(1)]);
        assert_told_apart(&mut store);
        // From the events after the mark, and from a segment.
        drop(store);
        let mut store = Store::open(&options).unwrap();
        assert_told_apart(&mut store);
        store.set_memtable_slots(64);
        let others: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let others = others.iter().map(|id| (&id[..], "t", "s", "{}", NOTHING));
        commit(&mut store, &others.collect::<Vec<_>>(), 1);
        idle_until_done(&mut store);
        assert_told_apart(&mut store);
    });
}

#[test]
fn of_two_equal_keys_in_one_request_the_second_is_a_duplicate() {
    each_check(|options| {
        let mut store = Store::open(&options).unwrap();
        let events = [
            ("x", "1", "s", "{}", NOTHING),
            ("id", "1", "s", "{}", BOTH),
            ("id", "2", "s", "{}", BOTH),
            ("id", "2", "s", "{}", NOTHING),
        ];
        assert_eq!(
            commit(&mut store, &events, 1),
            [
                Outcome::Accepted(1),
                Outcome::Accepted(2),
                Outcome::Duplicate(2),
                Outcome::Conflict(2),
            ]
        );
    });
}

/// Of a removed event there is only a hash, over what was filled in too. So nothing can be told of one for which
/// something was filled in, and no conflict is claimed.
#[test]
fn a_removed_event_makes_no_conflict_of_what_was_filled_in() {
    each_check(|options| {
        let retention = Retention {
            events: Some(Limit::Age(1_000_000)),
            keys: None,
            ..Retention::default()
        };
        let options = OpenOptions {
            retention,
            ..options
        };
        let mut store = Store::open(&options).unwrap();
        assert_eq!(commit(&mut store, &[FIRST], 1), [Outcome::Accepted(1)]);
        commit(&mut store, &[("x", "1", "s", "{}", NOTHING)], 60_000_000);
        assert_eq!(store.first_seq(), 2, "the first event has been removed");
        for (later, _) in LATER {
            let same = later == FIRST || later.4 != NOTHING;
            let expected = match same {
                true => Outcome::Duplicate(1),
                false => Outcome::Conflict(1),
            };
            let found = commit(&mut store, &[later], 60_000_000);
            assert_eq!(found, [expected], "{later:?}");
        }
    });
}
