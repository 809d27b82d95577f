//! Writes lines to standard error without ever waiting for it.
//!
//! Standard error belongs to the process that started the program, often together with other processes, so its
//! flags are not ours to change: `O_NONBLOCK` is a property of the open file that all of them share.
//! What is done in its place depends on what it is:
//! - A regular file takes everything.
//! - A terminal may poll as writable and still make a long write wait for its reader, so it is opened
//!   once more, with `O_NONBLOCK` in an open file of our own.
//! - A pipe, socket or device that polls as writable takes [`LOG_WRITE_BYTES`] at once. Pieces end at a
//!   line end where one is in reach, so that lines of several processes do not mix.

use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::{fstat, open, FileType, Mode, OFlags};
use rustix::io::{write, Errno};

use super::buffer::LineBuffer;
use crate::limits::LOG_WRITE_BYTES;

pub(super) struct Output {
    target: Target,
    failed: bool,
}

enum Target {
    File(BorrowedFd<'static>),
    Terminal(OwnedFd),
    Stream(BorrowedFd<'static>),
}

impl Output {
    pub(super) fn new(out: BorrowedFd<'static>) -> Output {
        let is_file = fstat(out)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        let target = if is_file {
            Target::File(out)
        } else if out.is_terminal() {
            open_terminal(out).map_or(Target::Stream(out), Target::Terminal)
        } else {
            Target::Stream(out)
        };
        Output {
            target,
            failed: false,
        }
    }

    /// Whether the last [`write`](Self::write) ended in an error and discarded lines.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Writes from `buffer` until it is empty or writing would block. On an error (the reader is gone,
    /// the disk is full) what waits is discarded; the next call tries again.
    pub(super) fn write(&mut self, buffer: &mut LineBuffer) {
        self.failed = false;
        while !buffer.is_empty() {
            match self.write_piece(buffer.unwritten()) {
                Ok(count) => buffer.consume(count),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.failed = true;
                    buffer.discard();
                }
            }
        }
    }

    /// Waits until standard error may take more, at most `longest`.
    pub(super) fn wait(&self, longest: Duration) {
        // A failed or interrupted poll ends the wait early; the caller looks at its own clock.
        let _ = self.poll(longest);
    }

    /// Writes a piece of `bytes`, which are not empty, and returns its length.
    fn write_piece(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let written = match &self.target {
            Target::File(file) => write(file, bytes)?,
            Target::Terminal(terminal) => write(terminal, piece_of(bytes))?,
            Target::Stream(stream) => {
                if !self.poll(Duration::ZERO)? {
                    return Err(Errno::AGAIN);
                }
                write(stream, piece_of(bytes))?
            }
        };
        // Zero is no progress and no error: trying again at once could go on for ever.
        if written == 0 {
            return Err(Errno::IO);
        }
        Ok(written)
    }

    fn poll(&self, longest: Duration) -> Result<bool, Errno> {
        let fd = match &self.target {
            Target::File(fd) | Target::Stream(fd) => *fd,
            Target::Terminal(fd) => fd.as_fd(),
        };
        let timeout = Timespec {
            tv_sec: i64::try_from(longest.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: longest.subsec_nanos().into(),
        };
        // Errors and hang-ups also count: the write that follows says what is wrong.
        Ok(poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&timeout))? > 0)
    }
}

/// The start of `bytes` up to the last line end within reach, else as much as one write may have.
fn piece_of(bytes: &[u8]) -> &[u8] {
    match bytes.get(..LOG_WRITE_BYTES) {
        None => bytes,
        Some(piece) => &piece[..memchr::memrchr(b'\n', piece).map_or(LOG_WRITE_BYTES, |at| at + 1)],
    }
}

/// The terminal of `out` as an open file of our own. Fails where the terminal belongs to another
/// user (after su, say) or `/proc` is not there.
fn open_terminal(out: BorrowedFd<'static>) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", out.as_raw_fd());
    open(
        path,
        OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_ends_at_the_last_line_end_in_reach() {
        let long = vec![b'x'; LOG_WRITE_BYTES + 1];
        assert_eq!(piece_of(&long).len(), LOG_WRITE_BYTES);
        assert_eq!(piece_of(b"a\nb\n"), b"a\nb\n");
        let mut lines = b"a\nb\n".to_vec();
        lines.extend_from_slice(&long);
        assert_eq!(piece_of(&lines), b"a\nb\n");
    }
}
