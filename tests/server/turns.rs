//! What readers ask for is worked out in slices: it holds nobody up who asks for little, however much it is.

use std::thread;

use rusqlite::Connection;
use serde_json::{json, Value};

use crate::harness::{event, seqs_of, Client, Server, Setup};

/// Topics with one old event each.
const RARE: u64 = 3_000;
/// Newer events of one topic.
const COMMON: u64 = 40_000;

/// A server whose newest events are of one topic and its oldest ones of thousands: the newest event of those
/// is found by going through all others, or by looking into thousands of topics.
fn filled() -> Server {
    let setup = Setup::new().flags(["--dedup", "constraint"]);
    setup.start().stop();
    let db = Connection::open(setup.database_path()).unwrap();
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ";
    let at = 1_767_323_045_000_000_u64;
    let last = RARE + COMMON;
    db.execute_batch(&format!(
        "BEGIN;
        {numbers} {RARE}) INSERT INTO topics(id, name, events, last_seq, last_processed_at)
            SELECT i, printf('rare.%05d', i), 1, i, {at} FROM n;
        INSERT INTO topics(id, name, events, last_seq, last_processed_at)
            VALUES ({RARE} + 1, 'common', {COMMON}, {last}, {at});
        {numbers} {last}) INSERT INTO events
            SELECT i, min(i, {RARE} + 1), 'e' || i, '2026-01-02', 's', '{{}}', {at} FROM n;
        UPDATE counters SET last_seq = {last}, unique_processed = {last}, topics_mark = {last},
            checksum = NULL, mark_checksum = NULL;
        COMMIT"
    ))
    .unwrap();
    drop(db);
    setup.start()
}

/// Asks for the same `times` times in one go, and how the server is until the last answer has come. Says how
/// often it was told that.
fn health_beside(
    server: &Server,
    method: &str,
    target: &str,
    count: usize,
    check: fn(&[u64]),
) -> usize {
    let mut reader = server.client();
    let mut health = server.client();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: test\r\n\r\n");
    reader.send(request.repeat(count));
    // The first answer says that the others have been received.
    reader.response_to(method);
    let method = method.to_owned();
    let answers = thread::spawn(move || {
        for _ in 1..count {
            let answer = reader.response_to(&method);
            assert_eq!(answer.status, 200, "{answer:?}");
            if method == "GET" {
                check(&seqs_of(&answer.expect(200)));
            }
        }
    });
    let mut told = 0;
    while !answers.is_finished() {
        assert_eq!(health.get("/health").expect(200)["status"], "healthy");
        told += 1;
    }
    answers.join().unwrap();
    told
}

#[test]
fn a_page_that_takes_long_to_find_holds_nobody_up() {
    let server = filled();
    let check = |seqs: &[u64]| assert_eq!(seqs, [RARE]);
    let told = health_beside(&server, "GET", "/events?topic=rare.*&limit=1", 20, check);
    assert!(told >= 10, "{told} answers beside twenty pages");
    // Publishers go on as well.
    let mut reader = server.client();
    reader.send_request("GET", "/events?topic=rare.*&limit=1", &[], b"");
    server.publish(&event("common", "new")).expect(200);
    assert_eq!(seqs_of(&reader.response().expect(200)), [RARE]);
}

#[test]
fn many_pages_in_one_packet_hold_nobody_up() {
    let server = filled();
    for (target, count, check) in [
        (
            "/events?topic=rare.*&after=2990",
            400,
            (|seqs| {
                assert_eq!(
                    seqs,
                    [2991, 2992, 2993, 2994, 2995, 2996, 2997, 2998, 2999, 3000]
                )
            }) as fn(&[u64]),
        ),
        ("/events?limit=1000", 200, |seqs| {
            assert_eq!(seqs.len(), 1_000)
        }),
        ("/events/common/e40000", 4_000, |_| ()),
        ("/subscribe?after=0&follow=false", 3_000, |_| ()),
    ] {
        let method = if target.contains("after=2990") {
            "GET"
        } else {
            "HEAD"
        };
        let told = health_beside(&server, method, target, count, check);
        assert!(told >= 5, "{told} answers beside {target}");
    }
}

