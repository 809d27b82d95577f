//! `/metrics`: that it counts what was done, in both formats, and that what clients send cannot make it
//! grow.

mod deploy;
mod page;
mod promtool;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};

use crate::harness::{event, Client, Server, Setup};
use page::Page;

const OPENMETRICS: &str = "Accept: application/openmetrics-text;version=1.0.0";

fn metrics(client: &mut Client) -> Page {
    Page::read(&client.get("/metrics"))
}

/// The value of a series of the service's own.
fn value(page: &Page, name: &str) -> f64 {
    page.value(&format!("log_aggregator_{name}"))
}

#[test]
fn every_statistic_is_there_with_its_value() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut other = event("a", "1");
    other["source"] = json!("other");
    let events = json!([event("b", "1"), event("a", "1"), event("a", "1"), other]);
    client.publish(events.to_string()).expect(200);
    client.publish("[{}, 1]").expect(422);
    client.publish("no JSON").expect(422);
    let stats = client.get("/stats").expect(200);
    let page = metrics(&mut client);
    for name in [
        "received",
        "unique_processed",
        "duplicate_dropped",
        "conflicts",
        "rejected",
        "batches",
    ] {
        let counted = value(&page, &format!("{name}_total"));
        assert!(counted > 0.0, "{name}");
        assert_eq!(Some(counted), stats[name].as_f64(), "{name}");
    }
    for name in [
        "queue_size",
        "queue_capacity",
        "connections",
        "subscribers",
        "database_bytes",
        "last_seq",
        "first_seq",
        "search_index_through",
        "search_index_bytes",
    ] {
        assert_eq!(Some(value(&page, name)), stats[name].as_f64(), "{name}");
    }
    assert_eq!(value(&page, "events_removed_total"), 0.0);
    assert_eq!(value(&page, "topics"), 2.0);
    assert_eq!(value(&page, "healthy"), 1.0);
    assert_eq!(value(&page, "search_index"), 1.0);
    assert_eq!(value(&page, "log_lines_dropped_total"), 0.0);
    assert_eq!(value(&page, "datagrams_dropped_total"), 0.0);
    assert!(value(&page, "wal_bytes") > 0.0);
    assert!(value(&page, "uptime_seconds") >= 0.0);
    assert!(value(&page, "disk_available_bytes") > 0.0);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        value(&page, &format!("build_info{{version=\"{version}\"}}")),
        1.0
    );
}

/// By protocol, with a name for each that is from this program.
#[test]
fn records_and_identities_are_counted_by_protocol() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let results = ["accepted", "duplicate", "conflict", "rejected"];
    let identities = ["own", "member", "hash", "auto"];
    let page = metrics(&mut client);
    for protocol in [
        "publish",
        "otlp",
        "elasticsearch",
        "loki",
        "journald",
        "syslog",
        "cloudevents",
        "forward",
        "hec",
        "datadog",
        "gelf",
    ] {
        for result in results {
            let labels = format!("{{protocol=\"{protocol}\",result=\"{result}\"}}");
            assert_eq!(value(&page, &format!("ingest_records_total{labels}")), 0.0);
        }
        for identity in identities {
            let labels = format!("{{protocol=\"{protocol}\",identity=\"{identity}\"}}");
            let name = format!("ingest_identities_total{labels}");
            assert_eq!(value(&page, &name), 0.0);
        }
    }
    let series = page.series();
    let of_ingest = series
        .iter()
        .filter(|name| name.starts_with("log_aggregator_ingest_"));
    assert_eq!(of_ingest.count(), 11 * 8);

    let mut other = event("a", "1");
    other["source"] = json!("other");
    let events = json!([event("b", "1"), event("a", "1"), event("a", "1"), other]);
    client.publish(events.to_string()).expect(200);
    client.publish(event("a", "1").to_string()).expect(200);
    client.publish("no JSON").expect(422);
    let mixed = json!([event("c", "1"), 1, {}]).to_string();
    client
        .publish_to("/publish?partial=true", mixed)
        .expect(200);
    let page = metrics(&mut client);
    let counted = |label: &str, names: [&str; 4]| {
        names.map(|name| {
            let kind = match label {
                "result" => "records",
                _ => "identities",
            };
            let labels = format!("{{protocol=\"publish\",{label}=\"{name}\"}}");
            value(&page, &format!("ingest_{kind}_total{labels}"))
        })
    };
    assert_eq!(counted("result", results), [3.0, 2.0, 1.0, 3.0]);
    assert_eq!(counted("identity", identities), [6.0, 0.0, 0.0, 0.0]);
    assert_eq!(value(&page, "rejected_total"), 3.0);
}

