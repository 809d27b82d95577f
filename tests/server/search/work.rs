//! Who waits for a search, and what it waits for.

use std::thread;

use serde_json::Value;

use super::{crowded, filled, metric, metrics, walk};
use crate::harness::{event, seqs_of, Client, Server};
use crate::wait::wait_until;

/// `count` searches, each of which goes through everything: no summary rules out what stands within words.
fn ask_many(server: &Server, count: usize) -> Vec<Client> {
    let ask = |_| {
        let mut client = server.client();
        client.send_request("GET", "/events?q=*none*", &[], b"");
        client
    };
    (0..count).map(ask).collect()
}

#[test]
fn many_searches_get_on_beside_publishers_and_health() {
    const EVENTS: u64 = 10_000;
    let server = crowded(EVENTS);
    let clients = ask_many(&server, 70);
    let walks: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            thread::spawn(move || {
                let page = client.response().expect(200);
                assert_eq!(page["count"], 0);
                let scanned = page["scanned"].as_u64().unwrap();
                assert!(scanned > 0);
                let rest = page["next"].as_str().map(|next| walk(&mut client, next));
                let pages = rest.as_ref().map_or(0, |rest| rest.pages) + 1;
                let passed = scanned + rest.map_or(0, |rest| rest.scanned);
                // What was published meanwhile came after its beginning.
                assert_eq!(passed, page["through"].as_u64().unwrap() + scanned - 1);
                pages
            })
        })
        .collect();
    let (mut publisher, mut health) = (server.client(), server.client());
    let mut published = 0;
    while !walks.iter().all(thread::JoinHandle::is_finished) {
        published += 1;
        publisher
            .publish(event("t", &format!("new{published}")).to_string())
            .expect(200);
        health.get("/health").expect(200);
    }
    let pages: Vec<usize> = walks
        .into_iter()
        .map(|walk| walk.join().expect("a walk ends well"))
        .collect();
    assert!(published > 0);
    assert_eq!(metric(&mut health, "searches"), 0);
    assert_eq!(
        metric(&mut health, "searches_total"),
        pages.iter().sum::<usize>() as u64
    );
    assert!(metric(&mut health, "search_seqs_scanned_total") >= 70 * EVENTS);
}

#[test]
fn a_second_of_work_ends_a_page_and_its_next_goes_on() {
    let server = crowded(60_000);
    // They share the time, so that hardly one of them is through within a second, on a slow machine.
    let mut clients = ask_many(&server, 64);
    let pages: Vec<Value> = clients
        .iter_mut()
        .map(|client| client.response().expect(200))
        .collect();
    for page in &pages {
        let (through, scanned) = (
            page["through"].as_u64().unwrap(),
            page["scanned"].as_u64().unwrap(),
        );
        assert_eq!(through, 60_001 - scanned, "{page}");
        let elapsed = page["elapsed_ms"].as_u64().unwrap();
        assert!(page["next"].is_null() || elapsed >= 1_000, "{page}");
    }
}

#[test]
fn a_search_ends_when_its_client_goes_away() {
    const ASKED: usize = 80;
    let server = crowded(60_000);
    let mut watcher = server.client();
    let answered = "http_request_duration_seconds_count{route=\"/events\",status=\"2xx\"}";
    let mut begun = 0;
    // A machine may be so fast, or the test so slow, that the searches are answered before their clients leave.
    wait_until("searches at work to end without an answer", || {
        let clients = ask_many(&server, ASKED);
        wait_until("the searches", || {
            metric(&mut watcher, "searches") >= 60
                || metric(&mut watcher, "searches_total") >= begun + ASKED as u64
        });
        let [at_work, before] = metrics(&mut watcher, ["searches", answered]);
        // Some end their side, the others are closed with what they have not read.
        for client in clients.iter().step_by(2) {
            client.shutdown_write();
        }
        drop(clients);
        wait_until("the searches to end", || {
            metric(&mut watcher, "searches") == 0
        });
        let [total, after] = metrics(&mut watcher, ["searches_total", answered]);
        begun = total.expect("it has a sample");
        after.unwrap_or(0) - before.unwrap_or(0) < at_work.expect("it has a sample")
    });
    let scanned = metric(&mut watcher, "search_seqs_scanned_total");
    watcher.publish(event("t", "new").to_string()).expect(200);
    assert_eq!(metric(&mut watcher, "search_seqs_scanned_total"), scanned);
    assert_eq!(
        seqs_of(&watcher.get("/events?source=test").expect(200)),
        [60_001]
    );
}

