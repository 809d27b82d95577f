//! The records that could not become events: the table `rejected`, and its totals in `rejected_counters`. Both are
//! made when a database is opened that lacks them; a program that does not know them leaves them alone.
//!
//! Rejected records are not part of the events: they have seqs of their own, are stored in the transaction of the
//! publication that brought them, and the oldest go first.

mod page;
pub(super) mod table;

pub use page::RejectedRow;
