//! Many clients that do not behave, and the server's promises to the others: whoever publishes is answered
//! and stored, memory and descriptors have bounds, and when the many have left all is as before.

mod bodies;
mod bombs;
mod crowds;
mod descriptors;
mod order;

use std::fs;

use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use serde_json::json;

use crate::harness::{event, Client, Server};
use crate::wait::wait_until;

const PUBLISH: &str = "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n";
const MIB: u64 = 1024 * 1024;

/// Descriptors that the server has open.
fn descriptors(server: &Server) -> usize {
    let folder = format!("/proc/{}/fd", server.pid().as_raw_nonzero());
    fs::read_dir(folder).unwrap().count()
}

/// The same when no client has one.
fn descriptors_at_rest(server: &Server) -> usize {
    let mut client = server.client();
    wait_until("the others to be gone", || {
        client.get("/stats").expect(200)["connections"] == 1
    });
    descriptors(server) - 1
}

/// The most bytes of the server that were in memory so far.
fn peak(server: &Server) -> u64 {
    let path = format!("/proc/{}/status", server.pid().as_raw_nonzero());
    let status = fs::read_to_string(path).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

/// Processor time of the server in ticks, of which a second has a hundred (proc_pid_stat(5)).
fn ticks(server: &Server) -> u64 {
    let path = format!("/proc/{}/stat", server.pid().as_raw_nonzero());
    let stat = fs::read_to_string(path).unwrap();
    let (_, behind_name) = stat.rsplit_once(')').unwrap();
    let fields = behind_name.split_whitespace().skip(11).take(2);
    fields.map(|field| field.parse::<u64>().unwrap()).sum()
}

/// The test has as many descriptors as the server.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

/// Publishes new events one by one; each must be stored.
fn publish_each(client: &mut Client, topic: &str, count: usize) {
    for number in 0..count {
        let answer = client.publish(event(topic, &number.to_string()).to_string());
        assert_eq!(answer.expect(200)["accepted"], 1, "{topic} {number}");
    }
}

/// That `count` events of a topic are stored, each with its own id.
fn assert_stored(server: &Server, topic: &str, count: usize) {
    let mut client = server.client();
    let mut ids = Vec::new();
    let mut next = json!(format!("/events?topic={topic}&after=0&limit=1000"));
    while let Some(target) = next.as_str() {
        let page = client.get(target).expect(200);
        let id = |event: &serde_json::Value| event["event_id"].as_str().unwrap().to_owned();
        ids.extend(page["events"].as_array().unwrap().iter().map(id));
        next = page["next"].clone();
    }
    assert_eq!(ids.len(), count, "{topic}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "{topic}");
}

/// Waits until all others have gone and their descriptors are closed.
fn wait_until_alone(server: &Server, at_rest: usize) {
    wait_until("the others to be gone", || {
        server.json("/stats")["connections"] == 1
    });
    wait_until("their descriptors to be closed", || {
        descriptors(server) <= at_rest
    });
}
