//! How much has been read, in units. What a turn of the loop may spend on reading is counted in them and
//! not in time, so that it is the same on each machine and in each test.

use std::cell::Cell;

use crate::limits::READ_BYTES_PER_UNIT;

/// Units of reading, about a quarter of a microsecond each.
#[derive(Debug, Default)]
pub(super) struct Work(Cell<u64>);

impl Work {
    /// Adds units.
    pub(super) fn add(&self, units: u64) {
        self.0.set(self.0.get() + units);
    }

    /// Adds bytes that have been read or written.
    pub(super) fn add_bytes(&self, bytes: usize) {
        self.add(bytes as u64 / READ_BYTES_PER_UNIT);
    }

    /// Units that have not been taken.
    pub(super) fn done(&self) -> u64 {
        self.0.get()
    }

    /// Takes the units: counting begins with zero again.
    pub(super) fn take(&self) -> u64 {
        self.0.take()
    }
}

/// What a slice of reading the tables into memory may still read, in units.
#[derive(Debug)]
pub(crate) struct LoadBudget {
    left: u64,
    spent: u64,
}

impl LoadBudget {
    pub(crate) fn of(units: u64) -> Self {
        Self {
            left: units,
            spent: 0,
        }
    }

    /// For a start, before which no client is served.
    pub(crate) fn unlimited() -> Self {
        Self::of(u64::MAX)
    }

    /// Notes what has been read.
    pub(crate) fn take(&mut self, units: u64) {
        self.left = self.left.saturating_sub(units);
        self.spent += units;
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Units that have been read.
    pub(crate) fn spent(&self) -> u64 {
        self.spent
    }
}
