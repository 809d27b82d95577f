//! Answers that are streams: in chunks, of a known length, ended by closing, broken off.

use super::connection::{conn, lingers_then_ends, take, text, GET};
use super::machine::at;
use logagg::http::{Conn, Response, Step};

fn stream_to(request: &[u8]) -> Conn {
    let mut conn = conn();
    conn.receive(request, at(0));
    assert_eq!(conn.next(at(0)), Step::Request);
    conn.start_stream(&Response::new(200, "text/event-stream", b""), None, at(0));
    assert_eq!(conn.next(at(0)), Step::Idle);
    conn
}

#[test]
fn a_stream_in_chunks() {
    let mut conn = stream_to(&GET.repeat(2));
    assert!(conn.is_streaming() && !conn.wants_read());
    conn.stream(b"hello", at(0));
    conn.stream(b"", at(0));
    let out = take(&mut conn, 0);
    assert!(out.contains("\r\nTransfer-Encoding: chunked\r\n") && !out.contains("Content-Length"));
    assert!(out.ends_with("\r\n\r\n5\r\nhello\r\n"), "{out}");
    // Silence is no fault of the client.
    assert_eq!(conn.deadline(), None);
    conn.end_stream(at(0));
    assert_eq!(conn.next(at(0)), Step::Request);
    assert_eq!(take(&mut conn, 0), "0\r\n\r\n");
}

#[test]
fn a_stream_is_written_into_memory_that_is_lent() {
    let mut conn = stream_to(GET);
    take(&mut conn, 0);
    let mut spare = Vec::with_capacity(100_000);
    let part = |text: &'static [u8]| {
        move |out: &mut Vec<u8>| {
            out.extend_from_slice(text);
            Ok::<_, ()>(())
        }
    };
    conn.lend(&mut spare);
    assert!(spare.capacity() < 100_000);
    assert_eq!(conn.stream_with(part(b"hello"), at(0)), Ok(()));
    // What fails half-way leaves nothing, and what writes nothing does not end the body.
    let fails = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"half");
        Err::<(), _>("broken")
    };
    assert_eq!(conn.stream_with(fails, at(0)), Err("broken"));
    assert_eq!(conn.stream_with(part(b""), at(0)), Ok(()));
    conn.give_back(&mut spare);
    assert!(spare.capacity() < 100_000, "something waits in it");
    // After a part that waits comes the next, also where its line is a longer one.
    assert_eq!(conn.stream_with(part(&[b'x'; 300]), at(0)), Ok(()));
    conn.check_invariants();
    let expected = format!("5\r\nhello\r\n12c\r\n{}\r\n", "x".repeat(300));
    assert_eq!(take(&mut conn, 0), expected);
    conn.give_back(&mut spare);
    assert!(spare.capacity() >= 100_000 && spare.is_empty());
    conn.end_stream(at(0));
    assert_eq!(take(&mut conn, 0), "0\r\n\r\n");
}

#[test]
fn a_stream_that_closing_ends() {
    let mut conn = stream_to(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    conn.stream(b"hello", at(0));
    conn.end_stream(at(0));
    let out = take(&mut conn, 0);
    assert!(
        out.contains("\r\nConnection: close\r\n") && !out.contains("chunked"),
        "{out}"
    );
    assert!(out.ends_with("\r\n\r\nhello"), "{out}");
    lingers_then_ends(&mut conn, 0);
}

#[test]
fn a_stream_of_known_length() {
    for (request, keeps) in [
        (GET, true),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
        (b"GET / HTTP/1.0\r\n\r\n", false),
    ] {
        for length in [10, 11] {
            let mut conn = conn();
            conn.receive(request, at(0));
            assert_eq!(conn.next(at(0)), Step::Request);
            conn.start_stream(&text(""), Some(length), at(0));
            conn.stream(b"hello", at(0));
            conn.stream(b"", at(0));
            conn.stream(b"world", at(0));
            conn.end_stream(at(0));
            let out = take(&mut conn, 0);
            assert!(!out.contains("chunked") && out.ends_with("\r\n\r\nhelloworld"));
            assert!(out.contains(&format!("\r\nContent-Length: {length}\r\n")));
            // One that is too short is broken off.
            if keeps && length == 10 {
                assert!(conn.wants_read() && !conn.is_streaming());
            } else {
                lingers_then_ends(&mut conn, 0);
            }
        }
    }
}

#[test]
fn a_stream_that_breaks() {
    let mut broken = stream_to(GET);
    broken.stream(b"x", at(0));
    broken.break_stream();
    assert!(take(&mut broken, 0).ends_with("1\r\nx\r\n"));
    lingers_then_ends(&mut broken, 0);

    let mut refused = stream_to(GET);
    refused.refuse(&text("x"), at(0));
    assert_eq!(take(&mut refused, 0).matches("HTTP/1.1 ").count(), 1);
    lingers_then_ends(&mut refused, 0);
}

#[test]
fn a_stream_to_head_is_its_head() {
    let mut conn = stream_to(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(!conn.is_streaming());
    conn.stream(b"x", at(0));
    conn.end_stream(at(0));
    assert!(take(&mut conn, 0).ends_with("\r\n\r\n"));
    assert!(conn.wants_read());
}