#[test]
fn both_formats_have_the_same_series() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.publish(event("t", "1").to_string()).expect(200);
    // So that both pages come after a request for a page.
    client.get("/metrics");
    let older = metrics(&mut client);
    let newer = Page::read(&client.request("GET", "/metrics", &[OPENMETRICS], b""));
    assert!(newer.is_openmetrics && !older.is_openmetrics);
    assert_eq!(older.series(), newer.series());
}

#[test]
fn openmetrics_is_for_those_who_ask_for_it() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (accept, is_openmetrics) in [
        ("*/*", false),
        ("text/plain", false),
        ("text/html,application/xhtml+xml,*/*;q=0.8", false),
        ("application/openmetrics-text", true),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", true),
        ("Application/OpenMetrics-Text; Version=\"1.0.0\"", true),
        ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", false),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.6", false),
        ("application/openmetrics-text;q=0.6,text/plain;q=0.5", true),
        ("application/openmetrics-text;q=0,*/*", false),
        ("application/openmetrics-text;q=0", false),
        ("application/*", true),
        (",;,/,;q=1,x;q=,", false),
        // What Prometheus 2 and 3 send.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            true,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;\
             escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1",
            true,
        ),
    ] {
        let accept = format!("Accept: {accept}");
        let answer = client.request("GET", "/metrics", &[&accept], b"");
        assert_eq!(Page::read(&answer).is_openmetrics, is_openmetrics, "{accept}");
    }
    let fields = ["Accept: text/plain;q=0.5", OPENMETRICS];
    let answer = client.request("GET", "/metrics", &fields, b"");
    assert!(Page::read(&answer).is_openmetrics);
    assert!(!metrics(&mut client).is_openmetrics);
    let head = client.request("HEAD", "/metrics", &[OPENMETRICS], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn each_answered_request_is_counted_once() {
    let server = Server::start(&["--max-body-bytes", "2048"]);
    let mut client = server.client();
    for id in 0..7 {
        client
            .publish(event("t", &id.to_string()).to_string())
            .expect(200);
    }
    client.publish("{}").expect(422);
    client.request("POST", "/publish", &[], b"{}").sentence(415);
    client.get("/publish").sentence(405);
    client.request("OPTIONS", "/publish", &[], b"");
    client.get("/events?limit=1").expect(200);
    client.request("HEAD", "/events", &[], b"");
    client.get("/events?limit=x").expect(422);
    for id in ["0", "%31", "nobody"] {
        client.get(&format!("/events/t/{id}"));
    }
    client.get("/nothing").sentence(404);
    // Two that arrive together.
    let get = "GET /topics HTTP/1.1\r\nHost: h\r\n\r\n";
    client.send(format!("{get}{get}"));
    assert_eq!(
        (client.response().status, client.response().status),
        (200, 200)
    );
    // Those that the connection itself refuses: one without a head, one after it, one within its body.
    let refused = |bytes: &str, status| {
        let mut client = server.client();
        client.send(bytes);
        assert_eq!(client.response().status, status);
    };
    refused("GET / HTTP/1.1\r\n\r\n", 400);
    refused("no HTTP\r\n\r\n", 400);
    let json = "Content-Type: application/json\r\n";
    refused(
        &format!("POST /publish HTTP/1.1\r\nHost: h\r\n{json}Content-Length: 9999\r\n\r\n"),
        413,
    );
    refused(
        &format!(
            "POST /publish HTTP/1.1\r\nHost: h\r\n{json}Transfer-Encoding: chunked\r\n\r\nx\r\n"
        ),
        400,
    );
    let page = metrics(&mut client);
    for (route, status, count) in [
        ("/publish", "2xx", 8.0),
        ("/publish", "4xx", 5.0),
        ("/events", "2xx", 2.0),
        ("/events", "4xx", 1.0),
        ("/events/{topic}/{event_id}", "2xx", 2.0),
        ("/events/{topic}/{event_id}", "4xx", 1.0),
        ("/topics", "2xx", 2.0),
        ("other", "4xx", 3.0),
        ("/metrics", "2xx", 0.0),
    ] {
        assert_eq!(
            page.requests(route, status),
            count,
            "{route} {status} {page:?}"
        );
    }
    assert_eq!(metrics(&mut client).requests("/metrics", "2xx"), 1.0);
}

#[test]
fn commits_are_counted_with_their_events() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (events, times) in [(1, 3), (5, 2), (150, 1)] {
        for round in 0..times {
            let id = |n| format!("{events}-{round}-{n}");
            let batch: Vec<Value> = (0..events).map(|n| event("t", &id(n))).collect();
            client.publish(json!(batch).to_string()).expect(200);
        }
    }
    client.publish("[]").expect(422);
    let page = metrics(&mut client);
    assert_eq!(value(&page, "batches_total"), 6.0);
    assert_eq!(value(&page, "commit_duration_seconds_count"), 6.0);
    assert_eq!(value(&page, "batch_events_count"), 6.0);
    assert_eq!(value(&page, "batch_events_sum"), 163.0);
    for (bound, count) in [
        ("1.0", 3.0),
        ("2.0", 3.0),
        ("5.0", 5.0),
        ("100.0", 5.0),
        ("200.0", 6.0),
    ] {
        assert_eq!(
            value(&page, &format!("batch_events_bucket{{le=\"{bound}\"}}")),
            count
        );
    }
    // Nobody is answered before the commit.
    let publications = "http_request_duration_seconds_sum{route=\"/publish\",status=\"2xx\"}";
    assert!(value(&page, publications) >= value(&page, "commit_duration_seconds_sum"));
    assert!(value(&page, "commit_duration_seconds_sum") > 0.0);
}

