//! `GET /events` with filters.

use serde_json::{json, Value};

use super::{filled, from, half_removed, publish, walk};
use crate::harness::{event, seqs_of, Server};

fn multiples_of_three(last: u64) -> Vec<u64> {
    (1..=last).filter(|seq| seq % 3 == 0).collect()
}

#[test]
fn an_answer_with_filters_has_three_members_more() {
    let server = filled(30);
    let mut client = server.client();
    let plain = client.get("/events?topic=order").expect(200);
    assert_eq!(plain.as_object().unwrap().len(), 4, "{plain}");
    let answer = client.get("/events?source=web&limit=2");
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert!(
        text.starts_with(r#"{"topic":null,"count":2,"events":[{"seq":30,"#),
        "{text}"
    );
    let end =
        r#"],"next":"/events?source=web&limit=2&before=27","scanned":4,"through":27,"elapsed_ms":"#;
    let (_, rest) = text.split_once(end).unwrap_or_else(|| panic!("{text}"));
    let rest = rest.strip_suffix("}\n").unwrap();
    assert!(rest.parse::<u64>().is_ok(), "{rest}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("log-aggregator-database").is_some());
    // One topic is named, several are not.
    let of_one = client.get("/events?topic=order&source=web").expect(200);
    assert_eq!(of_one["topic"], "order");
    let of_two = client
        .get("/events?topic=order&topic=user&source=web")
        .expect(200);
    assert_eq!(of_two["topic"], Value::Null);
    // What all events pass is a filter all the same.
    for target in [
        "/events?source=*",
        "/events?event_id=*",
        "/events?since=9999999d",
        "/events?time=received",
    ] {
        let page = client.get(target).expect(200);
        assert_eq!(
            (seqs_of(&page).len(), &page["scanned"]),
            (30, &json!(30)),
            "{target}"
        );
    }
}

#[test]
fn next_gives_each_event_that_matches_once_and_the_scanned_add_up() {
    let server = filled(100);
    let mut client = server.client();
    let upwards = multiples_of_three(100);
    let downwards: Vec<u64> = upwards.iter().rev().copied().collect();
    for limit in [1, 2, 3, 10, 32, 33, 34, 1000] {
        let down = walk(&mut client, &format!("/events?source=web&limit={limit}"));
        assert_eq!(
            (&down.seqs, down.scanned, down.through),
            (&downwards, 100, 1),
            "{limit}"
        );
        let up = walk(
            &mut client,
            &format!("/events?source=web&limit={limit}&after=0"),
        );
        assert_eq!(
            (&up.seqs, up.scanned, up.through),
            (&upwards, 100, 100),
            "{limit}"
        );
        let down = walk(
            &mut client,
            &format!("/events?source=web&limit={limit}&before=51"),
        );
        assert_eq!(
            (&down.seqs[..], down.scanned),
            (&downwards[17..], 50),
            "{limit}"
        );
        let up = walk(
            &mut client,
            &format!("/events?source=web&limit={limit}&after=50"),
        );
        assert_eq!((&up.seqs[..], up.scanned), (&upwards[16..], 50), "{limit}");
    }
    // Nothing matches.
    for target in ["/events?source=none", "/events?source=none&after=0"] {
        let none = walk(&mut client, target);
        assert_eq!((none.seqs.len(), none.scanned, none.pages), (0, 100, 1));
    }
}

#[test]
fn next_is_null_where_nothing_is_left_to_go_through() {
    let server = filled(9);
    let mut client = server.client();
    for (target, seqs, scanned, through, goes_on) in [
        // The third is the last seq, or the first.
        (
            "/events?source=web&after=0&limit=3",
            vec![3, 6, 9],
            9,
            9,
            false,
        ),
        ("/events?source=web&after=0&limit=2", vec![3, 6], 6, 6, true),
        (
            "/events?source=api&limit=6",
            vec![8, 7, 5, 4, 2, 1],
            9,
            1,
            false,
        ),
        ("/events?source=web&limit=3", vec![9, 6, 3], 7, 3, true),
        ("/events?source=web&after=9", vec![], 0, 9, false),
        ("/events?source=web&after=8", vec![9], 1, 9, false),
        ("/events?source=web&before=0", vec![], 0, 0, false),
        ("/events?source=web&before=1", vec![], 0, 0, false),
        ("/events?source=web&before=2", vec![], 1, 1, false),
        ("/events?source=web&before=1000", vec![9, 6, 3], 9, 1, false),
        (
            "/events?source=web&before=18446744073709551615",
            vec![9, 6, 3],
            9,
            1,
            false,
        ),
    ] {
        let page = client.get(target).expect(200);
        assert_eq!(seqs_of(&page), seqs, "{target}");
        assert_eq!(page["scanned"], scanned, "{target}");
        assert_eq!(page["through"], through, "{target}");
        assert_eq!(page["next"].is_string(), goes_on, "{target}: {page}");
    }
    // A position of another history.
    let refused = client.get("/events?source=web&after=10").expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["query", "after"]));
    // Nothing stored.
    let empty = Server::start(&[]);
    for target in [
        "/events?source=web",
        "/events?source=web&after=0",
        "/events?source=web&before=5",
    ] {
        let page = empty.json(target);
        assert_eq!(seqs_of(&page).len(), 0);
        assert_eq!(
            (&page["scanned"], &page["through"], &page["next"]),
            (&json!(0), &json!(0), &Value::Null),
            "{target}"
        );
    }
}

