//! Messages that are refused: each with its status, the connection closed, and nothing that stands
//! after them taken for a request.

use super::{assert_nothing_smuggled, assert_refused, PUBLISH};
use crate::harness::Server;

fn assert_all_refused(status: u16, messages: &[String]) {
    let server = Server::start(&[]);
    for message in messages {
        assert_refused(&server, status, message.as_bytes());
    }
    assert_nothing_smuggled(&server);
}

#[test]
fn content_length_that_is_no_single_number_is_400() {
    let values = [
        "+1",
        "-1",
        "1,2",
        "",
        " ",
        "0x1",
        "1 2",
        "1_0",
        "1.0",
        "a",
        "9223372036854775809",
        "18446744073709551616",
        "99999999999999999999999",
    ];
    let mut messages: Vec<String> = values
        .iter()
        .map(|value| format!("{PUBLISH}Content-Length: {value}\r\n\r\n{{}}"))
        .collect();
    messages.push(format!(
        "{PUBLISH}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"
    ));
    assert_all_refused(400, &messages);
}

#[test]
fn content_length_with_transfer_encoding_is_400() {
    let body = "0\r\n\r\n";
    assert_all_refused(
        400,
        &[
            format!("{PUBLISH}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n{body}"),
            format!("{PUBLISH}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n{body}"),
            format!("{PUBLISH}Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n{body}"),
        ],
    );
}

