//! A stream of NATS JetStream as a destination.
//!
//! A batch is atomic, and its first message says which the last one under the node's subjects must be: so each batch
//! follows the one that its forwarder knew, and of two forwarders one is refused. Each message has the node's seq, so
//! the last one is the position. `Nats-Msg-Id` has no place here: one id that the stream knows has the whole batch
//! refused.

use std::fmt;
use std::sync::Arc;

use super::batch::{Batch, Event};
use super::destination::{Counts, Destination, Position, Written};
use super::node;
use super::stream_api::{last_message, stream, Last, Refusal, State, Target};
use super::subject;
use super::trouble::Trouble;
use crate::client::engine::EngineError;
use crate::client::nats::{Connection, StreamUrl};
use crate::client::{Client, Interrupt};
use crate::postgres::statement::Hash;
use crate::uuid;

/// The last message under a node's subjects: its seq in the stream, and the mark of its event. 0 if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tail {
    seq: u64,
    mark: Option<Hash>,
}

/// A position as this process knows it. It says more than the last message under the node's subjects, for a new life,
/// or a gap, has none of its own, and the stream may remove it.
struct Known {
    database_id: String,
    /// The message that was the last one then.
    last: Tail,
    position: Position,
}

/// A stream, with its connection where there is one.
pub(super) struct Stream<'a> {
    url: StreamUrl,
    client: &'a Client,
    interrupt: Arc<Interrupt>,
    connection: Option<Connection>,
    /// The host with which to begin.
    host: usize,
    /// As it was found when the position was read last; none before.
    target: Option<Target>,
    last: Tail,
    known: Option<Known>,
}

impl<'a> Stream<'a> {
    /// The client is of the node, whose subscription tells the position where the stream has removed all messages.
    pub(super) fn new(
        url: StreamUrl,
        client: &'a Client,
        interrupt: &Arc<Interrupt>,
    ) -> Stream<'a> {
        Stream {
            url,
            client,
            interrupt: interrupt.clone(),
            connection: None,
            host: 0,
            target: None,
            last: Tail::default(),
            known: None,
        }
    }

    fn connected(&mut self) -> Result<&mut Connection, EngineError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.url, self.host, &self.interrupt)?,
        };
        self.host = connection.host;
        Ok(self.connection.insert(connection))
    }

    fn found(&mut self) -> Result<(Target, State), EngineError> {
        let name = self.url.stream.clone();
        let was_found = self.target.is_some();
        let connection = self.connected()?;
        let Some((target, state)) = stream(connection, &name)? else {
            return Err(match was_found {
                // It is being made again.
                true => EngineError::Lost("there is no such stream any more".to_owned()),
                false => EngineError::Unfit(missing(&name)),
            });
        };
        self.target = Some(target.clone());
        Ok((target, state))
    }

    /// The position that the node was told, where another forwarder got further than this one knows.
    fn further(&self, position: Position) -> Result<Position, Trouble> {
        let name = node::subscription(&position.store_id);
        match node::acknowledged(self.client, &name)? {
            Some(upto) if upto > position.upto => Ok(Position {
                upto,
                mark: None,
                ..position
            }),
            _ => Ok(position),
        }
    }

    /// Publishes the events as one batch; its seq in the stream, or `None` where another forwarder was first.
    fn publish(
        &mut self,
        target: &Target,
        database_id: &str,
        life: i32,
        events: &[Event],
    ) -> Result<Option<u64>, EngineError> {
        let start = format!("{}.{database_id}", target.prefix);
        let id = uuid::random()?;
        let last = self.last.seq;
        let max_bytes = target.max_bytes.min(self.connected()?.max_payload);
        let mut replies = Vec::new();
        for (at, event) in events.iter().enumerate() {
            let mut headers = headers_of(event, life, &id, at + 1);
            let (is_first, is_last) = (at == 0, at + 1 == events.len());
            if is_first {
                headers += &format!(
                    "Nats-Expected-Last-Subject-Sequence: {last}\r\n\
                     Nats-Expected-Last-Subject-Sequence-Subject: {start}.>\r\n"
                );
            }
            if is_last {
                headers += "Nats-Batch-Commit: 1\r\n";
            }
            let body = event.to_json();
            // The line of the version and the empty one are part of it.
            let bytes = headers.len() + body.len() + 12;
            if bytes > max_bytes {
                return Err(too_large(event, bytes, max_bytes));
            }
            let subject = format!("{start}.{}", subject::encoded(&event.topic));
            let connection = self.connected()?;
            match is_first || is_last {
                true => replies.push(connection.publish_request(&subject, &headers, &body)),
                false => connection.publish(&subject, &headers, &body),
            }
        }
        let count = events.len() as u64;
        let connection = self.connected()?;
        connection.send()?;
        for reply in replies {
            let answer = connection.answer(&reply)?;
            if answer.body.is_empty() {
                // The first message, or the batch so far, is taken.
                continue;
            }
            return match target.confirmed(&answer.body, &id, count) {
                Ok(seq) => Ok(Some(seq)),
                Err(Refusal::Moved) => Ok(None),
                Err(Refusal::Failed(error)) => Err(error),
            };
        }
        Err(EngineError::Lost("it did not confirm the batch".to_owned()))
    }
}

