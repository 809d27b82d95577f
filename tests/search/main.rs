//! The filters of a search against a naive model of what clients are promised.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod model;
mod random;

use logagg::search::{Candidate, Field, Filters, Instant, Part, Verdict};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use model::{Event, Query};
use random::{events, queries};

/// 2026-01-02T03:04:05.678901Z.
const NOW: i64 = 1_767_323_045_678_901;

fn filters(members: &[(String, String)]) -> Option<Filters> {
    let pairs = members
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    Filters::parse(pairs, Instant::from_unix_us(NOW)).ok()
}

fn candidate(event: &Event) -> Candidate<'_> {
    Candidate {
        topic: event.topic.as_bytes(),
        event_id: event.event_id.as_bytes(),
        source: event.source.as_bytes(),
        timestamp: event.timestamp.as_bytes(),
        payload: event.payload.as_bytes(),
        processed_at: event.processed_at,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn events_match_as_the_model_says(members in queries(), events in events()) {
        let (own, model) = (filters(&members), Query::parse(&members, NOW));
        prop_assert_eq!(own.is_some(), model.is_some(), "legal");
        if let (Some(own), Some(model)) = (own, model) {
            for event in &events {
                prop_assert_eq!(own.matches(&candidate(event)), model.matches(event), "{:?}", event);
            }
        }
    }

    #[test]
    fn parts_are_left_out_as_the_model_says(members in queries(), events in events(), by in random::paths()) {
        let fields = ["topic", "source", &by];
        let (Some(own), Some(model)) = (filters(&members), Query::parse(&members, NOW)) else {
            return Ok(());
        };
        let parts: Vec<(&str, Part)> = fields
            .into_iter()
            .filter_map(|by| Some((by, own.part_of(&Field::parse(by).ok()?)?)))
            .collect();
        let only: Vec<Part> = parts.iter().map(|(_, part)| *part).collect();
        let relaxed = own.without(&only);
        for event in &events {
            let verdict = own.judge(&candidate(event), &only);
            prop_assert_eq!(verdict == Verdict::Matches, model.matches(event));
            for (by, part) in &parts {
                let without = model.without(&model::Field::parse(by).unwrap()).matches(event);
                let own = verdict == Verdict::Matches || verdict == Verdict::MatchesWithout(*part);
                prop_assert_eq!(own, without, "{} {:?}", by, event);
            }
            prop_assert!(verdict == Verdict::Fails || relaxed.matches(&candidate(event)));
        }
    }
}

/// Tests of random queries show nothing where these are never legal, or never find anything.
#[test]
fn random_queries_and_events_meet() {
    let mut runner = TestRunner::deterministic();
    let (mut legal, mut matching) = (0, 0);
    for _ in 0..1_000 {
        let tree = (queries(), events()).new_tree(&mut runner).unwrap();
        let (members, events) = tree.current();
        let Some(own) = filters(&members) else {
            continue;
        };
        legal += 1;
        let finds = events.iter().any(|event| own.matches(&candidate(event)));
        matching += u32::from(finds);
    }
    assert!((500..1_000).contains(&legal), "{legal} are legal");
    assert!(
        (100..legal - 100).contains(&matching),
        "{matching} find something"
    );
}
