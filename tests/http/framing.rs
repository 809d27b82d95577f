//! How the HTTP machine finds the end of a body (RFC 9112 §6 and §7.1), case by case.

use super::machine::{at, chunked, post, refused, taken, LIMIT};
use logagg::http::{Conn, Step};

#[test]
fn content_length() {
    taken(post("Content-Length: 3\r\n", "abc"), "Post /p None", b"abc");
    taken(
        post("content-length:\t003 \r\n", "abc"),
        "Post /p None",
        b"abc",
    );
    taken(
        post("Content-Length: 3, 3\r\nContent-Length: 3\r\n", "abc"),
        "Post /p None",
        b"abc",
    );
    taken(post("Content-Length: 0\r\n", ""), "Post /p None", b"");
    taken(post("", ""), "Post /p None", b"");
    let full = "x".repeat(LIMIT);
    taken(
        post("Content-Length: 1000\r\n", &full),
        "Post /p None",
        full.as_bytes(),
    );
    for length in [
        "+1",
        "-1",
        "1,2",
        "",
        ",",
        "1,",
        "0x1",
        "1 1",
        "1.0",
        "1e0",
        "one",
        "9223372036854775809",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        refused(post(&format!("Content-Length: {length}\r\n"), "a"), 400);
    }
    refused(
        post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"),
        400,
    );
    refused(
        post("Content-Length: 1\r\nContent-Length: x\r\n", "ab"),
        400,
    );
    refused(post("Content-Length: 1001\r\n", ""), 413);
    refused(post("Content-Length: 9223372036854775808\r\n", ""), 413);
}

#[test]
fn transfer_encoding() {
    taken(chunked("3\r\nabc\r\n0\r\n\r\n"), "Post /p None", b"abc");
    taken(
        post("transfer-encoding: CHUNKED\r\n", "0\r\n\r\n"),
        "Post /p None",
        b"",
    );
    let body = "3\r\nabc\r\n0\r\n\r\n";
    for codings in [
        "gzip, chunked",
        "identity, chunked",
        "gzip;q=1, chunked",
        "gzip\r\nTransfer-Encoding: chunked",
    ] {
        refused(
            post(&format!("Transfer-Encoding: {codings}\r\n"), body),
            501,
        );
    }
    for codings in [
        "",
        ",",
        "gzip",
        "identity",
        "xchunked",
        "chunkedx",
        "chunked, gzip",
        "chunked, chunked",
        "chunked;a=b",
        "chunked,",
        ", chunked",
        "\"chunked\"",
        "chunked chunked",
        "\x0bchunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: gzip",
        "chunked\r\nTransfer-Encoding:",
    ] {
        refused(
            post(&format!("Transfer-Encoding: {codings}\r\n"), body),
            400,
        );
    }
    refused(
        post("Transfer-Encoding: chunked\r\nContent-Length: 13\r\n", body),
        400,
    );
    refused(
        post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", body),
        400,
    );
    let fields = "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n";
    refused(format!("POST / HTTP/1.0\r\n{fields}\r\n{body}"), 400);
}

#[test]
fn chunks() {
    for body in [
        "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        "00003\r\nabc\r\n000\r\n\r\n",
        "3;a=b;c=\"d e\"\r\nabc\r\n0;x\r\n\r\n",
        "3 ;a\r\nabc\r\n0\t;\r\n\r\n",
        "3\r\nabc\r\n0\r\nA: b\r\nC:\r\n\r\n",
        "3\r\nabc\r\n0\r\nTransfer-Encoding: x\r\nContent-Length: 7\r\n\r\n",
    ] {
        taken(chunked(body), "Post /p None", b"abc");
    }
    let digits = "0123456789abcdef".repeat(2);
    taken(
        chunked(&format!("1F\r\n{}\r\n1\r\nf\r\n0\r\n\r\n", &digits[..31])),
        "Post /p None",
        digits.as_bytes(),
    );
    for body in [
        "\r\n",
        "g\r\n",
        "+3\r\nabc\r\n",
        "-1\r\n",
        "0x3\r\nabc\r\n",
        " 3\r\nabc\r\n",
        "3 \r\nabc\r\n",
        "3 3\r\nabc\r\n",
        ";a\r\n",
        "3\nabc\r\n",
        "3\rabc\r\n",
        "3;a\nabc\r\n",
        "3;a\rb\r\nabc\r\n",
        "3;a\0\r\nabc\r\n",
        "3\r\nabcd\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\r0\r\n\r\n",
        "0\r\nA\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\0\r\n\r\n",
        "0\r\n\n",
        "0\r\n\rx",
        "10000000000000000\r\n",
        "fffffffffffffffff\r\n",
    ] {
        refused(chunked(body), 400);
    }
}

#[test]
fn chunks_have_bounds() {
    refused(chunked("3e9\r\n"), 413);
    refused(
        chunked(&format!("3e8\r\n{}\r\n1\r\n", "x".repeat(1000))),
        413,
    );
    refused(chunked("ffffffffffffffff\r\n"), 413);
    let fits = format!("0;{}\r\n\r\n", "x".repeat(4096 - 3));
    taken(chunked(&fits), "Post /p None", b"");
    refused(chunked(&format!("0;{}", "x".repeat(4096))), 400);
    refused(chunked(&format!("0\r\nA: {}", "x".repeat(8 * 1024))), 431);
    taken(
        chunked(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(100))),
        "Post /p None",
        b"",
    );
    refused(chunked(&format!("0\r\n{}", "A: b\r\n".repeat(101))), 431);
}

/// Twenty megabytes of one-byte chunks with long extensions, or with leading zeros, are not read to their end.
#[test]
fn framing_without_data_is_refused_early() {
    for size in [
        format!("1;{}", "x".repeat(999)),
        format!("{}1", "0".repeat(1_000)),
    ] {
        let chunk = format!("{size}\r\nx\r\n");
        let mut conn = Conn::new(20 << 20, at(0));
        conn.receive(chunked("").as_bytes(), at(0));
        assert_eq!(conn.next(at(0)), Step::Head);
        conn.admit(at(0));
        let mut read = 0;
        let status = loop {
            conn.receive(chunk.as_bytes(), at(0));
            read += chunk.len();
            match conn.next(at(0)) {
                Step::Idle => assert!(read < 20 << 20, "all of it was read"),
                Step::Refused(status) => break status,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(status, 400);
        assert!(read < 20 * 1024, "{read} bytes");
    }
}

/// What small chunks are sent with stays legal: no extension, a short one, or a long one with much data.
#[test]
fn framing_in_proportion_to_data_is_taken() {
    for (size, data, count) in [
        ("1", "x".to_owned(), 1000),
        ("001", "x".to_owned(), 1000),
        ("1;a=b", "x".to_owned(), 1000),
        ("0001 ; name=val", "x".to_owned(), 850),
    ] {
        let chunk = format!("{size}\r\n{data}\r\n");
        let body = format!("{}0\r\n\r\n", chunk.repeat(count));
        taken(
            chunked(&body),
            "Post /p None",
            data.repeat(count).as_bytes(),
        );
    }
    // The signature that some clients of object stores send with each chunk.
    let signed = format!(
        "3e8;chunk-signature={}\r\n{}\r\n",
        "a".repeat(64),
        "x".repeat(1000)
    );
    taken(
        chunked(&format!("{signed}0\r\n\r\n")),
        "Post /p None",
        "x".repeat(1000).as_bytes(),
    );
}
