//! One socket that does not speak HTTP: owns it, the decoder of its protocol, and what was read from it and is not
//! committed yet. It knows neither other sockets nor the loop.

use std::collections::VecDeque;
use std::io;

use super::connection::{read_once, ReadOutcome};
use super::platform::{Datagram, Readiness, Socket};
use crate::app::{App, SocketPublication, SocketResult, Ticket};
use crate::clock::Now;
use crate::event::{Peer, Publication};
use crate::ingest::{Decoder, Records, SocketProtocol};
use crate::limits;

/// What a socket gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputKind {
    /// A connection, which gives a stream.
    Stream,
    /// Datagrams, as long as the server runs.
    Datagrams,
}

/// What a socket waits for that could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until the store can commit.
    Store,
    Memory,
}

/// A connection or a socket of datagrams.
pub(super) struct Input<S> {
    pub socket: S,
    pub kind: InputKind,
    protocol: SocketProtocol,
    generation: u32,
    decoder: Decoder,
    records: Records,
    /// The socket may have bytes: no read has found it empty since the last readiness.
    pub readable: bool,
    /// The peer has ended its side; the end is to be read even after a short read.
    read_closed: bool,
    /// Nothing more comes: its end was read, or it broke, or the server stops.
    pub has_ended: bool,
    /// Read, and not decoded: there was no room for its records.
    unread: Vec<u8>,
    /// Publications that the application could not take, the oldest first.
    unsent: VecDeque<SocketPublication>,
    /// The first of them, which came back because they could not be committed.
    returned: usize,
    /// What is to be sent when they have been committed: for each publication in flight, and then for each unsent one.
    answers: VecDeque<Vec<u8>>,
    /// To be sent.
    output: Vec<u8>,
    /// The socket may take bytes.
    writable: bool,
    /// Something could not be committed whose sender sends it again: nothing is acknowledged any more.
    has_failed: bool,
    pub on_flush_list: bool,
    /// Publications that wait for their commit.
    in_flight: usize,
    /// Events that it has brought since it was last served.
    brought: usize,
    pub on_ready_list: bool,
    /// On the list of those that wait for this.
    pub waits: Option<Wait>,
    /// What it counts for in the memory of all such sockets.
    pub held: usize,
    /// To be closed at the end of the turn.
    pub closing: bool,
    /// Datagrams that the kernel had dropped when it was last asked.
    dropped: u32,
}

impl<S: Socket> Input<S> {
    pub(super) fn new(
        socket: S,
        kind: InputKind,
        protocol: SocketProtocol,
        generation: u32,
        (decoder, records): (Decoder, Records),
    ) -> Self {
        Self {
            socket,
            kind,
            protocol,
            generation,
            decoder,
            records,
            readable: true,
            read_closed: false,
            has_ended: false,
            unread: Vec::new(),
            unsent: VecDeque::new(),
            returned: 0,
            answers: VecDeque::new(),
            output: Vec::new(),
            writable: true,
            has_failed: false,
            on_flush_list: false,
            in_flight: 0,
            brought: 0,
            on_ready_list: false,
            waits: None,
            held: 0,
            closing: false,
            dropped: 0,
        }
    }

    /// The slab key in the lower half, the generation in the upper.
    pub(super) fn ticket(&self, key: usize) -> Ticket {
        u64::from(self.generation) << 32 | key as u64
    }

    pub(super) fn take_readiness(&mut self, told: Readiness) {
        self.readable |= told.readable || told.read_closed || told.gone;
        self.read_closed |= told.read_closed || told.gone;
        self.writable |= told.writable;
    }

