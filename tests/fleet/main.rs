//! A fleet: servers, forwarders, and a real PostgreSQL or NATS. Without one its tests say that they were skipped.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod deploy;
mod engine;
mod failing;
mod failover;
mod forwarder;
mod forwarding;
mod front;
mod front_clients;
mod front_engine;
mod front_pages;
mod front_reads;
mod front_search;
mod front_shippers;
mod front_streams;
mod front_torture;
#[allow(
    dead_code,
    unused_imports,
    reason = "the tests of the server need the rest"
)]
#[path = "../server/harness/mod.rs"]
mod harness;
mod jetstream;
mod jetstream_failing;
mod model;
mod nats;
mod proxy;
#[allow(dead_code, reason = "the tests of the server need the rest")]
#[path = "../server/random.rs"]
mod random;
mod settings;
mod shipped;
mod tables;
mod torture;
#[allow(dead_code, reason = "the tests of the server need the rest")]
#[path = "../server/wait.rs"]
mod wait;