#[test]
fn a_ring_that_is_too_small_counts_each_of_its_commits() {
    let server = Server::start(&["--ring-capacity", "2"]);
    let mut client = server.client();
    let mut requests = String::new();
    for id in 0..20 {
        let body = event("t", &id.to_string()).to_string();
        requests.push_str(&format!(
            "POST /publish HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }
    let mut clients: Vec<Client> = (0..10).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(&requests);
    }
    for client in &mut clients {
        for _ in 0..20 {
            client.response().expect(200);
        }
    }
    let page = metrics(&mut client);
    assert_eq!(page.requests("/publish", "2xx"), 200.0);
    assert_eq!(value(&page, "batch_events_sum"), 200.0);
    let batches = value(&page, "batches_total");
    assert!(batches >= 100.0);
    assert_eq!(value(&page, "commit_duration_seconds_count"), batches);
    assert_eq!(value(&page, "batch_events_count"), batches);
}

#[test]
fn whatever_arrives_there_are_no_more_series() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut all_sorts = |round: &str| {
        let topics: Vec<Value> = (0..300)
            .map(|n| event(&format!("{round}-{n}"), "e"))
            .collect();
        client.publish(json!(topics).to_string()).expect(200);
        for n in 0..50 {
            let name = format!("{round}%20{n}");
            client.get(&format!("/events/{name}/x")).sentence(404);
            client.get(&format!("/{name}?{name}")).sentence(404);
            client
                .request(&format!("M{n}"), "/publish", &[], b"")
                .sentence(405);
            client.get(&format!("/topics?{name}")).expect(200);
        }
        client.get("/metrics");
        let page = metrics(&mut client);
        page.series()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let first = all_sorts("a");
    let second = all_sorts("b");
    assert_eq!(first, second);
    assert!(first
        .iter()
        .all(|series| !series.contains("a-") && !series.contains("%20")));
}

#[test]
fn more_requests_than_are_counted_at_once_are_all_counted() {
    const CLIENTS: usize = 20;
    const EACH: usize = 200;
    let server = Server::start(&[]);
    let requests = "GET /health HTTP/1.1\r\nHost: h\r\n\r\n".repeat(EACH);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(&requests);
    }
    for client in &mut clients {
        for _ in 0..EACH {
            client.response().expect(200);
        }
    }
    let page = metrics(&mut server.client());
    assert_eq!(page.requests("/health", "2xx"), (CLIENTS * EACH) as f64);
}

#[test]
fn the_process_is_told_of() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let page = metrics(&mut client);
    assert!(page.value("process_resident_memory_bytes") > 1_000_000.0);
    assert!(page.value("process_cpu_seconds_total") > 0.0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let started = page.value("process_start_time_seconds");
    assert!(started > 0.0 && started <= now);
    let before = page.value("process_open_fds");
    assert!(before >= 4.0 && page.value("process_max_fds") >= before);
    let mut others: Vec<Client> = (0..5).map(|_| server.client()).collect();
    for other in &mut others {
        other.get("/health").expect(200);
    }
    assert_eq!(metrics(&mut client).value("process_open_fds"), before + 5.0);
}

#[test]
fn lost_lines_of_the_log_are_counted() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let name = "n".repeat(250);
    let mut one = event(&name, &name);
    one["source"] = json!(name);
    client.publish(one.to_string()).expect(200);
    let batch = json!(vec![one; 2_000]).to_string();
    let unread = server.log().leave_unread();
    client.publish(&batch).expect(200);
    let dropped = value(&metrics(&mut client), "log_lines_dropped_total");
    assert!(dropped > 0.0);
    drop(unread);
    let lines = server.log().wait_for(1, "Log lines dropped: ");
    assert!(
        lines[0].ends_with(&format!(" {dropped}")),
        "{} {dropped}",
        lines[0]
    );
}

