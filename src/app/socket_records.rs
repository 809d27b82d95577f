//! Records that a socket has brought, on their way to the ring and back.

use super::reply::Ticket;
use crate::event::{IdentityCounts, Protocol, Publication};
use crate::ingest::records::Taken;
use crate::ingest::SocketProtocol;

/// Records that a socket has brought.
#[derive(Debug)]
pub(crate) struct SocketPublication {
    pub(super) ticket: Ticket,
    pub(super) publication: Publication,
    pub(super) counts: RecordCounts,
}

/// What is counted of records when they are committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordCounts {
    pub(super) protocol: Protocol,
    pub(super) identities: IdentityCounts,
    pub(super) rejected: u64,
}

/// What became of a publication.
#[derive(Debug)]
pub(crate) struct SocketCompletion {
    pub(crate) ticket: Ticket,
    pub(crate) result: SocketResult,
}

#[derive(Debug)]
pub(crate) enum SocketResult {
    /// It has been committed. Its memory can be used again.
    Committed(Publication),
    /// It has not been committed, and is to be brought again.
    Failed(SocketPublication),
}

impl SocketPublication {
    pub(crate) fn new(ticket: Ticket, protocol: SocketProtocol, taken: Taken) -> Self {
        Self {
            ticket,
            publication: taken.publication,
            counts: RecordCounts {
                protocol: protocol.protocol(),
                identities: taken.identities,
                rejected: taken.rejected.len() as u64,
            },
        }
    }

    /// Bytes of memory that it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.publication.held_bytes()
    }
}
