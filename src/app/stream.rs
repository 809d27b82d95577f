//! Answers that are streams: what they are made of, and how far they are.

use crate::api::subscribe::Format;
use crate::api::topics::TopicList;
use crate::event::NameFilter;
use crate::http::Response;

/// A reader of a stream of events.
#[derive(Debug)]
pub struct Subscriber {
    pub(super) filter: NameFilter,
    /// The filter for topics as they stand in JSON text, where that differs.
    pub(super) escaped: Option<NameFilter>,
    pub(super) format: Format,
    /// Every wanted event up to this seq has been sent.
    pub(super) after: u64,
    /// The stream ends with this seq; none goes on with what is committed later.
    pub(super) until: Option<u64>,
}

/// What a stream is made of.
#[derive(Debug)]
pub enum StreamSource {
    Events(Subscriber),
    Topics(TopicList),
}

impl StreamSource {
    /// What breaks a silence in the stream.
    pub fn heartbeat(&self) -> &'static [u8] {
        match self {
            StreamSource::Events(subscriber) => subscriber.format.heartbeat(),
            // Its length has been sent.
            StreamSource::Topics(_) => b"",
        }
    }

    /// From now on it ends with the event of this seq at the latest. A list of topics ends by itself.
    pub fn end_at(&mut self, seq: u64) {
        if let StreamSource::Events(subscriber) = self {
            subscriber.until = Some(subscriber.until.map_or(seq, |until| until.min(seq)));
        }
    }

    /// Whether it is a stream of events.
    pub fn is_subscriber(&self) -> bool {
        matches!(self, StreamSource::Events(_))
    }
}

/// An answer that is a stream.
#[derive(Debug)]
pub struct StreamAnswer {
    pub head: Response,
    /// Bytes of the whole body, if that is known.
    pub length: Option<usize>,
    /// The first slice of the body.
    pub first: Vec<u8>,
    pub source: StreamSource,
    pub status: FeedStatus,
}

/// How a subscriber stands after a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedStatus {
    /// There is more for it already, and it comes from memory.
    MoreRecent,
    /// There is more for it already, and it comes from the store.
    MoreStored,
    /// It has everything that has been committed.
    AtHead,
    /// It has everything that it asked for.
    Ended,
}
