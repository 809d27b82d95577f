//! Subscribers: the position of each, and what it gets next. One mechanism for all: a subscriber has a position; it is
//! served from the newest events in memory where they reach back to it, and from the store where they do not. Nothing
//! here knows how fast a reader is.

use super::reply::Reply;
use super::stream::{FeedStatus, StreamAnswer, StreamSource, Subscriber};
use super::App;
use crate::api::compression::{takes_gzip, GZIP, VARY};
use crate::api::subscribe::{Start, SubscribeParams};
use crate::api::topics::{self, TopicList};
use crate::api::{detail, read, subscriptions};
use crate::clock::Now;
use crate::http::encoding::GzipBody;
use crate::http::{Request, Response, Version};
use crate::limits::{ANSWER_SMALL_BYTES, COMPRESSED_PIECE_BYTES, LINE_UNITS, STREAM_SLICE_BYTES};
use crate::store::{StoreError, SubscriberQuery};

impl App {
    /// Answers `GET /subscribe`. The first slice is made at once, so that the status says if the database cannot be
    /// read.
    pub(super) fn subscribe(&mut self, request: &Request) -> Result<Reply, StoreError> {
        let params = match SubscribeParams::read(request) {
            Ok(params) => params,
            Err(details) => return Ok(Reply::Now(detail::unprocessable(&details))),
        };
        let mut stored = None;
        if let Some(name) = &params.subscription {
            let Some(position) = self.store.subscription(name) else {
                let response = subscriptions::without_position(&self.store, name);
                return Ok(Reply::Now(response));
            };
            stored = Some(position.after);
        }
        let head = self.store.last_seq();
        let after = match (params.start, stored) {
            (Start::After(seq), _) => seq,
            (Start::Subscription, Some(seq)) => seq,
            (Start::Unsaid | Start::Subscription, _) if params.follow => head,
            _ => self.store.first_seq() - 1,
        };
        let now = request.arrived;
        self.live.expect_subscriber(head);
        let mut subscriber = Subscriber::new(&params, after, head, now);
        let mut first = Vec::new();
        let mut status = FeedStatus::MoreStored;
        // With filters, this may be unbounded work.
        if subscriber.search.is_none() {
            let slice = self.feed_slice(&mut subscriber, STREAM_SLICE_BYTES, &mut first);
            self.charge(0);
            status = slice?;
            subscriber.tell_progress(status, now.mono_ms, &mut first);
        }
        Ok(Reply::Stream(Box::new(StreamAnswer {
            head: params
                .format
                .head()
                .header(read::DATABASE_FIELD, &self.store.identity().database_id),
            length: None,
            first,
            source: StreamSource::Events(subscriber),
            status,
        })))
    }

    /// Answers `GET /topics`: a short list at once, and a long one as a stream, of which a client holds no more than a
    /// slice. So it counts as small, however many topics there are.
    pub(super) fn topics(&mut self, request: &Request) -> Reply {
        let length = topics::max_len(&self.store);
        if length <= ANSWER_SMALL_BYTES {
            self.charge(self.store.topics().len() as u64 * LINE_UNITS);
            return self.encode(request, Response::json(200, topics::list(&self.store)));
        }
        let mut first = Vec::new();
        let list = TopicList::begin(&self.store, &mut first);
        let mut head = Response::json(200, Vec::new()).header(VARY.0, VARY.1);
        let (mut length, mut gzip) = (Some(length), None);
        // How long it becomes is not known, which HTTP/1.0 could tell only by closing.
        if takes_gzip(request) && request.version == Version::Http11 {
            head = head.header(GZIP.0, GZIP.1);
            let compressor = self.compressor.get_or_insert_default();
            let body = gzip.insert(GzipBody::default());
            let text = std::mem::take(&mut first);
            body.write(&text, compressor, &mut first);
            length = None;
        }
        Reply::Stream(Box::new(StreamAnswer {
            head,
            length,
            first,
            source: StreamSource::Topics(list, gzip),
            status: FeedStatus::MoreStored,
        }))
    }

