//! Clients that say nothing, that trickle, and that do not read, hundreds of each.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;

use serde_json::Value;

use super::{
    assert_stored, descriptors, descriptors_at_rest, peak, publish_each, raise_file_limit,
    wait_until_alone,
};
use super::{MIB, PUBLISH};
use crate::harness::{event, Address, Server};
use crate::wait::wait_until;

fn connect(server: &Server) -> TcpStream {
    match server.address() {
        Address::Tcp(address) => TcpStream::connect(address).unwrap(),
        Address::Unix(path) => panic!("{} is no TCP address", path.display()),
    }
}

/// `count` connections that have sent `opening`.
pub(super) fn crowd(server: &Server, count: usize, opening: &str) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = connect(server);
        stream.write_all(opening.as_bytes()).unwrap();
        stream
    };
    (0..count).map(open).collect()
}

/// Stores what makes a page of four megabytes.
pub(super) fn store_large_events(server: &Server) {
    let mut client = server.client();
    for number in 0..40 {
        let mut large = event("large", &number.to_string());
        large["payload"]["text"] = "x".repeat(100_000).into();
        client.publish(large.to_string()).expect(200);
    }
}

/// All of them together hold what they are allowed to hold, and nobody who publishes notices.
#[test]
fn publishers_go_on_beside_idle_slow_and_deaf_clients() {
    const PUBLISHERS: usize = 8;
    const EVENTS: usize = 60;
    raise_file_limit();
    let server = Server::start(&["--max-buffered-bytes", "8388608"]);
    store_large_events(&server);
    let at_rest = descriptors_at_rest(&server);
    let idle = crowd(&server, 300, "");
    let mut slow = crowd(
        &server,
        100,
        "GET /health HTTP/1.1\r\nHost: test\r\nX-Slow: ",
    );
    let in_body = format!("{PUBLISH}Content-Length: 16000000\r\n\r\n");
    slow.extend(crowd(&server, 100, &in_body));
    // Four hundred megabytes of answers, if they were made.
    let page = "GET /events?topic=large&limit=40 HTTP/1.1\r\nHost: test\r\n\r\n".repeat(5);
    let deaf = crowd(&server, 100, &page);
    wait_until("all to be let in", || descriptors(&server) >= at_rest + 600);
    thread::scope(|scope| {
        for number in 0..PUBLISHERS {
            let mut client = server.client();
            scope.spawn(move || publish_each(&mut client, &format!("good.{number}"), EVENTS));
        }
        for _ in 0..10 {
            for stream in &mut slow {
                stream.write_all(b"x").unwrap();
            }
        }
    });
    // A short answer does not wait for memory.
    let health = server.json("/health");
    assert_eq!(health["status"], "healthy");
    let peak = peak(&server);
    assert!(peak < 64 * MIB, "{peak} bytes");
    println!(
        "FIGURE crowd-memory: the server peaked at {} MiB beside 300 idle clients, 200 slow ones and 100 \
         that did not read, with 8 MiB for what clients hold",
        peak / MIB
    );
    drop((idle, slow, deaf));
    wait_until_alone(&server, at_rest);
    for number in 0..PUBLISHERS {
        assert_stored(&server, &format!("good.{number}"), EVENTS);
    }
    assert_eq!(server.json("/events?topic=large&limit=40")["count"], 40);
    server.stop();
}

/// A long answer waits while others do not read theirs, and comes when they have gone.
#[test]
fn a_long_answer_waits_for_those_that_are_not_read() {
    let server = Server::start(&["--max-buffered-bytes", "1048576"]);
    store_large_events(&server);
    let page = "GET /events?topic=large&limit=40 HTTP/1.1\r\nHost: test\r\n";
    let deaf = crowd(&server, 1, &format!("{page}\r\n"));
    // The first answer has been made when its beginning has come.
    deaf[0].peek(&mut [0]).unwrap();
    let close = "Connection: close\r\n\r\n";
    let both = format!("{page}\r\nGET /health HTTP/1.1\r\nHost: test\r\n{close}");
    let readers = crowd(&server, 3, &both);
    // Each of these is a turn of the loop in which they could be answered. Few, because a reader that has waited
    // for 10 s is refused, and the disk may be busy with other work.
    publish_each(&mut server.client(), "meanwhile", 10);
    for reader in &readers {
        reader.set_nonblocking(true).unwrap();
        let waiting = reader.peek(&mut [0]).unwrap_err();
        assert_eq!(waiting.kind(), ErrorKind::WouldBlock);
        reader.set_nonblocking(false).unwrap();
    }
    drop(deaf);
    // All at once: who is answered first must not wait until this test reads from another one.
    let readers: Vec<_> = readers
        .into_iter()
        .map(|mut reader| {
            thread::spawn(move || {
                let mut answers = String::new();
                reader.read_to_string(&mut answers).unwrap();
                answers
            })
        })
        .collect();
    for reader in readers {
        let answers = reader.join().unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2);
        assert_eq!(answers.matches("\"seq\":").count(), 40);
        assert!(answers.contains("\"healthy\""));
    }
}

