//! Sockets beside those of HTTP, and the events that come of what is sent to them.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::Value;

use super::stored as stored_events;
use crate::harness::{Server, Setup, TIMEOUT};
use crate::wait::wait_until;

/// A server that also takes a protocol at these addresses, of which `FOLDER` stands for the folder of the test.
pub fn start(setup: Setup, flag: &str, addresses: &[&str]) -> Server {
    let folder = setup.directory().path().display().to_string();
    let mut setup = setup;
    for address in addresses {
        setup = setup.flags([flag, &address.replace("FOLDER", &folder)]);
    }
    let server = setup.start();
    server.log().wait_for(addresses.len(), "taking ");
    server
}

/// Where it takes the protocol with this transport: the first such address that its log names.
pub fn address(server: &Server, transport: &str) -> SocketAddr {
    address_of(server, "", transport)
}

/// The same of one of several protocols.
pub fn address_of(server: &Server, protocol: &str, transport: &str) -> SocketAddr {
    let prefix = format!("{protocol} on {transport}:");
    let lines = server.log().lines_with(&prefix);
    let (_, address) = lines[0].split_once(&prefix).unwrap();
    address.parse().unwrap()
}

/// The path of its Unix socket.
pub fn unix_path(server: &Server) -> PathBuf {
    let lines = server.log().lines_with(" on unix:");
    lines[0].split_once(" on unix:").unwrap().1.into()
}

pub fn tcp(server: &Server) -> TcpStream {
    TcpStream::connect(address(server, "tcp")).unwrap()
}

/// A UDP socket that sends to the server.
pub fn udp(server: &Server) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address(server, "udp")).unwrap();
    socket
}

/// All events, the oldest first, once there are this many.
pub fn events(server: &Server, count: usize) -> Vec<Value> {
    let mut stored = 0;
    wait_until(&format!("{count} events"), || {
        stored = server.json("/stats")["unique_processed"].as_u64().unwrap() as usize;
        stored >= count
    });
    assert_eq!(stored, count, "more events than were sent");
    stored_events(server)
}

/// The events' members of this name in their payloads.
pub fn members(events: &[Value], name: &str) -> Vec<String> {
    let text = |event: &Value| event["payload"][name].as_str().unwrap().to_owned();
    events.iter().map(text).collect()
}

/// Another program locks the database, as long as this value lives.
pub fn lock(server: &Server) -> Connection {
    let other = Connection::open(server.setup().database_path()).unwrap();
    other.busy_timeout(TIMEOUT).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

/// Waits until the server knows that it cannot commit.
pub fn wait_until_unhealthy(server: &Server) {
    wait_until("an unhealthy server", || {
        server.get("/health").status == 503
    });
}
