//! Subscribers of a front: near the head they get what the looks have brought, which is made once for all; further
//! back each asks for parts of its own. Nothing is passed over: a part goes on where the last one ended.

use super::parts::PartState;
use super::reads::{Kind, Read};
use super::rows::{Head, Part, StoredRow};
use super::wanted::Wanted;
use super::Front;
use crate::api::read::{write_event, DATABASE_FIELD};
use crate::api::subscribe::{Start, SubscribeParams};
use crate::app::stream::{FeedStatus, StreamAnswer, StreamSource, Subscriber};
use crate::clock::{Now, Stamp};
use crate::limits::{FRONT_PART_BYTES, FRONT_PART_EVENTS};
use crate::search::{Effort, Verdict};
use crate::store::{Bound, StoreError};

pub(super) const NO_EVENT: &str = "a row of the store is no event as this server writes them";

impl Front {
    /// The answer that begins a stream. `position` is that of the named subscription.
    pub(super) fn begin_stream(
        &mut self,
        params: &SubscribeParams,
        head: Head,
        position: Option<u64>,
        now: Now,
    ) -> StreamAnswer {
        let after = match (params.start, position) {
            (Start::After(seq), _) => seq,
            (Start::Subscription, Some(seq)) => seq,
            (Start::Unsaid | Start::Subscription, _) if params.follow => head.last,
            _ => head.first - 1,
        };
        if self.live.subscribers() == 0 {
            self.head.first = head.first;
            self.live.expect_subscriber(self.head.last);
        }
        self.look_at = self.look_at.min(now.mono_ms);
        let own = after.min(head.last);
        let mut subscriber = Subscriber::new(params, own, head.last, now);
        subscriber.front.epoch = self.epoch;
        subscriber.front.reset_from = (after > head.last).then_some(after);
        let stream = params.format.head();
        StreamAnswer {
            head: stream.header(DATABASE_FIELD, &self.store_id),
            length: None,
            first: Vec::new(),
            source: StreamSource::Events(subscriber),
            status: FeedStatus::MoreStored,
        }
    }

    /// Appends the next slice of a stream.
    pub(super) fn feed_subscriber(
        &mut self,
        subscriber: &mut Subscriber,
        max_bytes: usize,
        out: &mut Vec<u8>,
        now: Now,
    ) -> Result<FeedStatus, StoreError> {
        let full = out.len() + max_bytes;
        if let Some(position) = subscriber.front.reset_from.take() {
            let after = subscriber.after;
            subscriber.format.write_reset(out, position, after);
            if let Some(progress) = &mut subscriber.progress {
                progress.reset(after);
            }
        }
        let known = self.head.last;
        if subscriber.front.epoch != self.epoch {
            subscriber.front.epoch = self.epoch;
            subscriber.front.part = 0;
            if subscriber.after > known {
                subscriber.format.write_reset(out, subscriber.after, known);
                subscriber.after = known;
            }
        }
        let end = subscriber.until.map_or(known, |until| until.min(known));
        let is_near = subscriber.search.is_none()
            && self.live.subscribers() > 0
            && self.live.covers(subscriber.after);
        if !is_near {
            self.pass_gap(subscriber, end, out);
        }
        if subscriber.after < end {
            if is_near {
                self.live.feed(subscriber, end, full, out);
            } else if !self.feed_part(subscriber, end, full, out, now)? {
                return Ok(FeedStatus::Waiting);
            }
        }
        let status = if subscriber
            .until
            .is_some_and(|until| subscriber.after >= until)
        {
            FeedStatus::Ended
        } else if subscriber.after >= end {
            FeedStatus::AtHead
        } else if subscriber.search.is_none() && self.live.covers(subscriber.after) {
            FeedStatus::MoreRecent
        } else {
            FeedStatus::MoreStored
        };
        subscriber.tell_progress(status, now.mono_ms, out);
        Ok(status)
    }

    /// Tells a subscriber of events that have been removed before it could get them.
    fn pass_gap(&self, subscriber: &mut Subscriber, end: u64, out: &mut Vec<u8>) {
        let last_removed = self.head.first.saturating_sub(1).min(end);
        if subscriber.after < last_removed {
            let format = subscriber.format;
            format.write_gap(out, subscriber.after + 1, last_removed);
            subscriber.after = last_removed;
        }
    }

    /// Feeds a stream from its part, or asks for one. Says whether it had one.
    fn feed_part(
        &mut self,
        subscriber: &mut Subscriber,
        end: u64,
        full: usize,
        out: &mut Vec<u8>,
        now: Now,
    ) -> Result<bool, StoreError> {
        let id = subscriber.front.part;
        Ok(match self.parts.get(id, now) {
            None => {
                self.ask_for_part(subscriber, end, now);
                false
            }
            Some(PartState::Asked | PartState::Failed) => false,
            Some(PartState::Unreadable) => {
                self.parts.remove(id);
                return Err(StoreError::Failed(NO_EVENT.to_owned()));
            }
            Some(PartState::Ready(rows, through)) => {
                while let Some(row) = rows.pop_front() {
                    send(subscriber, &row, &mut self.live.stamp, out);
                    subscriber.after = row.seq;
                    if out.len() >= full {
                        break;
                    }
                }
                if rows.is_empty() {
                    subscriber.after = (*through).max(subscriber.after);
                    subscriber.front.part = 0;
                    self.parts.remove(id);
                }
                true
            }
        })
    }

    fn ask_for_part(&mut self, subscriber: &mut Subscriber, end: u64, now: Now) {
        let (id, has_room) = self.parts.enter(subscriber.front.part, now);
        subscriber.front.part = id;
        if !has_room {
            return;
        }
        let part = Part {
            bound: Bound::After(subscriber.after),
            end,
            events: FRONT_PART_EVENTS,
            bytes: FRONT_PART_BYTES,
        };
        let wanted = Wanted::of_topics(&subscriber.topics).into();
        self.reads.push_back(Read {
            ticket: None,
            since: now.mono_ms,
            kind: Kind::Part { id, part, wanted },
        });
    }
}

/// Appends an event of a wanted topic, if it passes the other filters.
fn send(subscriber: &mut Subscriber, row: &StoredRow, stamp: &mut Stamp, out: &mut Vec<u8>) {
    if let Some(search) = &mut subscriber.search {
        let event = row.candidate();
        let mut effort = Effort::unbounded();
        let verdict = search
            .matcher
            .judge(&search.filters, (row.seq, &event), &[], &mut effort);
        if verdict != Some(Verdict::Matches) {
            return;
        }
    }
    subscriber.sent = row.seq;
    let format = subscriber.format;
    format.write_event(out, row.seq, |out| {
        write_event(out, &row.event(), stamp);
    });
}
