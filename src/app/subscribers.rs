//! Subscribers: where each stands, and what it gets next. One mechanism for all: a subscriber has a
//! position; it is served from the newest events in memory where they reach back to it, and from the store
//! where they do not. Nothing here knows how fast a reader is.

use super::{Answer, App};
use crate::api::subscribe::{Asked, Format, Start};
use crate::api::topics::{self, TopicList};
use crate::api::{read, route, subscriptions};
use crate::event::{Publication, Span, TopicFilter};
use crate::http::{Request, Response};
use crate::limits::{ANSWER_SMALL_BYTES, LINE_UNITS, STREAM_SLICE_BYTES};
use crate::store::{FeedQuery, Outcome, StoreError, StoredEvent};

/// Somebody who reads a stream of events.
#[derive(Debug)]
pub struct Subscriber {
    filter: TopicFilter,
    /// The filter for topics as they stand in JSON text, where that differs.
    escaped: Option<TopicFilter>,
    format: Format,
    /// Every wanted event up to this seq has been sent.
    after: u64,
    /// The stream ends with this seq; none goes on with what is committed later.
    until: Option<u64>,
}

/// What a stream is made of.
#[derive(Debug)]
pub enum Source {
    Events(Subscriber),
    Topics(TopicList),
}

impl Source {
    /// What breaks a silence in the stream.
    pub fn heartbeat(&self) -> &'static [u8] {
        match self {
            Source::Events(subscriber) => subscriber.format.heartbeat(),
            // Its length has been told.
            Source::Topics(_) => b"",
        }
    }

    /// From now on it ends with the event of this seq at the latest. A list of topics ends by itself.
    pub fn end_at(&mut self, seq: u64) {
        if let Source::Events(subscriber) = self {
            subscriber.until = Some(subscriber.until.map_or(seq, |until| until.min(seq)));
        }
    }

    /// Whether somebody reads events from it.
    pub fn is_subscriber(&self) -> bool {
        matches!(self, Source::Events(_))
    }
}

/// An answer that is a stream.
#[derive(Debug)]
pub struct Stream {
    pub head: Response,
    /// Bytes of the whole body, if that is known.
    pub length: Option<usize>,
    /// The first slice of the body.
    pub first: Vec<u8>,
    pub source: Source,
    pub fed: Fed,
}

/// How a subscriber stands behind a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// There is more for it already, and it comes from memory.
    MoreRecent,
    /// There is more for it already, and it comes from the store.
    MoreStored,
    /// It has everything that has been committed.
    AtHead,
    /// It has everything that it asked for.
    Ended,
}

impl App {
    /// Answers `GET /subscribe`. The first slice is made at once, so that a database that cannot be read
    /// is told by the status.
    pub(super) fn subscribe(&mut self, request: &Request) -> Result<Answer, StoreError> {
        let asked = match Asked::read(request) {
            Ok(asked) => asked,
            Err(details) => return Ok(Answer::Now(route::unprocessable(&details))),
        };
        let mut stored = None;
        if let Some(name) = &asked.subscription {
            let Some(position) = self.store.subscription(name) else {
                return Ok(Answer::Now(subscriptions::unknown()));
            };
            stored = Some(position.after);
        }
        let head = self.store.last_seq();
        let after = match (asked.start, stored) {
            (Start::Behind(seq), _) => seq,
            (Start::Subscription, Some(seq)) => seq,
            _ if asked.follow => head,
            _ => self.store.first_seq() - 1,
        };
        if self.subscribers == 0 {
            self.recent.restart(head);
        }
        let mut subscriber = Subscriber {
            filter: asked.filter(),
            escaped: asked.escaped_filter(),
            format: asked.format,
            after,
            until: (!asked.follow).then_some(head),
        };
        let mut first = Vec::new();
        let fed = self.feed_slice(&mut subscriber, STREAM_SLICE_BYTES, &mut first);
        self.charge(0);
        let fed = fed?;
        Ok(Answer::Stream(Box::new(Stream {
            head: asked
                .format
                .head()
                .header(read::DATABASE_FIELD, &self.store.identity().database_id),
            length: None,
            first,
            source: Source::Events(subscriber),
            fed,
        })))
    }

    /// Answers `GET /topics`: a short list at once, and a long one as a stream, of which a client holds no more than
    /// a slice. So it is small for the memory that clients share, whatever there is.
    pub(super) fn topics(&mut self) -> Answer {
        let length = topics::max_len(&self.store);
        if length <= ANSWER_SMALL_BYTES {
            self.charge(self.store.topics().len() as u64 * LINE_UNITS);
            return Answer::Now(Response::json(200, topics::list(&self.store)));
        }
        let mut first = Vec::new();
        let list = TopicList::begin(&self.store, &mut first);
        Answer::Stream(Box::new(Stream {
            head: Response::json(200, Vec::new()),
            length: Some(length),
            first,
            source: Source::Topics(list),
            fed: Fed::MoreStored,
        }))
    }

