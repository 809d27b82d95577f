//! What the loop needs of the operating system, as a trait: readiness, connections, the time, signals, other processes.
//! So the whole loop can turn without any of them, on sockets and a clock that a test makes.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use crate::app::App;
use crate::clock::Now;
use crate::ingest::SocketProtocol;

/// The operating system, as far as the loop knows it.
pub trait Platform {
    type Socket: Socket;

    /// Sleeps until something is ready, or as long as it may, and appends what it has found to `into`.
    /// Returns the time after that.
    fn poll(&mut self, sleep: Sleep, into: &mut Vec<PollEvent>) -> io::Result<(Instant, Now)>;

    /// The time within a turn, to measure how long something took.
    fn instant(&mut self) -> Instant;

    /// The next connection that waits, if this turn may still take one.
    fn accept(&mut self, now: Now) -> Option<Accepted<Self::Socket>>;

    /// When there is a connection to be accepted, given that there is room for it.
    fn accept_deadline(&self) -> Option<u64>;

    /// Logs, from time to time, that no more than these connections are accepted.
    fn log_full(&mut self, connections: usize, now: Now);

    /// Closes the listening sockets.
    fn stop_accepting(&mut self);

    /// From now on polls report this socket under this key, until it is dropped.
    fn register(&mut self, stream: &mut Self::Socket, key: usize) -> io::Result<()>;

    /// Begins to connect to an engine. That it has failed shows when it is read or written to.
    #[cfg(feature = "fleet")]
    fn connect(&mut self, _address: &EngineAddress) -> io::Result<Self::Socket> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The loop is about to turn for the first time.
    fn ready(&mut self) {}

    /// A signal to stop has come.
    fn stopping(&mut self) {}

    /// May start the process that checkpoints a long WAL, or take its result.
    fn offload_checkpoint(&mut self, app: &mut App, now: Now);

    /// Lines that the log has lost since the start.
    fn log_lines_dropped(&self) -> u64;

    /// All phases of a turn are over.
    fn end_turn(&mut self, now: Now);

    /// Ends the program with this code, immediately.
    fn exit(&mut self, code: i32) -> !;
}

/// Where an engine listens.
#[cfg(feature = "fleet")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineAddress {
    Tcp(SocketAddr),
    Unix(std::path::PathBuf),
}

/// A connection that has been accepted.
#[derive(Debug)]
pub struct Accepted<S> {
    pub socket: S,
    /// What it speaks; none is HTTP.
    pub protocol: Option<SocketProtocol>,
}

/// How long a poll may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    Not,
    /// Until this time on the monotonic clock, in milliseconds.
    Until(u64),
    Forever,
}

/// What a poll has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollEvent {
    Client(usize, Readiness),
    /// A connection waits to be accepted.
    Connection,
    /// SIGHUP.
    Reload,
    /// The signal that ends the program.
    Stop(i32),
}

/// What has become possible with a socket. It is edge-triggered: reported once, when it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    pub readable: bool,
    /// The peer has ended its side.
    pub read_closed: bool,
    pub writable: bool,
    /// The connection is broken in both directions.
    pub gone: bool,
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// Bytes of it in the buffer.
    pub length: usize,
    /// It was longer than the buffer.
    pub is_cut: bool,
    /// Who sent it; a Unix socket has no address.
    pub peer: Option<SocketAddr>,
    /// How many datagrams the kernel has dropped since the socket was made, where it says so. The number wraps around.
    pub dropped: Option<u32>,
}

/// A connected socket, or one that receives datagrams, which never blocks.
pub trait Socket {
    /// Takes what has arrived; 0 is the end. A read that does not fill `into` has taken all, and what
    /// arrives later is reported by a poll.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;

    /// Takes the next datagram. Only for sockets that receive datagrams.
    fn receive(&mut self, into: &mut [u8]) -> io::Result<Datagram>;

    /// How many datagrams the kernel has dropped since the socket was made, where it can be asked. The count may be
    /// ahead of the one that comes with a datagram, which is as old as the datagram.
    fn dropped(&self) -> Option<u32> {
        None
    }

    /// Writes as much as there is room for.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Ends the sending side; the peer sees the end after the last byte.
    fn shutdown_write(&self) -> io::Result<()>;

    /// The address of the other end, if it has one; a Unix socket has none.
    fn peer(&self) -> Option<SocketAddr>;
}
