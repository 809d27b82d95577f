//! The newest events as JSON, made once for all subscribers.
//!
//! Owns the copies that spare live subscribers the database. Never the only place where an event is: a subscriber
//! further back reads from the store.

use std::collections::VecDeque;
use std::ops::Range;

use crate::limits::{RECENT_MAX_BYTES, RECENT_MAX_EVENTS};

/// One event as it is kept.
#[derive(Clone, Copy, Debug)]
struct Kept {
    seq: u64,
    /// Where its text begins, counted from the first text that was ever kept.
    start: u64,
    len: u32,
    /// Where the topic is in its text, between its quotes.
    topic: (u32, u32),
}

/// One event as it is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecentEvent<'a> {
    pub seq: u64,
    /// Escaped as in JSON, without quotes.
    pub topic: &'a [u8],
    pub json: &'a [u8],
}

/// The newest events. Every event with a seq over the floor is here; the floor rises as the oldest make
/// room for new ones.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    floor: u64,
    events: VecDeque<Kept>,
    /// The texts, one after the other; those of dropped events may still be at the front.
    bytes: Vec<u8>,
    /// Bytes that have been cut off the front of `bytes` so far.
    cut: u64,
}

impl Recent {
    /// Drops everything up to `head`, the greatest seq in use.
    pub(crate) fn restart(&mut self, head: u64) {
        *self = Self {
            floor: head,
            ..Self::default()
        };
    }

    /// Whether all events after `after` are here.
    pub(crate) fn covers(&self, after: u64) -> bool {
        after >= self.floor
    }

    /// Keeps a committed event. `write` appends its JSON text and returns where the topic is in the text, between its
    /// quotes. Seqs must grow.
    pub(crate) fn push(&mut self, seq: u64, write: impl FnOnce(&mut Vec<u8>) -> Range<usize>) {
        let from = self.bytes.len();
        let topic = write(&mut self.bytes);
        self.events.push_back(Kept {
            seq,
            start: self.cut + from as u64,
            len: (self.bytes.len() - from) as u32,
            topic: (topic.start as u32, topic.end as u32),
        });
        while self.events.len() > RECENT_MAX_EVENTS || self.held() > RECENT_MAX_BYTES {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.floor = oldest.seq;
        }
        // Moving what is held costs as much as what has been dropped since the last time.
        let dropped = self.bytes.len() - self.held();
        if dropped > RECENT_MAX_BYTES {
            self.bytes.drain(..dropped);
            self.cut += dropped as u64;
        }
    }

    /// Bytes of the texts of the events that are here.
    fn held(&self) -> usize {
        let first = self.events.front();
        first.map_or(0, |first| {
            self.bytes.len() - (first.start - self.cut) as usize
        })
    }

    /// The events after a seq that is covered, in order.
    pub(crate) fn after(&self, after: u64) -> impl Iterator<Item = RecentEvent<'_>> {
        let from = self.events.partition_point(|kept| kept.seq <= after);
        self.events.range(from..).map(|kept| {
            let start = (kept.start - self.cut) as usize;
            let json = &self.bytes[start..start + kept.len as usize];
            RecentEvent {
                seq: kept.seq,
                topic: &json[kept.topic.0 as usize..kept.topic.1 as usize],
                json,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(recent: &mut Recent, seq: u64, text: &[u8]) {
        recent.push(seq, |out| {
            out.extend_from_slice(text);
            0..1
        });
    }

    fn seqs(recent: &Recent, after: u64) -> Vec<u64> {
        recent.after(after).map(|event| event.seq).collect()
    }

    #[test]
    fn events_come_in_order_after_any_seq_that_is_covered() {
        let mut recent = Recent::default();
        recent.restart(10);
        assert!(!recent.covers(9) && recent.covers(10));
        for seq in [11, 12, 14] {
            push(&mut recent, seq, format!("x{seq}").as_bytes());
        }
        assert_eq!(seqs(&recent, 10), [11, 12, 14]);
        assert_eq!(seqs(&recent, 12), [14]);
        assert_eq!(seqs(&recent, 13), [14]);
        assert!(seqs(&recent, 14).is_empty());
        let first = recent.after(10).next();
        assert_eq!(
            first.map(|event| (event.topic, event.json)),
            Some((&b"x"[..], &b"x11"[..]))
        );
    }

    #[test]
    fn the_oldest_make_room_and_raise_the_floor() {
        let mut recent = Recent::default();
        recent.restart(0);
        let text = vec![b'x'; RECENT_MAX_BYTES / 4];
        for seq in 1..=50 {
            push(&mut recent, seq, &text);
            assert!(recent.bytes.len() <= 3 * RECENT_MAX_BYTES);
            let floor = seq.saturating_sub(4);
            assert!(recent.covers(floor) && (floor == 0 || !recent.covers(floor - 1)));
            assert!(recent.after(floor).all(|event| event.json == text));
            assert_eq!(seqs(&recent, floor), (floor + 1..=seq).collect::<Vec<_>>());
        }
        push(&mut recent, 51, &vec![b'x'; RECENT_MAX_BYTES + 1]);
        assert!(recent.covers(51) && !recent.covers(50) && seqs(&recent, 51).is_empty());
    }

    #[test]
    fn the_number_of_events_is_bounded_too() {
        let mut recent = Recent::default();
        for seq in 1..=RECENT_MAX_EVENTS as u64 + 5 {
            push(&mut recent, seq, b"x");
        }
        assert!(recent.covers(5) && !recent.covers(4));
        assert_eq!(recent.events.len(), RECENT_MAX_EVENTS);
    }
}
