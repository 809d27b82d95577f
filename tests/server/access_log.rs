//! The log of requests: a line for each that was answered, none by default, never a token, and nothing that a
//! client sends can break a line.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use serde_json::{json, Value};

use crate::harness::{event, Address, Log, Server, Setup};

const JSON: &str = "Content-Type: application/json";

/// What a line of text says: peer, method, target, status, bytes, seconds.
fn fields(line: &str) -> [&str; 6] {
    let words: Vec<&str> = line.split(' ').collect();
    let [time, "", "INFO", fields @ ..] = &words[..] else {
        panic!("{line:?}");
    };
    assert!(time.ends_with('Z'), "{line:?}");
    fields.try_into().unwrap_or_else(|_| panic!("{line:?}"))
}

/// The lines of requests in a log.
fn lines(log: &Log) -> Vec<String> {
    let lines = log.lines_with("  INFO 127.0.0.1:");
    for line in &lines {
        let [peer, .., seconds] = fields(line);
        assert!(peer.parse::<SocketAddr>().is_ok(), "{line}");
        let (_, decimals) = seconds.split_once('.').expect("there is a point");
        assert!(
            decimals.len() == 6 && seconds.parse::<f64>().is_ok(),
            "{line}"
        );
    }
    lines
}

#[test]
fn by_default_requests_are_not_logged() {
    let server = Server::start(&[]);
    server.publish(&event("t", "1")).expect(200);
    server.get("/health");
    let text = server.stop().text();
    assert!(
        !text.contains("127.0.0.1:") || !text.contains("/health"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 5, "{text}");
}

#[test]
fn each_answered_request_has_a_line() {
    let server = Setup::new().variable("ACCESS_LOG", "true").start();
    let mut client = server.client();
    let answer = client.publish(event("t", "1").to_string());
    let length = answer.body.len().to_string();
    client.publish("[]").expect(422);
    let page = client
        .get("/events?limit=1&topic=t%20*")
        .body
        .len()
        .to_string();
    client.request("HEAD", "/events", &[], b"");
    client.request("PATCH", "/publish", &[], b"").sentence(405);
    let options = [
        "OPTIONS /health HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET http://h?a HTTP/1.0\r\n\r\n",
    ];
    client.send(options.concat());
    assert_eq!(
        (client.response().status, client.response().status),
        (204, 200)
    );
    let mut broken = server.client();
    broken.send("\r\nGET /\x1b[31m HTTP/1.1\r\n\r\n");
    assert_eq!(broken.response().status, 400);
    let mut long = server.client();
    long.send(format!(
        "POST /publish HTTP/1.1\r\nHost: h\r\n{JSON}\r\nContent-Length: 99999999\r\n\r\n"
    ));
    long.response().sentence(413);
    let log = server.stop();
    let lines = lines(&log);
    let shown: Vec<_> = lines.iter().map(|line| fields(line)).collect();
    let expected: [[&str; 4]; 9] = [
        ["POST", "/publish", "200", &length],
        ["POST", "/publish", "422", "94"],
        ["GET", "/events?limit=1&topic=t%20*", "200", &page],
        ["HEAD", "/events", "200", "0"],
        ["PATCH", "/publish", "405", "78"],
        ["OPTIONS", "/health", "204", "0"],
        ["GET", "?a", "200", "282"],
        ["-", "-", "400", "-"],
        ["POST", "/publish", "413", "-"],
    ];
    assert_eq!(shown.len(), expected.len(), "{lines:#?}");
    for ([_, shown @ .., _], expected) in shown.into_iter().zip(expected) {
        assert_eq!(
            (shown[0], shown[1], shown[2]),
            (expected[0], expected[1], expected[2])
        );
        // How long an error's sentence is, is not of interest.
        let is_error = shown[2].starts_with('4') && expected[3] != "-";
        assert!(
            is_error || shown[1] == "?a" || shown[3] == expected[3],
            "{shown:?}"
        );
    }
}

#[test]
fn in_json_the_fields_have_names() {
    let server = Server::start(&["--access-log", "--log-format=json"]);
    let mut client = server.client();
    client.get("/events?topic=\"\\{x}\"").expect(200);
    let mut broken = server.client();
    broken.send(b"\xff\xfe\n\"\r\n\r\n");
    assert_eq!(broken.response().status, 400);
    let text = server.stop().text();
    let records: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let requests: Vec<_> = records
        .iter()
        .filter(|record| record.get("peer").is_some())
        .collect();
    assert_eq!(requests.len(), 2);
    let read = requests[0];
    assert_eq!(
        (&read["method"], &read["status"]),
        (&json!("GET"), &json!(200))
    );
    assert_eq!(
        (&read["level"], &read["target"]),
        (&json!("INFO"), &json!("/events?topic=\"\\{x}\""))
    );
    assert!(
        read["bytes"].is_u64() && read["duration_us"].is_u64(),
        "{read}"
    );
    assert!(read["peer"].as_str().unwrap().parse::<SocketAddr>().is_ok());
    let message = read["message"].as_str().unwrap();
    assert!(
        message.contains(" GET /events?topic=\"\\{x}\" 200 "),
        "{message}"
    );
    let refused = requests[1];
    for name in ["method", "target", "bytes"] {
        assert_eq!(refused.get(name), Some(&Value::Null), "{refused}");
    }
    assert_eq!(refused["status"], 400);
}

#[test]
fn a_unix_socket_has_no_peer_to_name() {
    let setup = Setup::new();
    let address = format!("unix:{}", setup.directory().join("s").display());
    let server = setup.listen([address]).flags(["--access-log"]).start();
    server.get("/health");
    let log = server.stop();
    let line = log.lines_with("GET /health").remove(0);
    assert_eq!(fields(&line)[0], "-");
}

#[test]
fn above_the_level_info_there_are_no_lines_of_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    let flags = ["--access-log", "--log-level", "warn"];
    let setup = Setup::new().flags(flags).inherit([listener.into()]);
    let server = setup.start_at(address);
    server.json("/health");
    assert_eq!(server.stop().text(), "");
}

