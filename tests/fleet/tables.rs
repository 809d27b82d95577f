//! The tables of a store: made by hand or by the first program that connects, and what `store retain` removes.

use serde_json::{json, Value};

use crate::engine::shared;
use crate::forwarder::{forward_once, program, run, url_of, Forwarder};
use crate::harness::{event, Server};
use crate::model::{check, events_of_node};

fn publish(server: &Server, numbers: std::ops::Range<u32>) {
    let made = numbers.map(|number| event("t", &number.to_string()));
    server.publish(&made.collect::<Value>()).expect(200);
}

#[test]
fn a_role_that_may_only_read_and_write_works_on_tables_that_are_there() {
    let Some(engine) = shared() else {
        return;
    };
    engine.database("made_by_hand");
    let (code, tables, said) = run(&["store", "schema"]);
    assert_eq!(code, 0, "{said}");
    engine.sql("made_by_hand", &tables);
    engine.sql("postgres", "CREATE ROLE writer LOGIN");
    let grants = "GRANT USAGE ON SCHEMA logagg TO writer; \
                  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA logagg TO writer";
    engine.sql("made_by_hand", grants);
    let server = Server::start(&[]);
    publish(&server, 0..100);
    let to = format!("postgres://writer@{}/made_by_hand", engine.address());
    forward_once(&server, &to);
    publish(&server, 90..200);
    forward_once(&server, &to);
    check(engine, "made_by_hand", &[events_of_node(&server)]);
    for dialect in ["postgres", "citus", "cockroach", "yugabyte"] {
        let (code, tables, _) = run(&["store", "schema", "--for", dialect]);
        assert_eq!(code, 0);
        assert!(tables.starts_with("CREATE SCHEMA logagg;\nCREATE TABLE logagg.meta ("));
    }
    assert_eq!(run(&["store", "schema", "--for", "oracle"]).0, 2);
}

#[test]
fn several_that_come_first_at_once_make_the_tables_together() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("at_once");
    let servers = [0, 1, 2].map(|_| Server::start(&[]));
    for (at, server) in (0_u32..).zip(&servers) {
        publish(server, at * 10..at * 10 + 15);
    }
    let forwarders = servers.each_ref().map(|server| {
        let node = url_of(server.address());
        program(&["forward", "--once", "--server", &node, "--to", &to])
            .spawn()
            .unwrap()
    });
    for forwarder in forwarders {
        let output = forwarder.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    check(engine, "at_once", &servers.each_ref().map(events_of_node));
}

#[test]
fn old_partitions_go_and_their_keys_stay_until_they_are_asked_to_go() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("retained");
    let server = Server::start(&[]);
    publish(&server, 0..50);
    let forwarder = Forwarder::start(server.address(), &to);
    forwarder.wait_for_position(50);
    let retain = |flags: &[&str]| {
        let (code, _, said) = run(&[&["store", "retain", "--to", &to], flags].concat());
        assert_eq!(code, 0, "{said}");
        said
    };
    let count =
        |table: &str| engine.sql("retained", &format!("SELECT count(*) FROM logagg.{table}"));
    retain(&["--events", "1h"]);
    assert_eq!(count("events"), "50");
    std::thread::sleep(std::time::Duration::from_millis(5));
    let said = retain(&["--events", "1ms"]);
    assert!(said.contains("1 partitions of events and 0 keys"), "{said}");
    assert_eq!(
        (count("events"), count("keys")),
        ("0".to_owned(), "50".to_owned())
    );
    // What comes late is a duplicate still, and seqs go on.
    let late = Server::start(&[]);
    publish(&late, 40..60);
    forward_once(&late, &to);
    publish(&server, 60..70);
    forwarder.wait_for_position(60);
    let left = engine.sql(
        "retained",
        "SELECT min(seq), count(*) FROM logagg.event_log",
    );
    assert_eq!(left, "61|20");
    std::thread::sleep(std::time::Duration::from_millis(5));
    retain(&["--events", "1ms", "--keys", "1ms"]);
    assert_eq!(
        (count("events"), count("keys")),
        ("0".to_owned(), "0".to_owned())
    );
    let default = "SELECT count(*) FROM logagg.events_default";
    assert_eq!(engine.sql("retained", default), "0");
    publish(&server, 0..5);
    let mut other = event("t", "0");
    other["payload"] = json!({"other": true});
    assert_eq!(server.publish(&other).expect(200)["duplicates"], 1);
    publish(&server, 70..75);
    forwarder.wait_for_position(65);
    assert_eq!(count("events"), "5");
    let (code, _, said) = run(&[
        "store", "retain", "--to", &to, "--events", "2h", "--keys", "1h",
    ]);
    assert_eq!(code, 2, "{said}");
}
