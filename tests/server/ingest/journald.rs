//! `POST /upload`, as systemd-journal-upload sends it: entries are committed as they arrive, whatever comes of the
//! rest, and each cursor is stored once.

use std::collections::BTreeSet;
use std::fs;

use rusqlite::Connection;
use serde_json::{json, Value};

use super::stored;
use crate::encodings::{gzip, zlib, zstd};
use crate::harness::{Client, Response, Server, Setup, TIMEOUT};
use crate::wait::wait_until;

const TYPE: &str = "Content-Type: application/vnd.fdo.journal";

/// An entry of a journal with `padding` bytes more.
fn entry(number: usize, padding: usize) -> String {
    format!(
        "__CURSOR=s=abc;i={number:x}\n__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP=5\n_BOOT_ID=b\n\
         _HOSTNAME=box\nPRIORITY=6\n_SYSTEMD_UNIT=unit-{}.service\nMESSAGE=message {number} {}\n\n",
        1_767_323_045_000_000 + number,
        number % 3,
        "x".repeat(padding)
    )
}

fn entries(numbers: std::ops::Range<usize>) -> Vec<u8> {
    numbers
        .map(|number| entry(number, 0))
        .collect::<String>()
        .into_bytes()
}

fn upload(client: &mut Client, body: &[u8]) -> Response {
    client.request("POST", "/upload", &[TYPE], body)
}

