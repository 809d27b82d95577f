//! Where events are brought: what a forwarder asks of it, whatever it is.

use std::fmt;

use super::batch::Batch;
use super::trouble::Trouble;
use crate::client::engine::EngineError;
use crate::postgres::statement::Hash;

/// The state of a node at a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Another one is another history, of which nothing is known.
    pub store_id: String,
    /// The node's id there, for its life; 0 where it has none.
    pub node: i32,
    pub life: i32,
    /// The node's last seq that is there.
    pub upto: u64,
    /// Tells that event from another one with its seq; `None` if there is none, or it had been removed.
    pub mark: Option<Hash>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Stored(Counts),
    /// The position is not where the batch begins, or another forwarder was first. Nothing was stored.
    Moved,
}

/// What became of the events of a batch. Conflicts are duplicates too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub stored: u64,
    pub duplicates: u64,
    pub conflicts: u64,
}

/// A destination. After an error of any method it must be told to disconnect: its connection may be in the middle of a
/// batch, and whether that is stored is not known. It connects by itself.
///
/// It is shown as what it is and where, without what is secret.
pub(super) trait Destination: fmt::Display {
    /// The word for it.
    fn noun(&self) -> &'static str;

    /// The position of the database with this id, which is a UUID, in its newest life; `None` if it is not known.
    fn position(&mut self, database_id: &str) -> Result<Option<Position>, Trouble>;

    /// Begins a life of a node at 0, unless another forwarder has just done so. `name` is for people.
    fn begin_life(&mut self, database_id: &str, life: i32, name: &str) -> Result<(), Trouble>;

    /// Stores a batch after a position, whole or not at all.
    fn write(
        &mut self,
        database_id: &str,
        expected: &Position,
        batch: &Batch,
    ) -> Result<Written, EngineError>;

    /// Whether trying again does not help.
    fn is_final(&self, error: &EngineError) -> bool;

    /// Drops the connection, if there is one.
    fn disconnect(&mut self);

    /// Takes leave.
    fn close(&mut self);
}
