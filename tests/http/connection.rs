//! The life of a connection: time, closing, draining, and what it holds in memory.

use super::machine::{at, drive, Transcript, CONTINUE, LIMIT};
use logagg::http::{Conn, Response, Step};

pub const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

pub fn conn() -> Conn {
    Conn::new(LIMIT, at(0))
}

pub fn text(body: impl Into<Vec<u8>>) -> Response {
    Response::new(200, "text/plain", body.into())
}

/// Takes all output and returns it.
pub fn take(conn: &mut Conn, ms: u64) -> String {
    let out = conn.output().to_vec();
    conn.sent(out.len(), at(ms));
    conn.check_invariants();
    String::from_utf8(out).unwrap()
}

/// Bytes held for a connection.
fn held(conn: &Conn) -> usize {
    conn.received() + conn.to_send()
}

/// Shuts down as the shell does, and checks that the connection lingers and then is done.
pub fn lingers_then_ends(conn: &mut Conn, ms: u64) {
    assert!(conn.wants_shutdown() && !conn.is_done());
    conn.shutdown_done(at(ms));
    assert!(conn.wants_read() && !conn.is_done() && !conn.wants_shutdown());
    conn.receive(GET, at(ms));
    assert_eq!((conn.next(at(ms)), held(conn)), (Step::Idle, 0));
    assert_eq!(conn.deadline(), Some(ms + 2_000));
    conn.expire(at(ms + 2_000));
    assert!(conn.is_done() && !conn.wants_read());
    assert_eq!(conn.deadline(), None);
    conn.check_invariants();
}

#[test]
fn continue_comes_when_the_body_is_wanted_and_not_there() {
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let mut late = conn();
    late.receive(head, at(0));
    assert_eq!(late.next(at(0)), Step::Head);
    assert_eq!(late.next(at(0)), Step::Idle);
    assert!(late.output().is_empty());
    late.admit(at(0));
    assert_eq!(late.next(at(0)), Step::Idle);
    assert!(late.is_receiving());
    assert_eq!(late.output(), CONTINUE);
    late.receive(b"abc", at(0));
    assert_eq!(late.next(at(0)), Step::Request);
    assert_eq!(late.take_body(), b"abc");

    let mut prompt = conn();
    prompt.receive(&[&head[..], b"a"].concat(), at(0));
    assert_eq!(prompt.next(at(0)), Step::Head);
    prompt.admit(at(0));
    assert_eq!(
        (prompt.next(at(0)), prompt.output()),
        (Step::Idle, &b""[..])
    );
}

/// What is a part of the program is sent from where it is, whatever is cut and whatever comes after it.
#[test]
fn a_part_of_the_program_takes_no_memory() {
    static PART: [u8; 200_000] = [b'p'; 200_000];
    let whole = |length: usize| Response::new(200, "text/plain", &PART[..length]);
    let mut conn = conn();
    conn.receive(&GET.repeat(3), at(0));
    assert_eq!(conn.next(at(0)), Step::Request);
    conn.respond(&whole(PART.len()), at(0));
    assert!(conn.to_send() < 1_000 && conn.unsent() > PART.len());
    // The next request is not looked at while so much waits.
    assert_eq!(conn.next(at(0)), Step::Idle);
    let mut sent = Vec::new();
    while conn.unsent() > 10_000 {
        let n = conn.output().len().min(7_001);
        sent.extend_from_slice(&conn.output()[..n]);
        conn.sent(n, at(0));
        conn.check_invariants();
    }
    // These come after it, and are copied where something else follows.
    for length in [5_000, 10] {
        assert_eq!(conn.next(at(0)), Step::Request);
        conn.respond(&whole(length), at(0));
    }
    while conn.unsent() > 0 {
        let n = conn.output().len();
        sent.extend_from_slice(conn.output());
        conn.sent(n, at(0));
        conn.check_invariants();
    }
    assert!(conn.output().is_empty());
    assert_eq!(conn.to_send(), 0);
    let count = sent.iter().filter(|byte| **byte == b'p').count();
    let heads = 3 * "Content-Type: text/plain".matches('p').count();
    assert_eq!(count, PART.len() + 5_000 + 10 + heads);
    assert!(sent.ends_with(&[&b"\r\n\r\n"[..], &[b'p'; 10]].concat()));
}

