//! The commands that talk to a server over HTTP. They own no connection: [`crate::client`] does.

pub(super) mod bench;
mod connect;
mod defaults;
pub(super) mod export;
pub(super) mod import;
mod input;
pub(super) mod publish;
pub mod ship;
pub(super) mod simulate;
pub(super) mod stats;
pub(super) mod subscriptions;
pub(super) mod tail;
pub(super) mod topics;
mod transfer;
