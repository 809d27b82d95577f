//! Answers in gzip: which are, for whom, and that they say the same as those without.

use std::io::Read;
use std::thread;

use flate2::read::GzDecoder;
use serde_json::{json, Value};

use crate::harness::{event, Client, Response, Server};
use crate::wait::wait_until;

const GZIP: &str = "Accept-Encoding: gzip";

/// Events enough for each page to be long, and topics enough for a list that is sent in parts.
fn filled() -> Server {
    let server = Server::start(&[]);
    let events: Value = (0..1_000)
        .map(|n| {
            let mut event = event(&format!("topic.{n}"), &format!("evt-{n}"));
            event["timestamp"] = json!(format!("2026-01-02T03:{:02}:{:02}Z", n / 60, n % 60));
            event["source"] = json!(format!("web-{n}"));
            event["payload"] = json!({"msg": "payment declined: card expired", "n": n});
            event
        })
        .collect();
    let mut client = server.client();
    client.publish(events.to_string()).expect(200);
    let mut large = event("large", "1");
    large["payload"]["text"] = "a line of a trace\n".repeat(20_000).into();
    client.publish(large.to_string()).expect(200);
    server
}

fn gunzip(coded: &[u8]) -> Vec<u8> {
    let (mut plain, mut decoder) = (Vec::new(), GzDecoder::new(coded));
    decoder.read_to_end(&mut plain).expect("it is gzip");
    // Browsers pass over a second member.
    assert!(decoder.into_inner().is_empty(), "there is one member");
    plain
}

/// The body without its content coding.
fn decoded(answer: &Response) -> Vec<u8> {
    match answer.header("content-encoding") {
        None => answer.body.clone(),
        Some("gzip") => gunzip(&answer.body),
        Some(other) => panic!("{other} was not asked for"),
    }
}

/// The text with all numbers taken as the same: some answers say how long they took.
fn without_numbers(text: &[u8]) -> String {
    let text = String::from_utf8(text.to_vec()).expect("it is text");
    let parts = text.split(|c: char| c.is_ascii_digit());
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("#")
}

fn varies(answer: &Response) -> bool {
    let mut fields = answer.headers.iter();
    fields
        .any(|(name, value)| name.eq_ignore_ascii_case("vary") && value.contains("Accept-Encoding"))
}

/// Those of `HEAD` are the same, but for the moment.
fn fields(answer: &Response) -> Vec<(String, String)> {
    let mut fields = answer.headers.clone();
    fields.retain(|(name, _)| name != "Date");
    fields
}

const SINCE: &str = "since=2026-01-02&until=2026-01-03";

#[test]
fn each_route_that_can_be_long_is_compressed_and_says_the_same() {
    let server = filled();
    let (mut plain, mut coded) = (server.client(), server.client());
    let targets = [
        ("/events?limit=1000", true),
        ("/events?topic=topic.*&limit=500", true),
        ("/events/large/1", true),
        ("/topics", true),
        ("/openapi.json", true),
        ("/events?q=declined&limit=1000", false),
        (&format!("/histogram?{SINCE}&interval=5m&by=topic"), false),
        ("/fields", false),
        ("/stats", false),
        ("/stats?last_hour=true", false),
        ("/metrics", false),
    ];
    for (target, is_exact) in targets {
        // The first time, metrics get lines for this route.
        plain.get(target);
        let before = plain.get(target);
        let after = coded.request("GET", target, &[GZIP], b"");
        assert_eq!((before.status, after.status), (200, 200), "{target}");
        assert_eq!(before.header("content-encoding"), None, "{target}");
        assert_eq!(after.header("content-encoding"), Some("gzip"), "{target}");
        assert!(varies(&before) && varies(&after), "{target}");
        assert_eq!(before.header("content-type"), after.header("content-type"));
        assert!(after.body.len() < before.body.len(), "{target}");
        let text = decoded(&after);
        if is_exact {
            assert!(text == before.body, "{target}");
        } else {
            let (text, before) = (without_numbers(&text), without_numbers(&before.body));
            assert_eq!(text, before, "{target}");
        }
    }
}

#[test]
fn what_is_short_or_refused_stays_as_it_was() {
    let server = filled();
    let mut client = server.client();
    for target in [
        "/health",
        "/",
        "/events?topic=topic.1&limit=2",
        "/subscriptions",
        "/events/topic.1/evt-1",
    ] {
        let plain = client.get(target);
        let coded = client.request("GET", target, &[GZIP], b"");
        assert_eq!(coded.header("content-encoding"), None, "{target}");
        assert!(!varies(&coded) || target == "/", "{target}");
        assert_eq!(plain.headers.len(), coded.headers.len(), "{target}");
    }
    let unknown = client.request("GET", "/events?sorce=1", &[GZIP], b"");
    unknown.expect(422);
    let published = client.request(
        "POST",
        "/publish?results=true",
        &[GZIP, "Content-Type: application/json"],
        json!([event("a", "1"), event("a", "2")])
            .to_string()
            .as_bytes(),
    );
    published.expect(200);
}