/// Begins a chunked upload.
fn begin(client: &mut Client, fields: &str) {
    client.send(format!(
        "POST /upload HTTP/1.1\r\nHost: h\r\n{TYPE}\r\n{fields}Transfer-Encoding: chunked\r\n\r\n"
    ));
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The answer to an upload of which something is stored.
fn expect_ok(response: &Response) {
    assert_eq!((response.status, response.text().as_str()), (200, "OK."));
    assert_eq!(response.header("content-type"), Some("text/plain"));
    assert_eq!(response.header("accept-encoding"), Some("zstd"));
}

fn numbers_of(events: &[Value]) -> BTreeSet<usize> {
    let number = |event: &Value| {
        let (_, hex) = event["event_id"]
            .as_str()
            .unwrap()
            .rsplit_once('=')
            .unwrap();
        usize::from_str_radix(hex, 16).unwrap()
    };
    let numbers: BTreeSet<usize> = events.iter().map(number).collect();
    assert_eq!(numbers.len(), events.len(), "each cursor once");
    numbers
}

fn count(server: &Server) -> usize {
    server.json("/stats")["unique_processed"].as_u64().unwrap() as usize
}

#[test]
fn an_entry_becomes_an_event() {
    let server = Server::start(&[]);
    let raw = b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1767323045678901\n_SYSTEMD_UNIT=a.service\n\
        SYSLOG_IDENTIFIER=a\n_HOSTNAME=box\n_MACHINE_ID=m\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nA=1\nlower=no\nA=\"2\"\n\
        RAW\n\x01\0\0\0\0\0\0\0\xff\n\n\n\nSYSLOG_IDENTIFIER=tag\n_MACHINE_ID=m\n__CURSOR=2\n\nMESSAGE=bare\n";
    expect_ok(&upload(&mut server.client(), raw));
    let events = stored(&server);
    let expected = json!({
        "_SYSTEMD_UNIT": "a.service", "SYSLOG_IDENTIFIER": "a", "_HOSTNAME": "box", "_MACHINE_ID": "m",
        "MESSAGE": "a\nb", "A": ["1", "\"2\""], "RAW": {"base64": "/w=="},
    });
    assert_eq!(events[0]["payload"], expected);
    let members = |event: &Value| ["topic", "event_id", "source"].map(|name| event[name].clone());
    assert_eq!(members(&events[0]), ["a.service", "s=1;i=2", "box"]);
    assert_eq!(events[0]["timestamp"], "2026-01-02T03:04:05.678901Z");
    assert_eq!(members(&events[1]), ["tag", "2", "m"]);
    let bare = &events[2];
    assert_eq!(
        (&bare["topic"], &bare["source"]),
        (&json!("journald"), &json!("127.0.0.1"))
    );
    assert_eq!(bare["event_id"].as_str().unwrap().len(), 36);
    assert_eq!(bare["payload"], json!({"MESSAGE": "bare"}));
}

#[test]
fn a_body_may_be_cut_anywhere_and_have_any_coding() {
    let body = entries(0..20);
    let coded: [(&str, Vec<u8>); 4] = [
        ("", body.clone()),
        ("Content-Encoding: gzip\r\n", gzip(&body)),
        ("Content-Encoding: deflate\r\n", zlib(&body)),
        // systemd sends a frame for each buffer.
        (
            "Content-Encoding: zstd\r\n",
            [zstd(&body[..700]), zstd(&body[700..])].concat(),
        ),
    ];
    for (field, coded) in coded {
        for size in [1, 7, 1_000, usize::MAX] {
            let server = Server::start(&[]);
            let mut client = server.client();
            begin(&mut client, field);
            let chunks: Vec<Vec<u8>> = coded.chunks(size).map(chunk).collect();
            // Some at a time, so that the server sees them in several reads.
            for some in chunks.chunks(200) {
                client.send(some.concat());
            }
            client.send("0\r\n\r\nGET /health HTTP/1.1\r\nHost: h\r\n\r\n");
            expect_ok(&client.response());
            assert_eq!(client.response().status, 200, "the request after it");
            let events = stored(&server);
            assert_eq!(numbers_of(&events), (0..20).collect(), "{field} {size}");
        }
    }
}

#[test]
fn other_framings_and_expect() {
    let server = Server::start(&[]);
    let mut client = server.client();
    begin(&mut client, "Expect: 100-continue\r\n");
    let head = client.head().expect("100 Continue");
    assert_eq!(head.status, 100);
    client.send([chunk(&entries(0..3)), b"0\r\n\r\n".to_vec()].concat());
    expect_ok(&client.response());
    // The connection is kept, and the retry is told from new entries.
    expect_ok(&upload(&mut client, &entries(1..5)));
    expect_ok(&upload(&mut client, b""));
    let mut old = server.client();
    let body = entries(5..9);
    old.send(format!(
        "POST /upload HTTP/1.0\r\n{TYPE}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    old.send(&body);
    expect_ok(&old.response());
    assert_eq!(numbers_of(&stored(&server)), (0..9).collect());
    assert_eq!(server.json("/stats")["duplicate_dropped"], 2);
}

#[test]
fn what_is_not_a_journal_is_refused() {
    let setup = Setup::new();
    let path = setup.directory().join("tokens");
    fs::write(&path, "journal publish secret\n").unwrap();
    let server = setup.flags(["--auth-tokens-file".into(), path]).start();
    let token = "Authorization: Bearer secret";
    let send = |method: &str, headers: &[&str]| {
        server
            .client()
            .request(method, "/upload", headers, b"A=1\n\n")
    };
    for (method, headers, status) in [
        ("POST", vec![TYPE], 401),
        ("POST", vec![token, "Content-Type: application/json"], 415),
        ("POST", vec![token], 415),
        ("POST", vec![token, TYPE, "Content-Encoding: br"], 415),
        ("PUT", vec![token, TYPE], 405),
        (
            "POST",
            vec![token, "Content-Type: Application/vnd.fdo.journal; x=y"],
            200,
        ),
    ] {
        let response = send(method, &headers);
        assert_eq!(response.status, status, "{headers:?}: {}", response.text());
        assert_eq!(response.header("content-type"), Some("text/plain"));
    }
    let target = "/upload?topic=";
    let response = server
        .client()
        .request("POST", target, &[token, TYPE], b"A=1\n\n");
    assert_eq!(response.status, 400, "{}", response.text());
}

#[test]
fn a_broken_body_leaves_the_entries_before_it() {
    for (number, broken) in [
        &b"MESSAGE=cut"[..],
        b"MESSAGE",
        b"MESSAGE\n\x05\0\0\0\0\0\0\0abc",
        b"MESSAGE\n\x01\0\0\0\0\0\0\0ab\n",
        b"MESSAGE\n\xff\xff\xff\xff\0\0\0\0abc",
    ]
    .into_iter()
    .enumerate()
    {
        let server = Server::start(&[]);
        let mut client = server.client();
        begin(&mut client, "");
        client.send(chunk(&entries(0..3)));
        wait_until("the first entries", || count(&server) == 3);
        client.send(chunk(&[&entries(3..5), broken].concat()));
        client.send("0\r\n\r\n");
        let response = client.response();
        assert_eq!(response.status, 400, "{number}: {}", response.text());
        assert_eq!(numbers_of(&stored(&server)), (0..5).collect(), "{number}");
        assert_eq!(server.json("/stats")["rejected"], 1);
        // The server goes on.
        expect_ok(&upload(&mut server.client(), &entries(4..6)));
    }
}

#[test]
fn of_a_body_that_does_not_decode_the_bytes_are_kept_as_they_came() {
    let server = Server::start(&[]);
    let headers = [TYPE, "Content-Encoding: gzip"];
    let response = server
        .client()
        .request("POST", "/upload", &headers, b"no gzip");
    assert_eq!(response.status, 400, "{}", response.text());
    let kept = server.json("/rejected")["rejected"][0].clone();
    assert_eq!(
        (&kept["record"], &kept["bytes"]),
        (&json!("no gzip"), &json!(7))
    );
}

#[test]
fn a_large_entry_is_rejected_and_its_neighbours_are_stored() {
    let server = Server::start(&["--max-body-bytes", "100000"]);
    let mut client = server.client();
    begin(&mut client, "");
    client.send(chunk(entry(0, 0).as_bytes()));
    client.send(chunk(entry(1, 99_000).as_bytes()));
    client.send(chunk(b"MESSAGE\n\0\0\0\x08\0\0\0\0"));
    // 128 MiB, of which the server keeps the beginning.
    let part = chunk(&vec![b'z'; 1 << 20]);
    for _ in 0..128 {
        client.send(&part);
    }
    client.send(
        [
            chunk(b"\n\n"),
            chunk(entry(2, 0).as_bytes()),
            b"0\r\n\r\n".to_vec(),
        ]
        .concat(),
    );
    expect_ok(&client.response());
    assert_eq!(numbers_of(&stored(&server)), (0..3).collect());
    assert_eq!(server.json("/stats")["rejected"], 1);
    // Alone it is an error.
    let response = upload(&mut client, entry(3, 100_000).as_bytes());
    assert_eq!(response.status, 400, "{}", response.text());
}

/// Peak of the process' resident memory, in KiB.
fn peak_memory(server: &Server) -> usize {
    let path = format!("/proc/{}/status", server.pid().as_raw_nonzero());
    let status = fs::read_to_string(path).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_long_backlog_is_one_body_in_bounded_memory() {
    const ENTRIES: usize = 25_000;
    let server = Server::start(&[]);
    expect_ok(&upload(&mut server.client(), &entries(0..10)));
    let before = peak_memory(&server);
    let mut client = server.client();
    begin(&mut client, "");
    let mut bytes = 0;
    for first in (0..ENTRIES).step_by(100) {
        let some: String = (first..first + 100)
            .map(|number| entry(number, 8_000))
            .collect();
        bytes += some.len();
        client.send(chunk(some.as_bytes()));
    }
    client.send("0\r\n\r\n");
    expect_ok(&client.response());
    assert!(bytes > 200_000_000);
    // The first ten have another message.
    let stats = server.json("/stats");
    assert_eq!(stats["unique_processed"], ENTRIES);
    assert_eq!(stats["received"], ENTRIES + 10);
    let grown = peak_memory(&server) - before;
    assert!(grown < 40 * 1024, "memory grew by {grown} KiB");
}

#[test]
fn a_bomb_is_read_a_little_at_a_time() {
    let server = Server::start(&[]);
    expect_ok(&upload(&mut server.client(), &entries(0..10)));
    let before = peak_memory(&server);
    // 256 MiB of one entry that is too large, in some KiB.
    let bomb = [
        zstd(&vec![b'A'; 256 << 20]),
        zstd(b"=1\n\n"),
        zstd(&entries(10..12)),
    ]
    .concat();
    let headers = [TYPE, "Content-Encoding: zstd"];
    let mut client = server.client();
    client.send_request("POST", "/upload", &headers, &bomb);
    // Others are served meanwhile.
    for _ in 0..10 {
        assert_eq!(server.get("/health").status, 200);
    }
    expect_ok(&client.response());
    assert_eq!(numbers_of(&stored(&server)), (0..12).collect());
    let grown = peak_memory(&server) - before;
    assert!(grown < 60 * 1024, "memory grew by {grown} KiB");
}

#[test]
fn what_a_killed_server_had_not_stored_comes_again() {
    const ENTRIES: usize = 3_000;
    let setup = Setup::new();
    let mut server = setup.start();
    let mut numbers = BTreeSet::new();
    for round in 0..4 {
        let mut client = server.client();
        begin(&mut client, "");
        for number in 0..ENTRIES {
            // It may be gone already.
            if client
                .try_send(chunk(entry(number, 500).as_bytes()))
                .is_err()
            {
                break;
            }
            if number == ENTRIES * (round + 1) / 5 {
                wait_until("some of it", || count(&server) > numbers.len());
                server.signal(rustix::process::Signal::KILL);
            }
        }
        server.kill();
        server = setup.start();
        let stored = numbers_of(&stored(&server));
        assert!(numbers.is_subset(&stored) && !stored.is_empty());
        assert_eq!(stored, (0..stored.len()).collect(), "without a gap");
        numbers = stored;
    }
    let all: String = (0..ENTRIES).map(|number| entry(number, 500)).collect();
    expect_ok(&upload(&mut server.client(), all.as_bytes()));
    assert_eq!(numbers_of(&stored(&server)), (0..ENTRIES).collect());
}

#[test]
fn a_cut_connection_leaves_the_complete_entries() {
    let server = Server::start(&[]);
    let mut client = server.client();
    begin(&mut client, "");
    client.send(chunk(
        &[entries(0..7), b"__CURSOR=x\nMESSAGE=y".to_vec()].concat(),
    ));
    client.shutdown_write();
    assert_eq!(client.response().status, 400);
    assert_eq!(numbers_of(&stored(&server)), (0..7).collect());
    let mut client = server.client();
    begin(&mut client, "");
    client.send(chunk(&entries(5..9)));
    drop(client);
    wait_until("the entries", || count(&server) == 9);
}

#[test]
fn a_full_ring_and_a_store_that_is_away_only_slow_it_down() {
    const ENTRIES: usize = 400;
    let server = Server::start(&["--ring-capacity", "7"]);
    let other = Connection::open(server.setup().database_path()).unwrap();
    other.busy_timeout(TIMEOUT).unwrap();
    let mut client = server.client();
    begin(&mut client, "");
    client.send(chunk(&entries(0..ENTRIES / 2)));
    wait_until("the first entries", || count(&server) >= 7);
    // Longer than a publication waits for another program's lock.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    client.send(chunk(&entries(ENTRIES / 2..ENTRIES)));
    client.send("0\r\n\r\n");
    wait_until("the server to notice", || {
        server.get("/health").status == 503
    });
    // One that begins now is refused, and knows when to come again.
    let response = upload(&mut server.client(), &entries(0..1));
    assert_eq!(response.status, 503);
    assert!(response.header("retry-after").is_some());
    assert_eq!(response.header("content-type"), Some("text/plain"));
    other.execute_batch("ROLLBACK").unwrap();
    expect_ok(&client.response());
    assert_eq!(numbers_of(&stored(&server)), (0..ENTRIES).collect());
    expect_ok(&upload(&mut client, &entries(0..1)));
}

#[test]
fn a_store_that_stays_away_is_503_in_the_end() {
    let server = Server::start(&[]);
    let other = Connection::open(server.setup().database_path()).unwrap();
    other.busy_timeout(TIMEOUT).unwrap();
    let mut client = server.client();
    begin(&mut client, "");
    client.send(chunk(&entries(0..5)));
    wait_until("the first entries", || count(&server) == 5);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    client.send(chunk(&entries(5..9)));
    let response = client.response();
    assert_eq!(response.status, 503);
    assert!(response.header("retry-after").is_some());
    other.execute_batch("ROLLBACK").unwrap();
    server.log().wait_for(1, "the store commits again");
    expect_ok(&upload(&mut server.client(), &entries(0..9)));
    assert_eq!(numbers_of(&stored(&server)), (0..9).collect());
}

#[test]
fn a_server_that_stops_stores_what_it_has_and_refuses_the_rest() {
    let setup = Setup::new();
    let server = setup.start();
    let mut client = server.client();
    begin(&mut client, "");
    client.send(chunk(&entries(0..5)));
    wait_until("the entries", || count(&server) == 5);
    server.signal(rustix::process::Signal::TERM);
    let response = client.response();
    assert_eq!(
        (response.status, response.header("connection")),
        (503, Some("close"))
    );
    assert!(server.wait().success());
    let server = setup.start();
    assert_eq!(numbers_of(&stored(&server)), (0..5).collect());
}

#[test]
fn many_uploads_share_the_server() {
    let server = Server::start(&[]);
    let mut clients: Vec<Client> = (0..40).map(|_| server.client()).collect();
    for client in &mut clients {
        begin(client, "");
    }
    for round in 0..5 {
        for (number, client) in clients.iter_mut().enumerate() {
            let first = number * 50 + round * 10;
            client.send(chunk(&entries(first..first + 10)));
        }
    }
    for client in &mut clients {
        client.send("0\r\n\r\n");
        expect_ok(&client.response());
    }
    assert_eq!(numbers_of(&stored(&server)), (0..2_000).collect());
}
