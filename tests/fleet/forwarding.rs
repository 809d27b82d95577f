//! What a forwarder brings, from which nodes, and how it goes on.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{json, Value};

use crate::engine::shared;
use crate::forwarder::{forward_once, run, url_of, Forwarder};
use crate::harness::{event, fixed_address, Address, Server, Setup};
use crate::model::{check, events_of_node};
use crate::wait::wait_until;

/// Events of one topic each, as one request.
fn publish(server: &Server, numbers: std::ops::Range<u32>, payload: &str) {
    let made = numbers.map(|number| {
        let mut event = event(&format!("topic {}", number % 7), &format!("event {number}"));
        event["payload"] = json!({ "said": payload });
        event
    });
    server.publish(&made.collect::<Value>()).expect(200);
}

#[test]
fn two_nodes_are_one_history_with_each_event_once() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("two_nodes");
    let [first, second] = [Server::start(&[]), Server::start(&[])];
    publish(&first, 0..1_000, "first");
    // The same events, the same keys with other contents, and some of its own.
    publish(&second, 0..300, "first");
    publish(&second, 300..500, "second");
    publish(&second, 5_000..5_300, "second");
    forward_once(&first, &to);
    forward_once(&second, &to);
    let nodes = [events_of_node(&first), events_of_node(&second)];
    check(engine, "two_nodes", &nodes);
    let counts = engine.sql(
        "two_nodes",
        "SELECT sum(events), sum(stored), sum(duplicates), sum(conflicts) FROM logagg.batches \
         GROUP BY node ORDER BY node",
    );
    assert_eq!(counts, "1000|1000|0|0\n800|300|500|200");
    // Payloads that a column of JSON would refuse or alter.
    let odd = r#"{"topic":"odd","event_id":"ü\"","timestamp":"2026-01-02T03:04:05Z","source":"s",
        "payload":{"a":1e400,"b":"\u0000\ud800","b":2}}"#;
    first.client().publish(odd).expect(200);
    forward_once(&first, &to);
    let kept = "SELECT payload FROM logagg.event_log WHERE topic = 'odd'";
    assert_eq!(
        engine.sql("two_nodes", kept),
        r#"{"a":1e400,"b":"\u0000\ud800","b":2}"#
    );
    let wrong = "SELECT count(*) FROM logagg.event_log WHERE event_id = 'event 400' AND payload LIKE '%first%'";
    assert_eq!(engine.sql("two_nodes", wrong), "1", "the first write wins");
    // Once more brings nothing, and each position is that of its node.
    forward_once(&first, &to);
    let positions = "SELECT position FROM logagg.node_positions ORDER BY position";
    assert_eq!(engine.sql("two_nodes", positions), "800\n1001");
    let id = first.json("/stats")["database_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let known = format!(
        "SELECT count(*) FROM logagg.node_positions WHERE database_id = '{id}' AND position = 1001"
    );
    assert_eq!(engine.sql("two_nodes", &known), "1");
}

#[test]
fn a_forwarder_follows_its_node_and_the_node_knows_how_far_it_is() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("follows");
    let setup = Setup::new().listen([fixed_address().to_string()]);
    let server = setup.start();
    publish(&server, 0..50, "a");
    let forwarder = Forwarder::start(server.address(), &to);
    forwarder.wait_for_position(50);
    assert_eq!(forwarder.metric("active"), 1.0);
    publish(&server, 50..80, "a");
    forwarder.wait_for_position(80);
    let store_id = engine.sql("follows", "SELECT store_id FROM logagg.meta");
    let subscription = format!("/subscriptions/forward-{}", &store_id[..8]);
    wait_until("the acknowledgement", || {
        server.json(&subscription)["lag"] == 0
    });
    assert_eq!(server.json(&subscription)["hold"], true);
    assert_eq!(forwarder.metric("lag_events"), 0.0);
    assert_eq!(forwarder.metric("events_total{outcome=\"stored\"}"), 80.0);
    assert!(forwarder.metric("last_commit_timestamp_seconds") > 1.7e9);
    assert!(forwarder
        .page("/health")
        .contains("\"engine\":true,\"node\":true"));
    // Both ends may go away; it comes back by itself after its position.
    let address = server.address().clone();
    server.kill();
    wait_until("the loss to be seen", || {
        forwarder.page("/health").contains("\"node\":false")
    });
    let server = setup.start_at(address);
    wait_until("the server to be back", || {
        forwarder.page("/health").contains("\"node\":true")
    });
    publish(&server, 80..90, "a");
    forwarder.wait_for_position(90);
    check(engine, "follows", &[events_of_node(&server)]);
    assert_eq!(forwarder.stop(), 0);
}

