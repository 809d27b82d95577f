//! Clients that do not behave: they go on sending, vanish, close half, read slowly or not at all.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};

use super::{publication, HEALTH, PUBLISH};
use crate::harness::{event, Address, Server, TIMEOUT};
use crate::wait::wait_until;

fn address(server: &Server) -> SocketAddr {
    match server.address() {
        Address::Tcp(address) => *address,
        Address::Unix(path) => panic!("{} is no TCP address", path.display()),
    }
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(address(server)).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// A connection whose client takes little at a time.
fn connect_with_small_window(server: &Server) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(&address(server).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

fn wait_for_connections(server: &Server, count: u64) -> Value {
    let mut client = server.client();
    let mut stats = Value::Null;
    wait_until("the connections to be gone", || {
        stats = client.get("/stats").expect(200);
        stats["connections"] == count + 1
    });
    stats
}

/// Fills a database with a page of four megabytes; returns it.
fn with_large_events(server: &Server) -> String {
    let mut client = server.client();
    for number in 0..40 {
        let mut large = event("large", &number.to_string());
        large["payload"]["text"] = "x".repeat(100_000).into();
        client.publish(large.to_string()).expect(200);
    }
    client.get("/events?limit=40").text()
}

/// The client sends megabytes and only then looks for an answer. It must be there: a reset would have
/// destroyed it.
#[test]
fn a_refusal_reaches_a_client_that_goes_on_sending() {
    let server = Server::start(&["--max-body-bytes", "65536"]);
    let refused = [
        (413, format!("{PUBLISH}Content-Length: 8000000\r\n\r\n")),
        (
            413,
            format!("{PUBLISH}Transfer-Encoding: chunked\r\n\r\n7a1200\r\n"),
        ),
        (
            400,
            format!("{PUBLISH}Transfer-Encoding: chunked\r\n\r\nx\r\n"),
        ),
        (
            415,
            "POST /publish HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n".into(),
        ),
        (
            404,
            "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n".into(),
        ),
        (
            505,
            "POST /publish HTTP/2.0\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n".into(),
        ),
    ];
    for (status, head) in refused {
        let mut client = server.client();
        client.send(&head);
        for _ in 0..80 {
            client.send([b' '; 100_000]);
        }
        let response = client.response();
        assert_eq!(response.status, status, "{head}: {response:?}");
        assert_eq!(response.header("connection"), Some("close"));
        assert!(client.is_closed());
    }
    assert_eq!(wait_for_connections(&server, 0)["received"], 0);
}

/// A body that was refused by its head and is short is passed by, and the connection goes on.
#[test]
fn a_short_refused_body_is_passed_by() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let smuggled = publication("smuggled", "1");
    client.send(format!(
        "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}{HEALTH}",
        smuggled.len()
    ));
    client.response().sentence(404);
    client.response().expect(200);
    assert_eq!(server.json("/stats")["received"], 0);
}

#[test]
fn a_client_that_vanishes_in_a_body_leaves_no_trace() {
    let server = Server::start(&[]);
    let event = event("vanished", "1").to_string();
    let whole = publication("vanished", "1");
    // In the head, right after it, and one byte before the end.
    let cuts = [10, whole.len() - event.len(), whole.len() - 1];
    for cut in cuts {
        for reset in [false, true] {
            let mut stream = connect(&server);
            stream.write_all(&whole.as_bytes()[..cut]).unwrap();
            if reset {
                // Closing with a linger time of zero sends a reset.
                SockRef::from(&stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
            }
        }
    }
    // The array is open at its end, so what is there of it is no event either.
    let mut stream = connect(&server);
    let chunk = format!("{:x}\r\n[{event},\r\n", event.len() + 2);
    write!(stream, "{PUBLISH}Transfer-Encoding: chunked\r\n\r\n{chunk}").unwrap();
    drop(stream);
    let stats = wait_for_connections(&server, 0);
    for name in [
        "received",
        "unique_processed",
        "rejected",
        "batches",
        "last_seq",
    ] {
        assert_eq!(stats[name], 0, "{name}");
    }
    assert_eq!(server.json("/topics")["count"], 0);
}

/// A whole request counts, whether anybody waits for its answer or not.
#[test]
fn a_client_that_does_not_wait_is_stored_whole() {
    let server = Server::start(&[]);
    for number in 0..20 {
        let mut stream = connect(&server);
        let request = publication("hasty", &number.to_string());
        stream.write_all(request.as_bytes()).unwrap();
        if number % 2 == 0 {
            stream.shutdown(Shutdown::Write).unwrap();
        }
    }
    wait_until("the events", || server.json("/stats")["received"] == 20);
    assert_eq!(server.json("/events")["count"], 20);
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send(publication("half", "1") + HEALTH + &publication("half", "2"));
    client.shutdown_write();
    assert_eq!(client.response().expect(200)["accepted"], 1);
    client.response().expect(200);
    assert_eq!(client.response().expect(200)["accepted"], 1);
    assert!(client.is_closed());
    // In the middle of a request there is only one thing to say.
    let mut client = server.client();
    let whole = publication("half", "3");
    client.send(&whole[..whole.len() - 1]);
    client.shutdown_write();
    client.response().sentence(400);
    assert!(client.is_closed());
    // An end between two requests needs no answer.
    let mut client = server.client();
    client.get("/health").expect(200);
    client.shutdown_write();
    assert!(client.is_closed());
    assert_eq!(wait_for_connections(&server, 0)["received"], 2);
}

#[test]
fn a_slow_reader_gets_a_large_page_whole() {
    let server = Server::start(&[]);
    let page = with_large_events(&server);
    assert!(page.len() > 4_000_000);
    let mut stream = connect_with_small_window(&server);
    let request = "GET /events?limit=40 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut all = Vec::new();
    let mut piece = [0; 1_500];
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            count => all.extend_from_slice(&piece[..count]),
        }
        if all.len() % 64 == 0 {
            // Another client is served meanwhile.
            server.json("/health");
        }
    }
    let text = String::from_utf8(all).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(body == page, "{} of {} bytes", body.len(), page.len());
}

#[test]
fn clients_that_never_read_disturb_nobody() {
    let server = Server::start(&[]);
    with_large_events(&server);
    let get = "GET /events?limit=40 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20);
    let deaf: Vec<TcpStream> = (0..5)
        .map(|_| {
            let mut stream = connect_with_small_window(&server);
            stream.write_all(get.as_bytes()).unwrap();
            stream
        })
        .collect();
    let mut client = server.client();
    for number in 0..100 {
        let event = event("others", &number.to_string()).to_string();
        assert_eq!(client.publish(event).expect(200)["accepted"], 1);
    }
    // Each of them holds one page at the most, although it has asked for twenty.
    assert_eq!(client.get("/stats").expect(200)["connections"], 6);
    drop(deaf);
    drop(client);
    wait_for_connections(&server, 0);
}