    /// Appends the next slice of a stream: `max_bytes` of it, or one event where that is larger.
    pub fn feed(
        &mut self,
        source: &mut Source,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<Fed, StoreError> {
        let fed = match source {
            Source::Events(subscriber) => self.feed_slice(subscriber, max_bytes, out),
            Source::Topics(list) => self.feed_topics(list, max_bytes, out),
        };
        // Streams have their own part of a turn.
        self.store.take_work();
        fed
    }

    fn feed_topics(
        &self,
        list: &mut TopicList,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<Fed, StoreError> {
        self.store.readable()?;
        list.write(&self.store, out.len() + max_bytes, out);
        Ok(if list.is_over() {
            Fed::Ended
        } else {
            Fed::MoreStored
        })
    }

    fn feed_slice(
        &mut self,
        subscriber: &mut Subscriber,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<Fed, StoreError> {
        let head = self.store.last_seq();
        let end = subscriber.until.unwrap_or(head);
        let full = out.len() + max_bytes;
        if subscriber.after > head {
            // The position is of another history: nothing says which of these events its reader has.
            subscriber.format.write_reset(out, subscriber.after, head);
            subscriber.after = head;
        }
        // What is in memory is sent from there, also where it has just been removed from the store.
        let is_near = self.subscribers > 0 && self.recent.covers(subscriber.after);
        if !is_near {
            self.pass_gap(subscriber, end, out);
        }
        if subscriber.after < end {
            if is_near {
                self.feed_recent(subscriber, end, full, out);
            } else {
                self.feed_stored(subscriber, end, full, out)?;
            }
        }
        Ok(if subscriber.after < end {
            if self.recent.covers(subscriber.after) {
                Fed::MoreRecent
            } else {
                Fed::MoreStored
            }
        } else if subscriber.until.is_some() {
            Fed::Ended
        } else {
            Fed::AtHead
        })
    }

    /// Tells a subscriber of events that have been removed before it could get them.
    fn pass_gap(&self, subscriber: &mut Subscriber, end: u64, out: &mut Vec<u8>) {
        let last_removed = (self.store.first_seq() - 1).min(end);
        if subscriber.after < last_removed {
            let format = subscriber.format;
            format.write_gap(out, subscriber.after + 1, last_removed);
            subscriber.after = last_removed;
        }
    }

    /// Whether what a stream has still to bring is in memory.
    pub fn is_near(&self, source: &Source) -> bool {
        match source {
            Source::Events(subscriber) => self.recent.covers(subscriber.after),
            Source::Topics(_) => true,
        }
    }

    fn feed_recent(&self, subscriber: &mut Subscriber, end: u64, full: usize, out: &mut Vec<u8>) {
        let filter = subscriber.escaped.as_ref().unwrap_or(&subscriber.filter);
        let format = subscriber.format;
        for event in self.recent.behind(subscriber.after) {
            if event.seq > end {
                break;
            }
            if filter.matches(event.topic) {
                if out.len() >= full {
                    return;
                }
                format.write_event(out, event.seq, |out| out.extend_from_slice(event.json));
            }
            subscriber.after = event.seq;
        }
        subscriber.after = end;
    }

    fn feed_stored(
        &mut self,
        subscriber: &mut Subscriber,
        end: u64,
        full: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let query = FeedQuery {
            topics: &subscriber.filter,
            after: subscriber.after,
            until: end,
            max_bytes: full.saturating_sub(out.len()),
        };
        let (format, stamp) = (subscriber.format, &mut self.stamp);
        subscriber.after = self.store.feed(&query, |event| {
            format.write_event(out, event.seq, |out| {
                read::write_event(out, &event, stamp);
            });
            out.len() < full
        })?;
        Ok(())
    }

    /// Keeps the new ones of events that have been committed for those who are near the head.
    pub(super) fn keep_recent(
        &mut self,
        publication: &Publication,
        outcomes: &[Outcome],
        processed_at: i64,
    ) {
        for (event, outcome) in publication.events.iter().zip(outcomes) {
            let Outcome::Accepted(seq) = *outcome else {
                continue;
            };
            let text = |span: Span| span.of(&publication.body);
            let event = StoredEvent {
                seq,
                topic: text(event.topic),
                event_id: text(event.event_id),
                timestamp: text(event.timestamp),
                source: text(event.source),
                payload: text(event.payload),
                processed_at,
            };
            self.recent.push(seq, |out| {
                let from = out.len();
                let topic = read::write_event(out, &event, &mut self.stamp);
                topic.start - from..topic.end - from
            });
        }
    }
}
