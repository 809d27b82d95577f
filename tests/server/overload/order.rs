//! Clients that wait for memory are served in the order in which they came.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::crowds::{crowd, store_large_events};
use crate::harness::{event, Server};
use crate::wait::wait_until;

/// A page of four megabytes, which fills the memory for long answers.
const LONG: &str = "GET /events?topic=large&limit=40 HTTP/1.1\r\nHost: test\r\n\r\n";

/// `times` turns of the loop.
fn turn(server: &Server, times: usize) {
    let mut client = server.client();
    for _ in 0..times {
        client.get("/health").expect(200);
    }
}

/// A client that has sent `request`, which the server has read.
fn asks(server: &Server, request: &str) -> TcpStream {
    let client = crowd(server, 1, request).pop().unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    turn(server, 2);
    client
}

/// Whether nothing has come for a client that does not read.
fn is_waiting(client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let result = client.peek(&mut [0]);
    client.set_nonblocking(false).unwrap();
    result.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Waits for the beginning of an answer, which must be 200, and leaves it in the socket.
#[track_caller]
fn expect_answer(client: &TcpStream) {
    const BEGINNING: &[u8] = b"HTTP/1.1 200 OK";
    let mut begun = [0; BEGINNING.len()];
    wait_until("an answer to begin", || {
        client.peek(&mut begun).unwrap() == begun.len()
    });
    assert_eq!(String::from_utf8_lossy(&begun), "HTTP/1.1 200 OK");
}

/// Reads an answer of this many events.
#[track_caller]
fn read_page(client: &mut TcpStream, events: usize) {
    let mut text = Vec::new();
    let mut part = [0; 64 * 1024];
    let length = loop {
        let length = client.read(&mut part).unwrap();
        assert_ne!(length, 0, "the answer is cut short");
        text.extend_from_slice(&part[..length]);
        let head = text.windows(4).position(|end| end == b"\r\n\r\n");
        let Some(end) = head else { continue };
        let head = std::str::from_utf8(&text[..end]).unwrap();
        let field = head.split("Content-Length: ").nth(1).unwrap();
        let field = field.split("\r\n").next().unwrap();
        break end + 4 + field.parse::<usize>().unwrap();
    };
    let rest = length - text.len();
    client.take(rest as u64).read_to_end(&mut text).unwrap();
    let body = text.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let page: Value = serde_json::from_slice(&text[body..]).unwrap();
    assert_eq!(page["count"], events);
}

/// A page that takes many turns to find has its place as one that is found at once.
#[test]
fn pages_that_find_no_room_are_answered_in_the_order_in_which_they_came() {
    const SEARCHED: &str = "GET /events?topic=p.*&limit=40 HTTP/1.1\r\nHost: test\r\n\r\n";
    let server = Server::start(&["--max-buffered-bytes", "1048576"]);
    store_large_events(&server);
    let names: Vec<Value> = (0..1_500).map(|n| event(&format!("p.{n}"), "1")).collect();
    server.publish(&Value::from(names)).expect(200);
    for number in 0..40 {
        let mut large = event("p.large", &number.to_string());
        large["payload"]["text"] = "x".repeat(100_000).into();
        server.publish(&large).expect(200);
    }
    for batch in 0..3 {
        let id = |n: usize| format!("{batch}.{n}");
        let others: Vec<Value> = (0..10_000).map(|n| event("other", &id(n))).collect();
        server.publish(&Value::from(others)).expect(200);
    }
    let deaf = asks(&server, LONG);
    expect_answer(&deaf);
    let mut searched = asks(&server, SEARCHED);
    turn(&server, 100);
    let mut others = [(); 3].map(|()| asks(&server, LONG));
    drop(deaf);
    expect_answer(&searched);
    turn(&server, 10);
    assert!(others.iter().all(is_waiting));
    read_page(&mut searched, 40);
    for at in 0..others.len() {
        expect_answer(&others[at]);
        turn(&server, 10);
        assert!(others[at + 1..].iter().all(is_waiting));
        read_page(&mut others[at], 40);
    }
}

/// A small answer waits for small ones alone, whatever large ones hold.
#[test]
fn a_small_answer_that_waits_gets_the_room_that_small_ones_leave() {
    const SMALL: &str = "GET /events?topic=medium&limit=1 HTTP/1.1\r\nHost: test\r\n\r\n";
    let server = Server::start(&["--max-buffered-bytes", "1048576"]);
    store_large_events(&server);
    let mut medium = event("medium", "1");
    medium["payload"]["text"] = "x".repeat(50_000).into();
    server.publish(&medium).expect(200);
    let deaf = asks(&server, LONG);
    expect_answer(&deaf);
    let crowd = crowd(&server, 8, &SMALL.repeat(200));
    let mut waits = None;
    wait_until("small answers to fill their memory", || {
        let client = asks(&server, SMALL);
        turn(&server, 10);
        let is_full = is_waiting(&client);
        waits = is_full.then_some(client);
        is_full
    });
    drop(crowd);
    let mut waits = waits.unwrap();
    expect_answer(&waits);
    read_page(&mut waits, 1);
    drop(deaf);
}
