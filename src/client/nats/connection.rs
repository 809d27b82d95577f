//! One connection to a server, and requests over it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::{self, Info, Message, Operation, Received};
use super::url::StreamUrl;
use crate::client::engine::{EngineError, Socket};
use crate::client::interrupt::Interrupt;
use crate::limits::{CLIENT_BUFFER_BYTES, NATS_ANSWER_MS};
use crate::text::escaped;
use crate::uuid;

/// An open connection to one of the hosts.
pub(crate) struct Connection {
    socket: Socket,
    received: Received,
    buffer: Vec<u8>,
    /// What is to be sent.
    output: Vec<u8>,
    /// Answers come to subjects below this one.
    inbox: String,
    requests: u64,
    /// Bytes that a message may have, with its headers.
    pub(crate) max_payload: usize,
    /// The host, by its place in the address.
    pub(crate) host: usize,
}

impl Connection {
    /// Connects to the first host that lets it in, beginning at one of them.
    ///
    /// # Errors
    /// That of the last host, or of the first one that refuses.
    pub(crate) fn open(
        url: &StreamUrl,
        first: usize,
        interrupt: &Arc<Interrupt>,
    ) -> Result<Connection, EngineError> {
        let mut last = EngineError::Lost("no host is named".to_owned());
        for turn in 0..url.hosts.len() {
            let at = (first + turn) % url.hosts.len();
            match Connection::open_to(url, at, interrupt) {
                Err(EngineError::Lost(what)) => {
                    last = EngineError::Lost(format!("{}: {what}", url.hosts[at]));
                }
                done => return done,
            }
        }
        Err(last)
    }

    fn open_to(
        url: &StreamUrl,
        host: usize,
        interrupt: &Arc<Interrupt>,
    ) -> Result<Connection, EngineError> {
        let id = uuid::random()?;
        let mut connection = Connection {
            socket: Socket::connect(&url.hosts[host], interrupt)?,
            received: Received::default(),
            buffer: vec![0; CLIENT_BUFFER_BYTES],
            output: Vec::new(),
            inbox: format!("_INBOX.{id}"),
            requests: 0,
            max_payload: 0,
            host,
        };
        let until = deadline();
        let info = loop {
            if let Operation::Info(info) = connection.next(until)? {
                break info;
            }
        };
        connection.greet(url, &info)?;
        while !matches!(connection.next(until)?, Operation::Pong) {}
        Ok(connection)
    }

    fn greet(&mut self, url: &StreamUrl, info: &Info) -> Result<(), EngineError> {
        if info.tls_required {
            return Err(EngineError::Unfit(
                "it asks for TLS, which this program does not speak to it".to_owned(),
            ));
        }
        if !info.headers {
            return Err(EngineError::Unfit("it takes no headers".to_owned()));
        }
        self.max_payload = info.max_payload;
        let greeting = message::connect(url, &self.inbox);
        self.socket.send(greeting.as_bytes())
    }

    /// Publishes a message when the next request is sent. `headers` are lines with their ends.
    pub(crate) fn publish(&mut self, subject: &str, headers: &str, body: &[u8]) {
        message::publish(subject, None, headers, body, &mut self.output);
    }

    /// As `publish`; the subject to which the answer will come.
    pub(crate) fn publish_request(&mut self, subject: &str, headers: &str, body: &[u8]) -> String {
        self.requests += 1;
        let reply = format!("{}.{}", self.inbox, self.requests);
        message::publish(subject, Some(&reply), headers, body, &mut self.output);
        reply
    }

    /// Sends what was published.
    pub(crate) fn send(&mut self) -> Result<(), EngineError> {
        let output = std::mem::take(&mut self.output);
        self.socket.send(&output)
    }

    /// Waits for an answer; those that nobody waits for are dropped.
    pub(crate) fn answer(&mut self, reply: &str) -> Result<Message, EngineError> {
        let until = deadline();
        loop {
            match self.next(until)? {
                Operation::Message(message) if message.subject == reply => {
                    return match message.is_unheard() {
                        true => Err(EngineError::Lost(
                            "nobody there answers; the stream may have no leader now".to_owned(),
                        )),
                        false => Ok(message),
                    };
                }
                _ => {}
            }
        }
    }

    /// Asks, and waits for the answer.
    pub(crate) fn request(&mut self, subject: &str, body: &[u8]) -> Result<Message, EngineError> {
        let reply = self.publish_request(subject, "", body);
        self.send()?;
        self.answer(&reply)
    }

    /// The next operation but PING, which is answered.
    fn next(&mut self, until: Instant) -> Result<Operation, EngineError> {
        loop {
            match self.received.next().map_err(EngineError::Lost)? {
                Some(Operation::Ping) => self.socket.send(b"PONG\r\n")?,
                Some(Operation::Failed(said)) => return Err(failed(&said)),
                Some(operation) => return Ok(operation),
                None => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(EngineError::Lost(format!(
                            "it did not answer for {} s",
                            NATS_ANSWER_MS / 1_000
                        )));
                    }
                    let count = self.socket.receive(&mut self.buffer, left)?;
                    self.received.push(&self.buffer[..count]);
                }
            }
        }
    }
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_millis(NATS_ANSWER_MS)
}

/// What a server says before it ends the connection, or about rights.
fn failed(said: &str) -> EngineError {
    let sentence = format!("it says: {}", escaped(said));
    let is_final = ["Authorization Violation", "Permissions Violation"]
        .iter()
        .any(|start| said.starts_with(start));
    match is_final {
        true => EngineError::Unfit(sentence),
        false => EngineError::Lost(sentence),
    }
}
