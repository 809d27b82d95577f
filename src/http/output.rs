//! The answers of a connection that its client has not taken yet: owns their bytes, and never decides what is sent.

use super::input::empty;
use super::response::{write_chunk_size, CHUNK_SIZE_BYTES};
use crate::limits::FIXED_MIN_BYTES;

/// Invariant: `0 ≤ sent ≤ bytes.len()`, and both are 0 when `bytes` is empty.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// What comes after `bytes`: a part of the program, which takes no memory of the connection.
    fixed: &'static [u8],
    /// How many bytes at the front have been taken, or were never meant to be sent.
    sent: usize,
    /// The memory of `bytes` is to be given back.
    is_lent: bool,
}

impl Output {
    /// What is to be sent next. There may be more after it.
    pub(super) fn waiting(&self) -> &[u8] {
        if self.bytes.is_empty() {
            self.fixed
        } else {
            &self.bytes[self.sent..]
        }
    }

    /// Bytes that wait.
    pub(super) fn unsent(&self) -> usize {
        self.bytes.len() - self.sent + self.fixed.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.fixed.is_empty()
    }

    /// Appends a part of the program. It is copied only where something else is to come after it.
    pub(super) fn write_fixed(&mut self, part: &'static [u8]) {
        if part.len() < FIXED_MIN_BYTES {
            self.tail().extend_from_slice(part);
        } else {
            self.settle_fixed();
            self.fixed = part;
        }
    }

    fn settle_fixed(&mut self) {
        self.bytes.extend_from_slice(self.fixed);
        self.fixed = b"";
    }

    /// Where answers are written: after what waits.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        self.settle_fixed();
        if self.sent > 0 && self.sent >= self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        &mut self.bytes
    }

    /// Appends what `write` appends, as it is; nothing if that fails.
    pub(super) fn write_plain<T, E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>,
    ) -> Result<T, E> {
        let out = self.tail();
        let from = out.len();
        let result = write(out);
        if result.is_err() {
            out.truncate(from);
        }
        result
    }

    /// Appends what `write` appends as one chunk (RFC 9112 §7.1); nothing if that fails or is empty, since an empty
    /// chunk would end the body.
    pub(super) fn write_chunk<T, E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>,
    ) -> Result<T, E> {
        let out = self.tail();
        let from = out.len();
        out.extend_from_slice(&[0; CHUNK_SIZE_BYTES]);
        let result = write(out);
        let (front, data) = out[from..].split_at_mut(CHUNK_SIZE_BYTES);
        if result.is_err() || data.is_empty() {
            out.truncate(from);
            return result;
        }
        let front = front.try_into().expect("it was split off by this size");
        let spare = write_chunk_size(front, data.len());
        out.extend_from_slice(b"\r\n");
        if from == 0 {
            self.sent = spare;
        } else {
            out.drain(from..from + spare);
        }
        result
    }

    /// The client took `n` bytes.
    pub(super) fn take(&mut self, n: usize) {
        if self.bytes.is_empty() {
            self.fixed = &self.fixed[n..];
            return;
        }
        self.sent += n;
        assert!(self.sent <= self.bytes.len(), "sent more than waits");
        if self.sent == self.bytes.len() {
            self.sent = 0;
            if self.is_lent {
                self.bytes.clear();
            } else {
                empty(&mut self.bytes);
            }
        }
    }

    /// If nothing waits, takes the memory of `spare` until [`Output::give_back`] in exchange for its own.
    pub(super) fn lend(&mut self, spare: &mut Vec<u8>) {
        if self.is_empty() && !self.is_lent {
            std::mem::swap(&mut self.bytes, spare);
            self.bytes.clear();
            self.is_lent = true;
        }
    }

    /// If nothing waits any more, gives memory back that was lent.
    pub(super) fn give_back(&mut self, spare: &mut Vec<u8>) {
        if self.is_empty() && self.is_lent {
            std::mem::swap(&mut self.bytes, spare);
            empty(&mut self.bytes);
            self.is_lent = false;
        }
    }

    /// Bytes of memory held.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn check_invariants(&self) {
        assert!(self.sent < self.bytes.len() || (self.sent == 0 && self.bytes.is_empty()));
    }
}
