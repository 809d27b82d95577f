//! The answers of a connection that its client has not taken yet.

use super::input::empty;

/// Invariant: `0 ≤ sent ≤ bytes.len()`, and both are 0 when nothing waits.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    sent: usize,
}

impl Output {
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Where answers are written: behind what waits.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        if self.sent > 0 && self.sent >= self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        &mut self.bytes
    }

    /// The client took `n` bytes.
    pub(super) fn take(&mut self, n: usize) {
        self.sent += n;
        assert!(self.sent <= self.bytes.len(), "sent more than waits");
        if self.sent == self.bytes.len() {
            self.sent = 0;
            empty(&mut self.bytes);
        }
    }

    /// Bytes held.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn check_invariants(&self) {
        assert!(self.sent < self.bytes.len() || (self.sent == 0 && self.bytes.is_empty()));
    }
}
