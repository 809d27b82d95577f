//! `GET /rejected`: what could not become an event is kept, before the answer, within bounds, and shown.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use rusqlite::Connection;
use serde_json::{json, Value};

use crate::checking::{check, check_beside};
use crate::harness::{event, Client, Server, Setup};
use crate::wait::wait_until;

const MOST: usize = 64 * 1024;

/// Publishes these texts, of which none is an event, as the elements of one array.
fn reject(client: &mut Client, records: &[impl AsRef<str>]) {
    let texts: Vec<&str> = records.iter().map(AsRef::as_ref).collect();
    let body = format!("[{}]", texts.join(","));
    let answer = client.publish_to("/publish?partial=true", body).expect(200);
    assert_eq!(answer["rejected"], records.len());
}

/// The records of a page.
fn records(page: &Value) -> Vec<Value> {
    let rejected = page["rejected"].as_array().unwrap();
    assert_eq!(page["count"], rejected.len());
    rejected.clone()
}

fn seqs(page: &Value) -> Vec<u64> {
    let seq = |record: &Value| record["seq"].as_u64().unwrap();
    records(page).iter().map(seq).collect()
}

fn numbered(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[test]
fn each_rejected_event_is_kept_with_its_text_and_the_reason() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let empty = client.get("/rejected").expect(200);
    assert_eq!(empty, json!({"count": 0, "rejected": [], "next": null}));
    let good = event("t", "1").to_string();
    let no_time = r#"{"topic": "é",  "event_id":"2","timestamp":"soon","source":"s"}"#;
    let body = format!("\u{feff}[{good}, 17 ,\n {no_time} , {{}}]");
    let answer = client.publish_to("/publish?partial=true&results=true", body);
    assert_eq!(answer.expect(200)["rejected"], 3);
    // One object alone, the form with `events`, and a sequence.
    for body in [
        r#" {"topic":1} "#.to_owned(),
        r#"{"x":[],"events":[{"topic":2}]}"#.to_owned(),
        format!("{good}\n\"three\" {{\"topic\":4}}"),
    ] {
        client.publish_to("/publish?partial=1", body).expect(200);
    }
    let page = client.get("/rejected").expect(200);
    let found: Vec<_> = records(&page)
        .iter()
        .map(|record| {
            assert_eq!(record["protocol"], "publish");
            assert_eq!(record["truncated"], false);
            assert_eq!(record["peer"], "127.0.0.1");
            assert!(record["received_at"].as_str().unwrap().ends_with('Z'));
            let text = record["record"].as_str().unwrap();
            assert_eq!(record["bytes"], text.len());
            let seq = record["seq"].as_u64().unwrap();
            let reason = record["reason"].as_str().unwrap();
            (seq, text.to_owned(), reason.to_owned())
        })
        .collect();
    let expected = [
        (7, r#"{"topic":4}"#, "topic must be a string"),
        (6, "\"three\"", "event must be an object"),
        (5, r#"{"topic":2}"#, "topic must be a string"),
        (4, r#"{"topic":1}"#, "topic must be a string"),
        (3, "{}", "topic is required"),
        (2, no_time, "timestamp must be in ISO 8601 format"),
        (1, "17", "event must be an object"),
    ];
    let expected = expected.map(|(seq, text, why)| (seq, text.to_owned(), why.to_owned()));
    assert_eq!(found, expected);
    assert_eq!(server.json("/stats")["rejected"], 7);
    assert_eq!(server.json("/stats")["unique_processed"], 1);
    // What is refused as a whole is not kept: there the sender knows.
    client.publish("[1]").expect(422);
    client
        .publish_to("/publish?partial=1", "no JSON")
        .expect(422);
    client.publish_to("/publish?partial=1", "[]").expect(422);
    assert_eq!(client.get("/rejected").expect(200)["count"], 7);
    check_beside(&server);
}

#[test]
fn they_are_there_after_a_kill_that_follows_the_answer() {
    let setup = Setup::new();
    for round in 0..4 {
        let server = setup.start();
        let mut client = server.client();
        // Alone, so that no event makes the commit wait for the disk.
        reject(&mut client, &[format!("\"{round}\"")]);
        server.kill();
        let server = setup.start();
        let page = server.json("/rejected");
        assert_eq!(page["count"], round + 1);
        assert_eq!(records(&page)[0]["record"], format!("\"{round}\""));
        check_beside(&server);
        server.stop();
    }
}

#[test]
fn pages_go_both_ways() {
    let server = Server::start(&[]);
    let mut client = server.client();
    reject(&mut client, &numbered(0..7));
    let mut walk = |first: &str| {
        let (mut found, mut next) = (Vec::new(), Some(first.to_owned()));
        while let Some(address) = next {
            let page = client.get(&address).expect(200);
            found.push(seqs(&page));
            next = page["next"].as_str().map(str::to_owned);
        }
        found
    };
    assert_eq!(walk("/rejected"), [[7, 6, 5, 4, 3, 2, 1]]);
    assert_eq!(
        walk("/rejected?limit=3"),
        [vec![7, 6, 5], vec![4, 3, 2], vec![1]]
    );
    assert_eq!(walk("/rejected?limit=2&before=4"), [vec![3, 2], vec![1]]);
    assert_eq!(
        walk("/rejected?after=0&limit=5"),
        [vec![1, 2, 3, 4, 5], vec![6, 7]]
    );
    assert_eq!(walk("/rejected?after=7"), [vec![0; 0]]);
    assert_eq!(walk("/rejected?before=0"), [vec![0; 0]]);
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1&limit=1", "limit"),
        ("after=x", "after"),
        ("after=1&before=2", "before"),
        ("after=8", "after"),
        ("topic=t", "topic"),
        ("protocol=otlp", "protocol"),
    ] {
        let answer = client.get(&format!("/rejected?{query}")).expect(422);
        assert_eq!(
            answer["detail"][0]["loc"],
            json!(["query", name]),
            "{query}"
        );
    }
    let unknown = client.get("/rejected?befor=1").expect(422);
    let said = unknown["detail"][0]["msg"].as_str().unwrap();
    assert!(said.contains("did you mean before?"), "{said}");
    let head = client.request("HEAD", "/rejected", &[], b"");
    let whole = client.get("/rejected");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.header("content-length"),
        whole.header("content-length")
    );
    assert_eq!(
        whole.header("log-aggregator-database"),
        server.json("/stats")["database_id"].as_str()
    );
    assert_eq!(client.request("POST", "/rejected", &[], b"").status, 405);
    let listed = server.json("/");
    assert_eq!(listed["endpoints"]["rejected"], "GET /rejected");
}

#[test]
fn a_long_record_is_cut_and_a_long_page_ends_early() {
    let server = Server::start(&["--max-body-bytes", "33554432"]);
    let mut client = server.client();
    let exact = format!("\"{}\"", "x".repeat(MOST - 2));
    let longer = format!("\"{}\"", "é".repeat(MOST));
    reject(&mut client, &[exact.clone(), longer.clone()]);
    let page = client.get("/rejected").expect(200);
    let [cut, whole] = &records(&page)[..] else {
        panic!("{page}")
    };
    assert_eq!(whole["record"], exact);
    assert_eq!(
        (&whole["bytes"], &whole["truncated"]),
        (&json!(MOST), &json!(false))
    );
    assert_eq!(cut["bytes"], longer.len());
    assert_eq!(cut["truncated"], true);
    // Not in the middle of a character.
    assert_eq!(cut["record"], longer[..MOST - 1]);
    // A page ends soon after 4 MiB.
    reject(&mut client, &vec![exact; 100]);
    let page = client.get("/rejected?limit=100").expect(200);
    assert_eq!(page["count"], 64);
    assert_eq!(page["next"], "/rejected?limit=100&before=39");
}

#[test]
fn bytes_that_are_no_text_come_in_base64() {
    let setup = Setup::new();
    let server = setup.start();
    reject(&mut server.client(), &["1"]);
    server.stop();
    let database = Connection::open(setup.database_path()).unwrap();
    let sql = "UPDATE rejected SET record = x'ff00', bytes = 2; UPDATE rejected_counters SET bytes = bytes + 1";
    database.execute_batch(sql).unwrap();
    drop(database);
    let server = setup.start();
    let record = records(&server.json("/rejected"))[0].clone();
    let base64 = record["record_base64"].as_str().unwrap();
    assert_eq!(STANDARD.decode(base64).unwrap(), [0xff, 0]);
    assert!(record.get("record").is_none());
    check_beside(&server);
}

#[test]
fn only_so_many_are_kept_the_newest() {
    let setup = Setup::new().variable("RETAIN_REJECTED", "5");
    let server = setup.start();
    let mut client = server.client();
    for n in 0..4 {
        reject(&mut client, &numbered(3 * n..3 * n + 3));
    }
    assert_eq!(seqs(&server.json("/rejected")), [12, 11, 10, 9, 8]);
    // More at once than are kept: the seqs of those that are not are used up.
    reject(&mut client, &numbered(0..8));
    assert_eq!(seqs(&server.json("/rejected")), [20, 19, 18, 17, 16]);
    assert_eq!(
        server.json("/rejected?after=0&limit=1")["rejected"][0]["record"],
        "3"
    );
    check_beside(&server);
    drop(client);
    server.stop();
    // None at all; those of earlier go too.
    let none = Setup::new()
        .database(setup.database_path())
        .flags(["--retain-rejected", "0"]);
    let server = none.start();
    wait_until("the records to be removed", || {
        server.json("/rejected")["count"] == 0
    });
    reject(&mut server.client(), &["1"]);
    assert_eq!(server.json("/rejected")["count"], 0);
    assert_eq!(server.json("/stats")["rejected"], 1);
    server.stop();
    // A seq is not used again.
    let server = setup.start();
    reject(&mut server.client(), &["1"]);
    assert_eq!(seqs(&server.json("/rejected")), [21]);
    check_beside(&server);
}

#[test]
fn they_go_when_they_are_too_old_and_their_seqs_are_not_used_again() {
    let setup = Setup::new().flags(["--retain-rejected", "1s"]);
    let mut server = setup.start();
    for round in 0..3 {
        reject(&mut server.client(), &numbered(0..3));
        let path = setup.database_path().to_owned();
        // No request wakes the server up.
        wait_until("the records to be removed", || {
            let database = Connection::open(&path).unwrap();
            let sql = "SELECT count(*) FROM rejected";
            database
                .query_row(sql, [], |row| row.get::<_, i64>(0))
                .unwrap()
                == 0
        });
        assert_eq!(server.json("/rejected")["count"], 0);
        let ahead = 3 * round + 4;
        assert_eq!(server.get(&format!("/rejected?after={ahead}")).status, 422);
        assert_eq!(
            server.get(&format!("/rejected?after={}", ahead - 1)).status,
            200
        );
        server.kill();
        server = setup.start();
    }
    check_beside(&server);
}

/// The sum of what the table holds and counts.
fn bytes(server: &Server) -> u64 {
    let database = Connection::open(server.setup().database_path()).unwrap();
    let sql = "SELECT sum(length(record)) FROM rejected";
    let bytes: Option<i64> = database.query_row(sql, [], |row| row.get(0)).unwrap();
    bytes.unwrap_or(0) as u64
}

#[test]
fn their_size_is_bounded_whatever_number_is_set() {
    let large = format!("\"{}\"", "x".repeat(MOST - 2));
    let batch = vec![large; 64];
    for (flags, most, least) in [
        (&["--retain-rejected", "1000000"][..], 16 << 20, 12 << 20),
        (&["--retain-rejected", "90d"], 16 << 20, 12 << 20),
        (&["--retain-rejected", "1MB"], 1_000_000, 900_000),
        (&["--retain-rejected", "20MB"], 20_000_000, 16 << 20),
        // The events of a small database do not make room for them.
        (&["--retain-events", "8MB"], 1_000_000, 900_000),
    ] {
        let server = Server::start(flags);
        let mut client = server.client();
        client.publish(event("t", "1").to_string()).expect(200);
        for _ in 0..6 {
            reject(&mut client, &batch);
            assert!(bytes(&server) <= most, "{flags:?}");
        }
        assert!(bytes(&server) >= least, "{flags:?}");
        assert_eq!(
            server.json("/rejected?limit=1")["rejected"][0]["seq"],
            6 * 64
        );
        assert_eq!(server.json("/events")["count"], 1);
        check_beside(&server);
    }
}

/// A program from before there was this table leaves it alone, or has made the database without it.
#[test]
fn a_database_without_the_table_gets_it() {
    let setup = Setup::new();
    let server = setup.start();
    server.publish(&event("t", "1")).expect(200);
    server.stop();
    let database = Connection::open(setup.database_path()).unwrap();
    let sql = "DROP TABLE rejected; DROP TABLE rejected_counters;";
    database.execute_batch(sql).unwrap();
    drop(database);
    let (code, said) = check(setup.database_path());
    assert_eq!(code, 0, "{said}");
    let server = setup.start();
    reject(&mut server.client(), &["1"]);
    assert_eq!(seqs(&server.json("/rejected")), [1]);
    assert_eq!(server.json("/events")["count"], 1);
    check_beside(&server);
}

#[test]
fn a_count_that_is_wrong_is_found_and_ends_with_the_records() {
    let setup = Setup::new().flags(["--retain-rejected", "5"]);
    let server = setup.start();
    reject(&mut server.client(), &numbered(0..3));
    server.stop();
    let database = Connection::open(setup.database_path()).unwrap();
    // As another program does that knows of one table only.
    database.execute_batch("DELETE FROM rejected").unwrap();
    drop(database);
    let (code, said) = check(setup.database_path());
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("rejected_counters: records is 3, but there are 0"),
        "{said}"
    );
    let server = setup.start();
    for n in 0..3 {
        reject(&mut server.client(), &numbered(2 * n..2 * n + 2));
    }
    // The first round but one found that there are fewer than were counted.
    assert_eq!(seqs(&server.json("/rejected")), [9, 8, 7, 6]);
    check_beside(&server);
}

#[test]
fn a_bad_setting_is_named() {
    for value in ["", "-1", "x", "1.5", "7w", "0d", "99999999999999999999"] {
        let setup = Setup::new().flags([format!("--retain-rejected={value}")]);
        let (code, said) = setup.fail();
        assert_eq!(code, 2, "{value}: {said}");
        assert!(said.contains("--retain-rejected"), "{said}");
    }
}
