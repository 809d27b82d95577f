//! The newest events for subscribers that keep up, while there are subscribers.

use super::stream::Subscriber;
use crate::api::read;
use crate::clock::Stamp;
use crate::event::{Publication, Span};
use crate::hub::Recent;
use crate::store::{Outcome, StoredEvent};

#[derive(Default)]
pub(super) struct LiveEvents {
    recent: Recent,
    subscribers: usize,
    /// The time of the event that was written last.
    pub(super) stamp: Stamp,
}

impl LiveEvents {
    pub(super) fn subscribers(&self) -> usize {
        self.subscribers
    }

    pub(super) fn set_subscribers(&mut self, subscribers: usize) {
        self.subscribers = subscribers;
    }

    /// A subscriber is about to come: the first one begins with what is committed after `head`.
    pub(super) fn expect_subscriber(&mut self, head: u64) {
        if self.subscribers == 0 {
            self.recent.restart(head);
        }
    }

    /// Drops everything up to `head`: what was committed last is not here.
    pub(super) fn restart(&mut self, head: u64) {
        self.recent.restart(head);
    }

    /// Whether all events after `seq` are here.
    pub(super) fn covers(&self, seq: u64) -> bool {
        self.recent.covers(seq)
    }

    /// Keeps the new ones of events that have been committed.
    pub(super) fn keep(
        &mut self,
        publication: &Publication,
        outcomes: &[Outcome],
        processed_at: i64,
    ) {
        if self.subscribers == 0 {
            return;
        }
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
            self.push(&event);
        }
    }

    /// Keeps an event that comes after all that are here.
    pub(super) fn push(&mut self, event: &StoredEvent) {
        let stamp = &mut self.stamp;
        self.recent.push(event.seq, |out| {
            let from = out.len();
            let topic = read::write_event(out, event, stamp);
            topic.start - from..topic.end - from
        });
    }

    /// Appends the events up to `end` that a subscriber wants, until `out` is `full` bytes long.
    pub(super) fn feed(
        &self,
        subscriber: &mut Subscriber,
        end: u64,
        full: usize,
        out: &mut Vec<u8>,
    ) {
        let filter = subscriber.escaped.as_ref().unwrap_or(&subscriber.topics);
        let format = subscriber.format;
        for event in self.recent.after(subscriber.after) {
            if event.seq > end {
                break;
            }
            if filter.matches(event.topic) {
                if out.len() >= full {
                    return;
                }
                format.write_event(out, event.seq, |out| out.extend_from_slice(event.json));
                subscriber.sent = event.seq;
            }
            subscriber.after = event.seq;
        }
        subscriber.after = end;
    }
}
