//! `GET /histogram`.

use serde_json::{json, Value};

use super::random::events;
use super::{crowded, model, refusal, sampled, stored};
use crate::harness::{event, Client, Server};

/// Events of one topic, each with a timestamp and a payload.
fn publish(client: &mut Client, events: &[(&str, Value)]) {
    let events = events.iter().enumerate().map(|(n, (timestamp, payload))| {
        let mut event = event("t", &format!("e{n}"));
        event["timestamp"] = json!(timestamp);
        event["payload"] = payload.clone();
        event
    });
    client
        .publish(Value::from_iter(events).to_string())
        .expect(200);
}

#[test]
fn events_are_counted_by_buckets_and_values() {
    let server = Server::start(&[]);
    let mut client = server.client();
    publish(
        &mut client,
        &[
            ("2026-01-02T02:42:13.4Z", json!({"level": "error"})),
            ("2026-01-02T02:42:13.5Z", json!({"level": "error"})),
            (
                "2026-01-02T04:43:00+02:00",
                json!({"level": ["warn", "error"]}),
            ),
            ("2026-01-02T02:43:59.999999999", json!({"level": {"a": 1}})),
            ("2026-01-02T02:43:60", json!({"level": 404})),
            ("2026-01-02T02:44:20Z", json!({"level": "404"})),
            ("2026-01-02T02:44:30Z", json!({"level": "warn"})),
        ],
    );
    let range = "since=2026-01-02T02:42:13.5Z&until=2026-01-02T02:44:30Z";
    let answer = client.get(&format!("/histogram?{range}&by=level&interval=1m"));
    let mut answer: Value = answer.expect(200);
    assert!(answer["elapsed_ms"].take().is_u64());
    let expected = json!({
        "since": "2026-01-02T02:42:13.5Z", "until": "2026-01-02T02:44:30Z", "start": "2026-01-02T02:42:00Z",
        "interval": 60, "matched": 5, "counts": [1, 2, 2],
        "series": [
            {"value": "404", "count": 2, "counts": [0, 0, 2]},
            {"value": "error", "count": 1, "counts": [1, 0, 0]},
            {"value": "warn", "count": 1, "counts": [0, 1, 0]},
        ],
        "rest": {"count": 1, "counts": [0, 1, 0]},
        "next": null, "scanned": 7, "through": 1, "elapsed_ms": null,
    });
    assert_eq!(answer, expected);
    let plain = client
        .get(&format!("/histogram?{range}&q=warn"))
        .expect(200);
    assert_eq!(
        (&plain["matched"], &plain["series"], &plain["rest"]),
        (&json!(1), &Value::Null, &Value::Null)
    );
    assert_eq!(plain["interval"], 5);
    let before = client
        .get(&format!("/histogram?{range}&before=3"))
        .expect(200);
    assert_eq!(
        (&before["matched"], &before["scanned"], &before["through"]),
        (&json!(1), &json!(2), &json!(1))
    );
}

#[test]
fn the_last_hour_is_counted_where_nothing_is_said() {
    let server = Server::start(&[]);
    let mut client = server.client();
    publish(&mut client, &[("2026-01-02", json!({}))]);
    let answer = client.get("/histogram?time=received&by=topic").expect(200);
    assert_eq!(answer["matched"], 1);
    assert_eq!(answer["series"][0]["value"], "t");
    assert!([60, 120].contains(&answer["interval"].as_u64().unwrap()));
    assert!(answer["counts"].as_array().unwrap().len() <= 60);
    let nothing = Server::start(&[]).client().get("/histogram").expect(200);
    assert_eq!(
        (
            &nothing["matched"],
            &nothing["scanned"],
            &nothing["through"]
        ),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(nothing["next"], Value::Null);
}

#[test]
fn more_than_twenty_values_are_the_rest() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let events: Vec<(&str, Value)> = (0..50)
        .map(|n| ("2026-01-02", json!({"n": n % 25})))
        .collect();
    publish(&mut client, &events);
    let answer = client
        .get("/histogram?since=2026-01-01&until=2026-01-03&by=n")
        .expect(200);
    let series = answer["series"].as_array().unwrap();
    assert_eq!(series.len(), 20);
    // The newest are met first.
    let values: Vec<&str> = series
        .iter()
        .map(|series| series["value"].as_str().unwrap())
        .collect();
    let mut expected: Vec<String> = (5..25).map(|n| n.to_string()).collect();
    expected.sort();
    assert_eq!(values, expected);
    assert_eq!(
        (&answer["rest"]["count"], &answer["matched"]),
        (&json!(10), &json!(50))
    );
}

