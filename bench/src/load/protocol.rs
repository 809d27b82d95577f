//! The protocols that the generator speaks, and what it wants to know of an answer in any of them.

use super::{postgres, redis, response};

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

/// A complete answer at the start of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub total_bytes: usize,
    /// Events that were new.
    pub accepted: u64,
    pub duplicates: u64,
    /// What the peer says has failed.
    pub failure: Option<String>,
}

/// What the buffer holds is not an answer that this program can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Protocol {
    /// The answer that `buffer` begins with, to a request with `events` events, or `None` while it is
    /// not complete.
    pub fn parse(self, buffer: &[u8], events: u64) -> Result<Option<Answer>, Malformed> {
        match self {
            Protocol::Http => Ok(response::parse(buffer)?.map(|answer| from_http(answer, buffer))),
            Protocol::Redis { .. } => redis::parse(buffer, events),
            Protocol::Postgres => postgres::parse(buffer, events),
        }
    }
}

fn from_http(answer: response::Answer, buffer: &[u8]) -> Answer {
    let body = &buffer[answer.head_bytes..answer.total_bytes];
    let count = |name| response::count(body, name).unwrap_or(0);
    let failure = (answer.status != 200).then(|| {
        format!(
            "status {}: {}",
            answer.status,
            String::from_utf8_lossy(body)
        )
    });
    Answer {
        total_bytes: answer.total_bytes,
        accepted: count(b"\"accepted\""),
        duplicates: count(b"\"duplicates\""),
        failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_http_is_its_counts_or_its_failure() {
        let answer = |bytes| {
            Protocol::Http
                .parse(bytes, 3)
                .expect("HTTP")
                .expect("whole")
        };
        let good = answer(
            b"HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n{\"accepted\":2,\"duplicates\":1}",
        );
        assert_eq!((good.accepted, good.duplicates, good.failure), (2, 1, None));
        let bad = answer(b"HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nlater");
        assert_eq!(bad.failure.as_deref(), Some("status 503: later"));
    }
}
