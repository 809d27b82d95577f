//! Clients that say nothing, that trickle, and that do not read, hundreds of each.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;

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

/// So many connections that have sent `opening`.
fn crowd(server: &Server, count: usize, opening: &str) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = connect(server);
        stream.write_all(opening.as_bytes()).unwrap();
        stream
    };
    (0..count).map(open).collect()
}

/// Stores what makes a page of four megabytes.
fn store_large_events(server: &Server) {
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
    let mut readers = crowd(&server, 3, &both);
    // Each of these is a turn of the loop in which they could be answered.
    publish_each(&mut server.client(), "meanwhile", 50);
    for reader in &readers {
        reader.set_nonblocking(true).unwrap();
        let waiting = reader.peek(&mut [0]).unwrap_err();
        assert_eq!(waiting.kind(), ErrorKind::WouldBlock);
        reader.set_nonblocking(false).unwrap();
    }
    drop(deaf);
    for reader in &mut readers {
        let mut answers = String::new();
        reader.read_to_string(&mut answers).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2);
        assert_eq!(answers.matches("\"seq\":").count(), 40);
        assert!(answers.contains("\"healthy\""));
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
