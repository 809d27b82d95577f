//! A pub-sub log aggregator: every event stored once, on disk before the answer.
//!
//! The modules in reading order, lowest layer first. Each imports only from lower layers; in layers 0 and 2
//! also from modules of its own.
//!
//! | layer | modules |
//! |---|---|
//! | 0: the domain | [`event`], [`search`], [`clock`], [`limits`], [`text`], [`uuid`] |
//! | 1: the parts | [`ring`], [`http`], [`store`], [`logging`], [`tokens`], `postgres` |
//! | 2: the service | [`ingest`], [`api`], [`metrics`], [`app`] |
//! | 3: the shell | [`net`] |
//! | on top | [`config`], [`client`], [`cli`] |

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]
// Commands write to a writer that they are given; the server writes to its log.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod api;
pub mod app;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod event;
pub mod http;
pub(crate) mod hub;
pub mod ingest;
pub mod limits;
pub mod logging;
pub(crate) mod metrics;
pub mod net;
#[cfg(feature = "fleet")]
pub(crate) mod postgres;
pub(crate) mod ring;
pub mod search;
pub mod store;
pub(crate) mod text;
pub mod tokens;
pub(crate) mod uuid;