#[test]
fn transfer_encoding_that_is_not_one_final_chunked_is_400() {
    let values = [
        "chunked, chunked",
        "chunked, gzip",
        "gzip",
        "identity",
        "xchunked",
        "",
        "chunked;q=1",
        "\"chunked\"",
    ];
    let mut messages: Vec<String> = values
        .iter()
        .map(|value| format!("{PUBLISH}Transfer-Encoding: {value}\r\n\r\n0\r\n\r\n"))
        .collect();
    messages.push(format!(
        "{PUBLISH}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ));
    messages.push(
        "POST /publish HTTP/1.0\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            .into(),
    );
    assert_all_refused(400, &messages);
}

#[test]
fn unknown_coding_before_a_final_chunked_is_501() {
    assert_all_refused(
        501,
        &[
            format!("{PUBLISH}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            format!(
                "{PUBLISH}Transfer-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
        ],
    );
}

#[test]
fn bad_heads_are_400() {
    let get = |fields: &str| format!("GET /health HTTP/1.1\r\n{fields}\r\n");
    assert_all_refused(
        400,
        &[
            get(""),
            get("Host: a\r\nHost: a\r\n"),
            get("Host: a\r\nHost: b\r\n"),
            get("Host : a\r\n"),
            get("Host: a\r\nX-Field : b\r\n"),
            get("Host: a\r\nX-Field: b\r\n folded\r\n"),
            get("Host: a\r\nX-Field: b\r\n\tfolded\r\n"),
            get("Host: a\r\n X-Field: b\r\n"),
            get("Host: a\r\nX-Field: b\0c\r\n"),
            get("Host: a\r\nX-Field: b\rc\r\n"),
            get("Host: a\nX-Field: b\r\n"),
            get("Host: a\r\nX-Field b\r\n"),
            get("Host: a\r\n: b\r\n"),
            "GET /health HTTP/1.1\nHost: a\n\n".into(),
            "GET /health HTTP/1.1\nHost: a\r\n\r\n".into(),
            "GET /health HTTP/1.1\r\nHost: a\r\n\n".into(),
            "\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "GET  /health HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "GET /health  HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            " GET /health HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "GET /hea lth HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "GET /health\r\nHost: a\r\n\r\n".into(),
            "G\0T /health HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "GET health HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "GET /health http/1.1\r\nHost: a\r\n\r\n".into(),
            "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03 what TLS sends\r\n\r\n".into(),
        ],
    );
}

#[test]
fn other_versions_are_505() {
    let messages: Vec<String> = ["2.0", "0.9", "3.0", "9.9"]
        .iter()
        .map(|version| format!("GET /health HTTP/{version}\r\nHost: a\r\n\r\n"))
        .collect();
    assert_all_refused(505, &messages);
    assert_all_refused(505, &["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()]);
}

#[test]
fn bad_chunks_are_400() {
    let bodies = [
        "g\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        "-1\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "3 4\r\nabc\r\n0\r\n\r\n",
        "10000000000000003\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nno trailer field\r\n\r\n",
        "3\r\nabc\r\n0\r\nA : b\r\n\r\n",
    ];
    let mut messages: Vec<String> = bodies
        .iter()
        .map(|body| format!("{PUBLISH}Transfer-Encoding: chunked\r\n\r\n{body}"))
        .collect();
    messages.push(format!(
        "{PUBLISH}Transfer-Encoding: chunked\r\n\r\n3;{}\r\n",
        "x".repeat(8 * 1024)
    ));
    assert_all_refused(400, &messages);
}

#[test]
fn what_is_too_large_has_a_status_of_its_own() {
    let server = Server::start(&["--max-body-bytes", "4096"]);
    let refused = |status, message: String| assert_refused(&server, status, message.as_bytes());
    let long = "x".repeat(8 * 1024);
    refused(414, format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"));
    // The end of the target need not come.
    refused(414, format!("GET /{long}"));
    refused(
        431,
        format!("GET /health HTTP/1.1\r\nHost: a\r\nA: {long}\r\nB: {long}\r\n\r\n"),
    );
    refused(
        431,
        format!("GET /health HTTP/1.1\r\nHost: a\r\nA: {long}{long}"),
    );
    refused(
        431,
        format!(
            "GET /health HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "A: b\r\n".repeat(100)
        ),
    );
    let trailers = "A: b\r\n".repeat(101);
    refused(
        431,
        format!("{PUBLISH}Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n{trailers}\r\n"),
    );
    refused(413, format!("{PUBLISH}Content-Length: 4097\r\n\r\n"));
    refused(
        413,
        format!("{PUBLISH}Content-Length: 9223372036854775808\r\n\r\n"),
    );
    // A chunk size is enough: its data need not come.
    refused(
        413,
        format!("{PUBLISH}Transfer-Encoding: chunked\r\n\r\n1001\r\n"),
    );
    refused(
        413,
        format!(
            "{PUBLISH}Transfer-Encoding: chunked\r\n\r\nfff\r\n{}\r\n2\r\n",
            " ".repeat(4095)
        ),
    );
    refused(
        417,
        format!("{PUBLISH}Expect: 200-ok\r\nContent-Length: 2\r\n\r\n[]"),
    );
    refused(
        417,
        "GET /health HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n".into(),
    );
    assert_nothing_smuggled(&server);
}

/// The limits themselves are within what is taken.
#[test]
fn what_is_just_small_enough_is_taken() {
    let server = Server::start(&["--max-body-bytes", "4096"]);
    let mut client = server.client();
    let query = "x".repeat(8 * 1024 - "/health?".len());
    assert_eq!(client.get(&format!("/health?{query}")).status, 200);
    let fields = ["A: b"; 99];
    assert_eq!(client.request("GET", "/health", &fields, b"").status, 200);
    let mut body = crate::harness::event("limit", "1").to_string();
    body.push_str(&" ".repeat(4096 - body.len()));
    assert_eq!(client.publish(&body).status, 200);
    let head = "GET /health HTTP/1.1\r\nHost: a\r\nA: ";
    let value = "x".repeat(16 * 1024 - head.len() - 4);
    client.send(format!("{head}{value}\r\n\r\n"));
    assert_eq!(client.response().status, 200);
}

/// An ordinary error is no reason to close: the connection goes on after it.
#[test]
fn errors_of_requests_keep_the_connection() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let missing = client.get("/nothing");
    missing.sentence(404);
    let post = ["Content-Type: application/json"];
    assert_eq!(client.request("POST", "/nothing", &post, b"[]").status, 404);
    let wrong = client.get("/publish");
    wrong.sentence(405);
    assert_eq!(wrong.header("allow"), Some("POST, OPTIONS"));
    let wrong = client.request("DELETE", "/events", &[], b"");
    wrong.sentence(405);
    assert_eq!(wrong.header("allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(client.request("BREW", "/health", &[], b"").status, 405);
    let untyped = client.request("POST", "/publish", &[], b"[]");
    assert!(untyped.sentence(415).contains("application/json"));
    let coded = ["Content-Type: application/json", "Content-Encoding: br"];
    let coded = client.request("POST", "/publish", &coded, b"[]");
    coded.sentence(415);
    assert!(coded.header("accept-encoding").is_some());
    assert_eq!(client.publish("[]").status, 422);
    assert_eq!(client.get("/events?limit=0").status, 422);
    for response in [missing, wrong, untyped] {
        super::check_fields(&response);
        assert_eq!(response.header("connection"), None, "{response:?}");
    }
    assert_eq!(client.get("/health").status, 200);
}
