//! What ends a client early: a signal, or a reader of standard output that has gone. Every wait of a
//! client goes through here, so that each of them ends at once.
//!
//! SIGINT and SIGTERM are taken over once a process. The first of them ends each wait; the second has its usual effect,
//! in case the first is ignored.

use std::io::{self, stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

use crate::limits::CLIENT_GRACE_MS;

/// Why to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// This signal came.
    Signal(u8),
    /// Nobody reads standard output any more.
    ReaderGone,
}

/// The signals of this process, and the waits that they end.
#[derive(Debug)]
pub struct Interrupt {
    /// The signal that came first; 0 for none.
    signal: Arc<AtomicUsize>,
    /// Readable once a signal has come, and never read.
    signalled: UnixStream,
    watches_output: AtomicBool,
    /// When the signal was seen first.
    seen_at: OnceLock<Instant>,
    /// How many requests are in progress that may be finished in spite of a signal.
    with_grace: AtomicUsize,
}

impl Interrupt {
    /// Takes SIGINT and SIGTERM over. Call it once a process.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn install() -> io::Result<Interrupt> {
        let (signalled, wake) = UnixStream::pair()?;
        let signal = Arc::new(AtomicUsize::new(0));
        let is_second = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            // In this order: the condition is asked before this signal makes it true.
            flag::register_conditional_default(number, is_second.clone())?;
            flag::register(number, is_second.clone())?;
            flag::register_usize(number, signal.clone(), number as usize)?;
            pipe::register(number, wake.try_clone()?)?;
        }
        Ok(Interrupt {
            signal,
            signalled,
            watches_output: AtomicBool::new(false),
            seen_at: OnceLock::new(),
            with_grace: AtomicUsize::new(0),
        })
    }

    /// From now on a reader of standard output that has gone counts as well.
    pub fn watch_output(&self) {
        self.watches_output.store(true, Ordering::Relaxed);
    }

    /// Whether to stop.
    pub fn check(&self) -> Result<(), Stop> {
        self.wait_for(None, Some(Duration::ZERO)).map(|_| ())
    }

    /// Waits.
    pub fn sleep(&self, time: Duration) -> Result<(), Stop> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            self.wait_for(None, Some(left))?;
            if left.is_zero() {
                return Ok(());
            }
        }
    }

    /// Waits until `flags` hold for a descriptor; false where the time is up before. No time is for ever.
    pub fn wait(
        &self,
        fd: BorrowedFd,
        flags: PollFlags,
        time: Option<Duration>,
    ) -> Result<bool, Stop> {
        let until = time.map(|time| Instant::now() + time);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if self.wait_for(Some((fd, flags)), left)? {
                return Ok(true);
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
        }
    }

    /// Runs what a signal should not interrupt. After the signal, all that runs like this has [`CLIENT_GRACE_MS`]
    /// together.
    pub fn with_grace<T>(&self, run: impl FnOnce() -> T) -> T {
        self.with_grace.fetch_add(1, Ordering::Relaxed);
        let result = run();
        self.with_grace.fetch_sub(1, Ordering::Relaxed);
        result
    }

    fn signal(&self) -> Option<u8> {
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            number => u8::try_from(number).ok(),
        }
    }

    /// What is left of the grace after the signal.
    fn grace_left(&self) -> Option<Duration> {
        let seen_at = *self.seen_at.get_or_init(Instant::now);
        let left = Duration::from_millis(CLIENT_GRACE_MS).checked_sub(seen_at.elapsed());
        left.filter(|left| !left.is_zero())
    }

    /// One `poll`: whether the descriptor is ready. False also where the system returned early.
    fn wait_for(
        &self,
        wanted: Option<(BorrowedFd, PollFlags)>,
        time: Option<Duration>,
    ) -> Result<bool, Stop> {
        let has_grace = self.with_grace.load(Ordering::Relaxed) > 0;
        let (time, signal_flags) = match self.signal() {
            None => (time, PollFlags::IN),
            // The wake-up for the signal stays readable, and would end each wait at once.
            Some(number) => match self.grace_left() {
                Some(left) if has_grace => (
                    Some(time.map_or(left, |time| time.min(left))),
                    PollFlags::empty(),
                ),
                _ => return Err(Stop::Signal(number)),
            },
        };
        let signalled = self.signalled.as_fd();
        let output = stdout();
        // Without flags only errors are reported: of a pipe, that its reader has gone.
        let watched = match self.watches_output.load(Ordering::Relaxed) {
            true => output.as_fd(),
            false => signalled,
        };
        let (fd, flags) = wanted.unwrap_or((signalled, PollFlags::empty()));
        let mut fds = [
            PollFd::from_borrowed_fd(fd, flags),
            PollFd::from_borrowed_fd(watched, PollFlags::empty()),
            PollFd::from_borrowed_fd(signalled, signal_flags),
        ];
        // A time beyond what the kernel can count never comes.
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        if poll(&mut fds, time.as_ref()).is_err() {
            // Interrupted, or memory is short: the caller asks again.
            return Ok(false);
        }
        if fds[1].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return Err(Stop::ReaderGone);
        }
        let is_ready = wanted.is_some() && !fds[0].revents().is_empty();
        let is_grace_over = signal_flags.is_empty() && wanted.is_some() && !is_ready;
        match self.signal() {
            Some(number) if !has_grace || is_grace_over => Err(Stop::Signal(number)),
            _ => Ok(is_ready),
        }
    }
}
