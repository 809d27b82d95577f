//! Subscriptions that hold events: what is after their positions stays, whatever the settings of retention.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{json, Value};

use super::{numbered, publish, rows, setup};
use crate::checking::check_beside;
use crate::harness::{event, Server, Setup};
use crate::wait::wait_until;

const JSON: &[&str] = &["Content-Type: application/json"];
const WARNING: &str = "the subscription \"behind\" holds the events after seq";

fn put(server: &Server, name: &str, body: &Value) -> Value {
    let target = format!("/subscriptions/{name}");
    let body = body.to_string();
    let answer = server
        .client()
        .request("PUT", &target, JSON, body.as_bytes());
    answer.expect(200)
}

fn acknowledge(server: &Server, name: &str, seq: u64) {
    let target = format!("/subscriptions/{name}/ack");
    let body = json!({ "seq": seq }).to_string();
    let answer = server
        .client()
        .request("POST", &target, JSON, body.as_bytes());
    assert_eq!(answer.expect(200)["after"], seq);
}

#[test]
fn events_that_are_held_outlive_their_age() {
    for dedup in ["index", "constraint"] {
        let setup = setup(dedup, &["--retain-events", "1s"]);
        let mut server = setup.start();
        let held = put(&server, "behind", &json!({"after": 0, "hold": true}));
        assert_eq!(held["hold"], true);
        assert_eq!(put(&server, "other", &json!({"after": 0}))["hold"], false);
        for n in 0..20 {
            publish(&server, &numbered(n));
        }
        // Its warning says that they are too old, and are still there.
        server.log().wait_for(1, WARNING);
        assert_eq!(server.json("/events?after=0&limit=100")["count"], 20);
        // Only this moves where retention ends, and it may be in the middle.
        acknowledge(&server, "behind", 7);
        wait_until("the events before it to go", || rows(&setup) == 13);
        for kill in [false, true] {
            server = if kill {
                server.kill();
                setup.start()
            } else {
                server.restart()
            };
            server
                .log()
                .wait_for(1, &format!("{WARNING} 7: --retain-events 1s is exceeded"));
            assert_eq!(server.json("/stats")["first_seq"], 8);
            let subscription = server.json("/subscriptions/behind");
            assert_eq!(
                (&subscription["hold"], &subscription["lag"]),
                (&json!(true), &json!(13))
            );
        }
        // Moving it without a word of holding changes nothing of that.
        assert_eq!(put(&server, "behind", &json!({"after": 9}))["hold"], true);
        wait_until("the events before it to go", || rows(&setup) == 11);
        check_beside(&server);
        let released = put(&server, "behind", &json!({"hold": false}));
        assert_eq!(
            (&released["after"], &released["hold"]),
            (&json!(9), &json!(false))
        );
        wait_until("the rest to go", || rows(&setup) == 0);
        let again = publish(&server, &numbered(3));
        assert_eq!(again, json!({"status": "duplicate", "seq": 4}));
        check_beside(&server);
    }
}

#[test]
fn a_database_grows_beyond_its_size_while_a_subscription_holds_events() {
    for dedup in ["index", "constraint"] {
        let setup = setup(dedup, &["--retain-events", "1MB"]);
        let server = setup.start();
        put(&server, "behind", &json!({"after": 0, "hold": true}));
        let events = |from: u64| -> Value {
            let made = (from..from + 500).map(|n| {
                let mut event = event("t", &format!("event {n}"));
                event["payload"] = json!({"filling": "f".repeat(900)});
                event
            });
            made.collect()
        };
        for from in (0..4_000).step_by(500) {
            server.publish(&events(from)).expect(200);
        }
        server.log().wait_for(1, WARNING);
        assert_eq!(rows(&setup), 4_000);
        assert_eq!(server.json("/stats")["first_seq"], 1);
        acknowledge(&server, "behind", 1_500);
        wait_until("the events before it to go", || rows(&setup) == 2_500);
        let gone = server
            .client()
            .request("DELETE", "/subscriptions/behind", &[], b"");
        assert_eq!(gone.status, 204);
        wait_until("the size to be kept", || rows(&setup) < 1_200);
        assert!(rows(&setup) > 100, "no more than that is removed");
        check_beside(&server);
    }
}

fn logagg(arguments: &[&dyn AsRef<OsStr>]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logagg"));
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_hold_goes_with_the_database_wherever_that_goes() {
    let setup_of = |path: &Path| {
        Setup::new()
            .database(path)
            .flags(["--log-duplicates", "off"])
    };
    let setup = setup("constraint", &[]);
    let server = setup.start();
    for n in 0..5 {
        publish(&server, &numbered(n));
    }
    let held = put(&server, "behind", &json!({"after": 2, "hold": true}));
    let backup = setup.directory().join("copy/events.db");
    fs::create_dir(backup.parent().unwrap()).unwrap();
    let path = setup.database_path();
    logagg(&[&"backup", &"--from", &path, &"--to", &backup]);
    let restored = setup.directory().join("restored/events.db");
    fs::create_dir(restored.parent().unwrap()).unwrap();
    logagg(&[&"restore", &"--from", &backup, &"--to", &restored]);
    let id = |server: &Server| server.json("/stats")["database_id"].clone();
    let first_id = id(&server);
    server.stop();
    logagg(&[&"convert", &"--dedup", &"index", &path]);
    for (path, is_same) in [(path, true), (&backup, true), (&restored, false)] {
        let server = setup_of(path).start();
        assert_eq!(server.json("/subscriptions/behind"), held);
        assert_eq!(id(&server) == first_id, is_same, "{path:?}");
        check_beside(&server);
    }
}
