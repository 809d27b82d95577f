//! A connection to an engine that speaks PostgreSQL's protocol, for commands that may wait.
//!
//! Every wait ends: after [`ENGINE_SILENCE_MS`] without a byte, and at a signal. A connection that has failed in any
//! way but by a refused statement is dropped and never used again.

mod connection;
mod error;
mod socket;
mod tables;

pub(crate) use self::connection::Engine;
pub(crate) use self::error::EngineError;
pub(super) use self::socket::Socket;
pub(crate) use self::tables::prepare;