#[test]
fn next_carries_each_filter_and_ages_as_the_times_that_they_were() {
    let server = filled(30);
    let mut client = server.client();
    let new = ["new", "newer"].map(|id| {
        let mut new = event("order", id);
        new["timestamp"] = json!("2099-01-01");
        new
    });
    client.publish(json!(new).to_string()).expect(200);
    let page = client
        .get("/events?source=te*&topic=order&event_id=n*&since=1h&until=2100-01-01&limit=1")
        .expect(200);
    assert_eq!(seqs_of(&page), [32]);
    let next = page["next"].as_str().unwrap();
    for part in [
        "source=te*&",
        "topic=order&",
        "event_id=n*&",
        "until=2100-01-01&",
        "limit=1&before=32",
    ] {
        assert!(next.contains(part), "{next} has no {part}");
    }
    let (_, since) = next.split_once("since=").unwrap();
    assert!(since.starts_with("20") && since.contains('T'), "{next}");
    let second = client.get(next).expect(200);
    assert_eq!(seqs_of(&second), [31]);
    assert_eq!(second["topic"], "order");
}

#[test]
fn events_of_rare_topics_are_found_by_their_own_order() {
    let server = filled(300);
    let mut client = server.client();
    // Seqs 301 to 330, among which three topics of one event each.
    for n in [3, 17, 29_u64] {
        let mut event = from("web", n);
        event["topic"] = json!(format!("rare.{n}"));
        client.publish(event.to_string()).expect(200);
        publish(&mut client, 1_000 * n..=1_000 * n + 8);
    }
    for (target, seqs) in [
        (
            "/events?topic=rare.*&source=web&limit=2",
            vec![321, 311, 301],
        ),
        (
            "/events?topic=rare.*&source=web&limit=2&after=0",
            vec![301, 311, 321],
        ),
        ("/events?topic=rare.17&source=*", vec![311]),
        ("/events?topic=rare.*&source=api", vec![]),
        ("/events?topic=none&source=web&after=0", vec![]),
    ] {
        let walked = walk(&mut client, target);
        assert_eq!((walked.seqs, walked.scanned), (seqs, 330), "{target}");
    }
}

#[test]
fn a_page_ends_at_four_mebibytes_of_payload() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for n in 0..6 {
        let mut event = from("web", n);
        event["payload"] = json!({"text": "x".repeat(900_000)});
        client.publish(event.to_string()).expect(200);
    }
    let page = client.get("/events?source=web&after=0").expect(200);
    assert_eq!(seqs_of(&page), [1, 2, 3, 4, 5]);
    assert_eq!((&page["through"], &page["scanned"]), (&json!(5), &json!(5)));
    assert_eq!(
        walk(&mut client, "/events?source=web").seqs,
        [6, 5, 4, 3, 2, 1]
    );
}

#[test]
fn what_retention_has_removed_is_neither_found_nor_scanned() {
    let server = half_removed();
    let mut client = server.client();
    // Removal takes its time, and goes on beside the walks.
    loop {
        let first = client.get("/stats").expect(200)["first_seq"]
            .as_u64()
            .unwrap();
        let down = walk(&mut client, "/events?source=web&limit=7");
        let up = walk(&mut client, "/events?source=web&limit=7&after=0");
        let last = client.get("/stats").expect(200)["first_seq"]
            .as_u64()
            .unwrap();
        let of = |first: u64| (first..=120).filter(|seq| seq % 3 == 0).count();
        for walked in [&down, &up] {
            let (found, scanned) = (walked.seqs.len(), walked.scanned);
            assert!((of(last)..=of(first)).contains(&found), "{walked:?}");
            assert!((121 - last..=121 - first).contains(&scanned), "{walked:?}");
        }
        if first == 61 {
            assert_eq!((down.through, up.through), (61, 120));
            break;
        }
    }
    for target in [
        "/events?source=web&before=61",
        "/events?source=web&before=30",
    ] {
        let page = client.get(target).expect(200);
        assert_eq!(
            (&page["scanned"], &page["through"]),
            (&json!(0), &json!(0)),
            "{target}"
        );
    }
}

#[test]
fn a_walk_goes_on_after_a_crash() {
    let server = filled(60);
    let first = server.json("/events?source=web&limit=5");
    let setup = server.setup().clone();
    server.kill();
    let server = setup.start();
    let mut client = server.client();
    let rest = walk(&mut client, first["next"].as_str().unwrap());
    let mut seqs = seqs_of(&first);
    seqs.extend(rest.seqs);
    let expected: Vec<u64> = multiples_of_three(60).into_iter().rev().collect();
    assert_eq!(seqs, expected);
    assert_eq!(first["scanned"].as_u64().unwrap() + rest.scanned, 60);
}

#[test]
fn head_is_answered_without_working() {
    let server = filled(9);
    let mut client = server.client();
    let head = client.request("HEAD", "/events?source=web", &[], b"");
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("application/json"));
    assert_eq!(
        (
            head.header("content-length"),
            head.header("transfer-encoding")
        ),
        (None, None)
    );
    let refused = client.request("HEAD", "/events?since=never", &[], b"");
    assert_eq!(refused.status, 422);
    // Pages without filters say how long they are.
    let plain = client.request("HEAD", "/events", &[], b"");
    let page = client.get("/events");
    assert_eq!(
        plain.header("content-length"),
        Some(&*page.body.len().to_string())
    );
    // Nothing was searched for.
    let metrics = client.get("/metrics");
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(
        text.contains("\nlog_aggregator_searches_total 0\n"),
        "{text}"
    );
}