#[test]
fn a_forwarder_that_is_killed_again_and_again_brings_each_event_once() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("killed");
    let server = Server::start(&[]);
    for round in 0..6 {
        let flags: &[&str] = if round % 2 == 0 {
            &["--batch-events", "37"]
        } else {
            &[]
        };
        let forwarder = Forwarder::start_with(server.address(), &to, flags);
        publish(&server, round * 500..round * 500 + 500, "a");
        let some = f64::from(round * 500 + 100);
        wait_until("some events", || forwarder.metric("position") >= some);
        forwarder.signal(Signal::KILL);
    }
    forward_once(&server, &to);
    check(engine, "killed", &[events_of_node(&server)]);
}

#[test]
fn one_of_two_forwarders_works_and_the_other_takes_over() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("standby");
    let server = Server::start(&[]);
    let forwarders = [0, 1].map(|_| Forwarder::start(server.address(), &to));
    let mut published = 0;
    let active = |forwarder: &Forwarder| forwarder.metric("active") == 1.0;
    wait_until("one of them to be a standby", || {
        publish(&server, published..published + 20, "a");
        published += 20;
        forwarders
            .iter()
            .filter(|forwarder| active(forwarder))
            .count()
            == 1
    });
    let [mut working, mut waiting] = forwarders;
    if active(&waiting) {
        std::mem::swap(&mut working, &mut waiting);
    }
    working.wait_for_position(published.into());
    working.signal(Signal::KILL);
    publish(&server, published..published + 100, "a");
    wait_until("the standby to take over", || active(&waiting));
    waiting.wait_for_position(u64::from(published) + 100);
    check(engine, "standby", &[events_of_node(&server)]);
    assert_eq!(waiting.stop(), 0);
}

#[test]
fn a_node_that_went_back_begins_another_life() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("lives");
    let setup = Setup::new();
    let server = setup.start();
    publish(&server, 0..100, "a");
    let copy = setup.directory().join("copy.db");
    let paths = [setup.database_path(), &copy].map(|path| path.to_str().unwrap());
    assert_eq!(run(&["backup", "--from", paths[0], "--to", paths[1]]).0, 0);
    publish(&server, 100..200, "a");
    forward_once(&server, &to);
    let known = events_of_node(&server);
    server.stop();
    // A copy that is put back by hand keeps its id. First it has less than was forwarded, then other events.
    let back = Setup::new().database(&copy);
    let server = back.start();
    let said = forward_once(&server, &to);
    assert!(said.contains("gone back"), "{said}");
    publish(&server, 1_000..1_150, "a");
    forward_once(&server, &to);
    let lives = "SELECT position FROM logagg.node_positions ORDER BY life";
    assert_eq!(engine.sql("lives", lives), "200\n250");
    check(engine, "lives", &[known, events_of_node(&server)]);
    // As many as before, but others: only the mark tells.
    let stats = server.json("/stats");
    let id = stats["database_id"].as_str().unwrap();
    engine.sql(
        "lives",
        &format!(
            "UPDATE logagg.batches SET mark = '\\x00112233445566778899aabbccddeeff' WHERE upto = 250 \
             AND node = (SELECT max(id) FROM logagg.nodes WHERE database_id = '{id}')"
        ),
    );
    publish(&server, 2_000..2_001, "a");
    forward_once(&server, &to);
    assert_eq!(engine.sql("lives", lives), "200\n250\n251");
}

