//! What a stream says of how far it has come while it brings no events.

use crate::api::subscribe::Format;
use crate::limits::PROGRESS_MS;

/// What the reader of a stream knows of how far that has come.
#[derive(Debug)]
pub(super) struct Progress {
    /// It has asked for messages. Otherwise only the ids of Server-Sent Events say it.
    is_asked: bool,
    /// The last seq that it was told, and when, in `mono_ms`.
    told: u64,
    told_at: u64,
}

impl Progress {
    pub(super) fn new(is_asked: bool, after: u64, now: u64) -> Self {
        Self {
            is_asked,
            told: after,
            told_at: now,
        }
    }

    /// Whether the stream says at its end how far it came.
    pub(super) fn ends_with_it(&self) -> bool {
        self.is_asked
    }

    /// The event with this seq has been sent last, and was perhaps known before. It has an id.
    pub(super) fn sent(&mut self, seq: u64, now: u64) {
        if !self.is_asked && seq > self.told {
            self.told = seq;
            self.told_at = now;
        }
    }

    /// The stream was told that it goes on after `seq`, whatever it was told before.
    pub(super) fn reset(&mut self, seq: u64) {
        self.told = seq;
    }

    /// When a stream that has come to `after` has to say so.
    pub(super) fn due(&self, after: u64) -> Option<u64> {
        (after > self.told).then_some(self.told_at + PROGRESS_MS)
    }

    /// Nothing is said now, although it may be due.
    pub(super) fn postpone(&mut self, now: u64) {
        self.told_at = now;
    }

    /// Appends it.
    pub(super) fn write(&mut self, format: Format, after: u64, now: u64, out: &mut Vec<u8>) {
        format.write_progress(out, after, self.is_asked);
        self.told = after;
        self.told_at = now;
    }
}
