//! The shell: sockets, readiness, deadlines, signals, and the one loop. The only place that knows a
//! socket or a clock; it must never look into what it carries.
//!
//! The loop knows the operating system only as a [`Platform`], so that it can turn in a simulation too.

mod acceptor;
mod client;
mod clocks;
mod deadlines;
mod helper;
mod inherited;
mod journal;
mod listener;
mod memory;
mod platform;
mod reactor;
mod reads;
mod serve;
mod streams;
mod supervisor;
mod system;
mod tokens_file;

pub use helper::PROGRAM;
pub use inherited::Inherited;
pub use listener::Listen;
pub use platform::{Platform, Readiness, Sleep, Told, Wire};
pub use reactor::{Options, Reactor};
pub use serve::{serve, ServeError, Settings};
