//! Clients of Splunk's HTTP Event Collector: splunk-logging for Node.js and splunk-handler for Python. Their records
//! carry no identity; a retry is stored once where the query names one.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::{node, python, run, Proxy, RECORDS};
use crate::harness::{Server, Setup};
use crate::ingest::stored;
use crate::wait::wait_until;

/// How long the server is away.
const AWAY: Duration = Duration::from_secs(10);

const NODE: &str = r#"
const {Logger} = require('splunk-logging');
const {SERVER, QUERY} = process.env;
const logger = new Logger({token: 'any', url: `http://${SERVER}/services/collector/event/1.0?${QUERY}`,
    maxRetries: 12, maxBatchCount: 10});
logger.error = error => { throw error; };
let n = 0;
const timer = setInterval(() => {
    logger.send({message: {uid: `id-${n}`, line: `line ${n}`}, metadata: {index: 'web', host: 'host-1'}});
    if (++n === Number(process.env.RECORDS)) clearInterval(timer);
}, 5);
"#;

const PYTHON: &str = r#"
import logging, os, time
from splunk_handler import SplunkHandler
host, port = os.environ["SERVER"].split(":")
handler = SplunkHandler(host=host, port=port, token="any", index="web", hostname="host-1", protocol="http",
    verify=False,
    url=f"http://{host}:{port}/services/collector/event?{os.environ['QUERY']}",
    flush_interval=0.05, retry_count=20, retry_backoff=0.1)
logger = logging.getLogger("test")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
for n in range(int(os.environ["RECORDS"])):
    logger.info("line %d", n)
    time.sleep(0.005)
# When Python ends, the handler may give up what it is still sending.
while handler.queue or handler.processing_payload:
    time.sleep(0.01)
"#;

/// A client, and the query that gives its records an identity.
struct Client {
    start: fn() -> Option<Command>,
    query: &'static str,
}

const CLIENTS: [Client; 2] = [
    Client {
        start: || node(NODE),
        query: "event_id=event.message.uid",
    },
    // The line is text, and it has the time at which it was logged.
    Client {
        start: || python(PYTHON),
        query: "event_id=hash",
    },
];

impl Client {
    fn command(&self, proxy: &Proxy, query: &str) -> Option<Command> {
        let mut command = (self.start)()?;
        command
            .env("SERVER", proxy.address())
            .env("QUERY", query)
            .env("RECORDS", RECORDS.to_string());
        Some(command)
    }
}

/// splunk-logging, whose events have an id.
pub fn logging(proxy: &Proxy) -> Option<Command> {
    CLIENTS[0].command(proxy, CLIENTS[0].query)
}

/// splunk-handler, without an identity.
pub fn handler(proxy: &Proxy) -> Option<Command> {
    CLIENTS[1].command(proxy, "")
}

/// The numbers of the lines that are stored, in order.
fn numbers(server: &Server) -> Vec<usize> {
    let events = stored(server).into_iter().map(|event| {
        assert_eq!(
            (&event["topic"], &event["source"]),
            (&"web".into(), &"host-1".into())
        );
        let timestamp = event["timestamp"].as_str().unwrap();
        assert!(
            timestamp.contains('.') && timestamp.ends_with('Z'),
            "{timestamp}"
        );
        let event = &event["payload"]["event"];
        let line = event["message"]["line"]
            .as_str()
            .or(event.as_str())
            .unwrap();
        line.strip_prefix("line ").unwrap().parse().unwrap()
    });
    events.collect()
}

fn assert_whole(server: &Server) {
    let mut found = numbers(server);
    found.sort_unstable();
    assert_eq!(found, (0..RECORDS).collect::<Vec<_>>());
}

#[test]
fn a_hundred_records_arrive_whole() {
    for client in &CLIENTS {
        let server = Server::start(&[]);
        let proxy = Proxy::start(&server);
        if let Some(command) = client.command(&proxy, "") {
            run(command);
            assert_whole(&server);
        }
    }
}

/// Cuts two answers off, and kills the server between them. Gives the next one.
fn cut_and_kill(server: Server, proxy: &Proxy) -> Server {
    wait_until("an answer that is cut off", || proxy.cut() == 1);
    let setup = server.setup().clone();
    proxy.leave();
    server.kill();
    wait_until("a try while the server is away", || proxy.refused() > 0);
    let server = setup.start();
    proxy.cut_answers(1);
    proxy.lead_to(&server);
    server
}

/// Runs a client with this query in such trouble. None if it is not installed.
fn in_trouble(client: &Client, query: &str) -> Option<Server> {
    let server = Setup::new().start();
    let proxy = Proxy::start(&server);
    proxy.pass_at_most(10);
    proxy.cut_answers(1);
    let command = client.command(&proxy, query)?;
    let server = thread::scope(|scope| {
        let running = scope.spawn(|| run(command));
        let server = cut_and_kill(server, &proxy);
        running.join().unwrap();
        server
    });
    assert_eq!(proxy.cut(), 2);
    Some(server)
}

#[test]
fn a_record_with_an_identity_is_stored_once() {
    for client in &CLIENTS {
        if let Some(server) = in_trouble(client, client.query) {
            assert_whole(&server);
            assert_ne!(server.json("/stats")["duplicate_dropped"], 0);
        }
    }
}

#[test]
fn without_an_identity_a_retry_is_stored_again_and_none_is_lost() {
    for client in &CLIENTS {
        if let Some(server) = in_trouble(client, "") {
            let found = numbers(&server);
            assert!(found.len() > RECORDS);
            let found: BTreeSet<usize> = found.into_iter().collect();
            assert_eq!(found, (0..RECORDS).collect());
        }
    }
}

/// Away from the beginning.
fn waits_for_the_server(client: &Client) {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    proxy.leave();
    let Some(command) = client.command(&proxy, client.query) else {
        return;
    };
    thread::scope(|scope| {
        let running = scope.spawn(|| run(command));
        wait_until("a refused connection", || proxy.refused() > 0);
        thread::sleep(AWAY);
        assert!(stored(&server).is_empty());
        proxy.lead_to(&server);
        running.join().unwrap();
    });
    assert_whole(&server);
}

#[test]
fn nothing_is_lost_while_the_server_is_away() {
    thread::scope(|scope| {
        for client in &CLIENTS {
            scope.spawn(|| waits_for_the_server(client));
        }
    });
}