#[test]
fn more_pages_than_there_are_places_for_are_all_found() {
    let server = filled();
    let targets = |n: usize| {
        let rare = format!("/events?topic=rare.*&limit={}", 1 + n % 3);
        [rare, "/events?topic=common&after=3000&limit=2".to_owned()]
    };
    let ask = |n: usize| -> (usize, Client) {
        let mut client = server.client();
        for target in targets(n) {
            client.send_request("GET", &target, &[], b"");
        }
        (n, client)
    };
    let clients: Vec<(usize, Client)> = (0..80).map(ask).collect();
    for (n, mut client) in clients {
        let answers = targets(n).map(|_| client.response());
        let mut again = server.client();
        let pages = answers
            .into_iter()
            .zip(targets(n))
            .map(|(mut answer, target)| {
                // On a busy machine one may have waited for 10 s, and is to ask again.
                while answer.status == 503 {
                    answer = again.get(&target);
                }
                seqs_of(&answer.expect(200))
            });
        let [rare, common]: [Vec<u64>; 2] =
            pages.collect::<Vec<_>>().try_into().expect("two pages");
        assert_eq!(rare, [RARE, RARE - 1, RARE - 2][..1 + n % 3]);
        assert_eq!(common, [RARE + 1, RARE + 2]);
    }
}

#[test]
fn pages_of_many_topics_are_complete_in_both_directions() {
    complete_in_both_directions(&filled());
    // The same with the key index, whose orders of topics are in memtables.
    let server = Server::start(&["--dedup", "index"]);
    let topic = |seq| match seq {
        1..=RARE => format!("rare.{seq:05}"),
        _ => "common".to_owned(),
    };
    let events = |seqs: &[u64]| -> Value {
        let event = |seq: &u64| event(&topic(*seq), &seq.to_string());
        seqs.iter().map(event).collect()
    };
    let seqs: Vec<u64> = (1..=2 * RARE).collect();
    for seqs in seqs.chunks(2_000) {
        server.publish(&events(seqs)).expect(200);
    }
    complete_in_both_directions(&server);
}

fn complete_in_both_directions(server: &Server) {
    let mut client = server.client();
    let mut follow = |first: &str| -> Vec<u64> {
        let mut seqs = Vec::new();
        let mut next = Some(first.to_owned());
        while let Some(target) = next {
            let page = client.get(&target).expect(200);
            seqs.extend(seqs_of(&page));
            next = page["next"].as_str().map(str::to_owned);
        }
        seqs
    };
    let wanted: Vec<u64> = (1..=RARE)
        .filter(|seq| (1_000..3_000).contains(seq))
        .collect();
    let patterns = "topic=rare.01*&topic=rare.010*&topic=rare.02*&topic=rare.02*&topic=none";
    let up = follow(&format!("/events?{patterns}&limit=700&after=0"));
    assert_eq!(up, wanted);
    let mut down = follow(&format!("/events?{patterns}&limit=700"));
    down.reverse();
    assert_eq!(down, wanted);
}

#[test]
fn a_long_list_of_topics_is_sent_in_slices_and_has_what_was_there() {
    const SLICE: usize = 128 * 1024;
    let server = filled();
    let mut reader = server.client();
    let mut publisher = server.client();
    reader.send_request("GET", "/topics", &[], b"");
    let head = reader.head().expect("an answer");
    let length = head.header("content-length").expect("it is known");
    let length: usize = length.parse().unwrap();
    let mut text = Vec::new();
    let mut slices = 0;
    while text.len() < length {
        // Topics that come meanwhile are not on it, wherever their names belong.
        let names = ["rare.00000", "rare.02000x", "z"].map(|name| event(name, &slices.to_string()));
        publisher.publish(json!(names).to_string()).expect(200);
        text.extend(reader.take((length - text.len()).min(SLICE)));
        slices += 1;
    }
    let list: Value = serde_json::from_slice(&text).expect("the whole is JSON");
    let topics = list["topics"].as_array().expect("a list");
    assert_eq!(list["count"], topics.len());
    let names: Vec<&str> = topics
        .iter()
        .map(|t| t["topic"].as_str().unwrap())
        .collect();
    let rare = (1..=RARE).map(|n| format!("rare.{n:05}"));
    let expected: Vec<String> = std::iter::once("common".to_owned()).chain(rare).collect();
    assert_eq!(names, expected);
    // The connection goes on, and a reader that does not is let go in the middle.
    assert_eq!(reader.get("/topics").expect(200)["count"], RARE + 4);
    reader.send_request("GET", "/topics", &[], b"");
    drop(reader);
    let old = server.client().request("HEAD", "/topics", &[], b"");
    assert_eq!(old.status, 200);
    let now: usize = old.header("content-length").unwrap().parse().unwrap();
    assert!(now > length, "{now}");
    assert_eq!(server.json("/stats")["subscribers"], 0);
}
