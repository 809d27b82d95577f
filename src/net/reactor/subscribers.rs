//! The phase *feed*: the next slices of streams, within the part of the turn that is left to them. What a slice holds
//! is the application's business; when it is sent, and how long it may be, is decided here.

use std::time::Duration;

use super::{Connection, Lifecycle, Platform, Reactor};
use crate::app::service::Service;
use crate::app::{self, FeedStatus, Ticket};
use crate::limits;
use crate::net::connection::key_of;
use crate::net::memory::AnswerMemory;
use crate::net::stream_queue::ActiveStream;

impl<P: Platform, S: Service> Reactor<P, S> {
    /// Begins an answer that is a stream. To HEAD, and if the first slice is all of it, nothing follows.
    pub(super) fn begin_stream(&mut self, key: usize, stream: app::StreamAnswer) {
        let client = &mut self.clients[key];
        client.answer_memory = AnswerMemory::Long;
        client.was_answered(stream.head.status, stream.length, &mut self.request_log);
        client
            .conn
            .start_stream(&stream.head, stream.length, self.now);
        if !client.conn.is_streaming() {
            return;
        }
        client.conn.stream(&stream.first, self.now);
        let ticket = client.ticket(key);
        let mut stream = ActiveStream::new(stream.source, stream.status, self.now);
        if client.read_closed {
            stream.source.end_at(self.app.head());
            if stream.status == FeedStatus::AtHead {
                stream.status = FeedStatus::Ended;
            }
        }
        if stream.status == FeedStatus::Ended {
            return client.conn.end_stream(self.now);
        }
        self.streams.queue(ticket, &mut stream);
        self.count_stream(&stream, 1);
        self.clients[key].stream = Some(Box::new(stream));
    }

    /// Serves the streams that have something to send. The time that this may take is a part of what the turn has taken
    /// so far if it has committed events, so that streams slow publishing but never stop it; in a turn without a commit
    /// it is bounded for the requests that come in that time. What reads the store gets less soon after a publication.
    pub(super) fn feed(&mut self) {
        if self.streams.count == 0 {
            // Streams that have ended may still be in a queue, and the poll would never sleep again.
            self.streams.clear();
        }
        let head = self.app.head();
        let has_committed = head != self.streams.head;
        self.streams.wake(head, self.now);
        if self.lifecycle != Lifecycle::Serving {
            self.end_streams(head);
        }
        if !self.streams.is_any_queued() && !self.reads.is_any_queued() {
            return;
        }
        let begun = self.platform.instant();
        let budget = self.spare_time(has_committed);
        let for_reads = self.publishing.time_for_reads(self.turn_began, begun);
        let quiet = Duration::from_micros(limits::SPARE_QUIET_US);
        let share = for_reads.as_secs_f32() / quiet.as_secs_f32();
        self.app.begin_streams(share);
        // Streams near the head come first, and leave the others half of the time.
        while let Some(ticket) = self.streams.next(true) {
            self.feed_one(ticket, !has_committed);
            if self.platform.instant() >= begun + budget / 2 {
                break;
            }
        }
        let mut slices = 0;
        loop {
            let stream = self.streams.next(false);
            if let Some(ticket) = stream {
                self.feed_one(ticket, for_reads == quiet);
            }
            let has_read = self.read_one(share, slices == 0);
            slices += usize::from(has_read);
            let is_done = stream.is_none() && !has_read;
            if is_done || self.platform.instant() >= begun + for_reads {
                break;
            }
        }
        // Clients that have been written to leave the list, so that the next poll may sleep.
        let clients = &self.clients;
        let waits = |key: usize| clients.get(key).is_some_and(|client| client.on_flush_list);
        self.flush.retain(|key| waits(*key));
    }

