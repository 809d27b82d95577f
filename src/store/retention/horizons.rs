//! How far retention has come.

use rusqlite::Connection;

use crate::store::rows::unsigned;

/// What retention has removed, by seq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Horizons {
    /// The events up to this seq have been removed.
    pub events: u64,
    /// How many events these were.
    pub removed: u64,
    /// The keys up to this seq have been forgotten; at most that of the events.
    pub keys: u64,
}

impl Horizons {
    pub(crate) fn load(db: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT events_horizon, events_removed, keys_horizon FROM retention";
        db.query_row(sql, [], |row| {
            Ok(Self {
                events: unsigned(row, 0)?,
                removed: unsigned(row, 1)?,
                keys: unsigned(row, 2)?,
            })
        })
    }
}
