//! `Expect: 100-continue` (RFC 9110 §10.1.1): the body is asked for, or the request is refused without.

use super::{check_fields, PUBLISH};
use crate::harness::{event, Server};

#[test]
fn the_body_is_asked_for() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for number in 0..3 {
        let body = event("expect", &number.to_string()).to_string();
        client.send(format!(
            "{PUBLISH}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ));
        let interim = client.response();
        assert_eq!(interim.status, 100);
        assert_eq!(interim.header("content-length"), None);
        client.send(&body);
        let answer = client.response();
        check_fields(&answer);
        assert_eq!(answer.expect(200)["accepted"], 1);

        let body = event("expect", &format!("chunked-{number}")).to_string();
        client.send(format!(
            "{PUBLISH}Transfer-Encoding: chunked\r\nexpect: 100-Continue\r\n\r\n"
        ));
        assert_eq!(client.response().status, 100);
        client.send(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
        assert_eq!(client.response().expect(200)["accepted"], 1);
    }
}

/// The answer comes in place of 100, and the connection, on which a body may or may not follow,
/// closes.
#[test]
fn a_request_that_its_head_refuses_is_answered_at_once() {
    let server = Server::start(&["--max-body-bytes", "4096"]);
    let json = "Content-Type: application/json\r\n";
    let cases = [
        (404, "POST /nothing", json, 100),
        (405, "POST /events", json, 100),
        (405, "PUT /publish", json, 100),
        (413, "POST /publish", json, 4097),
        (415, "POST /publish", "Content-Type: text/plain\r\n", 100),
        (415, "POST /publish", "", 100),
        (
            415,
            "POST /publish",
            "Content-Type: application/json\r\nContent-Encoding: br\r\n",
            100,
        ),
    ];
    for (status, line, fields, length) in cases {
        let mut client = server.client();
        client.send(format!(
            "{line} HTTP/1.1\r\nHost: test\r\n{fields}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        ));
        let response = client.response();
        check_fields(&response);
        response.sentence(status);
        assert_eq!(
            response.header("connection"),
            Some("close"),
            "{line} {status}"
        );
        assert!(client.is_closed());
    }
    assert_eq!(server.json("/stats")["received"], 0);
}

#[test]
fn a_body_that_came_along_needs_no_asking() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let body = event("expect", "1").to_string();
    client.send(format!(
        "{PUBLISH}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let mut response = client.response();
    if response.status == 100 {
        response = client.response();
    }
    assert_eq!(response.expect(200)["accepted"], 1);
    client.get("/health").expect(200);
}

/// Without a body there is nothing to ask for.
#[test]
fn a_request_without_body_gets_no_100() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let get = client.request("GET", "/health", &["Expect: 100-continue"], b"");
    get.expect(200);
    client.get("/health").expect(200);
}

/// HTTP/1.0 does not know interim answers: the expectation is ignored.
#[test]
fn http_1_0_gets_no_100() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let body = event("expect", "1").to_string();
    client.send(format!(
        "POST /publish HTTP/1.0\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    ));
    client.send(&body);
    assert_eq!(client.response().expect(200)["accepted"], 1);
    assert!(client.is_closed());
}
