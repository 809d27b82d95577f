//! The SDK of CloudEvents for Python, with requests. `source` and `id` make a retry the same event.

use std::process::Command;
use std::thread;
use std::time::Duration;

use super::{python, run, Proxy, RECORDS};
use crate::harness::Server;
use crate::ingest::stored;
use crate::wait::wait_until;

/// Sends each event until it is answered with a success.
const SCRIPT: &str = r#"
import os, time, requests
from cloudevents.v1.http import CloudEvent
from cloudevents.v1.conversion import to_binary, to_structured

url = "http://" + os.environ["SERVER"] + "/cloudevents"
for n in range(int(os.environ["RECORDS"])):
    event = CloudEvent({"id": str(n), "source": "/shop/é", "type": "order.paid"}, {"n": n})
    headers, body = (to_binary, to_structured)[n % 2](event)
    headers = {name: value.encode() for name, value in headers.items()}
    while True:
        try:
            answer = requests.post(url, headers=headers, data=body, timeout=60)
            # A head that is cut off is a success to requests, its body is not.
            if answer.status_code == 200 and answer.json()["received"] == 1:
                break
            assert answer.status_code == 503, answer.text
        except (requests.exceptions.RequestException, ValueError):
            pass
        time.sleep(0.1)
"#;

pub fn client(proxy: &Proxy) -> Option<Command> {
    let mut command = python(SCRIPT)?;
    command
        .env("SERVER", proxy.address())
        .env("RECORDS", RECORDS.to_string());
    Some(command)
}

fn check(server: &Server) {
    let events = stored(server);
    assert_eq!(events.len(), RECORDS);
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["payload"]["data"]["n"], n);
        assert_eq!(event["event_id"], format!("/shop/é|{n}"));
        assert_eq!(event["topic"], "order.paid");
    }
}

#[test]
fn a_hundred_events_arrive_whole() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let Some(client) = client(&proxy) else {
        return;
    };
    run(client);
    check(&server);
}

#[test]
fn an_answer_that_is_cut_off_makes_no_second_event() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    proxy.cut_answers(3);
    let Some(client) = client(&proxy) else {
        return;
    };
    run(client);
    assert_eq!(proxy.cut(), 3);
    check(&server);
    assert_eq!(server.json("/stats")["duplicate_dropped"], 3);
}

#[test]
fn a_server_that_is_killed_and_away_for_ten_seconds_loses_nothing() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let Some(mut client) = client(&proxy) else {
        return;
    };
    let mut client = client.spawn().expect("the client can be started");
    wait_until("a record", || server.json("/stats")["received"] != 0);
    proxy.leave();
    let setup = server.setup().clone();
    server.kill();
    thread::sleep(Duration::from_secs(10));
    let server = setup.start();
    proxy.lead_to(&server);
    assert!(client.wait().unwrap().success());
    check(&server);
}
