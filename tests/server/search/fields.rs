//! `GET /fields`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{json, Value};

use super::random::events;
use super::{crowded, model, refusal, sampled, stored};
use crate::harness::{event, Client, Server};

/// Events with these payloads, the topic `order` and `user` in turns.
fn publish(client: &mut Client, payloads: &[Value]) {
    let events = payloads.iter().enumerate().map(|(n, payload)| {
        let mut event = event(["order", "user"][n % 2], &format!("e{n}"));
        event["payload"] = payload.clone();
        event
    });
    client
        .publish(Value::from_iter(events).to_string())
        .expect(200);
}

fn fields(client: &mut Client, query: &str) -> Value {
    client.get(&format!("/fields?{query}")).expect(200)
}

#[test]
fn a_field_is_counted_without_its_own_filter() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let levels = ["info", "error", "info", "error", "warn", "info"];
    publish(
        &mut client,
        &levels.map(|level| json!({"level": level, "n": [1, 1, "2"]})),
    );
    let mut answer = fields(
        &mut client,
        "by=topic&by=level&by=n&topic=order&where=level=info&where=level=warn&limit=1",
    );
    assert!(answer["elapsed_ms"].take().is_u64());
    let expected = json!({
        "fields": [
            {"field": "topic", "count": 4, "distinct": 2, "values": [{"value": "order", "count": 3}], "rest": 1},
            {"field": "level", "count": 3, "distinct": 2, "values": [{"value": "info", "count": 2}], "rest": 1},
            {"field": "n", "count": 3, "distinct": 2, "values": [{"value": "1", "count": 3}], "rest": 3},
        ],
        "matched": 3, "scanned": 6, "through": 1, "complete": true, "elapsed_ms": null,
    });
    assert_eq!(answer, expected);
}

#[test]
fn fields_are_found_where_none_are_asked_for() {
    let server = Server::start(&[]);
    let mut client = server.client();
    publish(
        &mut client,
        &[
            json!({
                "b": {"c": [1, {"d": true}]}, "a": null, "x y": "", "a.b": 2, "=": {"": "z"}, "none": {}, "empty": [],
            }),
            json!({"a": "x", "b": 5}),
            json!({"secret": 1, "skip": true}),
        ],
    );
    let answer = fields(&mut client, "where=!skip");
    let names: Vec<&str> = answer["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "topic",
            "source",
            "a",
            "\"=\".\"\"",
            "\"a.b\"",
            "b",
            "b.c",
            "b.c.d",
            "x y"
        ]
    );
    assert_eq!(answer["matched"], 2);
    let a = &answer["fields"][2];
    assert_eq!(
        a["values"],
        json!([{"value": "null", "count": 1}, {"value": "x", "count": 1}])
    );
    // Each name can be asked for.
    for field in answer["fields"].as_array().unwrap() {
        let name = field["field"].as_str().unwrap();
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let asked = fields(&mut client, &format!("where=!skip&by={encoded}"));
        assert_eq!(asked["fields"][0], *field, "{name}");
    }
    let topics = fields(&mut client, "topic=order")["fields"][0].take();
    assert_eq!(topics["values"], json!([{"value": "order", "count": 2}]));
}

#[test]
fn a_thousand_values_and_fifty_fields_are_kept() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let many: Vec<Value> = (0..1_200).map(|n| json!({"n": n, "same": "x"})).collect();
    for part in many.chunks(400) {
        let events = part.iter().map(|payload| {
            let mut event = event("order", &format!("n{}", payload["n"]));
            event["payload"] = payload.clone();
            event
        });
        client
            .publish(Value::from_iter(events).to_string())
            .expect(200);
    }
    let answer = fields(&mut client, "by=n&by=same&limit=100");
    let n = &answer["fields"][0];
    assert_eq!(
        (&n["count"], &n["distinct"], &n["rest"]),
        (&json!(1_200), &json!(1_000), &json!(1_100))
    );
    assert_eq!(n["values"][0], json!({"value": "1000", "count": 1}));
    assert_eq!(
        answer["fields"][1]["values"],
        json!([{"value": "x", "count": 1_200}])
    );
    let wide: Value = (0..60)
        .map(|n| (format!("m{n}"), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    publish(&mut client, &[wide]);
    assert_eq!(
        fields(&mut client, "sample=1")["fields"]
            .as_array()
            .unwrap()
            .len(),
        52
    );
}

#[test]
fn long_values_end_with_a_whole_character() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let long = "é".repeat(100);
    publish(
        &mut client,
        &[json!({"a": long}), json!({"a": format!("x{long}")})],
    );
    let values = fields(&mut client, "by=a")["fields"][0]["values"].take();
    let cut = [format!("x{}", "é".repeat(63)), "é".repeat(64)];
    assert_eq!(
        values,
        json!(cut.map(|value| json!({"value": value, "count": 1})))
    );
}

