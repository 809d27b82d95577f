//! Between HTTP and the domain: what a request asks and how an answer is written. No sockets, no
//! SQL, no clock.

pub mod detail;
pub mod publish_body;