#[test]
fn no_token_is_ever_logged() {
    let setup = Setup::new();
    let path = setup.directory().join("tokens");
    fs::write(&path, "a publish,read secret-of-a\n").unwrap();
    for format in ["text", "json"] {
        let flags = [
            "--access-log",
            "--log-format",
            format,
            "--log-level",
            "trace",
        ];
        let setup = setup.clone().flags(flags);
        let server = setup
            .flags(["--auth-tokens-file".into(), path.clone()])
            .start();
        let mut client = server.client();
        for token in ["secret-of-a", "secret-of-nobody"] {
            for scheme in ["Bearer", "Basic", ""] {
                let field = format!("Authorization: {scheme} {token}");
                client.request("GET", "/stats", &[&field], b"");
                client.request("POST", "/publish", &[&field, JSON], b"{}");
            }
        }
        let mut broken = server.client();
        broken.send("GET / HTTP/1.1\r\nAuthorization: Bearer secret-of-a\r\n\r\n");
        broken.response();
        let text = server.stop().text();
        assert!(text.contains("/stats") && text.contains("401"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn whatever_is_sent_each_record_is_one_line_of_json() {
    let server = Server::start(&["--access-log", "--log-format", "json"]);
    let mut client = server.client();
    let names = [
        "\u{85}\u{2028}\u{2029}",
        "\",\"level\":\"ERROR\",\"x\":\"",
        "}\\n{\\\"",
        "\u{9b}31m\u{202e}\u{feff}",
        "日志 🦀 \u{10ffff}\u{fffd}",
    ];
    for name in names {
        let mut one = event(name, name);
        one["source"] = json!(name);
        client.publish(json!([one, one]).to_string()).expect(200);
    }
    // What is no UTF-8, and what is no name, gets no further than to its refusal.
    for body in [
        &b"{\"topic\":\"\xff\"}"[..],
        b"{\"topic\":\"\\ud800\\n\"}",
        b"\"\0\n",
    ] {
        client
            .request("POST", "/publish", &[JSON], body)
            .expect(422);
    }
    for method in ["!#$%&'*+-.^_`|~", "X"] {
        client.request(method, "/\"\\'%0a%00{}<>[]", &[], b"");
    }
    for bytes in [
        &b"GET /\n HTTP/1.1\r\n\r\n"[..],
        b"\0\x01\x02\r\n\r\n",
        b"{\"a\":1}\r\n\r\n",
    ] {
        let mut broken = server.client();
        broken.send(bytes);
        broken.response();
    }
    let text = server.stop().text();
    let mut duplicates = Vec::new();
    let mut requests = 0;
    for line in text.split_terminator('\n') {
        let is_escaped = |c: char| c.is_control() || "\u{2028}\u{2029}\u{202e}\u{feff}".contains(c);
        assert!(!line.contains(is_escaped), "{line}");
        let record: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(record["level"] != "ERROR", "{line}");
        requests += usize::from(record.get("peer").is_some());
        if record.get("event_id").is_some() {
            duplicates.push(record);
        }
    }
    assert_eq!(requests, names.len() + 3 + 2 + 3);
    assert_eq!(duplicates.len(), names.len());
    for (record, name) in duplicates.iter().zip(names) {
        assert_eq!(
            (&record["topic"], &record["source"]),
            (&json!(name), &json!(name))
        );
        assert!(record["message"]
            .as_str()
            .unwrap()
            .ends_with(&format!("source={name}")));
    }
}