#[test]
fn a_sample_is_of_the_newest_seqs() {
    let server = crowded(1_000);
    let mut client = server.client();
    let answer = fields(&mut client, "by=topic&sample=300");
    assert_eq!(
        (&answer["scanned"], &answer["through"]),
        (&json!(300), &json!(701))
    );
    assert_eq!(
        (&answer["complete"], &answer["matched"]),
        (&json!(false), &json!(300))
    );
    let whole = fields(&mut client, "by=topic&sample=1000");
    assert_eq!(
        (&whole["complete"], &whole["matched"]),
        (&json!(true), &json!(1_000))
    );
    let nothing = fields(&mut Server::start(&[]).client(), "");
    assert_eq!(
        (
            &nothing["complete"],
            &nothing["scanned"],
            &nothing["through"]
        ),
        (&json!(true), &json!(0), &json!(0))
    );
}

#[test]
fn what_is_no_list_of_fields_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let nine = "by=a&".repeat(9);
    for (query, name) in [
        ("by=", "by"),
        ("by=a=", "by"),
        ("by=\"a", "by"),
        (&nine, "by"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("sample=0", "sample"),
        ("sample=1000001", "sample"),
        ("sample=1&sample=1", "sample"),
        ("before=1", "before"),
        ("interval=1m", "interval"),
        ("where=a<", "where"),
    ] {
        let query = query.replace('"', "%22").replace('<', "%3C");
        assert_eq!(
            refusal(&mut client, &format!("/fields?{query}")),
            json!(["query", name]),
            "{query}"
        );
    }
    client.get("/fields?by=a&by=a&_=1").expect(200);
}

#[test]
fn random_lists_are_those_of_the_model() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let events = stored(&mut client, sampled(events(), 20).concat());
    let names = ["topic", "source", "a", "a.b", "\"a.b\".c", "level"];
    let by: String = names
        .map(|name| format!("&by={}", name.replace('"', "%22")))
        .concat();
    for (members, target) in super::random_targets(150) {
        let target = format!("/fields?{target}{by}&limit=5");
        let answer = client.get(&target);
        let Some(query) = model::Query::parse(&members, super::NOW) else {
            assert_eq!(answer.status, 422, "{target}");
            continue;
        };
        let answer = answer.expect(200);
        let matched = events.iter().filter(|event| query.matches(event)).count();
        assert_eq!(answer["matched"], json!(matched), "{target}");
        for (place, name) in names.iter().enumerate() {
            let field = model::Field::parse(name).unwrap();
            let query = query.without(&field);
            let mut counts = BTreeMap::<String, u64>::new();
            let mut with_values = 0;
            for event in events.iter().filter(|event| query.matches(event)) {
                let values = BTreeSet::from_iter(field.values(event));
                with_values += u64::from(!values.is_empty());
                values
                    .into_iter()
                    .for_each(|value| *counts.entry(value).or_default() += 1);
            }
            let mut values: Vec<(&String, &u64)> = counts.iter().collect();
            values.sort_by_key(|(_, count)| u64::MAX - **count);
            let rest: u64 = values.iter().skip(5).map(|(_, count)| **count).sum();
            let listed = values
                .iter()
                .take(5)
                .map(|(value, count)| json!({"value": value, "count": count}));
            let expected = json!({
                "field": name, "count": with_values, "distinct": counts.len(),
                "values": Value::from_iter(listed), "rest": rest,
            });
            assert_eq!(answer["fields"][place], expected, "{target}");
        }
    }
}

#[test]
fn the_members_of_answers_stand_in_their_order() {
    let server = Server::start(&[]);
    let mut client = server.client();
    publish(&mut client, &[json!({"level": "info"})]);
    for (target, names) in [
        (
            "/fields?by=level&q=info",
            "fields field count distinct values value count rest matched scanned through complete elapsed_ms",
        ),
        (
            "/histogram?interval=30m&by=level",
            "since until start interval matched counts series rest count counts next scanned through elapsed_ms",
        ),
        (
            "/events?q=nothing",
            "topic count events next scanned through elapsed_ms",
        ),
    ] {
        let text = client.get(target).text();
        let mut rest = &text[..];
        for name in names.split(' ') {
            let at = rest.find(&format!("\"{name}\":"));
            rest = &rest[at.unwrap_or_else(|| panic!("{name} in {rest} of {text}"))..][1..];
        }
    }
}
