//! How the HTTP machine finds the end of a body (RFC 9112 §6 and §7.1), case by case.

mod machine;

use machine::{chunked, post, refused, taken, LIMIT};

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
