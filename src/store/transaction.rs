//! How every write to the database begins and ends.
//!
//! [`run`] begins a transaction, lets its body write, and commits. Then it tells every part of memory that follows the
//! tables how it ended: [`Part::committed`] or [`Part::rolled_back`]. The body may change what the parts remember of
//! the open transaction, and nothing else. No other code runs BEGIN, COMMIT or ROLLBACK on the server's connection.

use std::ops::Deref;

use super::connection::{Connection, Synchronous};

/// What follows the tables in memory. Between two transactions it says what the tables say.
pub(super) trait Part {
    /// The open transaction is on the disk: what it did becomes the state.
    fn committed(&mut self);

    /// The open transaction has failed: the state is the one from before it.
    fn rolled_back(&mut self);
}

/// For what is written before there are parts.
impl Part for () {
    fn committed(&mut self) {}

    fn rolled_back(&mut self) {}
}

/// The open transaction.
pub(super) struct Transaction<'db> {
    db: &'db mut Connection,
}

impl Deref for Transaction<'_> {
    type Target = rusqlite::Connection;

    fn deref(&self) -> &rusqlite::Connection {
        self.db
    }
}

impl Transaction<'_> {
    fn begin(&mut self, wait: Synchronous) -> rusqlite::Result<()> {
        self.db.set_synchronous(wait)?;
        self.db.begin()
    }

    /// Does not wait for the disk at the commit. Must be called before anything is written: SQLite takes such a change
    /// only between transactions, so this begins the transaction again.
    pub(super) fn wait_for_nothing(&mut self) -> rusqlite::Result<()> {
        self.db.rollback()?;
        self.begin(Synchronous::Normal)
    }
}

/// Runs `body` in a transaction whose commit waits for the disk as `wait` says. After an error the database
/// and all `parts` are as they were before.
pub(super) fn run<P: Part + ?Sized, T>(
    db: &mut Connection,
    parts: &mut P,
    wait: Synchronous,
    body: impl FnOnce(&mut Transaction, &mut P) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let mut open = Transaction { db };
    let result = open
        .begin(wait)
        .and_then(|()| body(&mut open, parts))
        .and_then(|done| open.db.commit().map(|()| done));
    match &result {
        Ok(_) => parts.committed(),
        Err(_) => {
            open.db.roll_back_failed();
            parts.rolled_back();
        }
    }
    result
}
