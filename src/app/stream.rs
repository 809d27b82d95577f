//! Answers that are streams: their source, and how far they are.

use super::progress::Progress;
use crate::api::subscribe::{Format, SubscribeParams};
use crate::api::topics::TopicList;
use crate::clock::Now;
use crate::event::NameFilter;
use crate::http::encoding::GzipBody;
use crate::http::Response;
use crate::search::{Filters, Matcher};

/// A reader of a stream of events.
#[derive(Debug)]
pub struct Subscriber {
    pub(super) topics: NameFilter,
    /// The filter for topics as they are written in JSON text, where that differs.
    pub(super) escaped: Option<NameFilter>,
    /// All filters, where there are others than topics. Then each event is read from the store.
    pub(super) search: Option<Box<StreamSearch>>,
    pub(super) format: Format,
    /// Every wanted event up to this seq has been sent.
    pub(super) after: u64,
    /// The last event that was sent, if one was.
    pub(super) sent: u64,
    /// The stream ends with this seq; `None` goes on with what is committed later.
    pub(super) until: Option<u64>,
    /// Whether it was asked to go on.
    pub(super) follow: bool,
    /// What its reader knows of how far it has come, if it is told.
    pub(super) progress: Option<Progress>,
    #[cfg(feature = "fleet")]
    pub(super) front: FrontPlace,
}

/// Where the stream of a front stands besides.
#[cfg(feature = "fleet")]
#[derive(Debug, Default)]
pub(super) struct FrontPlace {
    /// The part that it has been promised or given; 0 for none.
    pub(super) part: u64,
    /// Of which past of the store its position is.
    pub(super) epoch: u64,
    /// The position that its reader named, where that is of another history.
    pub(super) reset_from: Option<u64>,
}

/// The filters of a stream, and how far its next event has been compared with them.
#[derive(Debug)]
pub(super) struct StreamSearch {
    pub(super) filters: Filters,
    pub(super) matcher: Matcher,
    /// The event that was being looked at when the last slice was over.
    pub(super) unfinished: Option<u64>,
}

impl StreamSearch {
    pub(super) fn new(filters: Filters) -> Self {
        Self {
            filters,
            matcher: Matcher::default(),
            unfinished: None,
        }
    }
}

impl Subscriber {
    /// One that begins after a seq, while `head` is the greatest one.
    pub(super) fn new(params: &SubscribeParams, after: u64, head: u64, now: Now) -> Self {
        let filters = Some(&params.params.filters).filter(|filters| !filters.is_topics_only());
        let has_ids = filters.is_some() && params.format == Format::EventStream;
        let has_progress = params.progress || has_ids;
        Self {
            topics: params.filter(),
            escaped: params.escaped_filter(),
            search: filters.cloned().map(|own| Box::new(StreamSearch::new(own))),
            format: params.format,
            after,
            sent: 0,
            until: (!params.follow).then_some(head),
            follow: params.follow,
            progress: has_progress.then(|| Progress::new(params.progress, after, now.mono_ms)),
            #[cfg(feature = "fleet")]
            front: FrontPlace::default(),
        }
    }

    /// Appends how far it has come, if that is due or it is over.
    pub(super) fn tell_progress(&mut self, status: FeedStatus, now: u64, out: &mut Vec<u8>) {
        let Some(progress) = &mut self.progress else {
            return;
        };
        progress.sent(self.sent, now);
        let is_due = progress.due(self.after).is_some_and(|at| at <= now);
        let is_last = status == FeedStatus::Ended && !self.follow && progress.ends_with_it();
        if is_due || is_last {
            progress.write(self.format, self.after, now, out);
        }
    }
}

/// What a stream is made of.
#[derive(Debug)]
pub enum StreamSource {
    Events(Subscriber),
    /// A list, and its content coding if it has one.
    Topics(TopicList, Option<GzipBody>),
}

impl StreamSource {
    /// Appends a heartbeat to the stream.
    pub fn break_silence(&mut self, now: Now, out: &mut Vec<u8>) {
        match self {
            StreamSource::Events(Subscriber {
                progress: Some(progress),
                format,
                after,
                ..
            }) if progress.due(*after).is_some() => {
                progress.write(*format, *after, now.mono_ms, out);
            }
            StreamSource::Events(subscriber) => {
                out.extend_from_slice(subscriber.format.heartbeat());
            }
            // It is silent only because of its reader.
            StreamSource::Topics(..) => {}
        }
    }

    /// When it has to say how far it has come, in `mono_ms`.
    pub fn progress_due(&self) -> Option<u64> {
        match self {
            StreamSource::Events(subscriber) => {
                let progress = subscriber.progress.as_ref()?;
                progress.due(subscriber.after)
            }
            StreamSource::Topics(..) => None,
        }
    }

    /// Its reader has still something to take: there is no silence.
    pub fn postpone_progress(&mut self, now: Now) {
        if let StreamSource::Events(subscriber) = self {
            if let Some(progress) = &mut subscriber.progress {
                progress.postpone(now.mono_ms);
            }
        }
    }

    /// Whether it goes through events that it does not send.
    pub fn is_search(&self) -> bool {
        matches!(self, StreamSource::Events(subscriber) if subscriber.search.is_some())
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

/// The state of a subscriber after a slice.
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
    /// What it gets next is on its way.
    #[cfg(feature = "fleet")]
    Waiting,
}
