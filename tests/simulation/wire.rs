//! The wire and the poll that the loop sees. Both keep to what the kernel promises and to nothing more:
//! readiness is told once, some time after it began, together with others or alone, and sometimes for
//! nothing; reads and writes are cut anywhere and interrupted.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use logagg::app::App;
use logagg::clock::Now;
use logagg::net::{Accepted, Datagram, Platform, PollEvent, Readiness, Sleep, Socket};

use crate::world::World;

/// The platform of one server.
pub struct SimPlatform(pub Rc<RefCell<World>>);

/// The server's end of one connection.
pub struct SimWire {
    world: Rc<RefCell<World>>,
    id: usize,
}

impl Platform for SimPlatform {
    type Socket = SimWire;

    fn poll(&mut self, sleep: Sleep, into: &mut Vec<PollEvent>) -> io::Result<(Instant, Now)> {
        let mut world = self.0.borrow_mut();
        let now = world.poll(sleep, into);
        Ok((world.instant(), now))
    }

    fn instant(&mut self) -> Instant {
        self.0.borrow_mut().instant()
    }

    fn accept(&mut self, _: Now) -> Option<Accepted<SimWire>> {
        let id = self.0.borrow_mut().accept()?;
        let world = self.0.clone();
        Some(Accepted {
            socket: SimWire { world, id },
            protocol: None,
        })
    }

    fn accept_deadline(&self) -> Option<u64> {
        let world = self.0.borrow();
        (!world.backlog.is_empty()).then_some(0)
    }

    fn stop_accepting(&mut self) {
        self.0.borrow_mut().turn_backlog_away();
    }

    fn register(&mut self, stream: &mut SimWire, key: usize) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        world.trace.note("is client", stream.id, key as u64);
        let link = &mut world.links[stream.id];
        link.key = Some(key);
        link.edges.writable = true;
        Ok(())
    }

    fn log_full(&mut self, _: usize, _: Now) {
        let mut world = self.0.borrow_mut();
        if !world.backlog.is_empty() {
            world.trace.mark("nobody was accepted for want of room");
        }
    }

    fn offload_checkpoint(&mut self, _: &mut App, _: Now) {}

    fn log_lines_dropped(&self) -> u64 {
        0
    }

    fn end_turn(&mut self, _: Now) {}

    fn exit(&mut self, code: i32) -> ! {
        panic!("the loop ends the program with {code}")
    }
}

impl Socket for SimWire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.world.borrow_mut().read(self.id, into)
    }

    fn receive(&mut self, _: &mut [u8]) -> io::Result<Datagram> {
        unreachable!("all sockets here are connections")
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.world.borrow_mut().write(self.id, bytes)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.world.borrow_mut().shut_down(self.id)
    }

    fn peer(&self) -> Option<SocketAddr> {
        None
    }
}

impl Drop for SimWire {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.world.borrow_mut().closed_by_server(self.id);
        }
    }
}

/// What the poll has still to tell of a connection.
#[derive(Default)]
pub struct Edges {
    pub readable: bool,
    pub read_closed: bool,
    pub writable: bool,
}

impl World {
    /// Lets the world go on until there is something to tell or the sleep is over.
    fn poll(&mut self, mut sleep: Sleep, into: &mut Vec<PollEvent>) -> Now {
        if let Some(signal) = self.signal.take() {
            into.push(PollEvent::Stop(signal));
            sleep = Sleep::Not;
        }
        let acts = match sleep {
            Sleep::Not => self.random.below(8),
            _ => self.random.below(24),
        };
        for _ in 0..acts {
            self.act(sleep);
        }
        loop {
            self.tell(into);
            let is_over = match sleep {
                Sleep::Not => true,
                Sleep::Until(at) => self.now.mono_ms >= at,
                Sleep::Forever => self.is_calm && self.live.is_empty(),
            };
            // A poll may return for nothing.
            if is_over || !into.is_empty() || self.random.chance(60) {
                return self.now;
            }
            if !self.act(sleep) {
                self.sleep_through(sleep);
            }
        }
    }

    /// Nothing moves any more: time passes until the loop has something to do.
    fn sleep_through(&mut self, sleep: Sleep) {
        let Sleep::Until(at) = sleep else {
            panic!(
                "nothing will ever wake the loop, and not all is done: {}",
                self.shown()
            );
        };
        let late = self.random.below(2);
        self.pass(at.saturating_sub(self.now.mono_ms) + late);
    }

