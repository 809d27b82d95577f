//! A connection that does not speak HTTP, driven by the event loop itself over a socket that is made up.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use logagg::app::App;
use logagg::clock::Now;
use logagg::ingest::SocketProtocol;
use logagg::net::{
    Accepted, Datagram, Options, Platform, PollEvent, Reactor, Readiness, Sleep, Socket,
};

use super::now;

/// Turns that decode and commit all that a connection may have read.
const LAST_TURNS: usize = 4;

/// The event loop with one connection.
pub struct Stream {
    reactor: Reactor<Machine>,
    left: Rc<Cell<usize>>,
    length: usize,
}

/// What the connection sends, again and again, and how many bytes of it are left.
struct Sender {
    bytes: Rc<[u8]>,
    at: usize,
    left: Rc<Cell<usize>>,
}

struct Machine {
    started: Instant,
    waiting: Option<Sender>,
    key: Option<usize>,
    protocol: SocketProtocol,
}

impl Stream {
    /// A connection that sends these bytes again and again.
    pub fn new(app: App, protocol: SocketProtocol, bytes: &[u8], started: Instant) -> Stream {
        let left = Rc::new(Cell::new(0));
        let sender = Sender {
            bytes: bytes.into(),
            at: 0,
            left: left.clone(),
        };
        let machine = Machine {
            started,
            waiting: Some(sender),
            key: None,
            protocol,
        };
        let options = Options {
            max_connections: 1,
            max_body_bytes: super::MAX_BODY_BYTES,
            max_buffered_bytes: 16 * super::MAX_BODY_BYTES,
        };
        Stream {
            reactor: Reactor::new(machine, app, options, started),
            left,
            length: bytes.len(),
        }
    }

    /// Sends all bytes `times` times and turns until they have been read and committed.
    ///
    /// # Errors
    /// The loop ends.
    pub fn send(&mut self, times: u64) -> io::Result<()> {
        self.left.set(self.length * times as usize);
        while self.left.get() > 0 {
            self.turn()?;
        }
        // What has been read and not been decoded yet.
        (0..LAST_TURNS).try_for_each(|_| self.turn())
    }

    fn turn(&mut self) -> io::Result<()> {
        match self.reactor.turn()? {
            false => Ok(()),
            true => Err(io::Error::other("the loop has ended")),
        }
    }

    pub fn into_app(self) -> App {
        self.reactor.into_app()
    }
}

impl Socket for Sender {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        let length = into.len().min(left).min(self.bytes.len() - self.at);
        if length == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        into[..length].copy_from_slice(&self.bytes[self.at..self.at + length]);
        self.at = (self.at + length) % self.bytes.len();
        self.left.set(left - length);
        Ok(length)
    }

    fn receive(&mut self, _: &mut [u8]) -> io::Result<Datagram> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn shutdown_write(&self) -> io::Result<()> {
        Ok(())
    }

    fn peer(&self) -> Option<SocketAddr> {
        Some(([127, 0, 0, 1], 514).into())
    }
}

impl Platform for Machine {
    type Socket = Sender;

    fn poll(&mut self, _: Sleep, into: &mut Vec<PollEvent>) -> io::Result<(Instant, Now)> {
        if self.waiting.is_some() {
            into.push(PollEvent::Connection);
        }
        let readiness = Readiness {
            readable: true,
            ..Readiness::default()
        };
        into.extend(self.key.map(|key| PollEvent::Client(key, readiness)));
        Ok((Instant::now(), now(self.started)))
    }

    fn instant(&mut self) -> Instant {
        Instant::now()
    }

    fn accept(&mut self, _: Now) -> Option<Accepted<Sender>> {
        self.waiting.take().map(|socket| Accepted {
            socket,
            protocol: Some(self.protocol),
        })
    }

    fn accept_deadline(&self) -> Option<u64> {
        None
    }

    fn log_full(&mut self, _: usize, _: Now) {}

    fn stop_accepting(&mut self) {}

    fn register(&mut self, _: &mut Sender, key: usize) -> io::Result<()> {
        self.key = Some(key);
        Ok(())
    }

    fn offload_checkpoint(&mut self, _: &mut App, _: Now) {}

    fn log_lines_dropped(&self) -> u64 {
        0
    }

    fn end_turn(&mut self, _: Now) {}

    fn exit(&mut self, code: i32) -> ! {
        std::process::exit(code)
    }
}
