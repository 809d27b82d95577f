//! Starts the built program, talks HTTP to it and looks at its files. Each wait has an end: a server
//! that hangs fails its test with what was waited for and what the server logged.

mod client;
mod closed;
mod directory;
mod events;
mod fixed;
mod log;
mod server;
mod stream;

use std::time::Duration;

pub use client::{Address, Client, Response};
pub use closed::{unread_pipe, wait_until_refused};
pub use directory::TemporaryDirectory;
pub use events::{event, events_of, seqs_of};
pub use fixed::fixed_address;
pub use log::Log;
pub use server::{Server, Setup};
pub use stream::{Item, Stream};

/// How long anything may take before it counts as hanging. Generous: the machine may be busy.
pub const TIMEOUT: Duration = Duration::from_secs(60);
