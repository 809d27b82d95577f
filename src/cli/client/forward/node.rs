//! What a forwarder asks of its node.

use serde::Deserialize;

use super::batch::{Batch, Event, Gap};
use crate::client::{percent_encoded, Client, Error, Item, Subscription};
use crate::limits::FORWARD_BATCH_BYTES;
use crate::postgres::statement::Hash;
use crate::uuid;

/// The part of `GET /stats` that is needed here.
#[derive(Debug, Deserialize)]
pub(super) struct NodeStats {
    pub last_seq: u64,
    #[serde(default)]
    pub database_id: String,
}

/// Asks a node which database it has, and how far that goes. One try.
pub(super) fn stats(client: &Client) -> Result<NodeStats, Error> {
    let stats: NodeStats = client.json("/stats")?;
    match uuid::is_random(&stats.database_id) {
        true => Ok(stats),
        false => {
            Err(client.unexpected("it does not say its database_id; it may be of an older version"))
        }
    }
}

/// Sets the subscription to a position, and makes it hold what comes after it.
pub(super) fn hold(client: &Client, name: &str, after: u64) -> Result<(), Error> {
    let body = format!("{{\"after\":{after},\"hold\":true}}");
    client.put(&target(name), body.as_bytes()).map(drop)
}

/// Moves the subscription forward.
pub(super) fn acknowledge(client: &Client, name: &str, seq: u64) -> Result<(), Error> {
    let body = format!("{{\"seq\":{seq}}}");
    let target = target(name) + "/ack";
    client
        .post(&target, "application/json", body.as_bytes())
        .map(drop)
}

/// The name of the subscription for a destination.
pub(super) fn subscription(store_id: &str) -> String {
    let id: String = store_id.chars().take(8).collect();
    format!("forward-{id}")
}

/// How far a subscription is; `None` if there is none.
pub(super) fn acknowledged(client: &Client, name: &str) -> Result<Option<u64>, Error> {
    #[derive(Deserialize)]
    struct Acknowledged {
        after: u64,
    }
    match client.json(&target(name)) {
        Ok(Acknowledged { after }) => Ok(Some(after)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

fn target(name: &str) -> String {
    format!("/subscriptions/{}", percent_encoded(name))
}

/// How a read of a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadEnd {
    /// The batch is full.
    Full,
    /// There is nothing more at the moment.
    NoMore,
    /// The node does not have the event at which it was to go on: its history is another one.
    OtherHistory,
}

/// The events of a node after a position, over one connection.
pub(super) struct Reader<'c> {
    client: &'c Client,
    subscription: Subscription<'c>,
    /// The event that comes first, and that has been forwarded: its seq, and its mark where one is known.
    known: Option<(u64, Option<Hash>)>,
}

impl<'c> Reader<'c> {
    /// Begins at the last event that has been forwarded, which the node must still have as it was.
    pub(super) fn open(
        client: &'c Client,
        database_id: &str,
        after: u64,
        mark: Option<Hash>,
    ) -> Reader<'c> {
        let begin = after.saturating_sub(1);
        let subscription = Subscription::new(client, "", begin, false);
        Reader {
            client,
            subscription: subscription.of_database(Some(database_id.to_owned())),
            known: (after > 0).then_some((after, mark)),
        }
    }

    /// Fills a batch.
    ///
    /// # Errors
    /// The connection has ended; then the batch is invalid.
    pub(super) fn read(&mut self, batch: &mut Batch, max_events: usize) -> Result<ReadEnd, Error> {
        loop {
            while let Some(item) = self.subscription.take()? {
                match item {
                    Item::Event { line, .. } => {
                        let event = Event::read(line)
                            .map_err(|error| self.client.unexpected(&error.to_string()))?;
                        match self.known.take() {
                            Some((seq, mark)) if event.seq == seq => {
                                if mark.is_some_and(|mark| mark != event.mark()) {
                                    return Ok(ReadEnd::OtherHistory);
                                }
                            }
                            // It was removed since it was forwarded.
                            _ => batch.push(event),
                        }
                    }
                    Item::Gap { from, to } => {
                        let from = from.max(batch.upto + 1);
                        if from <= to {
                            self.known = None;
                            batch.push_gap(Gap { from, to });
                        }
                    }
                    Item::Reset(_) => return Ok(ReadEnd::OtherHistory),
                }
                if batch.events.len() >= max_events || batch.bytes >= FORWARD_BATCH_BYTES {
                    return Ok(ReadEnd::Full);
                }
            }
            if !self.subscription.wait()? {
                return Ok(ReadEnd::NoMore);
            }
        }
    }
}
