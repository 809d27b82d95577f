//! The shell: sockets, readiness, deadlines, signals, and the one loop. The only place that knows a
//! socket or a clock; it must never look into what it carries.
//!
//! The loop knows the operating system only as a [`Platform`], so that it can run in a simulation too.

mod connection;
mod deadlines;
#[cfg(feature = "fleet")]
mod engine_sockets;
mod input;
mod inputs;
mod memory;
mod platform;
mod reactor;
mod read_queue;
mod request_log;
mod serve;
mod stream_queue;
mod system;
mod tokens_file;

#[cfg(feature = "fleet")]
pub use platform::EngineAddress;
pub use platform::{Accepted, Datagram, Platform, PollEvent, Readiness, Sleep, Socket};
pub use reactor::{Options, Reactor};
#[cfg(feature = "fleet")]
pub(crate) use serve::serve_front;
pub use serve::{serve, ServeError, Settings, SocketSetting};
pub use system::{Inherited, Listen, SocketAddress, PROGRAM};