#[test]
fn the_counts_of_a_walk_add_up() {
    const EVENTS: u64 = 300_000;
    let server = crowded(EVENTS);
    let mut client = server.client();
    let mut target =
        "/histogram?since=2026-01-02&until=2026-01-03&by=source&buckets=2&q=s".to_owned();
    let (mut matched, mut counts, mut of_value, mut scanned) = (0, 0, 0, 0);
    loop {
        let answer = client.get(&target).expect(200);
        let number = |value: &Value| value.as_u64().unwrap();
        matched += number(&answer["matched"]);
        counts += answer["counts"]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .sum::<u64>();
        of_value += number(&answer["series"][0]["count"]);
        scanned += number(&answer["scanned"]);
        match answer["next"].as_str() {
            Some(next) => {
                let through = &answer["through"];
                let filters =
                    "/histogram?since=2026-01-02&until=2026-01-03&q=s&buckets=2&by=source";
                assert_eq!(next, format!("{filters}&before={through}"));
                target = next.to_owned();
            }
            None => break,
        }
    }
    assert_eq!(
        (matched, counts, of_value, scanned),
        (EVENTS, EVENTS, EVENTS, EVENTS)
    );
}

#[test]
fn what_no_histogram_can_show_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (query, name) in [
        ("interval=0s", "interval"),
        ("interval=1", "interval"),
        ("interval=", "interval"),
        ("interval=1s", "interval"),
        ("interval=1m&interval=1m", "interval"),
        ("interval=1m&buckets=3", "buckets"),
        ("buckets=0", "buckets"),
        ("buckets=501", "buckets"),
        ("buckets=x", "buckets"),
        ("by=", "by"),
        ("by=a=b", "by"),
        ("by=a..b", "by"),
        ("by=a&by=b", "by"),
        ("before=x", "before"),
        ("since=now", "until"),
        ("since=2026-01-02&until=2026-01-02", "until"),
        ("since=2026-01-02&until=2026-01-01", "until"),
        ("since=9999-12-31&until=9999-12-31T23:59:60Z", "until"),
        ("since=0000-01-01T00:00%2B00:01&until=0000-01-02", "since"),
        ("since=0000-01-01&until=0000-01-03&interval=2w", "since"),
        ("since=999999999w", "since"),
        ("q=", "q"),
        ("limit=5", "limit"),
        ("after=5", "after"),
        ("follow=true", "follow"),
        ("bye=x", "bye"),
    ] {
        assert_eq!(
            refusal(&mut client, &format!("/histogram?{query}")),
            json!(["query", name]),
            "{query}"
        );
    }
    let long = "%00".repeat(1_000);
    let target = format!(
        "/histogram?where=a=1&by=%22{}%22&q=%22{}%22",
        "\\u0041".repeat(80),
        &long[..600]
    );
    assert!(client.get(&target).status < 500);
    // The end of the year 9999 can be shown.
    client
        .get("/histogram?since=9999-12-31&until=9999-12-31T23:59:59.5Z")
        .expect(200);
}

#[test]
fn random_histograms_are_those_of_the_model() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let events = stored(&mut client, sampled(events(), 20).concat());
    let range = [("since", "2025-12-01"), ("until", "2026-02-01")];
    for (members, target) in super::random_targets(150) {
        if members
            .iter()
            .any(|(name, _)| name == "since" || name == "until")
        {
            continue;
        }
        let target =
            format!("/histogram?{target}&since=2025-12-01&until=2026-02-01&interval=1d&by=a");
        let answer = client.get(&target);
        let members: Vec<(String, String)> = members
            .into_iter()
            .chain(range.map(|(name, value)| (name.into(), value.into())))
            .collect();
        let Some(query) = model::Query::parse(&members, super::NOW) else {
            assert_eq!(answer.status, 422, "{target}");
            continue;
        };
        let answer = answer.expect(200);
        let mut days = [0_u64; 62];
        let matching: Vec<&model::Event> =
            events.iter().filter(|event| query.matches(event)).collect();
        for event in &matching {
            let day = (query.time_of(event) - query.since.unwrap()) / 86_400_000_000_000;
            days[day as usize] += 1;
        }
        assert_eq!(answer["counts"], json!(days[..]), "{target}");
        let by = model::Field::parse("a").unwrap();
        let without = matching
            .iter()
            .filter(|event| by.values(event).is_empty())
            .count();
        let series = answer["series"].as_array().unwrap();
        let known: u64 = series
            .iter()
            .map(|series| series["count"].as_u64().unwrap())
            .sum();
        let rest = answer["rest"]["count"].as_u64().unwrap();
        assert_eq!(known + rest, matching.len() as u64, "{target}");
        assert!(
            rest >= without as u64 && (series.len() == 20 || rest == without as u64),
            "{target}"
        );
        for series in series {
            let is_first = |event: &&&model::Event| {
                by.values(event).first().map(String::as_str) == series["value"].as_str()
            };
            let count = matching.iter().filter(is_first).count();
            assert_eq!(series["count"], json!(count), "{target}: {series}");
        }
    }
}
