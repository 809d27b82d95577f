//! A pub-sub log aggregator: every event stored once, on disk before the answer.
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod event;
pub mod http;
pub mod limits;
pub mod ring;
pub mod store;
pub mod logging;
