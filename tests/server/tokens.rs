//! Tokens: who may do what, and what becomes of the file that says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{event, Client, Log, Response, Server, Setup};
use crate::report::Tally;

pub const BOTH: &str = "secret-of-both";
pub const PUBLISH: &str = "secret-of-publisher";
pub const READ: &str = "secret-of-reader";
pub const FILE: &str = "# who may do what\n\n\
    app publish secret-of-publisher\n\
    dashboard read secret-of-reader\n\
    admin publish,read secret-of-both\n";

static REFUSALS: Tally = Tally::new(
    "tokens-refused",
    "requests without a token, with an unknown one or without the scope answered 401 or 403, before any \
     other fault of theirs; nothing of them stored, and no token in an answer",
);

pub const INVALID: &str = "Bearer error=\"invalid_token\"";
pub const INSUFFICIENT: &str = "Bearer error=\"insufficient_scope\"";

/// A setup whose tokens file holds this text and is its owner's alone.
pub fn with_file(text: impl AsRef<[u8]>) -> (Setup, PathBuf) {
    let setup = Setup::new();
    let path = setup.directory().join("tokens");
    write(&path, text);
    (
        setup.flags(["--auth-tokens-file".into(), path.clone()]),
        path,
    )
}

pub fn write(path: &PathBuf, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

pub fn started() -> (Server, PathBuf) {
    let (setup, path) = with_file(FILE);
    (setup.start(), path)
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

pub fn get(client: &mut Client, target: &str, token: &str) -> Response {
    client.request("GET", target, &[&bearer(token)], b"")
}

pub fn publish(client: &mut Client, event_id: &str, token: &str) -> Response {
    let headers = ["Content-Type: application/json", &bearer(token)];
    let body = event("t", event_id).to_string();
    client.request("POST", "/publish", &headers, body.as_bytes())
}

/// Checks a refusal: its status, its challenge, and that one sentence says why and tells no token.
pub fn refused(response: &Response, status: u16, challenge: &str) {
    response.sentence(status);
    let whole = format!("{response:?}");
    assert!(!whole.contains("secret"), "{whole}");
    assert_eq!(response.header("www-authenticate"), Some(challenge));
    REFUSALS.count();
}

/// Asks for the file to be read again, and waits for `count` lines with `part`.
pub fn reload(server: &Server, count: usize, part: &str) -> Vec<String> {
    server.signal(Signal::HUP);
    server.log().wait_for(count, part)
}

pub fn tells_no_token(log: &Log) {
    let text = log.text();
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn without_a_tokens_file_everything_is_open() {
    for setup in [Setup::new(), Setup::new().variable("AUTH_TOKENS_FILE", "")] {
        let server = setup.start();
        let mut client = server.client();
        client.publish(event("t", "1").to_string()).expect(200);
        for target in [
            "/",
            "/health",
            "/events",
            "/events/t/1",
            "/topics",
            "/stats",
        ] {
            client.get(target).expect(200);
            // Credentials that nobody asked for do no harm.
            get(&mut client, target, "whatever").expect(200);
        }
        client.get("/nothing").sentence(404);
    }
}

#[test]
fn each_token_opens_what_its_scopes_say() {
    let (server, _) = started();
    let mut client = server.client();
    for (token, may_publish, may_read) in [
        (PUBLISH, true, false),
        (READ, false, true),
        (BOTH, true, true),
    ] {
        let answer = publish(&mut client, token, token);
        if may_publish {
            assert_eq!(answer.expect(200)["accepted"], 1);
        } else {
            refused(&answer, 403, INSUFFICIENT);
        }
        for target in ["/events", "/events/t/secret-of-both", "/topics", "/stats"] {
            let answer = get(&mut client, target, token);
            match (may_read, answer.status) {
                (true, 404) => assert_eq!(token, READ, "{target} is not there yet"),
                (true, _) => assert!(answer.expect(200).is_object()),
                (false, _) => refused(&answer, 403, INSUFFICIENT),
            }
        }
    }
    // What was refused was not stored.
    assert_eq!(get(&mut client, "/stats", READ).expect(200)["received"], 2);
    REFUSALS.tell();
}

#[test]
fn a_request_without_a_known_token_is_401() {
    let (server, _) = started();
    let mut client = server.client();
    let requests = [
        ("GET", "/events"),
        ("GET", "/events/t/1"),
        ("GET", "/topics"),
        ("GET", "/stats"),
        ("GET", "/events?limit=x"),
        ("POST", "/publish"),
    ];
    for (method, target) in requests {
        let mut ask = |headers: &[&str]| client.request(method, target, headers, b"");
        refused(&ask(&[]), 401, "Bearer");
        for other in [
            "Authorization: Basic c2VjcmV0LW9mLWJvdGg6",
            "Authorization: Bearer",
            "Authorization: secret-of-both",
            "Authorization:",
            "X-Authorization: Bearer secret-of-both",
            "Cookie: token=secret-of-both",
        ] {
            refused(&ask(&[other]), 401, "Bearer");
        }
        for unknown in [
            "x",
            "secret-of-",
            "secret-of-both2",
            "SECRET-OF-BOTH",
            "secret-of-both secret-of-both",
            "admin",
            "\u{e4}",
        ] {
            refused(&ask(&[&bearer(unknown)]), 401, INVALID);
        }
        // Two fields contradict each other, or might.
        refused(&ask(&[&bearer(BOTH), &bearer(BOTH)]), 401, INVALID);
        // A token is taken from nowhere else (RFC 6750 §2.3 has a query value).
        let with_query = format!("{target}?access_token=secret-of-both");
        refused(
            &client.request(method, &with_query, &[], b""),
            401,
            "Bearer",
        );
    }
    // The field's name and the scheme are told apart without regard to case.
    for field in [
        "authorization: bearer secret-of-both",
        "AUTHORIZATION: BEARER secret-of-both",
        "Authorization:Bearer    secret-of-both  ",
    ] {
        client.request("GET", "/stats", &[field], b"").expect(200);
    }
    let body = get(&mut client, "/stats", BOTH).expect(200);
    assert_eq!(
        (&body["received"], &body["rejected"]),
        (&json!(0), &json!(0))
    );
    tells_no_token(&server.stop());
    REFUSALS.tell();
}

#[test]
fn refusals_for_the_token_come_before_all_others() {
    let (setup, _) = with_file(FILE);
    let server = setup.flags(["--max-body-bytes", "4096"]).start();
    let json = "Content-Type: application/json";
    let large = vec![b'x'; 5_000];
    // What each is with a token that may do it.
    type Case<'a> = (u16, &'a str, &'a str, &'a [&'a str], &'a [u8]);
    let cases: [Case; 10] = [
        (404, "GET", "/nothing", &[], b""),
        (404, "POST", "/nothing", &[json], b"{}"),
        (404, "GET", "/events/%ff/x", &[], b""),
        (405, "GET", "/publish", &[], b""),
        (405, "DELETE", "/events", &[], b""),
        (413, "POST", "/publish", &[json], &large),
        (
            415,
            "POST",
            "/publish",
            &["Content-Type: text/plain"],
            b"{}",
        ),
        (417, "POST", "/publish", &[json, "Expect: wonders"], b"{}"),
        (422, "POST", "/publish", &[json], b"not JSON"),
        (422, "GET", "/events?limit=0", &[], b""),
    ];
    for (status, method, target, headers, body) in cases {
        let ask = |token: Option<&str>| {
            let field = token.map(bearer);
            let headers: Vec<&str> = headers.iter().copied().chain(field.as_deref()).collect();
            server.client().request(method, target, &headers, body)
        };
        refused(&ask(None), 401, "Bearer");
        refused(&ask(Some("nobody's")), 401, INVALID);
        assert_eq!(ask(Some(BOTH)).status, status, "{method} {target}");
        for (token, may) in [(PUBLISH, "/publish"), (READ, "/events")] {
            let answer = ask(Some(token));
            if target.starts_with(may) || matches!(status, 404 | 405) {
                assert_eq!(answer.status, status, "{method} {target}");
            } else {
                refused(&answer, 403, INSUFFICIENT);
            }
        }
    }
    // Framing comes first: what follows the head cannot be told.
    let mut client = server.client();
    client.send("POST /publish HTTP/1.1\r\nHost: test\r\nContent-Length: x\r\n\r\n");
    client.response().sentence(400);
    assert!(client.is_closed());
    REFUSALS.tell();
}

#[test]
fn what_is_open_stays_open() {
    let (server, _) = started();
    let mut client = server.client();
    for headers in [&[][..], &["Authorization: Bearer unknown"]] {
        for target in ["/", "/health"] {
            client.request("GET", target, headers, b"").expect(200);
            let head = client.request("HEAD", target, headers, b"");
            assert_eq!(head.status, 200);
            let answer = client.request("POST", target, headers, b"");
            answer.sentence(405);
        }
        for target in ["/publish", "/events", "/stats", "/health", "*"] {
            let answer = client.request("OPTIONS", target, headers, b"");
            assert_eq!(answer.status, 204, "{target}");
            assert!(answer.header("allow").is_some());
        }
        client
            .request("OPTIONS", "/nothing", headers, b"")
            .sentence(404);
    }
}

#[test]
fn head_is_refused_like_get_and_without_a_body() {
    let (server, _) = started();
    let mut client = server.client();
    for (headers, status, challenge) in [
        (vec![], 401, "Bearer"),
        (vec![bearer("unknown")], 401, INVALID),
        (vec![bearer(PUBLISH)], 403, INSUFFICIENT),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = client.request("HEAD", "/events", &headers, b"");
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("www-authenticate"), Some(challenge));
        assert!(answer.body.is_empty());
    }
    let answer = client.request("HEAD", "/events", &[&bearer(READ)], b"");
    assert_eq!(answer.status, 200);
}

#[test]
fn each_request_of_a_connection_stands_for_itself() {
    let (server, _) = started();
    let mut client = server.client();
    let body = event("t", "1").to_string();
    let publication = |token: &str| {
        format!(
            "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n{token}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let page = |token: &str| format!("GET /events HTTP/1.1\r\nHost: test\r\n{token}\r\n");
    let line = |token: &str| format!("{}\r\n", bearer(token));
    client.send(
        [
            publication(""),
            publication(&line(READ)),
            page(&line(READ)),
            publication(&line(PUBLISH)),
            page(&line(PUBLISH)),
            page(""),
            page(&line("unknown")),
            page(&line(BOTH)),
        ]
        .concat(),
    );
    refused(&client.response(), 401, "Bearer");
    refused(&client.response(), 403, INSUFFICIENT);
    assert_eq!(client.response().expect(200)["count"], 0);
    assert_eq!(client.response().expect(200)["accepted"], 1);
    refused(&client.response(), 403, INSUFFICIENT);
    refused(&client.response(), 401, "Bearer");
    refused(&client.response(), 401, INVALID);
    assert_eq!(client.response().expect(200)["count"], 1);
}

/// The answer comes in place of 100, and no body is waited for.
#[test]
fn a_body_is_not_asked_for_in_vain() {
    let (server, _) = started();
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            for (token, status, challenge) in [
                ("", 401, "Bearer"),
                ("Authorization: Bearer unknown\r\n", 401, INVALID),
                (
                    "Authorization: Bearer secret-of-reader\r\n",
                    403,
                    INSUFFICIENT,
                ),
            ] {
                let mut client = server.client();
                client.send(format!(
                    "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
                     {token}{expect}{framing}\r\n\r\n"
                ));
                refused(&client.response(), status, challenge);
            }
        }
    }
    let mut client = server.client();
    let body = event("t", "1").to_string();
    client.send(format!(
        "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n{}\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        bearer(PUBLISH),
        body.len()
    ));
    assert_eq!(client.response().status, 100);
    client.send(body);
    assert_eq!(client.response().expect(200)["accepted"], 1);
}

#[test]
fn a_file_without_tokens_lets_nobody_in() {
    for text in ["", "# nobody yet\n\n"] {
        let (setup, path) = with_file(text);
        let server = setup.start();
        let warning = server.log().wait_for(1, " WARN ").remove(0);
        assert!(warning.contains("no token"), "{warning}");
        assert!(warning.contains(path.to_str().unwrap()), "{warning}");
        let mut client = server.client();
        refused(&client.get("/stats"), 401, "Bearer");
        refused(&get(&mut client, "/stats", "#"), 401, INVALID);
        refused(&client.publish(event("t", "1").to_string()), 401, "Bearer");
        client.get("/health").expect(200);
    }
}
