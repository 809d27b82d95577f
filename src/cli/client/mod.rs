//! The commands that talk to a server over HTTP. They own no connection: [`crate::client`] does.

pub(super) mod bench;
mod connect;
mod defaults;
#[cfg(feature = "fleet")]
mod engine;
pub(super) mod export;
mod filters;
#[cfg(feature = "fleet")]
pub(super) mod forward;
pub(super) mod get;
pub(super) mod import;
mod input;
mod one_event;
mod pages;
pub(super) mod publish;
pub(super) mod search;
pub mod ship;
mod show;
pub(super) mod simulate;
pub(super) mod stats;
#[cfg(feature = "fleet")]
pub(super) mod store;
pub(super) mod subscriptions;
pub(super) mod tail;
pub(super) mod topics;
mod transfer;
