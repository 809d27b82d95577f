//! Which stream gets the next slice: owns the queues of streams that can be served, and never serves one.
//!
//! A stream that has sent everything waits for the next commit, one whose reader is slow for its buffer to empty, and
//! one without memory for a while. Entries are tickets; the caller skips those of clients that have gone.

use std::collections::VecDeque;

use crate::app::{FeedStatus, StreamSource, Ticket};
use crate::clock::Now;
use crate::limits::{HEARTBEAT_MS, STREAM_PAUSE_MS};

/// A client's stream.
pub(super) struct ActiveStream {
    pub source: StreamSource,
    /// It is in one of the lists of [`StreamQueue`], and its entry there is valid.
    pub queued: bool,
    pub status: FeedStatus,
    /// When the silence will have lasted too long, in `mono_ms`.
    pub heartbeat_at: u64,
}

impl ActiveStream {
    /// When it has to be written to at the latest, in `mono_ms`.
    pub(super) fn due_at(&self) -> u64 {
        let progress = self.source.progress_due();
        progress.map_or(self.heartbeat_at, |at| at.min(self.heartbeat_at))
    }

    pub(super) fn new(source: StreamSource, status: FeedStatus, now: Now) -> Self {
        Self {
            source,
            queued: false,
            status,
            heartbeat_at: now.mono_ms + HEARTBEAT_MS,
        }
    }
}

/// The streams of all clients.
#[derive(Default)]
pub(super) struct StreamQueue {
    /// How many there are, and how many of them are streams of events.
    pub count: usize,
    pub subscribers: usize,
    /// The greatest seq for which the streams at the head have been woken.
    pub head: u64,
    /// Streams that are served from memory.
    recent: VecDeque<Ticket>,
    /// Streams that are served from the store.
    stored: VecDeque<Ticket>,
    /// Streams that have sent everything that is committed.
    at_head: Vec<Ticket>,
    /// Streams without memory, and when they are tried again, in `mono_ms`.
    deferred: Vec<Ticket>,
    deferred_until: u64,
    /// The streams at the head have not been woken for the last commits yet.
    needs_wake: bool,
    /// When they may be woken again, in `mono_ms`.
    woken_again_at: u64,
}

impl StreamQueue {
    /// Queues a stream according to its state; one that has everything waits for the next commit.
    pub(super) fn queue(&mut self, ticket: Ticket, stream: &mut ActiveStream) {
        if std::mem::replace(&mut stream.queued, true) {
            return;
        }
        match stream.status {
            FeedStatus::AtHead => self.at_head.push(ticket),
            FeedStatus::MoreStored => self.stored.push_back(ticket),
            #[cfg(feature = "fleet")]
            FeedStatus::Waiting => self.stored.push_back(ticket),
            FeedStatus::MoreRecent | FeedStatus::Ended => self.recent.push_back(ticket),
        }
    }

    /// Queues a stream now, wherever it is.
    pub(super) fn requeue_now(&mut self, ticket: Ticket, stream: &mut ActiveStream) {
        stream.queued = true;
        self.recent.push_back(ticket);
    }

    /// Queues a stream that cannot be served until there is memory.
    pub(super) fn defer_for_memory(
        &mut self,
        ticket: Ticket,
        stream: &mut ActiveStream,
        until: u64,
    ) {
        stream.queued = true;
        self.deferred.push(ticket);
        self.deferred_until = until;
    }

    /// Queues the streams for which `head` or the time has brought something. Streams at the head are woken at once
    /// for the first commit, and then at most every [`STREAM_PAUSE_MS`]: each time costs a write to each of them.
    pub(super) fn wake(&mut self, head: u64, now: Now) {
        self.needs_wake |= head != self.head;
        self.head = head;
        if self.needs_wake && now.mono_ms >= self.woken_again_at {
            self.needs_wake = false;
            self.woken_again_at = now.mono_ms + STREAM_PAUSE_MS;
            self.recent.extend(self.at_head.drain(..));
        }
        if now.mono_ms >= self.deferred_until {
            self.stored.extend(self.deferred.drain(..));
        }
    }

    /// Takes out the next stream to serve: of those served from memory, or of the others.
    pub(super) fn next(&mut self, from_memory: bool) -> Option<Ticket> {
        if from_memory {
            self.recent.pop_front()
        } else {
            self.stored.pop_front()
        }
    }

    /// Whether a stream can be served.
    pub(super) fn is_any_queued(&self) -> bool {
        !self.recent.is_empty() || !self.stored.is_empty()
    }

    /// Whether a stream is in a queue. Scans all of them, so only for checks.
    pub(super) fn holds(&self, ticket: Ticket) -> bool {
        let waiting = self.at_head.iter().chain(&self.deferred);
        let mut all = waiting.chain(&self.recent).chain(&self.stored);
        all.any(|known| *known == ticket)
    }

    /// Empties the queues: there are no streams any more.
    pub(super) fn clear(&mut self) {
        self.recent.clear();
        self.stored.clear();
        self.at_head.clear();
        self.deferred.clear();
    }

    /// When streams without memory are tried again, or those at the head are woken, in `mono_ms`.
    pub(super) fn deadline(&self) -> Option<u64> {
        let deferred = (!self.deferred.is_empty()).then_some(self.deferred_until);
        let wake = (self.needs_wake && !self.at_head.is_empty()).then_some(self.woken_again_at);
        deferred.into_iter().chain(wake).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono_ms: u64) -> Now {
        Now {
            mono_ms,
            ..Now::default()
        }
    }

    #[test]
    fn streams_at_the_head_are_woken_at_once_and_then_for_several_commits_at_a_time() {
        let mut streams = StreamQueue::default();
        streams.at_head.push(7);
        streams.wake(1, at(100));
        assert_eq!((streams.next(true), streams.deadline()), (Some(7), None));
        // Two commits that follow closely wait for each other, and for nothing else.
        streams.at_head.push(7);
        for head in [2, 3] {
            streams.wake(head, at(101));
            assert_eq!(streams.next(true), None);
            assert!(!streams.is_any_queued(), "the poll may sleep");
            assert_eq!(streams.deadline(), Some(100 + STREAM_PAUSE_MS));
        }
        streams.wake(3, at(100 + STREAM_PAUSE_MS));
        assert_eq!((streams.next(true), streams.deadline()), (Some(7), None));
        // Without a commit they are not woken, however late it is.
        streams.at_head.push(7);
        streams.wake(3, at(1_000));
        assert_eq!((streams.next(true), streams.deadline()), (None, None));
    }
}