    /// Appends the next slice of a stream: `max_bytes` of it, or one event where that is larger.
    pub fn feed(
        &mut self,
        source: &mut StreamSource,
        max_bytes: usize,
        out: &mut Vec<u8>,
        now: Now,
    ) -> Result<FeedStatus, StoreError> {
        let status = match source {
            StreamSource::Events(subscriber) => {
                let status = self.feed_slice(subscriber, max_bytes, out);
                if let Ok(status) = status {
                    subscriber.tell_progress(status, now.mono_ms, out);
                }
                status
            }
            StreamSource::Topics(list, gzip) => self.feed_topics(list, gzip, max_bytes, out),
        };
        self.reading.spend_on_stream(self.store.take_work());
        status
    }

    fn feed_topics(
        &mut self,
        list: &mut TopicList,
        gzip: &mut Option<GzipBody>,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<FeedStatus, StoreError> {
        self.store.readable()?;
        if let Some(body) = gzip {
            let mut part = Vec::new();
            list.write(
                &self.store,
                max_bytes.min(COMPRESSED_PIECE_BYTES),
                &mut part,
            );
            body.write(&part, self.compressor.get_or_insert_default(), out);
        } else {
            list.write(&self.store, out.len() + max_bytes, out);
        }
        // One that was cut short is left without its end, so that its reader notices.
        if let Some(body) = gzip.take_if(|_| list.is_whole()) {
            body.end(out);
        }
        Ok(if list.is_over() {
            FeedStatus::Ended
        } else {
            FeedStatus::MoreStored
        })
    }

    fn feed_slice(
        &mut self,
        subscriber: &mut Subscriber,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<FeedStatus, StoreError> {
        let head = self.store.last_seq();
        let end = subscriber.until.unwrap_or(head);
        let full = out.len() + max_bytes;
        if subscriber.after > head {
            // The position is of another history: nothing says which of these events its reader has.
            subscriber.format.write_reset(out, subscriber.after, head);
            subscriber.after = head;
            if let Some(progress) = &mut subscriber.progress {
                progress.reset(head);
            }
        }
        // What is in memory is sent from there, also where it has just been removed from the store.
        let is_near = subscriber.search.is_none()
            && self.live.subscribers() > 0
            && self.live.covers(subscriber.after);
        if !is_near {
            self.pass_gap(subscriber, end, out);
        }
        if subscriber.after < end {
            if is_near {
                self.live.feed(subscriber, end, full, out);
            } else if subscriber.search.is_some() {
                self.feed_searched(subscriber, end, full, out)?;
            } else {
                self.feed_stored(subscriber, end, full, out)?;
            }
        }
        Ok(if subscriber.after < end {
            if subscriber.search.is_none() && self.live.covers(subscriber.after) {
                FeedStatus::MoreRecent
            } else {
                FeedStatus::MoreStored
            }
        } else if subscriber.until.is_some() {
            FeedStatus::Ended
        } else {
            FeedStatus::AtHead
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
    pub fn is_near(&self, source: &StreamSource) -> bool {
        match source {
            StreamSource::Events(subscriber) => self.live.covers(subscriber.after),
            StreamSource::Topics(..) => true,
        }
    }

    fn feed_stored(
        &mut self,
        subscriber: &mut Subscriber,
        end: u64,
        full: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let query = SubscriberQuery {
            topics: &subscriber.topics,
            after: subscriber.after,
            until: end,
            max_bytes: full.saturating_sub(out.len()),
        };
        let (format, stamp) = (subscriber.format, &mut self.live.stamp);
        let sent = &mut subscriber.sent;
        subscriber.after = self.store.read_for_subscriber(&query, |event| {
            *sent = event.seq;
            format.write_event(out, event.seq, |out| {
                read::write_event(out, &event, stamp);
            });
            out.len() < full
        })?;
        Ok(())
    }
}