    /// Whether something was read that is not committed.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight > 0 || self.has_to_send()
    }

    /// Whether something was read that the application does not have.
    pub(super) fn has_to_send(&self) -> bool {
        !self.unsent.is_empty() || !self.unread.is_empty() || self.decoder.has_more()
    }

    /// Whether nothing more comes and nothing is left to do.
    pub(super) fn is_done(&self) -> bool {
        let is_sent = self.output.is_empty();
        self.has_ended && !self.is_busy() && is_sent && self.kind == InputKind::Stream
    }

    /// Whether there is something to write that the socket may take.
    pub(super) fn may_write(&self) -> bool {
        self.writable && !self.output.is_empty()
    }

    /// Whether its sender sends again what is not acknowledged.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.decoder.is_acknowledged()
    }

    /// Whether it has something to be read, and has not brought enough since it was last served.
    pub(super) fn may_be_read(&self) -> bool {
        let is_enough = self.brought() >= limits::SOCKET_EVENTS_PER_TURN;
        let is_told = self.output.len() <= limits::OUTPUT_WAIT_MAX_BYTES;
        self.readable && !self.has_ended && !self.has_to_send() && !is_enough && is_told
    }

    /// Bytes of memory that it holds, but for what the application has.
    pub(super) fn held_bytes(&self) -> usize {
        let unsent = self.unsent.iter().map(SocketPublication::held_bytes);
        self.decoder.held_bytes() + self.unread.capacity() + unsent.sum::<usize>()
    }

    /// Reads once from a stream and decodes what came.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        key: usize,
        app: &mut App,
        now: Now,
    ) -> ReadOutcome {
        let read = read_once(
            &mut self.socket,
            buffer,
            &mut self.readable,
            self.read_closed,
        );
        match read {
            Ok(0) => self.end(key, app, now),
            Ok(n) => self.decode(&buffer[..n], key, app, now),
            Err(outcome) => return outcome,
        }
        ReadOutcome::Progress
    }

    /// Takes the next datagram. Returns how many more the kernel has dropped since the last.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        key: usize,
        app: &mut App,
        now: Now,
    ) -> (ReadOutcome, u32) {
        let datagram = loop {
            match self.socket.receive(buffer) {
                Ok(datagram) => break datagram,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return (ReadOutcome::Drained, 0);
                }
                // An error caused by an earlier datagram of another sender; the socket goes on.
                Err(e) => {
                    log::debug!("a datagram could not be received: {e}");
                    return (ReadOutcome::Progress, 0);
                }
            }
        };
        let Datagram {
            length,
            is_cut,
            peer,
            dropped,
        } = datagram;
        self.records.set_peer(Peer::from(peer));
        self.records.set_received_at(now.unix_us);
        self.decoder
            .datagram(&buffer[..length], is_cut, now.mono_ms, &mut self.records);
        if self.records.is_full() {
            self.send_records(key, app, now);
        }
        (ReadOutcome::Progress, self.note_dropped(dropped))
    }

    /// Asks the kernel how many datagrams it has dropped: also those after the last that was received. Returns how many
    /// more they are.
    pub(super) fn ask_dropped(&mut self) -> u32 {
        let dropped = self.socket.dropped();
        self.note_dropped(dropped)
    }

    fn note_dropped(&mut self, dropped: Option<u32>) -> u32 {
        let more = dropped.map_or(0, |dropped| dropped.wrapping_sub(self.dropped));
        // A datagram that has waited holds an older count.
        if more > u32::MAX / 2 {
            return 0;
        }
        self.dropped = self.dropped.wrapping_add(more);
        more
    }

    fn decode(&mut self, bytes: &[u8], key: usize, app: &mut App, now: Now) {
        self.records.set_received_at(now.unix_us);
        let mut rest = bytes;
        while !rest.is_empty() || self.decoder.has_more() {
            let result = self.decoder.receive(&mut rest, &mut self.records);
            if result.is_err() {
                self.decoder.end(&mut self.records);
                self.has_ended = true;
                return;
            }
            if self.records.is_full() && !self.send_records(key, app, now) {
                break;
            }
            // The rest is for the next turn.
            if self.brought() >= limits::SOCKET_EVENTS_PER_TURN || self.decoder.has_more() {
                break;
            }
        }
        self.unread.extend_from_slice(rest);
    }

    /// The store cannot commit: a sender that waits for an acknowledgement gets none, and sees the end of the
    /// connection. What was read is stored anyway when that is possible; its identities are those of a retry.
    pub(super) fn fail(&mut self) {
        self.has_failed = true;
        self.has_ended = true;
        self.unread.clear();
        self.output.clear();
        self.decoder.end(&mut self.records);
        if let Err(e) = self.socket.shutdown_write() {
            log::debug!("a connection could not be ended: {e}");
        }
    }

    /// Writes what waits, as far as the socket takes it. An error means that the socket is broken.
    pub(super) fn write(&mut self) -> io::Result<()> {
        while self.may_write() {
            match self.socket.write(&self.output) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => _ = self.output.drain(..n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Its peer has gone: nothing can be sent to it.
    pub(super) fn forget_output(&mut self) {
        self.output.clear();
        self.has_failed = true;
    }

    /// Nothing more comes: an unfinished message is complete.
    pub(super) fn end(&mut self, key: usize, app: &mut App, now: Now) {
        if self.has_ended {
            return;
        }
        self.has_ended = true;
        self.records.set_received_at(now.unix_us);
        self.decoder.end(&mut self.records);
        self.send_records(key, app, now);
    }

    /// When the next message that waits for more datagrams is given up. Not while some may have come.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.decoder.deadline().filter(|_| !self.readable)
    }

    /// Gives up messages whose time is over.
    pub(super) fn expire(&mut self, key: usize, app: &mut App, now: Now) {
        self.records.set_received_at(now.unix_us);
        self.decoder.expire(now.mono_ms, &mut self.records);
        self.send_records(key, app, now);
    }

    /// Hands the records so far to the application. Returns whether it has taken them.
    pub(super) fn send_records(&mut self, key: usize, app: &mut App, now: Now) -> bool {
        let (taken, answer) = (self.records.take(), self.decoder.take_answer());
        if taken.is_empty() {
            // After what was read before it.
            self.answers
                .back_mut()
                .unwrap_or(&mut self.output)
                .extend(answer);
            return true;
        }
        self.answers.push_back(answer);
        self.brought += taken.publication.events.len();
        let publication = SocketPublication::new(self.ticket(key), self.protocol, taken);
        self.unsent.push_back(publication);
        self.send(app, now)
    }

    /// Hands the application what it could not take before, in order. Returns whether it has taken everything.
    pub(super) fn send(&mut self, app: &mut App, now: Now) -> bool {
        self.returned = 0;
        while let Some(publication) = self.unsent.pop_front() {
            if let Some(publication) = app.enqueue_records(publication, now) {
                self.unsent.push_front(publication);
                if self.is_acknowledged() && !self.has_failed && app.has_failed() {
                    self.fail();
                }
                return false;
            }
            self.in_flight += 1;
        }
        true
    }

    /// Decodes what there was no room for.
    pub(super) fn decode_unread(&mut self, key: usize, app: &mut App, now: Now) {
        let unread = std::mem::take(&mut self.unread);
        self.decode(&unread, key, app, now);
        if self.unread.is_empty() && unread.capacity() <= limits::BUFFER_KEEP_BYTES {
            self.unread = unread;
            self.unread.clear();
        }
    }

    /// Its oldest publication has been committed, and returns its memory back; or it has not, and comes back.
    pub(super) fn has_committed(&mut self, result: SocketResult) -> Option<Publication> {
        self.in_flight -= 1;
        match result {
            SocketResult::Committed(spare) => {
                let answer = self.answers.pop_front().unwrap_or_default();
                if !self.has_failed {
                    self.output.extend(answer);
                }
                Some(spare)
            }
            SocketResult::Failed(publication) => {
                if self.is_acknowledged() && !self.has_failed {
                    self.fail();
                }
                self.unsent.insert(self.returned, publication);
                self.returned += 1;
                None
            }
        }
    }

    /// It is served. Returns how many events it has brought since the last call.
    pub(super) fn take_brought(&mut self) -> usize {
        std::mem::take(&mut self.brought)
    }

    /// Events that it has brought since then.
    pub(super) fn brought(&self) -> usize {
        self.brought + self.records.len()
    }

    /// Lends it the memory for its records.
    pub(super) fn lend(&mut self, spare: Publication) {
        self.records.recycle(spare);
    }

    /// Takes back what it did not use of that. Its records must have been sent.
    pub(super) fn give_back(&mut self) -> Publication {
        self.records.take().publication
    }
}