#[test]
fn the_client_says_what_it_takes() {
    let server = filled();
    let mut client = server.client();
    for (accepted, is_coded) in [
        ("gzip", true),
        ("gzip, deflate, br, zstd", true),
        ("gzip;q=0.5", true),
        ("x-gzip", true),
        ("*", true),
        ("", false),
        ("identity", false),
        ("gzip;q=0", false),
        ("gzip;q=0, *", false),
        ("*;q=0", false),
        ("br", false),
        ("identity, gzip;q=0.5", false),
    ] {
        for target in ["/events?limit=1000", "/topics", "/openapi.json", "/metrics"] {
            let field = format!("Accept-Encoding: {accepted}");
            let answer = client.request("GET", target, &[&field], b"");
            let coding = answer.header("content-encoding");
            assert_eq!(coding.is_some(), is_coded, "{target} with {accepted:?}");
            assert!(varies(&answer), "{target} with {accepted:?}");
        }
    }
    // HTTP/1.0 knows no chunks, so a list in parts has its length there.
    let mut old = server.client();
    old.send("GET /topics HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n");
    let answer = old.response();
    assert_eq!(answer.header("content-encoding"), None);
    assert!(answer.header("content-length").is_some());
}

#[test]
fn head_has_the_fields_of_get() {
    let server = filled();
    let mut client = server.client();
    for target in [
        "/events?limit=1000",
        "/events?limit=1",
        "/events/large/1",
        "/topics",
        "/openapi.json",
    ] {
        for accepted in [GZIP, "Accept-Encoding: identity"] {
            let get = client.request("GET", target, &[accepted], b"");
            let head = client.request("HEAD", target, &[accepted], b"");
            assert_eq!(fields(&get), fields(&head), "{target}");
            assert_eq!(head.body, b"");
        }
    }
    // Nothing is searched for, so nobody knows how long the answer would be.
    let head = client.request("HEAD", "/fields", &[GZIP], b"");
    assert!(varies(&head));
    assert_eq!(head.header("content-encoding"), None);
    assert_eq!(head.header("content-length"), None);
}

#[test]
fn answers_stay_in_order_on_one_connection() {
    let server = filled();
    let mut client = server.client();
    let plain = client.get("/events?limit=1000").body;
    let topics = client.get("/topics").body;
    let get =
        |target: &str, field: &str| format!("GET {target} HTTP/1.1\r\nHost: test\r\n{field}\r\n");
    let gzip = "Accept-Encoding: gzip\r\n";
    let requests = [
        get("/events?limit=1000", gzip),
        get("/health", gzip),
        get("/events?limit=1000", ""),
        get("/topics", gzip),
        get("/events/large/1", gzip),
        get("/topics", ""),
    ];
    for _ in 0..5 {
        client.send(requests.concat());
        for (bytes, at) in [
            Some(&plain),
            None,
            Some(&plain),
            Some(&topics),
            None,
            Some(&topics),
        ]
        .into_iter()
        .zip(0..)
        {
            let answer = client.response();
            assert_eq!(answer.status, 200);
            let text = decoded(&answer);
            assert!(bytes.is_none_or(|bytes| *bytes == text), "answer {at}");
        }
    }
    client.send(&requests[0]);
    client.shutdown_write();
    assert!(decoded(&client.response()) == plain, "half closed");
    assert!(client.is_closed());
}

/// Images, and what was compressed before, would only become longer.
#[test]
fn what_does_not_become_smaller_is_sent_as_it_is() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut state = 1_u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from_u32(0x4e00 + (state >> 50) as u32).expect("a CJK character")
    };
    let mut large = event("noise", "1");
    large["payload"]["text"] = (0..100_000).map(|_| noise()).collect::<String>().into();
    client.publish(large.to_string()).expect(200);
    let plain = client.get("/events/noise/1");
    let answer = client.request("GET", "/events/noise/1", &[GZIP], b"");
    assert!(decoded(&answer) == plain.body);
    let longest = plain.body.len();
    assert!(answer.body.len() <= longest, "{} bytes", answer.body.len());
}

/// Each has a page of four megabytes, and the memory for answers is a quarter of eight.
#[test]
fn many_long_answers_at_once_fit_into_the_memory() {
    const READERS: usize = 64;
    let server = Server::start(&["--max-buffered-bytes", "8388608"]);
    let mut client = server.client();
    for number in 0..40 {
        let mut large = event("large", &number.to_string());
        large["payload"]["text"] = format!("line {number} of a trace\n").repeat(5_000).into();
        client.publish(large.to_string()).expect(200);
    }
    let target = "/events?topic=large&limit=40";
    let plain = client.get(target).body;
    let mut slow: Vec<Client> = (0..READERS).map(|_| server.client()).collect();
    for (reader, n) in slow.iter_mut().zip(0..) {
        reader.send_request("GET", target, &[GZIP], b"");
        // Some go away at once.
        if n % 8 == 0 {
            *reader = server.client();
            reader.send_request("GET", target, &[GZIP], b"");
        }
    }
    thread::scope(|scope| {
        let mut publisher = server.client();
        scope.spawn(move || {
            for n in 0..50 {
                let id = n.to_string();
                publisher
                    .publish(event("small", &id).to_string())
                    .expect(200);
                assert_eq!(publisher.get("/health").status, 200);
            }
        });
        for reader in &mut slow {
            let mut answer = reader.response();
            // The machine may be busy, and one that has waited 10 s for memory is to ask again.
            while answer.status == 503 {
                assert!(answer.header("retry-after").is_some());
                // That answer is its connection's last.
                *reader = server.client();
                answer = reader.request("GET", target, &[GZIP], b"");
            }
            assert_eq!(answer.status, 200);
            assert!(decoded(&answer) == plain);
        }
    });
    wait_until("all answers to be done", || {
        let page = client.get("/metrics").text();
        page.contains("\nlog_aggregator_searches 0\n")
    });
}
