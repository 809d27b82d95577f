//! Every client against a server whose store cannot commit for ten seconds, as with a full disk: it answers 503, or
//! reads no further. What a client keeps is stored afterwards; what drops its records is named in `docs/SHIPPERS.md`.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;

use super::{
    cloudevents, datadog, elasticsearch, gelf, loki, otlp, splunk, syslog, Proxy, RECORDS,
};
use crate::harness::{Server, Setup, TemporaryDirectory};
use crate::ingest::sockets::lock;
use crate::ingest::stored;
use crate::wait::wait_within;

/// How long the store cannot commit.
const FULL: Duration = Duration::from_secs(10);

/// What becomes of a client's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Each is stored once.
    Once,
    /// Each is stored, and what has no identity perhaps again.
    Stored,
    /// The client gives some up, and ends.
    Dropped,
    /// It gives them up too, and writes them to a file.
    WrittenOff,
}

/// Where a client sends to, and where it may keep its files.
struct Place {
    proxy: Proxy,
    server: Server,
    directory: TemporaryDirectory,
}

/// A client of [`RECORDS`] records; none where it is not installed.
struct Client {
    name: &'static str,
    fate: Fate,
    command: fn(&Place) -> Option<Command>,
}

const CLIENTS: &[Client] = &[
    Client {
        name: "OpenTelemetry SDK for Python",
        fate: Fate::Once,
        command: |place| otlp::client(0, &place.proxy),
    },
    Client {
        name: "OpenTelemetry SDK for JavaScript, protobuf",
        fate: Fate::Once,
        command: |place| otlp::client(1, &place.proxy),
    },
    Client {
        name: "OpenTelemetry SDK for JavaScript, JSON",
        fate: Fate::Once,
        command: |place| otlp::client(2, &place.proxy),
    },
    Client {
        name: "elasticsearch-py, bulk",
        fate: Fate::Once,
        command: |place| elasticsearch::bulk(&place.proxy),
    },
    Client {
        name: "elasticsearch-py, streaming_bulk",
        fate: Fate::Once,
        command: |place| elasticsearch::streaming(&place.proxy),
    },
    Client {
        name: "@elastic/elasticsearch",
        fate: Fate::Once,
        command: |place| elasticsearch::javascript(&place.proxy),
    },
    Client {
        name: "winston-elasticsearch",
        fate: Fate::Stored,
        command: |place| elasticsearch::winston(place.server.address()),
    },
    Client {
        name: "rsyslog's omelasticsearch",
        fate: Fate::WrittenOff,
        command: |place| elasticsearch::rsyslog(&place.proxy, &place.directory),
    },
    Client {
        name: "syslog-ng's elasticsearch-http()",
        fate: Fate::Once,
        command: |place| elasticsearch::syslog_ng(&place.proxy, &place.directory),
    },
    Client {
        name: "winston-loki",
        fate: Fate::Once,
        command: |place| loki::winston(&place.proxy),
    },
    Client {
        name: "pino-loki",
        fate: Fate::Dropped,
        command: |place| loki::pino(&place.proxy),
    },
    Client {
        name: "python-logging-loki",
        fate: Fate::Dropped,
        command: |place| loki::handler(&place.proxy),
    },
    Client {
        name: "cloudevents for Python",
        fate: Fate::Once,
        command: |place| cloudevents::client(&place.proxy),
    },
    Client {
        name: "datadog-api-client",
        fate: Fate::Stored,
        command: |place| datadog::client(&place.proxy, RECORDS),
    },
    Client {
        name: "splunk-handler",
        fate: Fate::Stored,
        command: |place| splunk::handler(&place.proxy),
    },
    Client {
        name: "splunk-logging",
        fate: Fate::Dropped,
        command: |place| splunk::logging(&place.proxy),
    },
    Client {
        name: "graypy over HTTP",
        fate: Fate::Dropped,
        command: |place| gelf::client(&place.server, "http"),
    },
    Client {
        name: "graypy over TCP",
        fate: Fate::Once,
        command: |place| gelf::client(&place.server, "tcp"),
    },
    Client {
        name: "rsyslog's omfwd over TCP",
        fate: Fate::Once,
        command: |place| syslog::omfwd(&place.server, &place.directory),
    },
    Client {
        name: "syslog-ng's syslog() over TCP",
        fate: Fate::Once,
        command: |place| syslog::driver(&place.server, &place.directory),
    },
];

/// A program that may never end by itself. It is killed when this value goes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where the process has been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The number of a record, as the clients' scripts write it.
fn number(event: &Value) -> usize {
    let payload = event["payload"].to_string();
    let found = ["line ", "record ", "\"n\":"].iter().find_map(|prefix| {
        let (_, rest) = payload.split_once(prefix)?;
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        rest[..end].parse().ok()
    });
    found.unwrap_or_else(|| panic!("{payload} has no number"))
}

fn numbers(server: &Server) -> BTreeSet<usize> {
    stored(server).iter().map(number).collect()
}

fn start() -> Server {
    let flags = ["--syslog", "tcp:127.0.0.1:0", "--gelf", "tcp:127.0.0.1:0"];
    let server = Setup::new().flags(flags).start();
    server.log().wait_for(2, "taking ");
    server
}

const PATIENCE: Duration = Duration::from_secs(120);

/// What has been refused once is not sent again.
fn loses(client: &Client, place: &Place, running: &mut Running, other: &Connection) {
    // Some end when their input does.
    drop(running.0.stdin.take());
    let mut is_over = || match client.fate {
        Fate::WrittenOff => std::fs::read_to_string(place.directory.join("errors"))
            .is_ok_and(|errors| errors.contains("record ")),
        _ => running.0.try_wait().unwrap().is_some(),
    };
    let begun = Instant::now();
    wait_within(PATIENCE, "ten seconds, or the end of the client", || {
        is_over() || begun.elapsed() >= FULL
    });
    other.execute_batch("ROLLBACK").unwrap();
    wait_within(PATIENCE, client.name, is_over);
    let left = numbers(&place.server).len();
    assert!(left < RECORDS, "{} has dropped nothing", client.name);
}

fn try_client(client: &Client) {
    let server = start();
    let place = Place {
        proxy: Proxy::start(&server),
        server,
        directory: TemporaryDirectory::new(),
    };
    let Some(mut command) = (client.command)(&place) else {
        return;
    };
    let server = &place.server;
    let other: Connection = lock(server);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut running = Running(command.spawn().expect("the client can be started"));
    wait_within(PATIENCE, "a record that cannot be stored", || {
        server.get("/health").status == 503
    });
    if matches!(client.fate, Fate::Dropped | Fate::WrittenOff) {
        return loses(client, &place, &mut running, &other);
    }
    thread::sleep(FULL);
    assert!(stored(server).is_empty(), "{}", client.name);
    other.execute_batch("ROLLBACK").unwrap();
    wait_within(PATIENCE, client.name, || numbers(server).len() == RECORDS);
    if client.fate == Fate::Once {
        assert_eq!(stored(server).len(), RECORDS, "{}", client.name);
    }
}

#[test]
fn nothing_that_a_client_keeps_is_lost_while_the_server_is_full() {
    thread::scope(|scope| {
        for client in CLIENTS {
            scope.spawn(|| try_client(client));
        }
    });
}
