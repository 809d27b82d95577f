//! What stands for a key and for a whole event in the index: keyed hashes.
//!
//! The key of the hash is random and belongs to the database, so no client can choose events whose fingerprints
//! collide. A collision would still be harmless: a fingerprint only says which stored row to compare with.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher13x128};

use super::record::{Fingerprint, KeyRecord};
use crate::event::Filled;
use crate::store::topics::topic::TopicId;

/// The parts of an event that are compared, unescaped.
#[derive(Clone, Copy)]
pub(crate) struct EventParts<'a> {
    pub topic: TopicId,
    pub event_id: &'a [u8],
    pub timestamp: &'a [u8],
    pub source: &'a [u8],
    pub payload: &'a [u8],
}

impl EventParts<'_> {
    /// Whether a stored row has the content of this event. What was filled in for the event is not compared.
    pub(crate) fn has_content(
        &self,
        filled: Filled,
        timestamp: &[u8],
        source: &[u8],
        payload: &[u8],
    ) -> bool {
        (filled.timestamp || timestamp == self.timestamp)
            && (filled.source || source == self.source)
            && payload == self.payload
    }
}

/// Makes fingerprints.
#[derive(Clone, Copy)]
pub(crate) struct Fingerprinter {
    key: [u8; 16],
    mask: u128,
}

impl Fingerprinter {
    /// `bits` is 128, except in tests that need collisions, which cut the fingerprint to its first bits.
    pub(crate) fn new(key: [u8; 16], bits: u32) -> Self {
        let mask = if bits >= 128 {
            u128::MAX
        } else {
            !(u128::MAX >> bits)
        };
        Self { key, mask }
    }

    /// The fingerprint of a key: SipHash-1-3 with 128 bits.
    pub(crate) fn of_key(&self, topic: TopicId, event_id: &[u8]) -> Fingerprint {
        let mut hasher = SipHasher13x128::new_with_key(&self.key);
        hasher.write(&topic.to_le_bytes());
        hasher.write(event_id);
        hasher.finish128().as_u128() & self.mask
    }

    /// The record of a stored event.
    pub(crate) fn record(&self, event: &EventParts, seq: u64) -> KeyRecord {
        KeyRecord {
            fingerprint: self.of_key(event.topic, event.event_id),
            seq,
            event_hash: self.of_event(event),
        }
    }

    /// 64 bits over all of an event: equal for an exact repeat.
    pub(crate) fn of_event(&self, event: &EventParts) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        // The lengths keep one part's end from being taken for the next one's beginning.
        let lengths = [
            event.event_id.len() as u8,
            event.timestamp.len() as u8,
            event.source.len() as u8,
            0,
        ];
        hasher.write_u64(u64::from(event.topic) << 32 | u64::from(u32::from_le_bytes(lengths)));
        for part in [event.event_id, event.timestamp, event.source, event.payload] {
            hasher.write(part);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_depends_on_key_topic_and_event_id() {
        let one = Fingerprinter::new([1; 16], 128);
        let two = Fingerprinter::new([2; 16], 128);
        let fingerprint = one.of_key(1, b"a");
        assert_eq!(fingerprint, one.of_key(1, b"a"));
        for other in [
            one.of_key(2, b"a"),
            one.of_key(1, b"b"),
            one.of_key(1, b"aa"),
            two.of_key(1, b"a"),
        ] {
            assert_ne!(fingerprint, other);
        }
        assert_eq!(
            Fingerprinter::new([1; 16], 8).of_key(1, b"a"),
            fingerprint >> 120 << 120
        );
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let hasher = Fingerprinter::new([0; 16], 128);
        let event = |event_id, source| EventParts {
            topic: 1,
            event_id,
            timestamp: b"2026-01-01",
            source,
            payload: b"{}",
        };
        assert_ne!(
            hasher.of_event(&event(b"ab", b"c")),
            hasher.of_event(&event(b"a", b"bc"))
        );
    }
}