#[test]
fn what_the_node_has_removed_is_a_gap_and_what_is_held_is_not_removed() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("gaps");
    let setup = Setup::new().flags(["--retain-events", "1s"]);
    let server = setup.start();
    publish(&server, 0..10, "a");
    let first_seq = |server: &Server| server.json("/stats")["first_seq"].as_u64().unwrap();
    wait_until("the events to be removed", || first_seq(&server) == 11);
    // Of the first ten nobody had held anything.
    let forwarder = Forwarder::start(server.address(), &to);
    wait_until("the forwarder to hold what comes", || {
        server.json("/subscriptions")["count"] == 1
    });
    publish(&server, 10..20, "a");
    forwarder.wait_for_position(20);
    let gaps = "SELECT from_seq, to_seq FROM logagg.gaps";
    assert_eq!(engine.sql("gaps", gaps), "1|10");
    assert_eq!(forwarder.metric("gap_events_total"), 10.0);
    let said = forwarder.said();
    assert!(
        said.contains("WARN: the node had removed the events 1 to 10"),
        "{said}"
    );
    // Nobody forwards: what comes now is held, although it becomes too old.
    wait_until("the forwarded events to be removed", || {
        first_seq(&server) == 21
    });
    assert_eq!(forwarder.stop(), 0);
    publish(&server, 20..30, "a");
    server.log().wait_for(1, "holds the events after seq 20");
    forward_once(&server, &to);
    assert_eq!(engine.sql("gaps", gaps), "1|10");
    let count = "SELECT count(*) FROM logagg.events";
    assert_eq!(engine.sql("gaps", count), "20");
}

#[test]
fn a_signal_ends_it_whatever_it_waits_for() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("signals");
    let server = Server::start(&[]);
    // A port where nobody answers, and one where somebody takes the connection and is silent.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_at = silent.local_addr().unwrap();
    let nobody = "postgres://postgres@127.0.0.1:1/x".to_owned();
    let mute = format!("postgres://postgres@{silent_at}/x");
    for to in [&to, &nobody, &mute] {
        for signal in [Signal::TERM, Signal::INT] {
            let mut forwarder = Forwarder::start(server.address(), to);
            if *to == nobody {
                wait_until("a failure", || forwarder.metric("errors_total") > 0.0);
                publish(&server, 0..10, "a");
                assert_eq!(
                    forwarder.metric("lag_events"),
                    10.0,
                    "it is told without the engine"
                );
                assert!(forwarder
                    .page("/health")
                    .contains("\"engine\":false,\"node\":true"));
            }
            forwarder.signal(signal);
            let mut code = None;
            wait_until("the end", || {
                code = forwarder.ended();
                code.is_some()
            });
            assert_eq!(code, Some(0));
        }
    }
    let nowhere = Address::Tcp("127.0.0.1:1".parse().unwrap());
    assert_eq!(Forwarder::start(&nowhere, &to).stop(), 0);
    // Once is not done when it is stopped.
    let node = url_of(&nowhere);
    let mut once =
        crate::forwarder::program(&["forward", "--once", "--server", &node, "--to", &to]);
    let mut once = once.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    rustix::process::kill_process(rustix::process::Pid::from_child(&once), Signal::TERM).unwrap();
    assert_ne!(once.wait().unwrap().code(), Some(0));
}

/// Of the looks for new events and those at the position, which come every two seconds.
#[test]
fn an_idle_node_is_asked_about_once_a_second() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("idle");
    let server = Setup::new().listen([fixed_address().to_string()]).start();
    publish(&server, 0..5, "a");
    let forwarder = Forwarder::start(server.address(), &to);
    forwarder.wait_for_position(5);
    let mut client = server.client();
    let mut asked = |route: &str| {
        let page = client.get("/metrics").text();
        let start = format!(
            "log_aggregator_http_request_duration_seconds_count{{route=\"{route}\",status=\"2xx\"}} "
        );
        let count = page.lines().find_map(|line| line.strip_prefix(&start));
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let mut wait_for_looks = |looks: u64| {
        let from = asked("/stats");
        wait_until("looks at the position", || asked("/stats") >= from + looks);
        (asked("/stats"), asked("/subscribe"))
    };
    // The pauses grow with the first ones.
    let (looks, reads) = wait_for_looks(1);
    let (more_looks, more_reads) = wait_for_looks(2);
    let (looks, reads) = (more_looks - looks, more_reads - reads);
    assert!(reads <= 4 * looks, "{reads} reads in {looks} looks");
    publish(&server, 5..6, "a");
    forwarder.wait_for_position(6);
    assert_eq!(forwarder.stop(), 0);
}
