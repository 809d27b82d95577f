//! The load generator of `logagg::client::load`, and what only measuring needs of it: other protocols than
//! HTTP, a database filled before a run, and its own allocations.

pub mod postgres;
pub mod protocol;
pub mod redis;
pub mod shippers;
pub mod syslog;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub use logagg::client::load::{
    events, exchange, new_latency, request, response, run, Checks, Generator, LoadResult, Plan,
    Stop, Traffic,
};

use crate::counting;
use protocol::Protocol;

/// Events in a request that fills a database before a run.
const FILL_BATCH: u64 = 1_000;
/// Connections that fill a database.
const FILL_CONNECTIONS: usize = 2;

/// [`run`], with the allocations of the generator itself while it sent.
///
/// # Errors
/// As [`run`].
pub fn run_counted(plan: &Plan, traffic: &mut Traffic) -> io::Result<(LoadResult, u64)> {
    let generator = Generator::open(plan, traffic)?;
    let before = counting::allocations();
    let result = generator.run(traffic, &mut |_, _| true)?;
    Ok((result, counting::allocations() - before))
}

/// Stores at least `events` events that `traffic` may then repeat.
///
/// # Errors
/// The server does not accept every one of them.
pub fn fill(
    address: SocketAddr,
    protocol: Protocol,
    traffic: &mut Traffic,
    events: u64,
) -> io::Result<()> {
    let (host, topics) = (address.to_string(), traffic.stream.topics());
    let mut filler = Traffic {
        template: protocol.publish(FILL_BATCH as usize, &host, topics),
        stream: traffic.stream.all_new(),
    };
    let plan = Plan {
        address,
        connections: FILL_CONNECTIONS,
        warm_up: Duration::ZERO,
        stop: Stop::Requests(events.div_ceil(FILL_BATCH)),
        pace: None,
        checks: Checks::StatusAndCounts,
    };
    let result = run(&plan, &mut filler)?;
    traffic.stream.continue_after(&filler.stream);
    match result.first_error {
        Some(error) => Err(io::Error::other(format!("filling the database: {error}"))),
        None => Ok(()),
    }
}