    /// Gives a stream its next slice; a long one if no publisher waits and its reader keeps up.
    fn feed_one(&mut self, ticket: Ticket, may_be_long: bool) {
        let key = key_of(ticket);
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if client.ticket(key) != ticket || client.closing {
            return;
        }
        let Some(stream) = client.stream.as_mut().filter(|stream| stream.queued) else {
            return;
        };
        stream.queued = false;
        if client.conn.unsent() > limits::OUTPUT_WAIT_MAX_BYTES {
            // It is queued again when its reader has taken some, and then must not wait for a commit.
            stream.status = FeedStatus::MoreRecent;
            return;
        }
        let mut room = self.memory.stream_room(client.usage);
        if room == 0 {
            let until = self.now.mono_ms + limits::STREAM_RETRY_MS;
            return self.streams.defer_for_memory(ticket, stream, until);
        }
        if may_be_long && room == limits::STREAM_SLICE_BYTES && client.conn.output().is_empty() {
            room = limits::STREAM_LONG_SLICE_BYTES;
        }
        let waiting = client.conn.unsent();
        client.conn.lend(&mut self.spare_output);
        let source = &mut stream.source;
        let now = self.now;
        let slice = |out: &mut Vec<u8>| self.app.feed(source, room, out, now);
        match client.conn.stream_with(slice, self.now) {
            Ok(status) => {
                if client.conn.unsent() > waiting {
                    stream.heartbeat_at = self.now.mono_ms + limits::HEARTBEAT_MS;
                }
                stream.status = status;
                #[cfg(feature = "fleet")]
                if status == FeedStatus::Waiting {
                    let until = self.now.mono_ms + limits::FRONT_WAIT_MS;
                    self.streams.defer_for_memory(ticket, stream, until);
                    self.after_change(key);
                    return self.flush_client(key);
                }
                if status == FeedStatus::Ended {
                    client.conn.end_stream(self.now);
                    self.end_stream(key);
                } else {
                    self.streams.queue(ticket, stream);
                }
            }
            Err(error) => {
                log::error!("reading the database for a subscriber failed: {error}");
                client.conn.break_stream();
                self.end_stream(key);
            }
        }
        self.after_change(key);
        self.flush_client(key);
    }

    /// The stream of a client is over, and its connection may go on.
    fn end_stream(&mut self, key: usize) {
        if let Some(stream) = self.clients[key].stream.take() {
            self.count_stream(&stream, -1);
        }
        self.want_service(key);
    }

    pub(super) fn count_stream(&mut self, stream: &ActiveStream, change: isize) {
        let streams = &mut self.streams;
        streams.count = streams.count.saturating_add_signed(change);
        if stream.source.is_subscriber() {
            streams.subscribers = streams.subscribers.saturating_add_signed(change);
            self.app.set_subscribers(streams.subscribers);
        }
    }

    /// The peer of a stream has ended its side: it gets what has been committed, and no more.
    pub(super) fn peer_has_finished(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let ticket = client.ticket(key);
        if let Some(stream) = &mut client.stream {
            stream.source.end_at(self.app.head());
            self.streams.requeue_now(ticket, stream);
            // It may find nothing for long. Only a write shows that nobody reads any more.
            if stream.source.is_search() && client.conn.output().is_empty() {
                let mut part = Vec::new();
                stream.source.break_silence(self.now, &mut part);
                client.conn.stream(&part, self.now);
                self.after_change(key);
            }
        }
    }

    /// Drops a stream that its connection has given up.
    pub(super) fn drop_given_up(&mut self, key: usize) {
        let client = &self.clients[key];
        if client.stream.is_some() && !client.conn.is_streaming() {
            self.end_stream(key);
        }
    }

    /// Sends something on a stream that has been silent for long, so that its reader knows it is there.
    pub(super) fn send_heartbeat(&mut self, key: usize) {
        let client = &mut self.clients[key];
        let Some(stream) = &mut client.stream else {
            return;
        };
        if stream.due_at() > self.now.mono_ms {
            return;
        }
        stream.heartbeat_at = self.now.mono_ms + limits::HEARTBEAT_MS;
        // While its reader still has something to take, there is no silence.
        if client.conn.output().is_empty() {
            let mut part = Vec::new();
            stream.source.break_silence(self.now, &mut part);
            client.conn.stream(&part, self.now);
        } else {
            stream.source.postpone_progress(self.now);
        }
    }

    /// While the server stops: streams near the head get what has been committed; the others are cut off where they
    /// are, without the last chunk, so that their readers notice.
    fn end_streams(&mut self, head: u64) {
        let streaming =
            |(key, client): (usize, &Connection<P::Socket>)| client.stream.is_some().then_some(key);
        let keys: Vec<usize> = self.clients.iter().filter_map(streaming).collect();
        for key in keys {
            let client = &mut self.clients[key];
            let ticket = client.ticket(key);
            match &mut client.stream {
                Some(stream) if self.app.is_near(&stream.source) => {
                    stream.source.end_at(head);
                    self.streams.requeue_now(ticket, stream);
                }
                _ => self.break_stream(key),
            }
        }
    }

    pub(super) fn break_stream(&mut self, key: usize) {
        self.clients[key].conn.break_stream();
        self.end_stream(key);
        self.after_change(key);
    }
}
