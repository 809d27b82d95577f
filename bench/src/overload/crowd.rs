//! Clients that do not behave, thousands of them in one thread: each comes back when it has been sent
//! away, as an attacker would, so that the pressure stays.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::habits::Habit;
use crate::load::response;

/// The time between two ticks.
const TICK: Duration = Duration::from_millis(10);
/// Connections begun in one tick.
const CONNECTS_PER_TICK: usize = 128;
/// A member that is not connected after this time counts as lost and starts again.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);
/// After this time one that does not read, and so does not see that it was sent away, starts again.
const DEAF_FOR: Duration = Duration::from_secs(31);
/// Loopback addresses that members come from, so that ports suffice.
const SOURCES: u8 = 16;

/// What the crowd has done so far, shared with the thread that waits for it.
#[derive(Default)]
pub struct Tally {
    /// Members that are connected now.
    pub connected: AtomicUsize,
    /// How often the server closed a member's connection, or it broke.
    pub sent_away: AtomicUsize,
    /// Answers to whole requests: 2xx and 4xx, and 5xx.
    pub answered: AtomicUsize,
    pub unavailable: AtomicUsize,
    leaves: AtomicBool,
}

impl Tally {
    /// The counts that only grow: sent away, answered, unavailable.
    pub fn counts(&self) -> [usize; 3] {
        [&self.sent_away, &self.answered, &self.unavailable]
            .map(|count| count.load(Ordering::Relaxed))
    }
}

/// A crowd at work. It leaves when this value goes.
pub struct Crowd {
    pub tally: Arc<Tally>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Crowd {
    /// Sends `members` to `address`.
    ///
    /// # Errors
    /// No poll can be made.
    pub fn gather(address: SocketAddr, members: Vec<Habit>) -> io::Result<Crowd> {
        let tally = Arc::new(Tally::default());
        let mut field = Field {
            address,
            poll: Poll::new()?,
            absent: (0..members.len()).collect(),
            members: members.into_iter().map(Member::new).collect(),
            slow_from: 0,
            buffer: vec![0; 64 * 1024],
            tally: Arc::clone(&tally),
        };
        let thread = thread::spawn(move || field.run());
        Ok(Crowd {
            tally,
            thread: Some(thread),
        })
    }

    /// Waits until `count` are connected, at most for `timeout`; returns how many are.
    pub fn wait_for(&self, count: usize, timeout: Duration) -> usize {
        let begun = Instant::now();
        loop {
            let connected = self.tally.connected.load(Ordering::Relaxed);
            if connected >= count || begun.elapsed() > timeout {
                return connected;
            }
            thread::sleep(TICK);
        }
    }

    /// All leave.
    ///
    /// # Errors
    /// What ended the crowd before.
    pub fn leave(mut self) -> io::Result<()> {
        self.tally.leaves.store(true, Ordering::Relaxed);
        let thread = self
            .thread
            .take()
            .expect("it is taken only here and in drop");
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the crowd has panicked")))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.tally.leaves.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The caller that drops it early reports an error of its own.
            let _ = thread.join();
        }
    }
}

/// One client.
struct Member {
    habit: Habit,
    stream: Option<TcpStream>,
    /// When it set out.
    since: Instant,
    is_connected: bool,
    /// Bytes sent of its opening, or of its request.
    sent: usize,
    /// Of an answer that is not complete.
    received: Vec<u8>,
}

impl Member {
    fn new(habit: Habit) -> Member {
        Member {
            habit,
            stream: None,
            since: Instant::now(),
            is_connected: false,
            sent: 0,
            received: Vec::new(),
        }
    }
}

/// What changes while the crowd is there.
struct Field {
    address: SocketAddr,
    poll: Poll,
    members: Vec<Member>,
    /// Those without a connection.
    absent: VecDeque<usize>,
    /// The slow client with which the next tick goes on.
    slow_from: usize,
    buffer: Vec<u8>,
    tally: Arc<Tally>,
}

