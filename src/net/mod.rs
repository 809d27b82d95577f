//! The shell: sockets, readiness, deadlines, signals, and the one loop. The only place that knows a
//! socket or a clock; it must never look into what it carries.

mod acceptor;
mod client;
mod clocks;
mod deadlines;
mod helper;
mod listener;
mod memory;
mod reactor;
mod serve;
mod streams;
mod tokens_file;

pub use listener::Listen;
pub use reactor::Options;
pub use serve::{serve, ServeError, Settings};
