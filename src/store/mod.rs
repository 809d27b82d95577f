//! The database: the only user of SQLite. Owns the file, its lock, and what memory holds of the tables.
//!
//! Every write is a transaction that [`transaction`] runs: memory takes over a change once the transaction that holds
//! the same change has been committed, and drops it if that has failed. What follows the tables in memory is a part
//! ([`parts`]), and only the methods of a part change it.
//!
//! Nothing in here waits for another process: a locked database is reported at once, and the caller
//! decides when to try again.
//!
//! The layers, the lowest first; a file names only files of its own layer and of lower ones, without circles:
//!
//! 1. types, names and files, nothing that asks SQLite: `error`, `options`, `paths`, `lock`, ...
//! 2. the connection, the parts that follow the tables (`counters`, `topics`, `subscriptions`, `retention`, `index`),
//!    those of the files (`wal`, `files`), and `state`, which holds them together
//! 3. what is done with all of them: `commit`, `maintenance`, `repair`, `reopen`, `replaced`, `load`, `open`
//! 4. `offline`: what the commands do with a database, without a server
//!
//! `tests/tidy/layers.rs` has the whole list.

mod commit;
mod connection;
mod counters;
mod definitions;
mod error;
mod events;
mod file_kind;
mod files;
mod head;
mod identity;
mod index;
mod lengths;
mod load;
mod lock;
mod maintenance;
mod meta;
mod offline;
mod open;
mod options;
mod page_checksum;
mod parts;
mod parts_load;
mod paths;
mod range;
mod rejected;
mod reopen;
mod repair;
mod replaced;
mod retention;
mod row_checksum;
mod row_repair;
mod rows;
mod schema;
mod soundness;
mod state;
mod subscription_row;
mod subscriptions;
mod summaries;
mod temporary;
#[cfg(test)]
mod tests;
mod topics;
mod transaction;
mod wal;
mod work;

pub use counters::{Counters, Outcome};
pub use error::{OpenError, StoreError};
pub use events::page::{Page, PageSearch};
pub use events::row::StoredEvent;
pub use events::search::{Slice, Stop, Visit, Visitor, Walk};
pub use identity::{Identity, Origin};
pub(crate) use index::DamagedPage;
pub use index::IndexMemory;
pub use maintenance::IdleError;
pub use offline::backup::{backup, restore, Copied, CopyOptions};
pub use offline::check::{check, CheckOptions, Progress, Report};
pub use offline::convert::{convert, Converted};
pub use options::{Dedup, Durability, Limit, OpenOptions, RejectedLimit, Retention, SearchIndex};
pub use range::{Bound, PageQuery, SubscriberQuery};
pub use rejected::RejectedRow;
pub use schema::create_tables;
pub use state::Store;
pub use subscription_row::Position;
pub use subscriptions::{SubscriptionOp, SubscriptionResult};
pub use summaries::look_up::Counted;
pub use summaries::times::Interval;
pub use topics::topic::{Topic, TopicId};
pub use topics::Topics;
pub use wal::copier::{CopyResult, WalCopier};
pub use wal::position::CheckpointProgress;
