//! The bytes received on a connection and not yet done with. Consuming moves a cursor; what stays is
//! moved to the front only when new bytes would not fit after it.

use crate::limits::BUFFER_KEEP_BYTES;

/// Invariant: `0 ≤ start ≤ next ≤ bytes.len()`. `[start..next]` is the present request, `[next..]` has not been
/// looked at.
#[derive(Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
    next: usize,
}

impl Input {
    pub(super) fn push(&mut self, more: &[u8]) {
        if self.start > 0 && self.bytes.len() + more.len() > self.bytes.capacity() {
            self.bytes.drain(..self.start);
            self.next -= self.start;
            self.start = 0;
        }
        self.bytes.extend_from_slice(more);
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.next..]
    }

    /// From the first byte of the present request on.
    pub(super) fn request(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Takes `n` unread bytes into the present request.
    pub(super) fn consume(&mut self, n: usize) {
        self.next += n;
        assert!(self.next <= self.bytes.len(), "consumed more than arrived");
    }

    /// Drops the present request.
    pub(super) fn release(&mut self) {
        self.start = self.next;
        if self.start == self.bytes.len() {
            self.start = 0;
            self.next = 0;
            empty(&mut self.bytes);
        }
    }

    /// Bytes held.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn check_invariants(&self) {
        assert!(self.start <= self.next && self.next <= self.bytes.len());
    }
}

/// Empties a buffer and keeps its memory only while that is little, so that ten thousand idle
/// connections stay small.
pub(super) fn empty(buffer: &mut Vec<u8>) {
    if buffer.capacity() > BUFFER_KEEP_BYTES {
        *buffer = Vec::new();
    } else {
        buffer.clear();
    }
}
