//! Where messages end, on streams and in datagrams.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixDatagram;

use super::start;
use crate::ingest::sockets::{events, members, tcp, udp, unix_path};
use crate::wait::wait_until;

const MAX: usize = 64 * 1024;

#[test]
fn lines_and_counted_messages_mix() {
    let server = start();
    tcp(&server)
        .write_all(b"<1>a\n8 <2>b\nc\r\n<3>d\r\n\n4 <4>e\n7 <5>f\x00gh")
        .unwrap();
    let events = events(&server, 5);
    assert_eq!(
        members(&events, "message"),
        ["a", "b\nc", "d", "e", "f\0gh"]
    );
    let severities: Vec<_> = events
        .iter()
        .map(|event| event["payload"]["severity"].as_u64().unwrap())
        .collect();
    assert_eq!(severities, [1, 2, 3, 4, 5]);
}

#[test]
fn a_message_may_come_in_pieces() {
    let server = start();
    let mut stream = tcp(&server);
    stream.set_nodelay(true).unwrap();
    for (at, piece) in ["<1>fi", "rst\n<1>second\n1", "0 <1>a thi", "rd"]
        .into_iter()
        .enumerate()
    {
        stream.write_all(piece.as_bytes()).unwrap();
        // What was complete is there before the rest is sent.
        events(&server, [0, 2, 2, 3][at]);
    }
    assert_eq!(
        members(&events(&server, 3), "message"),
        ["first", "second", "a third"]
    );
}

#[test]
fn a_thousand_messages_may_come_in_one_write() {
    let server = start();
    let text: String = (0..1_000)
        .map(|number| format!("<1>tag: {number}\n"))
        .collect();
    tcp(&server).write_all(text.as_bytes()).unwrap();
    let found = members(&events(&server, 1_000), "message");
    assert!(found
        .iter()
        .enumerate()
        .all(|(at, text)| *text == at.to_string()));
}

#[test]
fn a_message_has_64_kib() {
    let server = start();
    let mut stream = tcp(&server);
    let text = |length: usize| format!("<1>{}", "a".repeat(length - 3));
    for length in [MAX, MAX + 1, 3 * MAX] {
        stream
            .write_all(format!("{}\n", text(length)).as_bytes())
            .unwrap();
        stream
            .write_all(format!("{length} {}", text(length)).as_bytes())
            .unwrap();
    }
    stream.write_all(b"<1>next\n").unwrap();
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(unix_path(&server)).unwrap();
    let all = events(&server, 7);
    for (at, event) in all[..6].iter().enumerate() {
        assert_eq!(event["payload"]["message"].as_str().unwrap().len(), MAX - 3);
        let truncated = event["payload"].get("truncated").is_some();
        assert_eq!(truncated, at >= 2, "{at}");
    }
    assert_eq!(all[6]["payload"]["message"], "next");
    socket.send(text(MAX + 1).as_bytes()).unwrap();
    let last = events(&server, 8).pop().unwrap();
    assert_eq!(last["payload"]["message"].as_str().unwrap().len(), MAX - 3);
    assert_eq!(last["payload"]["truncated"], true);
}

#[test]
fn the_end_of_a_connection_ends_a_message() {
    let server = start();
    tcp(&server).write_all(b"<1>a\n<1>no end").unwrap();
    events(&server, 2);
    tcp(&server).write_all(b"20 <1>cut").unwrap();
    let events = events(&server, 3);
    assert_eq!(members(&events, "message"), ["a", "no end", "cut"]);
    let truncated: Vec<_> = events
        .iter()
        .map(|event| event["payload"].get("truncated").is_some())
        .collect();
    assert_eq!(truncated, [false, false, true]);
}

#[test]
fn a_count_with_too_many_digits_closes_the_connection() {
    let server = start();
    let mut stream = tcp(&server);
    stream.write_all(b"<1>a\n12345678 <1>b").unwrap();
    let mut rest = Vec::new();
    // The end, or a reset where bytes were left unread.
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
    assert_eq!(members(&events(&server, 1), "message"), ["a"]);
    wait_until("a rejected record", || {
        server.json("/stats")["rejected"] == 1
    });
}

#[test]
fn an_empty_datagram_and_an_empty_line_are_no_messages() {
    let server = start();
    udp(&server).send(b"").unwrap();
    let mut stream = tcp(&server);
    stream.write_all(b"\n\n\r\n<1>a\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(members(&events(&server, 1), "message"), ["a"]);
}
