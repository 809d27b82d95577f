//! Talking to a server over HTTP: what all commands that are clients share.
//!
//! A command takes [`ClientArgs`] among its arguments and makes a [`Client`] of them:
//!
//! ```no_run
//! # fn f(arguments: &logagg::client::ClientArgs) -> Result<(), String> {
//! use std::sync::Arc;
//! use logagg::client::{Client, GiveUp, Interrupt};
//!
//! // Once a process: from now on SIGINT and SIGTERM end what the client waits for.
//! let interrupt = Arc::new(Interrupt::install().map_err(|error| error.to_string())?);
//! // Of each thread its own; what is given up after is the default of `--give-up-after`.
//! let client = Client::new(arguments, GiveUp::Never, interrupt)?;
//! // One try.
//! let health = client.get("/health").map_err(|error| error.to_string())?;
//! // As many tries as the arguments say, with pauses between them.
//! let stats = client.persist(|| client.get("/stats")).map_err(|error| error.to_string())?;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`] makes one request at a time, on a connection that it keeps. An answer that is not one of
//!   success is [`Error::Refused`]; [`Error`] is a sentence for the person who started the program, without
//!   anything that could drive a terminal.
//! - [`publish`] publishes a batch exactly once and reports the outcome of each event.
//! - [`Subscription`] reads events in order, without a gap or a repetition, over as many connections as
//!   that takes.
//! - [`load`] keeps a server busy and measures it.
//! - [`Interrupt`] is for the waits that are the command's own.
//! - [`text::escaped`](crate::text::escaped) is for what else comes from elsewhere and is shown.
//!
//! An answer whose end cannot be told from a lost connection is refused, so a part is never taken for the whole. No
//! proxy is used and no redirection followed, so a token goes only to the server that it is for.

mod answers;
mod backoff;
#[cfg(feature = "fleet")]
pub(crate) mod engine;
mod error;
mod history;
mod http;
mod interrupt;
pub mod load;
#[cfg(feature = "fleet")]
pub(crate) mod nats;
mod publish;
mod settings;
mod subscription;
mod transport;

pub(crate) use answers::{ServerStats, StoredEvent};
pub use backoff::{Backoff, RetryDecision};
pub use error::{Error, ErrorResponse, Fault};
pub use history::{Head, Origin, Reset};
pub use http::{BodyStream, Client};
pub use interrupt::{Interrupt, Stop};
pub use publish::{publish, publish_unanswered, Batch, EventResult};
pub use settings::{time, Address, ClientArgs, Endpoint, GiveUp};
pub use subscription::{percent_encoded, Item, Subscription};
