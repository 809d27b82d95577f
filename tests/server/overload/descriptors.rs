//! Descriptors and connections run out: whoever is connected goes on, whoever is not waits and costs
//! nothing, and the log says so once.

use std::thread;
use std::time::Duration;

use rustix::process::{prlimit, Resource, Rlimit};

use super::{descriptors, publish_each, ticks};
use crate::harness::{event, Client, Server};

/// How long the processor time of a server is watched that has nothing to do.
const WATCHED: Duration = Duration::from_secs(1);

/// That the server spends nearly nothing of a second, of which a hundred ticks are.
fn assert_at_rest(server: &Server) {
    let before = ticks(server);
    thread::sleep(WATCHED);
    let spent = ticks(server) - before;
    assert!(spent < 30, "{spent} ticks");
}

/// Has `waiting` clients publish that are not let in, while `old` goes on; then they are let in.
fn wait_outside(server: &Server, mut old: Vec<Client>, waiting: usize, line: &str) {
    let mut outside: Vec<Client> = (0..waiting).map(|_| server.client()).collect();
    for (number, client) in outside.iter_mut().enumerate() {
        let body = event("outside", &number.to_string()).to_string();
        let json = ["Content-Type: application/json"];
        client.send_request("POST", "/publish", &json, body.as_bytes());
    }
    server.log().wait_for(1, line);
    for (number, client) in old.iter_mut().enumerate() {
        publish_each(client, &format!("inside.{number}"), 20);
    }
    assert_at_rest(server);
    let stored = 20 * old.len() as u64;
    // Some may have come in where a descriptor with a low number was free.
    let stats = old[0].get("/stats").expect(200);
    let from_outside = stats["unique_processed"].as_u64().unwrap() - stored;
    assert!(from_outside < waiting as u64 / 2, "{stats}");
    drop(old);
    // They come in as others leave.
    for mut client in outside {
        assert_eq!(client.response().expect(200)["accepted"], 1);
    }
    let stats = server.json("/stats");
    assert_eq!(stats["unique_processed"], stored + waiting as u64);
    let lines = server.log().lines_with(line);
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn without_descriptors_accepting_waits_and_costs_nothing() {
    let server = Server::start(&[]);
    let old: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = server.client();
            client.get("/health").expect(200);
            client
        })
        .collect();
    let open = descriptors(&server) as u64;
    let none = Rlimit {
        current: Some(open),
        maximum: Some(open),
    };
    prlimit(Some(server.pid()), Resource::Nofile, none).unwrap();
    wait_outside(&server, old, 40, "accepting pauses");
    server.stop();
}

#[test]
fn without_room_accepting_waits_and_costs_nothing() {
    let server = Server::start(&["--max-connections", "4"]);
    let old: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = server.client();
            client.get("/health").expect(200);
            client
        })
        .collect();
    wait_outside(&server, old, 40, "accepting waits");
    server.stop();
}

/// A file limit that allows fewer connections than were asked for is said at the start.
#[test]
fn a_file_limit_that_is_too_low_is_told() {
    let server = crate::harness::Setup::new()
        .flags(["--max-connections", "100"])
        .file_limit(64)
        .start();
    let lines = server.log().wait_for(1, "the file limit allows");
    assert!(lines[0].contains(" 32 "), "{lines:?}");
    assert!(lines[0].contains("--max-connections"), "{lines:?}");
    let server = Server::start(&["--max-connections", "100"]);
    server.get("/health").expect(200);
    assert!(server.log().lines_with("the file limit allows").is_empty());
}
