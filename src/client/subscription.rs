//! Reading events in the order of their seqs: `GET /subscribe` as NDJSON, over as many connections as it
//! takes. A connection that is lost is made again after the last event that came whole.

use serde::Deserialize;

use super::backoff::Backoff;
use super::error::Error;
use super::history::Reset;
use super::http::{BodyStream, Client};
use crate::limits::{CLIENT_BUFFER_BYTES, CLIENT_LINE_MAX_BYTES};

/// What a subscription brings.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An event: the line as the server sent it, without its end.
    Event { seq: u64, line: &'a [u8] },
    /// The events of these seqs, both included, were removed before they could be read.
    Gap { from: u64, to: u64 },
    /// The position is of another history. This subscription has ended.
    Reset(Reset),
}

/// A line, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    seq: Option<u64>,
    gap: Option<Gap>,
    reset: Option<Ahead>,
    progress: Option<Progress>,
}

#[derive(Deserialize)]
struct Progress {
    through: u64,
}

#[derive(Deserialize)]
struct Ahead {
    position: u64,
    last_seq: u64,
}

#[derive(Deserialize)]
struct Gap {
    from: u64,
    to: u64,
}

/// The events after a seq.
pub struct Subscription<'c> {
    client: &'c Client,
    /// The query that chooses the events, but for where to begin.
    query: String,
    follows: bool,
    /// The last seq that has been handed out, or skipped.
    after: u64,
    /// The id of the database that this seq is of, where it is known.
    database_id: Option<String>,
    /// The id of another one that the server has now.
    other_database: Option<String>,
    stream: Option<BodyStream<'c>>,
    /// Received; what is before `read` has been handed out.
    received: Vec<u8>,
    read: usize,
    /// Up to here there is no line end after `read`.
    searched: usize,
    backoff: Backoff,
}

impl<'c> Subscription<'c> {
    /// The events after a seq that the server's filters let through: those that are stored, or with `follows` also
    /// those to come. `filters` are members of a query, percent-encoded, each with a `&` before it.
    pub fn new(client: &'c Client, filters: &str, after: u64, follows: bool) -> Self {
        Subscription {
            client,
            query: format!("follow={follows}{filters}"),
            follows,
            after,
            database_id: None,
            other_database: None,
            stream: None,
            received: Vec::new(),
            read: 0,
            searched: 0,
            backoff: Backoff::new(client.give_up()),
        }
    }

    /// The same, and the seq is of this database.
    pub fn of_database(mut self, database_id: Option<String>) -> Self {
        self.database_id = database_id;
        self
    }

    /// The id of the database that the events are of, where the server has said it.
    pub fn database_id(&self) -> Option<&str> {
        self.database_id.as_deref()
    }

    /// The last seq that has been handed out or, with filters, that is known not to match; or else where it began.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// Waits until more has come; false at the end. Failures are retried as the client's arguments say.
    pub fn wait(&mut self) -> Result<bool, Error> {
        loop {
            match self.receive() {
                Ok(0) => return Ok(false),
                Ok(_) => {
                    self.client.recovered(&mut self.backoff);
                    return Ok(true);
                }
                Err(error) => {
                    // Half a line is sent again as a whole one.
                    self.stream = None;
                    self.received.clear();
                    (self.read, self.searched) = (0, 0);
                    self.client.retry_or_fail(&mut self.backoff, error)?;
                }
            }
        }
    }

    /// The next item of what has come; none if more must be waited for.
    pub fn take(&mut self) -> Result<Option<Item<'_>>, Error> {
        if let Some(id) = self.other_database.take() {
            return Ok(Some(Item::Reset(Reset::OtherDatabase(id))));
        }
        loop {
            let Some(length) = memchr::memchr(b'\n', &self.received[self.searched..]) else {
                self.searched = self.received.len();
                return Ok(None);
            };
            let (start, end) = (self.read, self.searched + length);
            self.read = end + 1;
            self.searched = self.read;
            // An empty line says that the connection lives.
            if self.received[start..end].trim_ascii().is_empty() {
                continue;
            }
            let line: Line = serde_json::from_slice(&self.received[start..end])
                .map_err(|error| self.client.unexpected(&format!("a line is {error}")))?;
            match line {
                Line {
                    reset: Some(Ahead { position, last_seq }),
                    ..
                } => {
                    return Ok(Some(Item::Reset(Reset::Ahead { position, last_seq })));
                }
                Line { gap: Some(gap), .. } => {
                    self.after = self.after.max(gap.to);
                    let Gap { from, to } = gap;
                    return Ok(Some(Item::Gap { from, to }));
                }
                Line {
                    progress: Some(Progress { through }),
                    ..
                } => self.after = self.after.max(through),
                Line { seq: Some(seq), .. } if seq > self.after => {
                    self.after = seq;
                    let line = &self.received[start..end];
                    return Ok(Some(Item::Event { seq, line }));
                }
                _ => {
                    let reason = format!("a line after seq {} is out of order", self.after);
                    return Err(self.client.unexpected(&reason));
                }
            }
        }
    }

    /// Receives once; 0 where the answer has come whole and was to end.
    fn receive(&mut self) -> Result<usize, Error> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let target = format!("/subscribe?{}&after={}", self.query, self.after);
                let stream = self.client.stream(&target, "application/x-ndjson")?;
                let id = stream.database_id().map(str::to_owned);
                match (&self.database_id, id) {
                    (Some(known), Some(id)) if *known != id => {
                        let length = id.len();
                        self.other_database = Some(id);
                        return Ok(length);
                    }
                    (None, id) => self.database_id = id,
                    _ => {}
                }
                none.insert(stream)
            }
        };
        self.received.drain(..self.read);
        self.searched -= self.read;
        self.read = 0;
        let length = self.received.len();
        if length > CLIENT_LINE_MAX_BYTES {
            return Err(self.client.unexpected("a line does not end"));
        }
        self.received.resize(length + CLIENT_BUFFER_BYTES, 0);
        let result = stream.read(&mut self.received[length..]);
        self.received
            .truncate(length + *result.as_ref().unwrap_or(&0));
        let address = self.client.address();
        match result {
            Ok(0) if self.follows => Err(Error::Lost(format!("{address} ended the stream"))),
            Ok(0) if length > 0 => Err(Error::Lost(format!("{address} sent half a line"))),
            result => result,
        }
    }
}

/// A value of a query, with all but the unreserved characters escaped (RFC 3986 §2.3).
pub fn percent_encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
