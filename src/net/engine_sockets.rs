//! The sockets of a front's connections to its engine: owns them, and finds the addresses of names. It never looks into
//! what they carry, and never waits: a name is resolved by a thread of its own, because the system can only do that
//! while it waits.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{channel, Receiver, TryRecvError};

use super::platform::{EngineAddress, Platform, Readiness, Socket};
use crate::app::{EngineLinks, LinkStep};
use crate::clock::Now;
use crate::limits::{ENGINE_TURN_BYTES, RESOLVE_LOOK_MS};

/// The bit that tells the key of such a socket from those of others.
const ENGINE: usize = 1 << 41;

/// The sockets of all connections, by the places of the links.
pub(super) struct EngineSockets<S> {
    slots: Vec<Slot<S>>,
}

struct Slot<S> {
    socket: Option<S>,
    resolving: Option<Receiver<io::Result<Vec<SocketAddr>>>>,
    readable: bool,
    writable: bool,
    /// Tries so far: of several addresses each is tried in turn.
    tries: usize,
}

impl<S> Default for EngineSockets<S> {
    fn default() -> Self {
        Self { slots: Vec::new() }
    }
}

impl<S> Default for Slot<S> {
    fn default() -> Self {
        Slot {
            socket: None,
            resolving: None,
            readable: false,
            writable: false,
            tries: 0,
        }
    }
}

impl<S: Socket> EngineSockets<S> {
    /// Notes what the poll has found, if it is about such a socket.
    pub(super) fn takes(&mut self, key: usize, readiness: Readiness) -> bool {
        if key & ENGINE == 0 {
            return false;
        }
        if let Some(slot) = self.slots.get_mut(key & !ENGINE) {
            slot.readable |= readiness.readable || readiness.read_closed || readiness.gone;
            slot.writable |= readiness.writable;
        }
        true
    }

    /// Whether one can be read without waiting.
    pub(super) fn is_ready(&self) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|slot| slot.readable && slot.socket.is_some())
    }

    /// When names that are being resolved are looked at again, in `mono_ms`.
    pub(super) fn deadline(&self, now: Now) -> Option<u64> {
        let mut slots = self.slots.iter();
        let is_resolving = slots.any(|slot| slot.resolving.is_some());
        is_resolving.then_some(now.mono_ms + RESOLVE_LOOK_MS)
    }

    /// Hands over what has come.
    pub(super) fn receive(&mut self, links: &mut dyn EngineLinks, buffer: &mut [u8], now: Now) {
        let mut budget = ENGINE_TURN_BYTES;
        for (link, slot) in self.slots.iter_mut().enumerate() {
            while let Some(socket) = slot.socket.as_mut().filter(|_| slot.readable) {
                if budget == 0 {
                    return;
                }
                let room = budget.min(buffer.len());
                match socket.read(&mut buffer[..room]) {
                    Ok(0) => {
                        slot.socket = None;
                        links.lost(link, "it ended the connection", now);
                    }
                    Ok(count) => {
                        budget -= count;
                        links.received(link, &buffer[..count], now);
                        slot.readable = count == room;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => slot.readable = false,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        slot.socket = None;
                        links.lost(link, &sentence(&error), now);
                    }
                }
                if links.step(link) != LinkStep::Keep {
                    break;
                }
            }
        }
    }

    /// Opens and closes what is to be, and sends what waits.
    pub(super) fn send<P: Platform<Socket = S>>(
        &mut self,
        links: &mut dyn EngineLinks,
        platform: &mut P,
        now: Now,
    ) {
        self.slots.resize_with(links.count(), Slot::default);
        for (link, slot) in self.slots.iter_mut().enumerate() {
            match links.step(link) {
                LinkStep::Keep => {}
                LinkStep::Close => {
                    *slot = Slot {
                        tries: slot.tries,
                        ..Slot::default()
                    }
                }
                LinkStep::Connect(name, port) => {
                    slot.socket = None;
                    match slot.connect(&name, port, platform, link) {
                        Ok(true) => links.connecting(link, now),
                        Ok(false) => {}
                        Err(error) => {
                            slot.resolving = None;
                            links.lost(link, &sentence(&error), now);
                        }
                    }
                }
            }
            if let Err(error) = slot.flush(links, link) {
                slot.socket = None;
                links.lost(link, &sentence(&error), now);
            }
        }
    }
}

impl<S: Socket> Slot<S> {
    /// Begins to connect, or to resolve the name; says whether there is a socket.
    fn connect<P: Platform<Socket = S>>(
        &mut self,
        name: &str,
        port: u16,
        platform: &mut P,
        link: usize,
    ) -> io::Result<bool> {
        let address = if name.starts_with('/') {
            EngineAddress::Unix(format!("{name}/.s.PGSQL.{port}").into())
        } else if let Ok(ip) = name.parse() {
            EngineAddress::Tcp(SocketAddr::new(ip, port))
        } else {
            match self.resolved(name, port)? {
                Some(address) => EngineAddress::Tcp(address),
                None => return Ok(false),
            }
        };
        let mut socket = platform.connect(&address)?;
        platform.register(&mut socket, link | ENGINE)?;
        self.socket = Some(socket);
        // A poll says when it is connected.
        (self.readable, self.writable) = (false, false);
        Ok(true)
    }

    /// The next address of a name, if it is known by now.
    fn resolved(&mut self, name: &str, port: u16) -> io::Result<Option<SocketAddr>> {
        let Some(resolving) = &self.resolving else {
            let (sender, receiver) = channel();
            let name = name.to_owned();
            std::thread::Builder::new()
                .name("resolver".to_owned())
                .spawn(move || {
                    let found = (name.as_str(), port).to_socket_addrs();
                    // Nobody waits for it where the server has ended.
                    let _ = sender.send(found.map(Iterator::collect));
                })?;
            self.resolving = Some(receiver);
            return Ok(None);
        };
        let found: Vec<SocketAddr> = match resolving.try_recv() {
            Ok(found) => found?,
            Err(TryRecvError::Empty) => return Ok(None),
            Err(TryRecvError::Disconnected) => return Err(ErrorKind::NotFound.into()),
        };
        self.resolving = None;
        self.tries += 1;
        let address = found.get(self.tries % found.len().max(1)).copied();
        address.map(Some).ok_or(ErrorKind::NotFound.into())
    }

    fn flush(&mut self, links: &mut dyn EngineLinks, link: usize) -> io::Result<()> {
        while let Some(socket) = self.socket.as_mut().filter(|_| self.writable) {
            let output = links.output(link);
            if output.is_empty() {
                break;
            }
            match socket.write(output) {
                Ok(count) => links.sent(link, count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What the system says, without its number.
fn sentence(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}
