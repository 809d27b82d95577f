//! The tables that the in-process loops write to: the server's own, so that like is compared with like.

use logagg::limits;
use logagg::store::{create_tables, Dedup};
use rusqlite::Connection;

/// Creates the server's tables in an empty database, and sets the server's pragmas. The duplicate
/// check `index` gives `events` no index of SQLite's; its own tables stay empty.
///
/// # Errors
/// SQLite's.
pub fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -{};
         PRAGMA temp_store = MEMORY;
         PRAGMA journal_size_limit = {};",
        limits::PAGE_CACHE_KIB,
        limits::WAL_KEPT_BYTES
    ))?;
    let transaction = connection.transaction()?;
    create_tables(&transaction, Dedup::Index)?;
    transaction.commit()
}
