//! Bodies that are taken in pieces: their bound, their deadlines, and how they end.

use super::machine::{at, CONTINUE, LIMIT};
use logagg::http::{Conn, Response, Step};
use logagg::limits::BODY_PIECE_BYTES;

const HEAD: &[u8] = b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A connection that has begun to receive such a body.
fn begun() -> Conn {
    let mut conn = Conn::new(LIMIT, at(0));
    conn.receive(HEAD, at(0));
    assert_eq!(conn.next(at(0)), Step::Head);
    conn.admit_in_pieces(at(0));
    assert_eq!(conn.next(at(0)), Step::Idle);
    assert!(!conn.has_piece() && conn.wants_read() && conn.is_receiving());
    conn
}

fn chunk(bytes: usize) -> Vec<u8> {
    [
        format!("{bytes:x}\r\n").as_bytes(),
        &vec![b'x'; bytes],
        b"\r\n",
    ]
    .concat()
}

#[test]
fn such_a_body_has_no_limit_and_takes_bounded_memory() {
    let mut conn = begun();
    let mut taken = 0;
    for _ in 0..200 {
        while conn.wants_read() {
            conn.receive(&chunk(40_000), at(0));
            assert_eq!(conn.next(at(0)), Step::Idle);
        }
        assert!(conn.received() <= 4 * BODY_PIECE_BYTES);
        taken += conn.take_piece().len();
        conn.check_invariants();
        // Nothing is read, and nothing expected, while the piece is at work.
        assert!(!conn.wants_read() && !conn.has_piece() && !conn.is_receiving());
        assert_eq!((conn.deadline(), conn.next(at(0))), (None, Step::Idle));
        conn.next_piece(at(0));
    }
    assert!(taken >= 200 * BODY_PIECE_BYTES);
    conn.receive(
        b"1\r\ny\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        at(0),
    );
    assert_eq!(
        (conn.next(at(0)), conn.take_body()),
        (Step::Request, b"y".to_vec())
    );
    conn.respond(&Response::empty(204), at(0));
    assert_eq!(conn.next(at(0)), Step::Request);
    assert_eq!(conn.request().target(), "/");
}

#[test]
fn a_body_that_goes_on_or_waits_for_us_is_never_too_slow() {
    let mut conn = begun();
    for second in 0..100 {
        conn.receive(&chunk(1), at(second * 19_000));
        assert_eq!(conn.deadline(), Some(second * 19_000 + 20_000));
    }
    assert_eq!(conn.take_piece().len(), 100);
    assert_eq!(conn.deadline(), None);
    conn.expire(at(9_000_000));
    conn.next_piece(at(9_000_000));
    assert_eq!(conn.deadline(), Some(9_020_000));
    conn.expire(at(9_020_000));
    assert_eq!(conn.next(at(9_020_000)), Step::Refused(408));
}

#[test]
fn what_has_come_of_a_body_that_is_cut_is_taken_first() {
    let mut conn = begun();
    conn.receive(&chunk(3)[..5], at(0));
    conn.receive_end();
    assert_eq!(conn.next(at(0)), Step::Idle);
    assert_eq!(conn.take_piece(), b"xx");
    assert_eq!(conn.next(at(0)), Step::Idle);
    conn.next_piece(at(0));
    assert_eq!(conn.next(at(0)), Step::Refused(400));
}

#[test]
fn an_answer_before_the_end_closes() {
    for is_taken in [false, true] {
        let mut conn = begun();
        conn.receive(&chunk(3), at(0));
        if is_taken {
            conn.take_piece();
        }
        conn.respond(&Response::empty(204), at(0));
        conn.check_invariants();
        assert!(String::from_utf8_lossy(conn.output()).contains("Connection: close"));
        conn.sent(conn.output().len(), at(0));
        assert!(conn.wants_shutdown() && !conn.has_piece());
        conn.next_piece(at(0));
        assert_eq!(conn.next(at(0)), Step::Idle);
    }
}

#[test]
fn continue_is_answered_and_a_length_has_no_limit() {
    let mut conn = Conn::new(LIMIT, at(0));
    let head = "POST /p HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 9000000000\r\n\r\n";
    conn.receive(head.replace("1.0", "1.1\r\nHost: h").as_bytes(), at(0));
    assert_eq!(conn.next(at(0)), Step::Head);
    conn.admit_in_pieces(at(0));
    assert_eq!((conn.next(at(0)), conn.output()), (Step::Idle, CONTINUE));
}
