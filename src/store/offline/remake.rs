//! Making SQLite's own indexes again from their tables: those of the duplicate check `constraint`, and that of the
//! topics' names.
//!
//! An index with a page that SQLite cannot parse can neither be dropped nor be made again by `REINDEX`, and a new
//! one may be made only where no such page is left, since SQLite may move any page for its root. So the definitions
//! of such indexes are taken away in one transaction, `VACUUM` writes the file without their pages, and another
//! transaction makes what is missing, and compares it with its table. What is cut off goes on when it is called
//! again; only indexes that users have added are not known any more then.

use rusqlite::config::DbConfig;
use rusqlite::Connection;

use super::check::Progress;
use super::rebuild::take_away;
use crate::store::definitions::{read, wanted, Definitions};
use crate::store::error::damaged;
use crate::store::options::Dedup;
use crate::store::soundness::{
    agrees_with_its_indexes, is_file_sound, is_index_unreadable, unsound_table,
};

/// In the definition of a column: SQLite makes an index for it by itself.
const UNIQUE: &str = " UNIQUE";

/// Makes the indexes again of each table that does not agree with them, or lacks one. Returns whether there were any.
///
/// # Errors
/// SQLite's, and where a table itself cannot be read. Then nothing has changed.
pub(super) fn remake_indexes(
    db: &mut Connection,
    dedup: Dedup,
    progress: &mut dyn FnMut(Progress),
) -> rusqlite::Result<bool> {
    let mut step = |step| {
        progress(Progress {
            step,
            done: 0,
            total: 0,
        });
    };
    step("comparing SQLite's indexes with their tables");
    let wanted = wanted(dedup)?;
    let found = read(db)?;
    let mut tables = Vec::new();
    for table in indexed_tables(&wanted) {
        if !agrees_with_its_indexes(db, table)? {
            tables.push(table);
        }
    }
    if tables.is_empty() && missing(&wanted, &found).is_empty() {
        return Ok(false);
    }
    step("making SQLite's indexes again");
    db.flush_prepared_statement_cache();
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    // Those of users.
    let mut added = found;
    added.retain(|name, about| {
        about.kind == "index"
            && !wanted.contains_key(name)
            && tables.contains(&about.table.as_str())
    });
    take_indexes_away(db, &tables, &wanted)?;
    if is_index_unreadable(db)? {
        take_away(db, progress)?;
    } else if !is_file_sound(db)? {
        db.execute_batch("VACUUM")?;
    }
    let found = read(db)?;
    let open = db.transaction()?;
    let missing = missing(&wanted, &found);
    for table in missing.iter().filter(|(kind, ..)| *kind == "table") {
        make_table(&open, table.1, table.2)?;
    }
    for index in missing.iter().filter(|(kind, ..)| *kind == "index") {
        open.execute_batch(index.2)?;
    }
    for sql in added.values().filter_map(|index| index.sql.as_deref()) {
        open.execute_batch(sql)?;
    }
    for table in indexed_tables(&wanted) {
        if !agrees_with_its_indexes(&open, table)? {
            return Err(beyond_repair(table));
        }
    }
    open.commit()?;
    Ok(true)
}

fn beyond_repair(table: &str) -> rusqlite::Error {
    damaged(format!(
        "the table {table} is damaged, and cannot be made again; restore a backup"
    ))
}

/// The tables of ours that have indexes.
fn indexed_tables(wanted: &Definitions) -> Vec<&str> {
    let indexes = wanted.values().filter(|about| about.kind == "index");
    let mut tables: Vec<&str> = indexes.map(|index| index.table.as_str()).collect();
    tables.sort_unstable();
    tables.dedup();
    tables
}

/// Indexes that there must be and are not, and tables of which SQLite's own index has been taken away: the kind of
/// each, its name and what makes it.
fn missing<'a>(wanted: &'a Definitions, found: &Definitions) -> Vec<(&'a str, &'a str, &'a str)> {
    let lacking = wanted.iter().filter_map(|(name, about)| {
        let sql = about.sql.as_deref()?;
        let has = found.get(name).and_then(|found| found.sql.as_deref());
        let is_lacking = match about.kind.as_str() {
            "index" => has.is_none(),
            "table" => sql.contains(UNIQUE) && has == Some(&without_index(sql)),
            _ => false,
        };
        is_lacking.then_some((about.kind.as_str(), name.as_str(), sql))
    });
    lacking.collect()
}

/// The definition of a table without the index that SQLite makes by itself.
fn without_index(sql: &str) -> String {
    sql.replace(UNIQUE, "")
}

/// Takes away the definitions of all indexes on these tables, in one transaction.
fn take_indexes_away(
    db: &mut Connection,
    tables: &[&str],
    wanted: &Definitions,
) -> rusqlite::Result<()> {
    let open = db.transaction()?;
    open.pragma_update(None, "writable_schema", true)?;
    for table in tables {
        let sql = "DELETE FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1";
        open.execute(sql, [table])?;
        let definition = wanted.get(*table).and_then(|about| about.sql.as_deref());
        if let Some(definition) = definition.filter(|sql| sql.contains(UNIQUE)) {
            let sql = "UPDATE sqlite_schema SET sql = ?2 WHERE type = 'table' AND name = ?1";
            open.execute(sql, (table, without_index(definition)))?;
        }
    }
    // SQLite reads the definitions again.
    open.execute_batch("PRAGMA writable_schema = RESET")?;
    match unsound_table(&open)? {
        None => open.commit(),
        Some(table) => Err(beyond_repair(&table)),
    }
}

/// Makes a table again with its index, inside the open transaction.
fn make_table(db: &Connection, table: &str, sql: &str) -> rusqlite::Result<()> {
    db.execute_batch(&format!(
        "CREATE TEMP TABLE copied AS SELECT * FROM {table}; DROP TABLE {table}; {sql}; \
         INSERT INTO {table} SELECT * FROM temp.copied ORDER BY 1; DROP TABLE temp.copied"
    ))
}
