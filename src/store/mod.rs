//! The database: the only user of SQLite. Owns the file, its lock, the interned topics and the
//! lifetime counters, and changes what it holds in memory only after the transaction that holds the
//! same change has been committed.
//!
//! Nothing in here waits for another process: a locked database is reported at once, and the caller
//! decides when to try again.

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
mod load;
mod lock;
mod maintenance;
mod offline;
mod open;
mod options;
mod page_checksum;
mod paths;
mod range;
mod repair;
mod retention;
mod rows;
mod schema;
mod state;
mod subscriptions;
mod temporary;
mod topics;
mod wal;
mod work;

pub use counters::{Counters, Outcome};
pub use error::{OpenError, StoreError};
pub use events::page::{Page, PageSearch};
pub use identity::{Identity, Origin};
pub(crate) use index::DamagedPage;
pub use index::IndexMemory;
pub use maintenance::IdleError;
pub use offline::backup::{backup, restore, Copied, CopyOptions};
pub use offline::check::{check, CheckOptions, Progress, Report};
pub use offline::convert::{convert, Converted};
pub use options::{Dedup, Durability, Limit, OpenOptions, Retention};
pub use range::{Bound, FeedQuery, PageQuery};
pub use rows::StoredEvent;
pub use schema::create_tables;
pub use state::Store;
pub use subscriptions::{Position, SubscriptionOp, SubscriptionResult};
pub use topics::topic::{Topic, TopicId};
pub use topics::Topics;
pub use wal::copier::{Backlog, Help};
pub use wal::position::LogCopied;
