//! What `logagg publish` makes of a server, or of what answers in its place, that fails.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use rusqlite::Connection;

use crate::fake::{Fake, Reply};
use crate::harness::Server;
use crate::program::{run_at, Running};
use crate::publishing::lines;

/// The answer to `count` events that were all accepted.
fn accepted(count: usize) -> Reply {
    let results = vec![r#"{"status":"accepted","seq":1}"#; count].join(",");
    Reply::json(
        200,
        &format!(r#"{{"rejected":0,"errors":[],"results":[{results}]}}"#),
    )
}

/// Each way to lose an answer, and then an answer: the same bytes are sent both times.
#[test]
fn a_request_is_sent_again_as_it_was() {
    let cut = |text: &str| Reply::Last(text.as_bytes().to_vec());
    let ways = [
        Reply::with(503, "Retry-After: 0\r\n", r#"{"detail":"locked"}"#),
        Reply::json(502, "<html>a proxy"),
        cut(""),
        cut("HTTP/1.1 200 OK\r\nContent-Le"),
        cut("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"results\":["),
        cut("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"res"),
        cut("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
        cut("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1"),
        Reply::Silence(Vec::new()),
        Reply::Silence(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec()),
    ];
    thread::scope(|scope| {
        for way in ways {
            scope.spawn(|| loses_once(way));
        }
    });
}

fn loses_once(way: Reply) {
    let name = format!("{way:?}");
    let fake = Fake::start(move |number, _| match number {
        0 => way.clone(),
        _ => accepted(2),
    });
    let fill = ["--topic", "t", "--source", "s", "--now", "--ids", "uuid"];
    let arguments = [&["publish", "--timeout", "10s"], &fill[..]].concat();
    let output = run_at(&fake.url, &arguments, b"{}\n{}\n").expect(0);
    let sums = ["accepted", "retries"].map(|name| output.sum(name));
    assert_eq!(sums, [2, 1], "{name}");
    let asked = fake.asked();
    assert_eq!(asked.len(), 2, "{name}");
    for request in &asked {
        assert_eq!(request.method, "POST");
        assert_eq!(request.target, "/publish?results=true&partial=true");
        assert!(
            request.has("content-type: application/x-ndjson"),
            "{request:?}"
        );
        assert_eq!(request.body, asked[0].body, "{name}");
    }
    let events = asked[0].body.iter().filter(|&&byte| byte == b'\n');
    assert_eq!(events.count(), 2);
}

#[test]
fn it_gives_up_when_it_was_told_to() {
    let fake = Fake::start(|number, _| match number {
        0 => accepted(2),
        _ => Reply::json(503, r#"{"detail":"The disk is full."}"#),
    });
    let arguments = ["publish", "--batch", "2", "--give-up-after", "5s"];
    let output = run_at(&fake.url, &arguments, lines("t", 0..5).as_bytes()).expect(1);
    assert_eq!(
        ["read", "accepted", "without an answer"].map(|name| output.sum(name)),
        [4, 2, 2]
    );
    assert!(fake.asked().len() >= 3, "{:?}", fake.targets());
    let (said, seconds) = output.stderr.rsplit_once(" after ").unwrap();
    let end = "logagg: the first event without an answer is standard input:3\n\
               logagg: the server cannot do it now (503): The disk is full.; gave up";
    assert!(said.ends_with(end), "{output:?}");
    let seconds: u32 = seconds.strip_suffix(" s\n").unwrap().parse().unwrap();
    assert!(seconds > 0);
}

#[test]
fn what_cannot_change_is_not_tried_again() {
    for (reply, said) in [
        (
            Reply::json(401, r#"{"detail":"No."}"#),
            "(LOGAGG_TOKEN, --token-file) (401): No.\n",
        ),
        (Reply::json(404, "{}"), "there is no such thing (404)\n"),
        (Reply::json(500, "oh"), "the server refuses (500)\n"),
        (
            Reply::with(301, "Location: http://127.0.0.1:1/publish\r\n", ""),
            "the server refuses (301)\n",
        ),
        (
            Reply::json(200, "<html>"),
            "does not answer as logagg does: ",
        ),
        (accepted(3), "3 results for 1 events\n"),
        (
            Reply::Last(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}".to_vec()),
            "its answer has no recognisable end\n",
        ),
        (
            Reply::Last(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()),
            "does not answer as logagg does",
        ),
    ] {
        let shown = reply.clone();
        let fake = Fake::start(move |_, _| reply.clone());
        let output = run_at(&fake.url, &["publish"], lines("t", 0..1).as_bytes()).expect(1);
        assert!(output.stderr.contains(said), "{shown:?}: {output:?}");
        assert_eq!(fake.asked().len(), 1, "{shown:?}");
        assert_eq!(output.sum("without an answer"), 1);
    }
}

/// A body that is refused as a whole is halved until the event that does it stands alone.
#[test]
fn one_event_that_refuses_the_whole_is_found() {
    let fake = Fake::start(|_, asked| {
        let events = asked.body.iter().filter(|&&byte| byte == b'\n').count();
        match asked.body.windows(6).any(|window| window == b"\"bad\":") {
            true => Reply::json(
                422,
                r#"{"detail":[{"loc":["body"],"msg":"not liked","type":"x"}]}"#,
            ),
            false => accepted(events),
        }
    });
    let input = lines("t", 0..20) + "{\"bad\":1}\n" + &lines("t", 20..30);
    let output = run_at(&fake.url, &["publish"], input.as_bytes()).expect(1);
    assert_eq!(
        ["accepted", "rejected"].map(|name| output.sum(name)),
        [30, 1]
    );
    assert!(
        output
            .stderr
            .starts_with("standard input:21: body: not liked\n"),
        "{output:?}"
    );
}

/// The answer comes, and the connection goes, while the request is still being sent.
#[test]
fn an_answer_that_comes_early_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut piece = [0; 1_024];
        assert!(socket.read(&mut piece).unwrap() > 0);
        let body = r#"{"detail":"Not that much."}"#;
        let length = body.len();
        let answer = format!("HTTP/1.1 413 X\r\nContent-Length: {length}\r\n\r\n{body}");
        socket.write_all(answer.as_bytes()).unwrap();
        // Nothing more is read, and the connection lasts until the client has gone.
        socket
    });
    let line = format!("{{\"payload\":\"{}\"}}\n", "x".repeat(30_000_000));
    let output = run_at(&url, &["publish"], line.as_bytes()).expect(1);
    assert_eq!(output.sum("rejected"), 1);
    assert!(
        output
            .stderr
            .starts_with("standard input:1: too large for the server\n"),
        "{output:?}"
    );
    drop(server.join().unwrap());
}

/// Another program holds the database, the server answers 503, and then it stores.
#[test]
fn a_server_that_cannot_store_for_a_while_is_waited_for() {
    let server = Server::start(&[]);
    let other = Connection::open(server.setup().database_path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut publisher = Running::start(&server, &["publish", "--batch", "10"]);
    publisher.send(lines("t", 0..95).as_bytes());
    server.log().wait_for(1, "the store cannot commit");
    publisher.wait_for_word("the server cannot do it now (503)");
    other.execute_batch("ROLLBACK").unwrap();
    let output = publisher.finish().expect(0);
    assert_eq!(
        ["accepted", "duplicates"].map(|name| output.sum(name)),
        [95, 0]
    );
    assert!(output.sum("retries") >= 1);
    assert_eq!(server.json("/stats")["unique_processed"], 95);
}
