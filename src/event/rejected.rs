//! A record, or a whole body, that could not become events. It is kept, so that nothing is lost without a trace.

use super::protocol::Protocol;
use crate::limits::REJECTED_RECORD_BYTES;

/// What is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// What brought it.
    pub protocol: Protocol,
    /// The address of the peer without its port, or `unix`.
    pub peer: String,
    /// What is wrong with it: a sentence or a clause.
    pub reason: String,
    /// How long it was, in bytes.
    pub bytes: u64,
    /// Its first bytes, at most [`REJECTED_RECORD_BYTES`].
    pub record: Vec<u8>,
}

impl RejectedRecord {
    /// Keeps the first bytes of `record`.
    pub fn new(protocol: Protocol, peer: &str, reason: String, record: &[u8]) -> Self {
        Self {
            protocol,
            peer: peer.to_owned(),
            reason,
            bytes: record.len() as u64,
            record: record[..record.len().min(REJECTED_RECORD_BYTES)].to_vec(),
        }
    }

    /// Bytes of memory that it takes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.peer.len() + self.reason.len() + self.record.len()
    }
}
