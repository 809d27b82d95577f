//! The protocols that the generator speaks here: how each publishes, and how its answers are read.

use super::request::{payload, Publication, Template, PAYLOAD_BYTES};
use super::response::{self, Parse};
use super::{postgres, redis};

/// What a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 (RFC 9112): our server, and nginx.
    Http,
    /// RESP2, with the SHA-1 by which Redis knows the script that stores events.
    Redis {
        script: [u8; redis::SCRIPT_NAME_BYTES],
    },
    /// PostgreSQL's frontend/backend protocol 3.0.
    Postgres,
}

impl Protocol {
    /// How its answers are read.
    pub fn parser(self) -> Parse {
        match self {
            Protocol::Http => response::parse_http,
            Protocol::Redis { .. } => redis::parse,
            Protocol::Postgres => postgres::parse,
        }
    }

    /// A request that has `batch` events of `topics` topics stored, each once.
    pub fn publish(self, batch: usize, host: &str, topics: u64) -> Template {
        match self {
            Protocol::Http => Template::publish(&Publication {
                target: "/publish",
                host,
                headers: "",
                batch,
                topics,
                payload: &payload(PAYLOAD_BYTES),
            }),
            Protocol::Redis { script } => redis::publish(script, batch, topics),
            Protocol::Postgres => postgres::publish(batch, topics),
        }
    }
}
