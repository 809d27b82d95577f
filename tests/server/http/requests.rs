//! Requests in all their legal forms.

use super::{check_fields, exchange, publication, HEALTH};
use crate::harness::{Client, Server};

#[test]
fn head_says_what_get_would_say() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for target in ["/events", "/topics", "/nothing", "/", "/events?limit=x"] {
        let get = client.get(target);
        let head = client.request("HEAD", target, &[], b"");
        check_fields(&head);
        assert_eq!(head.status, get.status, "{target}");
        assert_eq!(head.header("content-length"), get.header("content-length"));
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
    // Nothing of a body follows: the next answer begins right after the head.
    client.send(format!(
        "HEAD /health HTTP/1.1\r\nHost: test\r\n\r\n{HEALTH}"
    ));
    assert_eq!(client.response_to("HEAD").status, 200);
    client.response().expect(200);
}

#[test]
fn options_lists_the_methods() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (target, allow) in [
        ("/publish", "POST, OPTIONS"),
        ("/events", "GET, HEAD, OPTIONS"),
        ("/events/a/b", "GET, HEAD, OPTIONS"),
        ("/health", "GET, HEAD, OPTIONS"),
    ] {
        let response = client.request("OPTIONS", target, &[], b"");
        check_fields(&response);
        assert_eq!(response.status, 204);
        assert_eq!(response.header("allow"), Some(allow), "{target}");
    }
    let response = client.request("OPTIONS", "*", &[], b"");
    check_fields(&response);
    assert_eq!(response.status, 204);
    let allow = response.header("allow").expect("OPTIONS * lists methods");
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        assert!(allow.split(", ").any(|m| m == method), "{allow}");
    }
    assert_eq!(client.request("OPTIONS", "/nothing", &[], b"").status, 404);
    // Only OPTIONS has a form with an asterisk (RFC 9112 §3.2.4).
    client.send("GET * HTTP/1.1\r\nHost: test\r\n\r\n");
    assert!(matches!(client.response().status, 400 | 404));
}

#[test]
fn targets_in_absolute_form_and_percent_encoded_letters() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for target in [
        "http://test/health",
        "http://elsewhere.example:81/health?x=y",
        "HTTP://test/health",
        "/he%61lth",
        "/%68%65%61%6C%74%68",
        "/health?",
        "/health?a=%",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(exchange(&mut client, request).status, 200, "{target}");
    }
    for target in ["http://test", "http://test/", "http://test?x"] {
        let root = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        let root = exchange(&mut client, root).expect(200);
        assert!(root.get("service").is_some(), "{target}: {root}");
    }
    for target in [
        "/health/",
        "/Health",
        "//health",
        "/events/a",
        "/events/%/b",
        "/events/%zz/b",
    ] {
        assert_eq!(client.get(target).status, 404, "{target}");
    }
}

#[test]
fn names_of_methods_and_fields() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let request =
        "GET /health HTTP/1.1\r\nhOsT:test   \r\nx-empty:\r\nCONNECTION:\tKeep-Alive\t\r\n\r\n";
    assert_eq!(exchange(&mut client, request).status, 200);
    let latin = b"GET /health HTTP/1.1\r\nHost: test\r\nX: \xe9\xff\r\n\r\n";
    assert_eq!(exchange(&mut client, latin).status, 200);
    // Methods are case-sensitive (RFC 9110 §9.1).
    assert_eq!(client.request("get", "/health", &[], b"").status, 405);
    // RFC 9112 §2.2: one empty line is passed over, before each request.
    for _ in 0..3 {
        assert_eq!(exchange(&mut client, format!("\r\n{HEALTH}")).status, 200);
    }
    // RFC 9112 §6.3: equal lengths are one length.
    let twice = publication("length", "1").replacen("Content-Length: ", "Content-Length: 00", 1);
    assert_eq!(exchange(&mut client, twice).status, 200);
}

/// A body that nobody asked for is not taken for the next request.
#[test]
fn get_with_a_body_leaves_the_next_request_alone() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let inner = publication("smuggled", "1");
    let outer = format!(
        "GET /health HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{inner}{HEALTH}",
        inner.len()
    );
    client.send(&outer);
    client.response().expect(200);
    client.response().expect(200);
    assert_eq!(client.get("/stats").expect(200)["received"], 0);
}

/// The same answers whatever the segments are.
#[test]
fn requests_in_single_bytes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let chunked = "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
                   Transfer-Encoding: chunked\r\n\r\n";
    let body = crate::harness::event("bytes", "2").to_string();
    let (front, back) = body.split_at(20);
    let all = [
        HEALTH.to_owned(),
        publication("bytes", "1"),
        format!(
            "{chunked}{:x};name=value\r\n{front}\r\n{:X}\r\n{back}\r\n0\r\nA: b\r\n\r\n",
            front.len(),
            back.len()
        ),
        HEALTH.to_owned(),
    ]
    .concat();
    send_in_bytes(&mut client, all.as_bytes());
    client.response().expect(200);
    assert_eq!(client.response().expect(200)["accepted"], 1);
    assert_eq!(client.response().expect(200)["accepted"], 1);
    client.response().expect(200);
    assert_eq!(client.get("/events/bytes/2").status, 200);
}

/// Each byte is a segment of its own: the socket does not wait to fill one.
fn send_in_bytes(client: &mut Client, bytes: &[u8]) {
    for byte in bytes {
        client.send([*byte]);
    }
}
