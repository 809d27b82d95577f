//! What a server writes to standard error, read by a thread so that it never waits for its reader.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::ChildStderr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::ioctl_fionread;

use super::TIMEOUT;

#[derive(Default)]
struct State {
    text: Vec<u8>,
    ended: bool,
}

struct Shared {
    /// Read by the thread alone, which holds the state meanwhile: what is not in one is in the other.
    pipe: File,
    state: Mutex<State>,
    changed: Condvar,
    /// Held while nobody is to read the pipe.
    gate: Mutex<()>,
}

/// The log of one server; it stays readable when the server is gone.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

impl Log {
    /// Reads `pipe` to its end in a thread.
    pub fn read(pipe: ChildStderr) -> Log {
        let shared = Arc::new(Shared {
            pipe: OwnedFd::from(pipe).into(),
            state: Mutex::default(),
            changed: Condvar::new(),
            gate: Mutex::default(),
        });
        let log = Log(shared.clone());
        thread::spawn(move || {
            let mut piece = [0; 65_536];
            loop {
                // Also if it fails: then so does the read.
                let _ = poll(&mut [PollFd::new(&shared.pipe, PollFlags::IN)], None);
                drop(lock(&shared.gate));
                let mut state = lock(&shared.state);
                let count = (&shared.pipe).read(&mut piece).unwrap_or(0);
                state.text.extend_from_slice(&piece[..count]);
                state.ended = count == 0;
                let ended = state.ended;
                drop(state);
                shared.changed.notify_all();
                if ended {
                    return;
                }
            }
        });
        log
    }

    /// All that has been written so far, what the thread has not read yet included.
    pub fn text(&self) -> String {
        let is_unread = |state: &mut State| {
            !state.ended && ioctl_fionread(&self.0.pipe).is_ok_and(|bytes| bytes > 0)
        };
        let (state, _) = self
            .0
            .changed
            .wait_timeout_while(lock(&self.0.state), TIMEOUT, is_unread)
            .unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&state.text).into_owned()
    }

    /// The whole lines that hold `part`, so far.
    pub fn lines_with(&self, part: &str) -> Vec<String> {
        lines_with(&self.text(), part)
    }

    /// Waits until `count` lines hold `part`, and returns them all.
    pub fn wait_for(&self, count: usize, part: &str) -> Vec<String> {
        let mut found = Vec::new();
        let what = format!("{count} lines with {part:?}");
        self.wait(&what, |state| {
            found = lines_with(&String::from_utf8_lossy(&state.text), part);
            found.len() >= count
        });
        found
    }

    /// Waits until the server has closed standard error, which it does by ending.
    pub fn wait_for_end(&self) {
        self.wait("the end of the server", |state| state.ended);
    }

    /// Nobody reads the pipe until the guard goes, but for one piece that is being read.
    pub fn leave_unread(&self) -> MutexGuard<'_, ()> {
        lock(&self.0.gate)
    }

    fn wait(&self, what: &str, mut done: impl FnMut(&State) -> bool) {
        let until = Instant::now() + TIMEOUT;
        let mut state = lock(&self.0.state);
        loop {
            if done(&state) {
                return;
            }
            let text = || String::from_utf8_lossy(&state.text).into_owned();
            assert!(
                !state.ended,
                "{what}: the server ended. Its log:\n{}",
                text()
            );
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{what}: waited in vain. The log:\n{}",
                text()
            );
            state = self
                .0
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

fn lines_with(text: &str, part: &str) -> Vec<String> {
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
        .filter(|line| line.contains(part))
        .map(str::to_owned)
        .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