#[test]
fn a_slow_head_is_408() {
    let mut conn = conn();
    assert_eq!(conn.deadline(), Some(75_000));
    conn.receive(b"G", at(1_000));
    assert_eq!(conn.next(at(1_000)), Step::Idle);
    conn.receive(b"ET", at(9_000));
    assert_eq!(
        (conn.next(at(9_000)), conn.deadline()),
        (Step::Idle, Some(11_000))
    );
    conn.expire(at(10_999));
    assert_eq!(conn.next(at(10_999)), Step::Idle);
    conn.expire(at(11_000));
    assert_eq!(conn.next(at(11_000)), Step::Refused(408));
    assert_eq!(conn.next(at(11_000)), Step::Idle);
    let answer = take(&mut conn, 11_000);
    assert!(
        answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
        "{answer}"
    );
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    lingers_then_ends(&mut conn, 11_000);
}

/// A request that is all there and was not looked at, because answers before it have to leave, is no slow one.
#[test]
fn a_head_that_is_complete_is_never_408() {
    let mut conn = conn();
    conn.receive(GET, at(0));
    assert_eq!(conn.next(at(0)), Step::Request);
    conn.receive(&[b"\r\n", GET].concat(), at(1_000));
    conn.respond(&text("first"), at(1_000));
    // The shell does not ask for the next one while the first answer waits.
    conn.expire(at(11_000));
    assert!(conn.deadline() > Some(11_000));
    assert!(take(&mut conn, 12_000).ends_with("first"));
    assert_eq!(conn.next(at(12_000)), Step::Request);
}

#[test]
fn a_body_has_to_get_on() {
    for body in ["Content-Length: 9000", "Transfer-Encoding: chunked"] {
        let mut conn = Conn::new(1 << 20, at(0));
        conn.receive(
            format!("POST / HTTP/1.1\r\nHost: h\r\n{body}\r\n\r\n").as_bytes(),
            at(0),
        );
        assert_eq!(conn.next(at(0)), Step::Head);
        conn.admit(at(5));
        conn.receive(b"400\r\n", at(10));
        assert_eq!(
            (conn.next(at(10)), conn.deadline()),
            (Step::Idle, Some(20_005))
        );
        conn.receive(&[b'x'; 1018], at(20_000));
        assert_eq!(conn.deadline(), Some(20_005));
        conn.receive(b"x", at(20_004));
        assert_eq!(conn.deadline(), Some(40_004));
        conn.expire(at(40_004));
        assert_eq!(conn.next(at(40_004)), Step::Refused(408));
        assert_eq!(take(&mut conn, 40_004).matches("HTTP/1.1 408").count(), 1);
        lingers_then_ends(&mut conn, 40_004);
    }
}

#[test]
fn an_idle_connection_ends_without_a_word() {
    let mut conn = conn();
    conn.receive(GET, at(5_000));
    drive(&mut conn, &mut Transcript::default(), at(6_000));
    assert_eq!(conn.deadline(), Some(81_000));
    conn.receive(b"\r\n", at(7_000));
    assert_eq!(
        (conn.next(at(7_000)), conn.deadline()),
        (Step::Idle, Some(82_000))
    );
    conn.expire(at(82_000));
    assert!(conn.is_done() && conn.output().is_empty());
}

#[test]
fn nothing_is_expected_of_a_client_that_waits() {
    let mut conn = conn();
    conn.receive(&[GET, b"GET"].concat(), at(0));
    assert_eq!(conn.next(at(0)), Step::Request);
    assert_eq!(conn.deadline(), None);
    assert!(!conn.wants_read());
    assert_eq!(conn.next(at(0)), Step::Idle);
    conn.respond(&text("x"), at(50_000));
    assert_eq!(conn.next(at(50_000)), Step::Idle);
    // The next head begins to count now.
    assert_eq!(conn.deadline(), Some(60_000));
    assert!(conn.wants_read());
}

