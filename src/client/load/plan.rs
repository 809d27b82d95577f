//! What is sent, how, and when it ends.

use std::net::SocketAddr;
use std::time::Duration;

use super::events::EventStream;
use super::request::Template;

/// What is sent: the form of the request and the events in it.
#[derive(Clone, Debug)]
pub struct Traffic {
    pub template: Template,
    pub stream: EventStream,
}

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// This long after the warm-up.
    After(Duration),
    /// When this many requests have been sent.
    Requests(u64),
}

/// What is checked of each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// That the status is 200: all that can be asked of a server that answers with a constant.
    Status,
    /// Also that `accepted` and `duplicates` add up to what was sent.
    StatusAndCounts,
}

/// How traffic is sent.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub address: SocketAddr,
    /// Connections, each with one request under way.
    pub connections: usize,
    /// What is answered this early is checked but not measured.
    pub warm_up: Duration,
    pub stop: Stop,
    /// The time between two requests of all connections together; without it each connection sends
    /// as fast as it is answered.
    pub pace: Option<Duration>,
    pub checks: Checks,
}
