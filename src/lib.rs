//! A pub-sub log aggregator: every event stored once, on disk before the answer.
pub mod api;
pub mod clock;
pub mod event;
pub mod http;
pub mod limits;
pub mod ring;
pub mod store;
