//! The shell: sockets, readiness, deadlines, signals, and the one loop. The only place that knows a
//! socket or a clock; it must never look into what it carries.

mod acceptor;
mod client;
mod clocks;
mod deadlines;
mod helper;
mod inherited;
mod journal;
mod listener;
mod memory;
mod reactor;
mod serve;
mod streams;
mod supervisor;
mod tokens_file;

pub use inherited::Inherited;
pub use listener::Listen;
pub use reactor::Options;
pub use serve::{serve, ServeError, Settings};
