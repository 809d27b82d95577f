//! What has been closed and is closed everywhere. A program that another test starts has the descriptors of this
//! process until it has become itself: for a moment, what is closed here is still open there.

use std::io::{self, PipeWriter};

use rustix::event::{poll, PollFd, PollFlags, Timespec};

use crate::wait::wait_until;

/// A pipe that nobody reads.
pub fn unread_pipe() -> PipeWriter {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    wait_until("a pipe without a reader", || {
        let mut polled = [PollFd::new(&writer, PollFlags::OUT)];
        poll(&mut polled, Some(&Timespec::default())).unwrap();
        polled[0].revents().contains(PollFlags::ERR)
    });
    writer
}

/// Waits until nobody takes connections at an address whose socket has been closed.
pub fn wait_until_refused<T>(mut connect: impl FnMut() -> io::Result<T>) {
    wait_until("a socket that is closed", || connect().is_err());
}
