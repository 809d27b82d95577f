//! The load generator: one thread that keeps a server busy and costs little itself.
//!
//! Requests are made once and only their ids change. Generating, sending, recognising the answer
//! and recording its latency allocate nothing. Every answer's status is checked, and the counts of
//! all answers together against what was sent: an event that is lost or stored twice is an error.

mod connection;
mod engine;
pub mod events;
mod plan;
pub mod request;
pub mod response;
mod result;

pub use connection::exchange;
pub use engine::{run, Generator};
pub use plan::{Checks, Plan, Stop, Traffic};
pub use result::{new_latency, LoadResult};