    fn tell(&mut self, into: &mut Vec<PollEvent>) {
        if self.has_new_backlog {
            self.has_new_backlog = false;
            into.push(PollEvent::Connection);
        }
        let newest = self.database.newest_seq();
        let count = self.live.len();
        let first = self.random.below(count.max(1) as u64) as usize;
        for at in 0..count {
            let id = self.live[(first + at) % count];
            let link = &mut self.links[id];
            let Some(key) = link.key else { continue };
            let edges = &link.edges;
            let is_something = edges.readable || edges.read_closed || edges.writable;
            if !is_something || (!self.is_calm && self.random.chance(10)) {
                continue;
            }
            // The kernel tells of the whole state when a part of it has changed, or of the change.
            let whole = self.random.chance(2);
            let readiness = Readiness {
                readable: edges.readable || (whole && link.can_be_read()),
                read_closed: edges.read_closed || (whole && link.has_ended),
                writable: edges.writable || (whole && link.outbox.len() < link.window),
                gone: link.is_broken && (edges.read_closed || whole),
            };
            into.push(PollEvent::Client(key, readiness));
            link.knows_break |= readiness.gone;
            if readiness.read_closed {
                link.finished_at_seq.get_or_insert(newest);
            }
            if edges.readable && link.can_be_read() {
                link.told_at.get_or_insert(self.now.mono_ms);
            }
            link.edges = Edges::default();
        }
    }

    fn accept(&mut self) -> Option<usize> {
        let id = self.backlog.pop_front()?;
        self.trace.note("is accepted", id, 0);
        let link = &mut self.links[id];
        link.moved_at = self.now.mono_ms;
        link.reads.push_back((self.now.mono_ms, 0));
        Some(id)
    }

    fn turn_backlog_away(&mut self) {
        self.is_refusing = true;
        for id in std::mem::take(&mut self.backlog) {
            self.gone(id);
        }
    }

    fn read(&mut self, id: usize, into: &mut [u8]) -> io::Result<usize> {
        self.note_lack_of_memory(id);
        let link = &mut self.links[id];
        link.looked_at = self.now.mono_ms;
        if self.random.chance(40) {
            return Err(ErrorKind::Interrupted.into());
        }
        if link.is_broken && (link.inbox.is_empty() || self.random.chance(2)) {
            link.knows_break = true;
            return Err(ErrorKind::ConnectionReset.into());
        }
        if link.inbox.is_empty() {
            if link.has_ended {
                link.knows_end = true;
                self.trace.note("is read to its end", id, 0);
                return Ok(0);
            }
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut n = link.inbox.len().min(into.len());
        if self.random.chance(8) {
            n = 1 + self.random.below(n as u64) as usize;
            // The rest arrives after this read.
            link.edges.readable |= n < link.inbox.len();
        }
        for (to, byte) in into.iter_mut().zip(link.inbox.drain(..n)) {
            *to = byte;
        }
        link.was_read(n, self.now.mono_ms, self.turn);
        self.trace.note("is read", id, n as u64);
        Ok(n)
    }

    fn write(&mut self, id: usize, bytes: &[u8]) -> io::Result<usize> {
        let link = &mut self.links[id];
        assert!(link.shut_at.is_none(), "{id} is written to behind its end");
        if self.random.chance(40) {
            return Err(ErrorKind::Interrupted.into());
        }
        if link.is_broken || self.is_dying {
            link.knows_break = true;
            return Err(ErrorKind::BrokenPipe.into());
        }
        let room = link.window - link.outbox.len();
        if room == 0 {
            link.blocked_at.get_or_insert(self.now.mono_ms);
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut n = room.min(bytes.len());
        if self.random.chance(5) {
            n = 1 + self.random.below(n as u64) as usize;
        }
        link.outbox += n;
        link.blocked_at = None;
        link.written_at = self.now.mono_ms;
        link.moved_at = self.now.mono_ms;
        link.said.extend_from_slice(&bytes[..n]);
        self.trace.note("is told", id, n as u64);
        self.hear(id);
        Ok(n)
    }

    fn shut_down(&mut self, id: usize) -> io::Result<()> {
        self.trace.note("is shut down", id, 0);
        if self.links[id].is_broken || self.is_dying {
            self.links[id].knows_break = true;
            return Err(ErrorKind::NotConnected.into());
        }
        self.shut_stream(id);
        self.check_shutdown(id);
        self.links[id].shut_at = Some(self.now.mono_ms);
        Ok(())
    }

    fn closed_by_server(&mut self, id: usize) {
        self.trace.note("is closed", id, 0);
        if !self.is_dying {
            self.check_close(id);
        }
        self.gone(id);
    }
}
