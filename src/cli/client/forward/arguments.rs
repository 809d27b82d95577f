//! The arguments of `forward`.

use clap::Args;

use crate::cli::client::engine::ToArgs;
use crate::client::ClientArgs;
use crate::limits::{FORWARD_BATCH_EVENTS, FORWARD_BATCH_EVENTS_MAX};

/// Forward a server's events into a store that a fleet shares, each once
///
/// The store is the schema logagg in a database of PostgreSQL, or of what speaks its protocol; it is created where
/// it is missing. Resumes by itself after the last event that is there, whatever was killed or lost, and retries
/// whatever can pass. A second forwarder of the same server is a standby.
///
/// --to nats://[USER:PASSWORD@ or TOKEN@]HOST[:PORT][,HOST[:PORT]…]/STREAM forwards into a stream of NATS JetStream
/// that exists, with subjects PREFIX.> and allow_atomic: as PREFIX.DATABASE_ID.TOPIC, 1000 events a batch at most.
#[derive(Debug, Args)]
pub struct ForwardArgs {
    #[command(flatten)]
    pub(super) to: ToArgs,

    /// Forward what is stored when it begins, and end
    #[arg(long)]
    pub(super) once: bool,

    /// Events of a transaction or batch, at most
    #[arg(long, value_name = "N", default_value_t = FORWARD_BATCH_EVENTS)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(FORWARD_BATCH_EVENTS_MAX)))]
    pub(super) batch_events: u32,

    /// Address for /metrics and /health
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) listen: Option<String>,

    #[command(flatten)]
    pub(super) client: ClientArgs,
}
