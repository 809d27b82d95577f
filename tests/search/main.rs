//! The filters of a search against a naive model of what clients are promised.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod model;
mod random;

use logagg::search::{
    Buckets, Candidate, Division, Effort, Field, Fields, Filters, Histogram, Instant, Matcher,
    Part, Verdict,
};
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

/// What a matcher says of an event that it is shown in steps of these sizes, one after the other.
fn judged_in_steps(
    matcher: &mut Matcher,
    filters: &Filters,
    (seq, event): (u64, &Event),
    parts: &[Part],
    steps: &mut dyn Iterator<Item = u32>,
) -> Verdict {
    loop {
        let mut effort = Effort::of(steps.next().unwrap());
        let verdict = matcher.judge(filters, (seq, &candidate(event)), parts, &mut effort);
        if let Some(verdict) = verdict {
            return verdict;
        }
        assert!(effort.is_over(), "a step ended early");
    }
}

fn step_sizes() -> impl Strategy<Value = Vec<u32>> {
    let size = prop_oneof![4 => 1..20_u32, 2 => 20..1_000_u32, 1 => 1_000..20_000_u32];
    proptest::collection::vec(size, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_size_of_the_steps_makes_no_difference(
        members in queries(), events in events(), by in random::paths(), sizes in step_sizes(),
    ) {
        let Some(filters) = filters(&members) else {
            return Ok(());
        };
        let parts: Vec<Part> = ["topic", "source", &by]
            .into_iter()
            .filter_map(|by| filters.part_of(&Field::parse(by).ok()?))
            .collect();
        let mut matcher = Matcher::default();
        let mut steps = sizes.iter().copied().cycle();
        for (seq, event) in (1..).zip(&events) {
            // One that has been removed before it was decided leaves nothing behind.
            let _ = matcher.judge(&filters, (99, &candidate(&events[0])), &parts, &mut Effort::of(5));
            let verdict = judged_in_steps(&mut matcher, &filters, (seq, event), &parts, &mut steps);
            prop_assert_eq!(verdict, filters.judge(&candidate(event), &parts), "{:?}", event);
        }
    }

    #[test]
    fn counts_are_the_same_whatever_the_size_of_the_steps(
        members in queries(), events in events(), by in random::paths(), sizes in step_sizes(),
    ) {
        let (Some(filters), Ok(field)) = (filters(&members), Field::parse(&by)) else {
            return Ok(());
        };
        let year_us = 365 * 86_400_000_000;
        let [since, until] = [NOW - year_us, NOW + year_us].map(Instant::from_unix_us);
        let buckets = Buckets::new(since, until, Division::Buckets(10)).unwrap();
        let asked = || vec![("topic".into(), Field::Topic), (by.as_str().into(), field.clone())];
        let mut steps = sizes.iter().copied().cycle();
        let mut counted = [true, false].map(|in_steps| {
            let mut size = || match in_steps {
                true => Effort::of(steps.next().unwrap()),
                false => Effort::unbounded(),
            };
            let mut histogram = Histogram::new(buckets, Some(field.clone()));
            let mut lists = [Fields::new(asked(), &filters), Fields::new(Vec::new(), &filters)];
            for (seq, event) in (1..).zip(&events) {
                let shown = (seq, &candidate(event));
                while !histogram.add(shown, filters.range().time_of(shown.1), &mut size()) {}
                for list in &mut lists {
                    while !list.add(shown, &filters, &mut size()) {}
                }
            }
            let series = histogram.series().map(|(series, rest)| {
                let all: Vec<_> = series.iter().map(|one| (one.value().to_owned(), one.counts().to_vec())).collect();
                (all, rest.counts().to_vec())
            });
            let lists = lists.map(|list| {
                let fields = list.fields();
                let fields = fields.iter().map(|one| format!("{} {} {:?}", one.field, one.count(), one.greatest(100)));
                (list.matched(), fields.collect::<Vec<_>>())
            });
            Some((histogram.all().counts().to_vec(), series, lists))
        });
        prop_assert_eq!(counted[0].take(), counted[1].take());
    }
}

/// A text is searched together with others, and a long one by itself, for which a step may be too short.
#[test]
fn a_short_text_is_found_if_a_step_ends_within_a_long_one() {
    let event = Event {
        topic: "a".to_owned(),
        event_id: "a".to_owned(),
        source: "a".to_owned(),
        timestamp: "2026-01-02T03:04:05Z".to_owned(),
        payload: format!(r#"{{"a":"{{","b":"{}"}}"#, "x ".repeat(1_000)),
        processed_at: NOW,
    };
    for (term, verdict) in [("{", Verdict::Matches), ("-{", Verdict::Fails)] {
        let filters = filters(&[("q".to_owned(), term.to_owned())]).unwrap();
        let mut matcher = Matcher::default();
        for size in 1..3_000 {
            let steps = &mut [size].into_iter().cycle();
            let found = judged_in_steps(&mut matcher, &filters, (1, &event), &[], steps);
            assert_eq!(found, verdict, "{term} in steps of {size}");
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
