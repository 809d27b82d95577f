//! A front whose engine is away, hangs, or does not let it in.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::engine::{shared, url_at};
use crate::front::{front, results};
use crate::harness::{event, fixed_address, Server, Setup};
use crate::proxy::Proxy;
use crate::wait::wait_until;

pub fn wait_until_healthy(server: &Server) {
    wait_until("the front to be healthy", || {
        server.get("/health").status == 200
    });
}

#[test]
fn an_engine_that_is_away_at_the_start_is_found_later() {
    let Some(engine) = shared() else {
        return;
    };
    engine.database("away");
    let proxy = Proxy::start(engine.address());
    proxy.refuse();
    // The first host is nowhere.
    let url = url_at(&[fixed_address(), proxy.address()], "away");
    let front = front(&url);
    let health = front.get("/health").expect(503);
    assert_eq!(health["status"], "unhealthy");
    assert!(health["reason"].is_string(), "{health}");
    assert_eq!(front.get("/").status, 200);
    proxy.pass();
    wait_until_healthy(&front);
    assert_eq!(results(&front, &json!([event("t", "1")])), ["accepted 1"]);
    // Cut in the middle of nothing, it comes back by itself.
    proxy.cut();
    assert_eq!(results(&front, &json!([event("t", "1")])), ["duplicate 1"]);
}

#[test]
fn an_engine_that_hangs_costs_publishers_their_patience_and_nobody_else() {
    let Some(engine) = shared() else {
        return;
    };
    engine.database("hangs");
    let proxy = Proxy::start(engine.address());
    let url = url_at(&[proxy.address()], "hangs");
    let hanging = front(&url);
    let other = front(&engine.url("hangs"));
    assert_eq!(results(&hanging, &json!([event("t", "1")])), ["accepted 1"]);
    proxy.hang();
    let mut client = hanging.client();
    let body = json!([event("t", "2")]).to_string();
    let asked = Instant::now();
    client.send_request(
        "POST",
        "/publish",
        &["Content-Type: application/json"],
        body.as_bytes(),
    );
    // What needs no engine is answered meanwhile.
    assert_eq!(hanging.get("/").status, 200);
    assert_eq!(hanging.client().publish("[]").status, 422);
    let answer = client.response();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("Retry-After").is_some());
    assert!(asked.elapsed() >= Duration::from_secs(8));
    assert_eq!(hanging.get("/health").status, 503);
    // It is sent again, elsewhere, and stands once.
    let once = results(&other, &json!([event("t", "2")]));
    proxy.pass();
    wait_until_healthy(&hanging);
    let again = results(&hanging, &json!([event("t", "2")]));
    let seq = once[0].split(' ').nth(1).unwrap();
    assert_eq!(again, [format!("duplicate {seq}")]);
    let count = "SELECT count(*) FROM logagg.event_log WHERE event_id = '2'";
    assert_eq!(engine.sql("hangs", count), "1");
}

#[test]
fn what_cannot_pass_ends_it_and_the_password_is_never_said() {
    let Some(engine) = shared() else {
        return;
    };
    engine.sql(
        "postgres",
        "CREATE ROLE guarded_front LOGIN PASSWORD 'right' ",
    );
    let address = engine.address();
    let fails = |url: &str, flags: &[&str], code: i32, what: &str| {
        let (found, said) = Setup::new().store(url).flags(flags).fail();
        assert_eq!(found, code, "{url}: {said}");
        assert!(said.contains(what), "{url}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
    };
    let url = format!("postgres://postgres:s3cret@{address}/no_such");
    fails(&url, &[], 1, "no_such");
    fails("mysql://u:s3cret@h/d", &[], 2, "--store");
    for flags in [
        ["--database", "x"],
        ["--dedup", "index"],
        ["--durability", "full"],
        ["--retain-events", "1d"],
        ["--filter-memory-bytes", "0"],
        ["--syslog", "udp:127.0.0.1:0"],
        ["--forward", "tcp:127.0.0.1:0"],
        ["--gelf", "udp:127.0.0.1:0"],
    ] {
        fails(&url, &flags, 2, "--store");
    }
}
