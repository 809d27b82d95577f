//! graypy, the GELF handler for Python's `logging`, over UDP, TCP and HTTP. Its records have no identity.

use std::process::Command;

use super::{python, run, RECORDS};
use crate::harness::{Address, Server, Setup};
use crate::ingest::sockets::{self, address, address_of, events, members};

const SCRIPT: &str = r#"
import graypy, logging, os
kind, port, records = os.environ["KIND"], int(os.environ["PORT"]), int(os.environ["RECORDS"])
first = int(os.environ.get("FIRST", "0"))
handler = {
    "udp": lambda: graypy.GELFUDPHandler("127.0.0.1", port, localname="web-1"),
    "tcp": lambda: graypy.GELFTCPHandler("127.0.0.1", port, localname="web-1"),
    "http": lambda: graypy.GELFHTTPHandler("127.0.0.1", port, localname="web-1"),
}[kind]()
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
for number in range(first, first + records):
    # Every tenth is too long for a datagram of 1,420 bytes, also compressed.
    text = os.urandom(3000).hex() if number % 10 == 0 else ""
    logger.info("line %d", number, extra={"tag": "shop", "number": number, "text": text})
handler.close()
"#;

fn start() -> Server {
    sockets::start(
        Setup::new(),
        "--gelf",
        &["udp:127.0.0.1:0", "tcp:127.0.0.1:0"],
    )
}

pub fn client(server: &Server, kind: &str) -> Option<Command> {
    let port = match (kind, server.address()) {
        ("http", Address::Tcp(address)) => address.port(),
        _ => address_of(server, "gelf", kind).port(),
    };
    let mut command = python(SCRIPT)?;
    command.env("KIND", kind).env("PORT", port.to_string());
    command.env("RECORDS", RECORDS.to_string());
    Some(command)
}

fn lines(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("line {number}")).collect()
}

#[test]
fn a_hundred_records_arrive_whole() {
    for kind in ["udp", "tcp", "http"] {
        let server = start();
        let Some(client) = client(&server, kind) else {
            return;
        };
        run(client);
        let mut events = events(&server, RECORDS);
        // Over HTTP each has a connection of its own.
        events.sort_by_key(|event| event["payload"]["_number"].as_u64().unwrap());
        assert_eq!(
            members(&events, "short_message"),
            lines(0..RECORDS),
            "{kind}"
        );
        for (number, event) in events.iter().enumerate() {
            assert_eq!(
                (&event["topic"], &event["source"]),
                (&"shop".into(), &"web-1".into())
            );
            let length = event["payload"]["_text"].as_str().unwrap().len();
            assert_eq!(length, if number % 10 == 0 { 6_000 } else { 0 });
            let time = event["timestamp"].as_str().unwrap();
            assert!(
                time > "2026-01-01T00:00:00.0Z" && time.ends_with('Z'),
                "{time}"
            );
        }
        assert_eq!(server.json("/stats")["rejected"], 0);
    }
}

/// graypy keeps nothing: what is stored stays, and the next records arrive where the server was.
#[test]
fn what_was_stored_survives_a_kill_and_a_new_sender_goes_on() {
    let server = start();
    let udp = address(&server, "udp");
    let Some(first) = client(&server, "udp") else {
        return;
    };
    run(first);
    events(&server, RECORDS);
    let old = server.setup().clone();
    server.kill();
    let setup = Setup::new().database(old.database_path());
    let server = sockets::start(setup, "--gelf", &[&format!("udp:{udp}")]);
    let mut second = client(&server, "udp").expect("it was there before");
    second.env("FIRST", RECORDS.to_string());
    run(second);
    let events = events(&server, 2 * RECORDS);
    assert_eq!(members(&events, "short_message"), lines(0..2 * RECORDS));
}
