//! What shippers speak: from the bytes of other protocols to records, and from what the store says of them to
//! each protocol's answer.
//!
//! An adapter (one folder or file each) knows its protocol and nothing else. Between adapters and the ring there
//! is one path: [`records::Records`] fills in what is missing, makes names legal and identities, and gives
//! publications. This room stores nothing and answers nobody before the commit.

pub(crate) mod adapter;
mod cloudevents;
mod datadog;
mod elasticsearch;
pub mod forward;
pub mod gelf;
pub mod hec;
mod identity;
pub mod journald;
pub(crate) mod json;
mod loki;
mod member;
pub mod otlp;
mod protobuf;
pub(crate) mod protocols;
pub(crate) mod query;
pub(crate) mod record;
pub(crate) mod records;
mod socket_decoder;
pub(crate) mod sockets;
pub mod syslog;
mod text;
pub(crate) mod time;

pub use elasticsearch::{Action, Entries, Entry, Operation};
pub use protocols::IngestRoute;
pub use query::IngestSetting;
pub(crate) use records::Records;
pub(crate) use socket_decoder::Decoder;
pub use socket_decoder::{Machine, Zone};
pub use sockets::SocketProtocol;