#[test]
fn answers_stay_in_order_and_nothing_is_read_meanwhile() {
    let server = crowded(20_000);
    let mut client = server.client();
    let new = event("t", "behind").to_string();
    let head = "HTTP/1.1\r\nHost: test\r\n";
    client.send(format!(
        "GET /events?source=none {head}\r\nPOST /publish {head}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{new}GET /events?source=test {head}\r\nHEAD /events?source=s {head}\r\n\
         GET /events?source=s&limit=1 {head}\r\n",
        new.len()
    ));
    let first = client.response().expect(200);
    assert_eq!(first["count"], 0, "{first}");
    // What follows in the connection is not handled before.
    assert!(
        first["next"].is_string() || first["scanned"] == 20_000,
        "{first}"
    );
    assert_eq!(client.response().expect(200)["accepted"], 1);
    assert_eq!(seqs_of(&client.response().expect(200)), [20_001]);
    assert_eq!(client.response_to("HEAD").status, 200);
    assert_eq!(seqs_of(&client.response().expect(200)), [20_000]);
}

#[test]
fn what_is_found_at_once_is_sent_to_a_client_that_has_ended_its_side() {
    let server = filled(9);
    let mut client = server.client();
    client.send("GET /events?source=web HTTP/1.1\r\nHost: test\r\n\r\n");
    client.shutdown_write();
    // The end may come in a later turn than the request; then it counts as gone.
    if let Some(answer) = client.try_response("GET") {
        assert_eq!(seqs_of(&answer.expect(200)), [9, 6, 3]);
    }
    assert_eq!(seqs_of(&server.json("/events?source=web")), [9, 6, 3]);
}

#[test]
fn reading_needs_the_scope_read() {
    let server = filled(1);
    let setup = server.setup().clone();
    server.stop();
    let file = setup.directory().join("tokens");
    std::fs::write(
        &file,
        "app publish secret-of-publisher\nreader read secret-of-reader\n",
    )
    .unwrap();
    let server = setup
        .flags(["--auth-tokens-file".into(), file.into_os_string()])
        .start();
    let mut client = server.client();
    let mut ask = |token: &str| {
        let field = format!("Authorization: Bearer {token}");
        client
            .request("GET", "/events?source=api", &[&field], b"")
            .status
    };
    assert_eq!(ask("secret-of-publisher"), 403);
    assert_eq!(ask("secret-of-reader"), 200);
}

#[test]
fn head_is_answered_without_work_on_each_route() {
    let server = filled(20);
    let mut client = server.client();
    for target in [
        "/events?q=none",
        "/histogram?q=none",
        "/fields?q=none&by=topic",
    ] {
        client.send_request("HEAD", target, &[], b"");
        let head = client.response_to("HEAD");
        assert_eq!(head.status, 200, "{target}");
        assert_eq!(
            head.header("content-type"),
            Some("application/json"),
            "{target}"
        );
        assert_eq!(head.header("content-length"), None, "{target}");
        assert!(head.header("log-aggregator-database").is_some(), "{target}");
        // What is wrong with a query is found all the same.
        client.send_request("HEAD", &format!("{target}&sorce=x"), &[], b"");
        assert_eq!(client.response_to("HEAD").status, 422, "{target}");
    }
    assert_eq!(metric(&mut client, "searches_total"), 0);
    assert_eq!(metric(&mut client, "search_seqs_scanned_total"), 0);
}