impl Field {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(4096);
        let mut next_tick = Instant::now();
        while !self.tally.leaves.load(Ordering::Relaxed) {
            let wait = next_tick.saturating_duration_since(Instant::now());
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
                result => result?,
            }
            for event in &events {
                let number = event.token().0;
                if event.is_writable() {
                    self.connected(number);
                }
                let is_over = event.is_read_closed() && !self.members[number].habit.reads();
                if is_over || self.advance(number, event.is_readable()).is_err() {
                    self.is_gone(number);
                }
            }
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + TICK;
                self.tick()?;
            }
        }
        Ok(())
    }

    /// Sends for those who are absent, and lets the slow send their bytes: each one a second.
    fn tick(&mut self) -> io::Result<()> {
        for _ in 0..CONNECTS_PER_TICK {
            let Some(number) = self.absent.pop_front() else {
                break;
            };
            self.connect(number)?;
        }
        let turns = (Duration::from_secs(1).as_millis() / TICK.as_millis()) as usize;
        let share = self.members.len().div_ceil(turns);
        for _ in 0..share {
            let number = self.slow_from;
            self.slow_from = (number + 1) % self.members.len();
            let member = &self.members[number];
            let has_taken = member.since.elapsed();
            let is_over = match member.habit {
                _ if !member.is_connected => has_taken > CONNECTED_WITHIN,
                Habit::Deaf(_) => has_taken > DEAF_FOR,
                Habit::Slow(_) => self.trickle(number).is_err(),
                Habit::Idle | Habit::Sends(_) => false,
            };
            if is_over {
                self.is_gone(number);
            }
        }
        Ok(())
    }

    fn connect(&mut self, number: usize) -> io::Result<()> {
        let source = Ipv4Addr::new(127, 0, 1, 1 + (number % usize::from(SOURCES)) as u8);
        let mut stream = connect_from(source, self.address)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(number), both)?;
        let member = &mut self.members[number];
        member.stream = Some(stream);
        member.since = Instant::now();
        member.sent = 0;
        member.received.clear();
        Ok(())
    }

    fn connected(&mut self, number: usize) {
        let member = &mut self.members[number];
        if member.stream.is_some() && !member.is_connected {
            member.is_connected = true;
            self.tally.connected.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends and reads as far as its habit goes.
    fn advance(&mut self, number: usize, is_readable: bool) -> io::Result<()> {
        let member = &mut self.members[number];
        let Some(stream) = member.stream.as_mut().filter(|_| member.is_connected) else {
            return Ok(());
        };
        let opening = member.habit.opening();
        while member.sent < opening.len() {
            match stream.write(&opening[member.sent..]) {
                Ok(bytes) => member.sent += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if !is_readable || !member.habit.reads() {
            return Ok(());
        }
        loop {
            match stream.read(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => member.received.extend_from_slice(&self.buffer[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let answer = match response::parse_head(&member.received) {
            Ok(Some(answer)) if answer.total_bytes() <= member.received.len() => answer,
            _ => return Ok(()),
        };
        let count = match answer.status {
            500.. => &self.tally.unavailable,
            _ => &self.tally.answered,
        };
        count.fetch_add(1, Ordering::Relaxed);
        member.received.clear();
        member.sent = 0;
        // The next request; an edge that says so has been taken already.
        self.advance(number, false)
    }

    fn trickle(&mut self, number: usize) -> io::Result<()> {
        let member = &mut self.members[number];
        let has_opened = member.sent == member.habit.opening().len();
        match member.stream.as_mut().filter(|_| has_opened) {
            None => Ok(()),
            Some(stream) => match stream.write(b"x") {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// The member comes back at one of the next ticks.
    fn is_gone(&mut self, number: usize) {
        let member = &mut self.members[number];
        if member.stream.take().is_none() {
            return;
        }
        if std::mem::take(&mut member.is_connected) {
            self.tally.connected.fetch_sub(1, Ordering::Relaxed);
        }
        self.tally.sent_away.fetch_add(1, Ordering::Relaxed);
        self.absent.push_back(number);
    }
}

/// Begins to connect.
fn connect_from(source: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(source, 0))?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from_std(socket.into())),
        Err(error) => Err(error.into()),
    }
}
