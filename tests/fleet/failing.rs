//! Engines that go away, hang, or come back in an older state.

use serde_json::Value;

use crate::engine::{shared, url_at, Engine};
use crate::forwarder::Forwarder;
use crate::harness::{event, Server};
use crate::model::{check, events_of_node};
use crate::proxy::Proxy;
use crate::wait::wait_until;

fn publish(server: &Server, numbers: std::ops::Range<u32>) {
    let made = numbers.map(|number| event(&format!("t{}", number % 3), &number.to_string()));
    server.publish(&made.collect::<Value>()).expect(200);
}

#[test]
fn connections_that_are_cut_or_hang_or_are_refused_do_no_harm() {
    let Some(engine) = shared() else {
        return;
    };
    engine.database("cut");
    let proxy = Proxy::start(engine.address());
    let server = Server::start(&[]);
    let to = url_at(&[proxy.address()], "cut");
    let forwarder = Forwarder::start_with(server.address(), &to, &["--batch-events", "20"]);
    for round in 0..5 {
        publish(&server, round * 100..round * 100 + 100);
        wait_until("some", || {
            forwarder.metric("position") > f64::from(round * 100)
        });
        proxy.cut();
    }
    forwarder.wait_for_position(500);
    proxy.refuse();
    publish(&server, 500..520);
    let before = forwarder.metric("errors_total");
    wait_until("the refusal", || forwarder.metric("errors_total") > before);
    assert!(forwarder.metric("lag_events") >= 20.0);
    proxy.pass();
    forwarder.wait_for_position(520);
    // A transaction that hangs is given up, and leaves no locks behind.
    proxy.hang();
    publish(&server, 520..600);
    let before = forwarder.metric("errors_total");
    wait_until("it to be given up", || {
        forwarder.metric("errors_total") > before
    });
    proxy.pass();
    forwarder.wait_for_position(600);
    check(engine, "cut", &[events_of_node(&server)]);
}

#[test]
fn an_engine_that_is_killed_is_waited_for() {
    let Some(mut engine) = Engine::start() else {
        return;
    };
    let to = engine.database("fleet");
    let server = Server::start(&[]);
    let forwarder = Forwarder::start_with(server.address(), &to, &["--batch-events", "20"]);
    for round in 0..2 {
        publish(&server, round * 200..round * 200 + 200);
        wait_until("some", || {
            forwarder.metric("position") > f64::from(round * 200)
        });
        engine.kill();
        engine.restart();
    }
    forwarder.wait_for_position(400);
    check(&engine, "fleet", &[events_of_node(&server)]);
}

#[test]
fn a_store_that_is_put_back_under_a_living_connection_is_filled_again() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("restored");
    let server = Server::start(&[]);
    let forwarder = Forwarder::start(server.address(), &to);
    publish(&server, 0..100);
    forwarder.wait_for_position(100);
    let dump = engine.dump("restored");
    publish(&server, 100..200);
    let mut event = event("a topic that the copy lacks", "x");
    event["payload"] = Value::Null;
    event["payload"] = serde_json::json!({});
    server.publish(&event).expect(200);
    forwarder.wait_for_position(201);
    // The node gets nothing more: the loss is noticed all the same.
    let put_back = format!("BEGIN; DROP SCHEMA logagg CASCADE; {dump}; COMMIT");
    engine.sql("restored", &put_back);
    let count = "SELECT count(*) FROM logagg.events";
    wait_until("the rest to come again", || {
        engine.sql("restored", count) == "201"
    });
    check(engine, "restored", &[events_of_node(&server)]);
    // And one that is empty is made again.
    engine.sql("restored", "DROP SCHEMA logagg CASCADE");
    wait_until("all to come again", || {
        engine
            .try_sql("restored", count)
            .is_ok_and(|count| count == "201")
    });
    check(engine, "restored", &[events_of_node(&server)]);
    assert_eq!(forwarder.stop(), 0);
}
