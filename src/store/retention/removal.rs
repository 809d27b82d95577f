//! What the open transaction removes.

use rusqlite::Connection;

use super::progress::Progress;
use crate::store::index::fingerprint::Fingerprinter;
use crate::store::index::KeyIndex;
use crate::store::topics::Topics;

/// What removing needs besides its own state.
pub(super) struct Context<'a> {
    pub db: &'a Connection,
    pub topics: &'a mut Topics,
    pub index: Option<&'a KeyIndex>,
    pub fingerprinter: Fingerprinter,
    /// The greatest seq in use.
    pub last_seq: u64,
    /// The events after this seq are held.
    pub held_after: u64,
    /// The time that ages are counted to, in microseconds since the epoch.
    pub now_us: i64,
}

/// How much a transaction may remove.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub rows: usize,
    pub bytes: u64,
    /// Topics whose counts change.
    pub topics: usize,
    /// Bytes that the transaction will bring.
    pub incoming: u64,
}

impl Budget {
    pub(super) fn has_room(&self) -> bool {
        self.rows > 0 && self.bytes > 0 && self.topics > 0
    }
}

/// What the open transaction removes.
#[derive(Debug)]
pub(super) struct Removal {
    /// As it is once the transaction is committed.
    pub progress: Progress,
    /// When the first of the events was processed that it removes.
    pub oldest_at: Option<i64>,
    /// Whether it has written anything.
    pub has_changed: bool,
}
