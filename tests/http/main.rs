//! The HTTP/1.1 state machine (`logagg::http`), driven with bytes and times, without sockets. One case or property a
//! test; `machine` drives a connection and records what it did.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;
mod connection;
mod framing;
mod machine;
mod pieces;
mod properties;
mod streams;