#[test]
fn reading_it_needs_the_scope_read() {
    let setup = Setup::new();
    let path = setup.directory().join("tokens");
    std::fs::write(&path, "a publish secret-p\nb read secret-r\n").unwrap();
    let server = setup.flags(["--auth-tokens-file".into(), path]).start();
    let mut client = server.client();
    let mut status = |header: &str| client.request("GET", "/metrics", &[header], b"").status;
    assert_eq!(status("A: b"), 401);
    assert_eq!(status("Authorization: Bearer secret-p"), 403);
    assert_eq!(status("Authorization: Bearer secret-r"), 200);
    let bearer = ["Authorization: Bearer secret-r"];
    let answer = client.request("GET", "/metrics", &bearer, b"");
    assert!(!answer.text().contains("secret"));
    let page = Page::read(&answer);
    assert_eq!(page.requests("/metrics", "4xx"), 2.0);
}

#[test]
fn a_store_that_cannot_commit_is_unhealthy_here_too() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let database = rusqlite::Connection::open(server.setup().database_path()).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    client.publish(event("t", "1").to_string()).sentence(503);
    let page = metrics(&mut client);
    assert_eq!(value(&page, "healthy"), 0.0);
    assert_eq!(page.requests("/publish", "5xx"), 1.0);
    assert_eq!(value(&page, "commit_duration_seconds_count"), 0.0);
    database.execute_batch("ROLLBACK").unwrap();
    crate::wait::wait_until("health", || value(&metrics(&mut client), "healthy") == 1.0);
}
