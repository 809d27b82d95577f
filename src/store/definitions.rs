//! What the schema of a database of ours must be, compared with what it is.
//!
//! Others may add what only helps reading: views, tables, and plain indexes on columns. What can change what
//! a write of ours does, or make one fail, is refused.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::options::Dedup;
use super::schema::create_tables;

/// A table, an index, a view or a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) kind: String,
    /// The table that it is on.
    pub(super) table: String,
    /// The statement that made it; none for what SQLite makes by itself.
    pub(super) sql: Option<String>,
}

/// The definitions of a database, by name.
pub(super) type Definitions = BTreeMap<String, Definition>;

/// Those of a new database with this duplicate check.
pub(super) fn wanted(dedup: Dedup) -> rusqlite::Result<Definitions> {
    let new = Connection::open_in_memory()?;
    create_tables(&new, dedup)?;
    read(&new)
}

/// Those that a database has.
pub(super) fn read(db: &Connection) -> rusqlite::Result<Definitions> {
    let mut statement = db.prepare("SELECT name, type, tbl_name, sql FROM sqlite_schema")?;
    let definitions = statement.query_map([], |row| {
        let definition = Definition {
            kind: row.get(1)?,
            table: row.get(2)?,
            sql: row.get(3)?,
        };
        Ok((row.get(0)?, definition))
    })?;
    definitions.collect()
}

/// What others have added that can change a write: each as a clause that names it and the reason.
pub(super) fn interfering(
    db: &Connection,
    found: &Definitions,
    wanted: &Definitions,
) -> rusqlite::Result<Vec<String>> {
    let mut interfering = Vec::new();
    for (name, definition) in found.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
        let Definition { kind, table, .. } = definition;
        if kind == "trigger" {
            interfering.push(format!("the trigger {name:?} on {table}"));
        } else if kind == "index" && wanted.contains_key(table) {
            if let Some(why) = why_index_interferes(db, table, name)? {
                interfering.push(format!("the index {name:?} on {table}, which {why}"));
            }
        }
    }
    Ok(interfering)
}

/// Why an index can make a write fail, if it can.
fn why_index_interferes(
    db: &Connection,
    table: &str,
    name: &str,
) -> rusqlite::Result<Option<&'static str>> {
    let sql = "SELECT \"unique\", partial FROM pragma_index_list(?1) WHERE name = ?2";
    let (is_unique, is_partial) = db.query_row(sql, (table, name), |row| {
        Ok((row.get::<_, bool>(0)?, row.get::<_, bool>(1)?))
    })?;
    if is_unique {
        return Ok(Some("is unique"));
    }
    if is_partial {
        return Ok(Some("has a condition"));
    }
    let sql =
        "SELECT cid = -2, coll NOT IN ('BINARY', 'NOCASE', 'RTRIM') FROM pragma_index_xinfo(?1)";
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([name])?;
    while let Some(row) = rows.next()? {
        if row.get(0)? {
            return Ok(Some("is on an expression"));
        }
        if row.get::<_, Option<bool>>(1)? == Some(true) {
            return Ok(Some("uses another program's collation"));
        }
    }
    Ok(None)
}

/// Refuses a database that is not as this program makes them, as far as that changes what it writes. The
/// error is a clause of a sentence.
pub(super) fn require_ours(db: &Connection, dedup: Dedup) -> Result<(), String> {
    let unreadable = |error: rusqlite::Error| format!("it is damaged: {error}");
    let wanted = wanted(dedup).map_err(unreadable)?;
    let found = read(db).map_err(unreadable)?;
    for (name, definition) in &wanted {
        match found.get(name) {
            Some(found) if found == definition => {}
            Some(_) => return Err(format!("it is damaged: {name} is defined differently")),
            None => return Err(format!("it is damaged: {name} is missing")),
        }
    }
    match interfering(db, &found, &wanted)
        .map_err(unreadable)?
        .first()
    {
        None => Ok(()),
        Some(what) => Err(format!(
            "another program has given it {what}, and that can change what is stored; drop it first"
        )),
    }
}
