//! A record, or a whole body, that could not become events. It is kept, so that nothing is lost without a trace.

use super::protocol::Protocol;
use crate::limits::{REJECTED_REASON_BYTES, REJECTED_RECORD_BYTES};

/// What is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// What brought it.
    pub protocol: Protocol,
    /// The address of the peer without its port, or `unix`.
    pub peer: String,
    /// What is wrong with it: a sentence or a clause, at most [`REJECTED_REASON_BYTES`].
    pub reason: String,
    /// How long it was, in bytes.
    pub bytes: u64,
    /// Its first bytes, at most [`REJECTED_RECORD_BYTES`].
    pub record: Vec<u8>,
}

impl RejectedRecord {
    /// Keeps the first bytes of `record`; of one that is UTF-8, no part of a character.
    pub fn new(protocol: Protocol, peer: &str, mut reason: String, record: &[u8]) -> Self {
        let mut end = reason.len().min(REJECTED_REASON_BYTES);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        reason.truncate(end);
        let mut kept = &record[..record.len().min(REJECTED_RECORD_BYTES)];
        if let (true, Err(error)) = (kept.len() < record.len(), std::str::from_utf8(kept)) {
            if error.error_len().is_none() {
                kept = &kept[..error.valid_up_to()];
            }
        }
        Self {
            protocol,
            peer: peer.to_owned(),
            reason,
            bytes: record.len() as u64,
            record: kept.to_vec(),
        }
    }

    /// Bytes of memory that it takes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.peer.len() + self.reason.len() + self.record.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(record: &[u8]) -> usize {
        let reason = "é".repeat(REJECTED_REASON_BYTES);
        let rejected = RejectedRecord::new(Protocol::Otlp, "::1", reason, record);
        assert_eq!(rejected.bytes, record.len() as u64);
        assert!(record.starts_with(&rejected.record));
        assert_eq!(rejected.reason.len(), REJECTED_REASON_BYTES);
        rejected.record.len()
    }

    #[test]
    fn its_beginning_is_kept_and_of_text_no_part_of_a_character() {
        let text = |bytes: usize| "x".repeat(bytes) + "é" + "y";
        assert_eq!(kept(b""), 0);
        assert_eq!(kept(b"\xff"), 1);
        let most = REJECTED_RECORD_BYTES;
        assert_eq!(kept(text(most - 3).as_bytes()), most);
        assert_eq!(kept(text(most - 2).as_bytes()), most);
        assert_eq!(kept(text(most - 1).as_bytes()), most - 1);
        assert_eq!(kept(text(most).as_bytes()), most);
        let mut broken = text(most).into_bytes();
        broken[0] = 0xff;
        assert_eq!(kept(&broken), most);
        // Not cut, so the sender has cut it.
        assert_eq!(kept(b"\xc3"), 1);
    }
}