/// What is small is answered while nobody takes what is large, by kind or by chance; what is a part of the
/// program needs no memory at all.
#[test]
fn small_answers_do_not_wait_for_pages_that_nobody_takes() {
    raise_file_limit();
    for (deaf, bytes) in [(16, "134217728"), (300, "8388608")] {
        let server = Server::start(&["--max-buffered-bytes", bytes]);
        store_large_events(&server);
        publish_each(&mut server.client(), "small", 10);
        let page = "GET /events?topic=large&limit=40 HTTP/1.1\r\nHost: test\r\n\r\n";
        let mut late = server.client();
        late.send(page);
        let head = late.head().unwrap();
        let deaf = crowd(&server, deaf, page);
        publish_each(&mut server.client(), "meanwhile", 30);
        // Another page waits: memory is short.
        let waiting = crowd(&server, 1, page);
        publish_each(&mut server.client(), "later", 30);
        waiting[0].set_nonblocking(true).unwrap();
        assert!(waiting[0].peek(&mut [0]).is_err());

        answers_what_is_small(&server);
        // Each on a connection of its own, and many of them on one.
        let mut client = server.client();
        for _ in 0..20 {
            client.get("/stats").expect(200);
            client.get("/metrics");
        }
        // Who begins to read now gets all of its page, and when the others have gone there is room again.
        let length = head.header("content-length").unwrap().parse().unwrap();
        let page: Value = serde_json::from_slice(&late.take(length)).unwrap();
        assert_eq!(page["count"], 40);
        drop((deaf, waiting));
        assert_eq!(server.json("/events?topic=large&limit=40")["count"], 40);
    }
}

/// So is the list of all topics, however long it is: the dashboard asks for it. It says how long it is before it
/// is sent, and a client that takes none of it holds no more than others do.
#[test]
fn a_list_of_topics_does_not_wait_for_pages_that_nobody_takes() {
    raise_file_limit();
    for topics in [700, 3_000] {
        let server = Server::start(&["--max-buffered-bytes", "8388608"]);
        store_large_events(&server);
        let name = |number: usize| format!("a topic with \"quotes\" and a number: {number:06}");
        let events: Vec<Value> = (0..topics).map(|n| event(&name(n), "1")).collect();
        server.publish(&Value::from(events)).expect(200);
        let page = "GET /events?topic=large&limit=40 HTTP/1.1\r\nHost: test\r\n\r\n";
        let deaf = crowd(&server, 300, page);
        let list = crowd(&server, 40, "GET /topics HTTP/1.1\r\nHost: test\r\n\r\n");
        publish_each(&mut server.client(), "meanwhile", 30);
        let mut client = server.client();
        for _ in 0..3 {
            let answer = client.get("/topics");
            let length = answer.header("content-length").map(str::to_owned);
            let length = length.expect("a document says how long it is");
            assert_eq!(length, answer.body.len().to_string());
            let list = answer.expect(200);
            assert_eq!(list["count"], topics + 2);
            let names: Vec<&str> = list["topics"]
                .as_array()
                .unwrap()
                .iter()
                .map(|topic| topic["topic"].as_str().unwrap())
                .collect();
            assert!(names.is_sorted() && names.len() == topics + 2);
            let head = client.request("HEAD", "/topics", &[], b"");
            assert_eq!(head.header("content-length"), Some(&*length));
        }
        drop((deaf, list));
        assert_eq!(server.json("/events?topic=large&limit=40")["count"], 40);
    }
}