#[test]
fn a_client_must_take_its_answer() {
    let mut conn = conn();
    conn.receive(GET, at(0));
    assert_eq!(conn.next(at(0)), Step::Request);
    conn.respond(&text("x"), at(1_000));
    assert_eq!(conn.deadline(), Some(31_000));
    conn.sent(1, at(30_000));
    assert_eq!(conn.deadline(), Some(60_000));
    conn.expire(at(60_000));
    assert!(conn.is_done());
    assert_eq!((conn.next(at(60_000)), held(&conn)), (Step::Idle, 0));
}

#[test]
fn answers_that_wait_stop_the_next_request() {
    let mut conn = conn();
    conn.receive(&GET.repeat(3), at(0));
    assert_eq!(conn.next(at(0)), Step::Request);
    conn.respond(&text(vec![b'x'; 64 * 1024]), at(0));
    assert_eq!(conn.next(at(0)), Step::Idle);
    assert!(!conn.wants_read());
    assert_eq!(conn.deadline(), Some(30_000));
    conn.sent(1_000, at(20_000));
    assert_eq!(conn.next(at(20_000)), Step::Request);
    conn.respond(&text("y"), at(20_000));
    assert_eq!(conn.next(at(20_000)), Step::Request);
    conn.respond(&text("z"), at(20_000));
    let rest = take(&mut conn, 20_000);
    assert!(rest.find("\r\n\r\ny").unwrap() < rest.find("\r\n\r\nz").unwrap());
}

#[test]
fn reading_ahead_has_a_bound() {
    let mut conn = conn();
    conn.receive(&GET.repeat(4_000), at(0));
    assert_eq!(conn.next(at(0)), Step::Request);
    conn.respond(&text(vec![b'x'; 70_000]), at(0));
    assert!(!conn.wants_read());
    take(&mut conn, 0);
    assert!(!conn.wants_read(), "more than 64 KiB are unread");
    let mut seen = Transcript::default();
    drive(&mut conn, &mut seen, at(0));
    assert_eq!((seen.requests.len(), held(&conn)), (3_999, 0));
    assert!(conn.wants_read());
}

#[test]
fn a_client_that_has_said_all_still_gets_its_answer() {
    let mut conn = conn();
    conn.receive(GET, at(0));
    conn.receive_end();
    assert_eq!(conn.next(at(0)), Step::Request);
    assert_eq!(conn.next(at(0)), Step::Idle);
    assert!(!conn.is_done() && !conn.wants_shutdown() && !conn.wants_read());
    conn.respond(&text("x"), at(0));
    assert_eq!(conn.next(at(0)), Step::Idle);
    assert!(!conn.wants_shutdown());
    assert!(take(&mut conn, 0).ends_with("\r\n\r\nx"));
    assert!(conn.wants_shutdown());
    conn.shutdown_done(at(0));
    assert!(conn.is_done());
}

#[test]
fn lingering_ends_with_the_peer() {
    let mut conn = conn();
    conn.receive(b"bad\r\n\r\n", at(0));
    assert_eq!(conn.next(at(0)), Step::Refused(400));
    take(&mut conn, 0);
    conn.shutdown_done(at(0));
    conn.receive_end();
    assert!(conn.is_done());
}

#[test]
fn draining() {
    // Idle: at once.
    let mut idle = conn();
    idle.begin_close();
    assert!(idle.is_done());

    // In hand: the answer says that it is the last; what is pipelined after it is not looked at.
    let mut busy = conn();
    busy.receive(&GET.repeat(2), at(0));
    assert_eq!(busy.next(at(0)), Step::Request);
    busy.begin_close();
    assert!(!busy.is_done());
    busy.respond(&text("x"), at(0));
    assert_eq!(busy.next(at(0)), Step::Idle);
    assert!(take(&mut busy, 0).contains("\r\nConnection: close\r\n"));
    lingers_then_ends(&mut busy, 0);

    // A head that has begun may become a request, to be answered before the end.
    let mut begun = conn();
    begun.receive(&GET[..5], at(0));
    begun.begin_close();
    assert_eq!(begun.next(at(0)), Step::Idle);
    begun.receive(&GET[5..], at(0));
    assert_eq!(begun.next(at(0)), Step::Request);
    begun.respond(&Response::error(503, "going down"), at(0));
    assert!(take(&mut begun, 0).contains("\r\nConnection: close\r\n"));
    lingers_then_ends(&mut begun, 0);

    // An answer that waits is sent first.
    let mut waiting = conn();
    waiting.receive(GET, at(0));
    assert_eq!(waiting.next(at(0)), Step::Request);
    waiting.respond(&text("x"), at(0));
    waiting.begin_close();
    assert!(!waiting.is_done());
    take(&mut waiting, 0);
    lingers_then_ends(&mut waiting, 0);
}

