//! syslog over UDP, TCP and a Unix socket.

mod delivery;
mod framing;
mod settings;
mod shapes;

use crate::harness::{Server, Setup};
use crate::ingest::sockets;

const ALL: [&str; 3] = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "unix:FOLDER/log"];

/// A server that takes syslog in all three ways.
fn start() -> Server {
    start_with(Setup::new())
}

fn start_with(setup: Setup) -> Server {
    sockets::start(setup, "--syslog", &ALL)
}
