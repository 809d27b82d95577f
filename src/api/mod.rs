//! Between HTTP and the domain: what a request asks and how an answer is written. No sockets, no
//! SQL, no clock.

pub(crate) mod accept;
pub(crate) mod access;
pub(crate) mod assets;
pub(crate) mod compression;
pub(crate) mod content;
pub(crate) mod dashboard;
pub mod detail;
pub(crate) mod endpoint;
pub(crate) mod fields;
pub mod filters;
pub(crate) mod histogram;
pub(crate) mod hosts;
pub(crate) mod ingest;
pub(crate) mod json;
pub(crate) mod page;
pub(crate) mod pages;
pub(crate) mod publish;
pub mod publish_body;
pub(crate) mod query;
pub(crate) mod read;
pub(crate) mod reading;
pub(crate) mod rejected;
pub mod route;
pub(crate) mod search;
pub(crate) mod subscribe;
pub(crate) mod subscriptions;
pub(crate) mod topics;
pub(crate) mod watch;
mod window;