#[test]
fn the_shell_may_refuse_at_any_time() {
    let post = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na";
    for (received, admitted) in [
        (&b""[..], false),
        (&GET[..9], false),
        (GET, false),
        (&post[..], true),
    ] {
        let mut conn = conn();
        conn.receive(received, at(0));
        conn.next(at(0));
        if admitted {
            conn.admit(at(0));
        }
        conn.refuse(
            &Response::error(503, "no room").header("Retry-After", "1"),
            at(0),
        );
        assert_eq!(conn.next(at(0)), Step::Idle);
        // An answer that the application has still under way is too late.
        conn.respond(&text("late"), at(0));
        conn.refuse(&text("twice"), at(0));
        let out = take(&mut conn, 0);
        assert_eq!(out.matches("HTTP/1.1 ").count(), 1);
        assert!(out.starts_with("HTTP/1.1 503 ") && out.contains("\r\nRetry-After: 1\r\n"));
        assert!(out.contains("\r\nConnection: close\r\n"));
        lingers_then_ends(&mut conn, 0);
    }
}

#[test]
fn fields_of_a_request() {
    let mut conn = conn();
    let head =
        b"GET /a?b HTTP/1.1\r\nHost: h\r\nX-A: 1 \r\nx-a:\t\xff\r\nBin: \xff\r\nEmpty:\r\n\r\n";
    conn.receive(head, at(0));
    assert_eq!(conn.next(at(0)), Step::Request);
    let request = conn.request();
    assert_eq!(request.header("x-A"), Some("1"));
    assert_eq!(
        request.headers("X-A").collect::<Vec<_>>(),
        [&b"1"[..], b"\xff"]
    );
    assert_eq!(
        (request.header("bin"), request.header("none")),
        (None, None)
    );
    assert_eq!(request.header("empty"), Some(""));
    assert_eq!(
        (request.content_length(), request.has_body()),
        (None, false)
    );
    assert_eq!(request.target(), "/a?b");
}

#[test]
fn memory_follows_what_arrives_and_not_what_is_promised() {
    let mut conn = Conn::new(1 << 30, at(0));
    conn.receive(
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n",
        at(0),
    );
    assert_eq!(conn.next(at(0)), Step::Head);
    assert_eq!(conn.request().content_length(), Some(1_000_000_000));
    conn.admit(at(0));
    conn.receive(b"x", at(0));
    assert!(held(&conn) < 5_000);

    // A body that comes whole takes no more than its length; afterwards nothing large is kept.
    let mut conn = Conn::new(1 << 30, at(0));
    conn.receive(
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n",
        at(0),
    );
    assert_eq!(conn.next(at(0)), Step::Head);
    conn.admit(at(0));
    for _ in 0..20 {
        conn.receive(&[b'x'; 10_000], at(0));
    }
    assert_eq!(conn.next(at(0)), Step::Request);
    let body = conn.take_body();
    assert_eq!((body.len(), body.capacity()), (200_000, 200_000));
    conn.recycle(body);
    conn.respond(&text("x"), at(0));
    take(&mut conn, 0);
    assert_eq!(held(&conn), 0);

    // A small one is used again.
    let mut conn = Conn::new(1 << 30, at(0));
    let post = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    let mut place = None;
    for _ in 0..3 {
        conn.receive(post, at(0));
        assert_eq!(conn.next(at(0)), Step::Head);
        conn.admit(at(0));
        assert_eq!(conn.next(at(0)), Step::Request);
        let body = conn.take_body();
        assert_eq!(body, b"abc");
        assert_eq!(*place.get_or_insert(body.as_ptr()), body.as_ptr());
        conn.recycle(body);
        conn.respond(&text("x"), at(0));
        take(&mut conn, 0);
    }
}