impl fmt::Display for Stream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stream at {}", self.url)
    }
}

impl Destination for Stream<'_> {
    fn noun(&self) -> &'static str {
        "stream"
    }

    fn position(&mut self, database_id: &str) -> Result<Option<Position>, Trouble> {
        let (target, state) = self.found()?;
        let name = self.url.stream.clone();
        let subjects = format!("{}.{database_id}.>", target.prefix);
        let found = last_message(self.connected()?, &name, &subjects)?;
        let last = found.as_ref().map_or_else(Tail::default, |found| Tail {
            seq: found.seq,
            mark: Some(found.event.mark()),
        });
        self.last = last;
        let known = self.known.as_ref().filter(|known| {
            known.database_id == database_id && known.position.store_id == target.store_id
        });
        let start = Position {
            store_id: target.store_id.clone(),
            node: 0,
            life: 1,
            upto: 0,
            mark: None,
        };
        let Some(Last { life, event, .. }) = found else {
            let has_removed = state.has_removed();
            // A stream that has never removed anything has never had more than what is known without a message.
            let known = known.filter(|known| has_removed || known.last == last);
            let position = known.map_or(start, |known| known.position.clone());
            return match has_removed {
                true => Ok(Some(self.further(position)?)),
                false => Ok(Some(position)),
            };
        };
        if let Some(known) = known.filter(|known| known.last == last) {
            return Ok(Some(known.position.clone()));
        }
        let position = Position {
            life,
            upto: event.seq,
            mark: last.mark,
            ..start
        };
        self.known = Some(Known {
            database_id: database_id.to_owned(),
            last,
            position: position.clone(),
        });
        Ok(Some(position))
    }

    fn begin_life(&mut self, database_id: &str, life: i32, _name: &str) -> Result<(), Trouble> {
        let (target, _) = self.found()?;
        self.known = Some(Known {
            database_id: database_id.to_owned(),
            last: self.last,
            position: Position {
                store_id: target.store_id,
                node: 0,
                life,
                upto: 0,
                mark: None,
            },
        });
        Ok(())
    }

    fn write(
        &mut self,
        database_id: &str,
        expected: &Position,
        batch: &Batch,
    ) -> Result<Written, EngineError> {
        let target = self.target.clone();
        let Some(target) = target.filter(|target| target.store_id == expected.store_id) else {
            return Ok(Written::Moved);
        };
        if !batch.events.is_empty() {
            match self.publish(&target, database_id, expected.life, &batch.events)? {
                Some(seq) => {
                    let mark = batch.events.last().map(Event::mark);
                    self.last = Tail { seq, mark };
                }
                None => return Ok(Written::Moved),
            }
        }
        self.known = Some(Known {
            database_id: database_id.to_owned(),
            last: self.last,
            position: Position {
                upto: batch.upto,
                mark: batch.mark(),
                ..expected.clone()
            },
        });
        Ok(Written::Stored(Counts {
            stored: batch.events.len() as u64,
            ..Counts::default()
        }))
    }

    fn is_final(&self, error: &EngineError) -> bool {
        matches!(error, EngineError::Unfit(_))
    }

    fn disconnect(&mut self) {
        self.connection = None;
        // Another member may be better off.
        self.host += 1;
    }

    fn close(&mut self) {
        self.connection = None;
    }
}

/// The headers that all messages of a batch have, as lines.
fn headers_of(event: &Event, life: i32, batch: &str, number: usize) -> String {
    let seq = event.seq;
    format!(
        "Logagg-Seq: {seq}\r\nLogagg-Life: {life}\r\nNats-Batch-Id: {batch}\r\nNats-Batch-Sequence: {number}\r\n"
    )
}

/// How many replicas are right is not known here, so the stream is not made but asked for.
fn missing(name: &str) -> String {
    format!(
        "there is no such stream; make it, with the replicas and limits that are right: nats req \
         '$JS.API.STREAM.CREATE.{name}' '{{\"name\":\"{name}\",\"subjects\":[\"logs.>\"],\"storage\":\"file\",\
         \"num_replicas\":3,\"allow_atomic\":true}}'"
    )
}

fn too_large(event: &Event, bytes: usize, max_bytes: usize) -> EngineError {
    EngineError::Unfit(format!(
        "the event {} has {bytes} bytes as a message and it takes {max_bytes}: raise max_payload of the servers, or \
         max_msg_size of the stream",
        event.seq
    ))
}
