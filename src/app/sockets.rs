//! Records of protocols that have sockets of their own: from there to the ring, and back when they are committed.
//!
//! No sender is answered, so none would send them again: what cannot be committed goes back to its socket, which brings
//! it again and is not read until then.

use std::rc::Rc;

use super::commit_queue::{Waiting, Work};
use super::host::Host;
use super::reply::Ticket;
use super::socket_records::{RecordCounts, SocketCompletion, SocketPublication, SocketResult};
use super::App;
use crate::clock::Now;
use crate::event::{Peer, Publication};
use crate::ingest::query::MadeIdentity;
use crate::ingest::records::{Defaults, Origin, Records};
use crate::ingest::{Decoder, Machine, SocketProtocol};
use crate::ring::{Full, Slot};
use crate::store::Outcome;

impl App {
    /// Name and time zone of this machine, for messages of its programs.
    pub(crate) fn set_machine(&mut self, machine: Machine) {
        self.ingest.machine = Rc::new(machine);
    }

    /// A decoder for a connection or a socket of datagrams, and the builder of its records.
    pub(crate) fn decoder(
        &self,
        protocol: SocketProtocol,
        peer: Peer,
        is_unix: bool,
        now: Now,
    ) -> (Decoder, Records) {
        let defaults = Defaults {
            protocol: protocol.protocol(),
            topic: protocol.protocol().name(),
            identity: MadeIdentity::Auto,
        };
        let origin = Origin {
            peer,
            received_at: now.unix_us,
            query: self.ingest_setting(protocol.protocol()),
            max_events: self.options.ring_capacity,
            max_body_bytes: self.options.max_body_bytes,
        };
        let decoder = protocol.decoder(is_unix, &self.ingest.machine, self.options.max_body_bytes);
        (decoder, Records::new(defaults, origin))
    }

    /// Whether sockets may be read: the store can commit, as far as is known.
    pub(crate) fn takes_records(&self) -> bool {
        self.health.fault().is_none() && !self.health.is_retrying()
    }

    /// Whether the store cannot commit, and not only for a moment.
    pub(crate) fn has_failed(&self) -> bool {
        self.health.fault().is_some()
    }

    /// Accepts records for the next commit. Gives them back where there is no room for them until the store commits
    /// again.
    pub(crate) fn enqueue_records(
        &mut self,
        records: SocketPublication,
        now: Now,
    ) -> Option<SocketPublication> {
        if !self.takes_records() {
            return Some(records);
        }
        let SocketPublication {
            ticket,
            publication,
            counts,
        } = records;
        let work = Work::Socket(counts);
        let slot = Slot {
            ticket: Waiting { ticket, work },
            publication,
        };
        let Err(Full(slot)) = self.queue.push(slot) else {
            return None;
        };
        self.drain(now);
        match self.queue.push(*slot) {
            Ok(()) => None,
            Err(Full(slot)) => Some(SocketPublication {
                ticket,
                publication: slot.publication,
                counts,
            }),
        }
    }

    /// The results of publications since the last call.
    pub(crate) fn take_socket_completions(&mut self, into: &mut Vec<SocketCompletion>) {
        into.append(&mut self.ingest.socket_completions);
    }

    pub(super) fn socket_committed(
        &mut self,
        ticket: Ticket,
        publication: Publication,
        counts: RecordCounts,
        outcomes: &[Outcome],
    ) {
        let protocol = counts.protocol;
        self.counters
            .ingested(protocol, outcomes, counts.identities);
        self.counters.rejected(protocol, counts.rejected);
        self.ingest.socket_completions.push(SocketCompletion {
            ticket,
            result: SocketResult::Committed(publication),
        });
    }

    /// A publication that could not be committed goes back to its socket.
    pub(super) fn return_records(
        &mut self,
        ticket: Ticket,
        publication: Publication,
        counts: RecordCounts,
    ) {
        self.ingest.socket_completions.push(SocketCompletion {
            ticket,
            result: SocketResult::Failed(SocketPublication {
                ticket,
                publication,
                counts,
            }),
        });
    }
}
