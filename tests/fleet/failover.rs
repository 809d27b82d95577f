//! An engine with a synchronous standby: commits that are not replicated, and a primary that is lost.

use crate::engine::{url_at, Engine};
use crate::forwarder::Forwarder;
use crate::harness::{event, Server};
use crate::model::{check, events_of_node};
use crate::wait::wait_until;
use serde_json::Value;

fn publish(server: &Server, numbers: std::ops::Range<u32>) {
    let made = numbers.map(|number| event("t", &number.to_string()));
    server.publish(&made.collect::<Value>()).expect(200);
}

#[test]
fn a_primary_that_is_lost_loses_nothing_and_its_standby_goes_on() {
    let Some(mut primary) = Engine::start() else {
        return;
    };
    primary.database("fleet");
    let standby = primary.standby("second");
    primary.sql(
        "postgres",
        "ALTER SYSTEM SET synchronous_standby_names = 'second'; SELECT pg_reload_conf()",
    );
    wait_until("the standby to be synchronous", || {
        primary.sql("postgres", "SELECT sync_state FROM pg_stat_replication") == "sync"
    });
    // A role that would not wait for the standby is made to.
    primary.sql(
        "postgres",
        "ALTER ROLE postgres SET synchronous_commit = 'local'",
    );
    let server = Server::start(&[]);
    let to = url_at(&[standby.address(), primary.address()], "fleet");
    let forwarder = Forwarder::start_with(server.address(), &to, &["--batch-events", "50"]);
    publish(&server, 0..200);
    forwarder.wait_for_position(200);
    publish(&server, 200..700);
    wait_until("more", || forwarder.metric("position") > 250.0);
    primary.kill();
    standby.promote();
    publish(&server, 700..800);
    forwarder.wait_for_position(800);
    assert!(forwarder.metric("errors_total") > 0.0);
    check(&standby, "fleet", &[events_of_node(&server)]);
    assert_eq!(forwarder.stop(), 0);
}

#[test]
fn a_commit_that_was_not_replicated_is_no_success() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let to = engine.database("fleet");
    let server = Server::start(&[]);
    let forwarder = Forwarder::start(server.address(), &to);
    publish(&server, 0..10);
    forwarder.wait_for_position(10);
    // Nobody is this standby, so a commit waits.
    engine.sql(
        "postgres",
        "ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()",
    );
    publish(&server, 10..20);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'logagg'";
    wait_until("the commit to wait", || {
        engine.sql("postgres", waiting) == "1"
    });
    let before = forwarder.metric("events_total{outcome=\"stored\"}");
    let cancel =
        "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    engine.sql("postgres", cancel);
    wait_until("the failure", || forwarder.metric("errors_total") > 0.0);
    assert_eq!(forwarder.metric("events_total{outcome=\"stored\"}"), before);
    engine.sql(
        "postgres",
        "ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()",
    );
    publish(&server, 20..30);
    forwarder.wait_for_position(30);
    check(&engine, "fleet", &[events_of_node(&server)]);
}