/// The same beside a crowd that asks for small answers, again and again, and takes none; and where the names of
/// topics make the statistics as long as they can be.
#[test]
fn small_answers_do_not_wait_for_small_ones_that_nobody_takes() {
    raise_file_limit();
    let server = Server::start(&["--max-buffered-bytes", "33554432"]);
    let name = |number: usize| format!("{number:04}{}", "\"".repeat(251));
    let events: Vec<Value> = (0..1_200).map(|n| event(&name(n), "1")).collect();
    server.publish(&Value::from(events)).expect(200);
    publish_each(&mut server.client(), "small", 10);
    let asks =
        |target: &str, times| format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").repeat(times);
    let deaf = crowd(&server, 60, &asks("/metrics", 60));
    let page = crowd(&server, 10, &asks("/events?limit=1000", 20));
    for stream in deaf.iter().chain(&page) {
        stream.peek(&mut [0]).unwrap();
    }
    publish_each(&mut server.client(), "meanwhile", 30);
    for _ in 0..5 {
        let stats = server.json("/stats");
        assert_eq!(stats["topics"].as_array().unwrap().len(), 1_000);
        server.get("/metrics");
    }
    answers_what_is_small(&server);
    let peak = peak(&server);
    assert!(peak < 128 * MIB, "{peak} bytes");
    drop((deaf, page));
    assert_eq!(server.json("/events?topic=meanwhile")["count"], 30);
}

/// Asks for each kind of answer that is small.
fn answers_what_is_small(server: &Server) {
    let json = ["Content-Type: application/json"];
    for (method, target, body, status) in [
        ("GET", "/", "", 200),
        ("GET", "/health", "", 200),
        ("GET", "/stats", "", 200),
        ("GET", "/metrics", "", 200),
        ("GET", "/openapi.json", "", 200),
        ("GET", "/docs", "", 200),
        ("GET", "/redoc", "", 200),
        ("GET", "/assets/dashboard.js", "", 200),
        ("GET", "/assets/dashboard.css", "", 200),
        ("GET", "/assets/swagger-ui-bundle.js", "", 200),
        ("GET", "/assets/redoc.standalone.js", "", 200),
        ("GET", "/events?topic=small", "", 200),
        ("GET", "/events/small/1", "", 200),
        ("GET", "/topics", "", 200),
        ("PUT", "/subscriptions/s", "{\"after\":1}", 200),
        ("GET", "/subscriptions/s", "", 200),
        ("GET", "/subscriptions", "", 200),
        ("POST", "/subscriptions/s/ack", "{\"seq\":2}", 200),
        ("POST", "/publish?results=true", "[]", 422),
        ("GET", "/events?limit=0", "", 422),
        ("GET", "/nothing", "", 404),
        ("DELETE", "/stats", "", 405),
        ("OPTIONS", "/publish", "", 204),
    ] {
        let mut client = server.client();
        let answer = client.request(method, target, &json, body.as_bytes());
        assert_eq!(answer.status, status, "{method} {target}");
    }
    let mut client = server.client();
    let page = client.request("GET", "/", &["Accept: text/html"], b"");
    assert!(page.body.starts_with(b"<!doctype html>"), "the dashboard");
    let results = server
        .client()
        .publish_to("/publish?results=true", event("small", "new").to_string())
        .expect(200);
    assert_eq!(results["results"][0]["status"], "accepted");
    let mut live = server.client();
    live.send_request("GET", "/subscribe?topic=small", &[], b"");
    assert_eq!(live.head().unwrap().status, 200);
    server.publish(&event("small", "live")).expect(200);
    let mut text = String::new();
    while !text.contains("\"live\"") {
        text += &String::from_utf8(live.chunk().unwrap().unwrap()).unwrap();
    }
}

/// What many clients hold stays bounded where each of them holds little: beginnings of bodies, and
/// requests of which the answers are not read.
#[test]
fn many_small_shares_have_a_bound_too() {
    const COUNT: usize = 400;
    raise_file_limit();
    let server = Server::start(&["--max-buffered-bytes", "1048576"]);
    publish_each(&mut server.client(), "before", 10);
    let (at_rest, before) = (descriptors_at_rest(&server), peak(&server));
    let begun = format!(
        "{PUBLISH}Content-Length: 1000000\r\n\r\n{}",
        " ".repeat(60_000)
    );
    let unread = "GET /health HTTP/1.1\r\nHost: test\r\n\r\n".repeat(1_500);
    let mut crowds = crowd(&server, COUNT, &begun);
    crowds.extend(crowd(&server, COUNT, &unread));
    wait_until("all to be let in", || {
        descriptors(&server) >= at_rest + 2 * COUNT
    });
    publish_each(&mut server.client(), "meanwhile", 100);
    // Up to 4 KiB each of what they have sent, and short answers, beyond what all may hold.
    let grown = peak(&server) - before;
    assert!(grown < 12 * MIB, "{grown} bytes");
    drop(crowds);
    wait_until_alone(&server, at_rest);
    assert_stored(&server, "meanwhile", 100);
}
