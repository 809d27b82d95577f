//! Between HTTP and the domain: what a request asks and how an answer is written. No sockets, no
//! SQL, no clock.

pub mod accept;
pub mod access;
pub mod assets;
pub mod dashboard;
pub mod detail;
pub mod endpoint;
pub mod json;
pub mod page;
pub mod pages;
pub mod publish;
pub mod publish_body;
pub mod query;
pub mod read;
pub mod route;
pub mod subscribe;
pub mod subscriptions;
pub mod topics;
pub mod watch;
