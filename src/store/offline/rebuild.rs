//! Dropping a key index that SQLite cannot read, so that it can be rebuilt from the events.
//!
//! Checksums are for the content of a page; a flipped bit in what SQLite itself keeps on a page of the index makes it
//! refuse the page, and the table with it, which then cannot even be dropped. So the definitions of the tables are
//! deleted, and the file is rewritten without their pages. That is done only where all other tables are sound. The keys
//! of removed events are nowhere else: those that can be read are put into the table of removed keys.

use rusqlite::config::DbConfig;
use rusqlite::Connection;

use super::check::Progress;
use crate::store::error::damaged;
use crate::store::index::pages::Pages;
use crate::store::index::record::{records, KeyRecord, Part};
use crate::store::index::segments::descriptions;
use crate::store::index::Damage;
use crate::store::retention::horizons::Horizons;
use crate::store::retention::removed_keys::Keep;
use crate::store::soundness::{index_tables, is_corrupt, unsound_table};

/// Drops the tables of the key index, and keeps the keys of removed events. Each step is done completely or not at all;
/// after an interruption another call goes on.
pub(super) fn take_away(
    db: &mut Connection,
    progress: &mut dyn FnMut(Progress),
) -> rusqlite::Result<()> {
    if let Some(table) = unsound_table(db)? {
        return Err(damaged(format!(
            "the table {table} is damaged, and cannot be rebuilt; restore a backup"
        )));
    }
    progress(Progress {
        step: "dropping the damaged key index",
        done: 0,
        total: 0,
    });
    let horizons = Horizons::load(db)?;
    db.flush_prepared_statement_cache();
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    // Not in the transaction: after a page that it cannot read, SQLite refuses to write in the same one.
    read_keys(db, horizons)?;
    let open = db.transaction()?;
    keep_removed_keys(&open, horizons)?;
    open.pragma_update(None, "writable_schema", true)?;
    for table in index_tables() {
        open.execute("DELETE FROM sqlite_schema WHERE tbl_name = ?1", [table])?;
    }
    open.commit()?;
    db.execute_batch("PRAGMA writable_schema = RESET; VACUUM")
}

/// Puts the keys of removed events into their table: as far as they can be read, and for each other one a row that
/// matches no event, so that their number stays right.
fn keep_removed_keys(db: &Connection, horizons: Horizons) -> rusqlite::Result<()> {
    if horizons.events == horizons.keys {
        return Ok(());
    }
    let mut keep = Keep::prepare(db)?;
    let mut known = db.prepare("SELECT 1 FROM removed_keys WHERE seq = ?1")?;
    let mut readable = db.prepare(
        "SELECT fingerprint, event_hash FROM readable WHERE seq = ?1 \
         UNION ALL SELECT randomblob(16), random() LIMIT 1",
    )?;
    let mut lost = 0_u64;
    let mut is_readable = db.prepare("SELECT 1 FROM readable WHERE seq = ?1")?;
    for seq in horizons.keys + 1..=horizons.events {
        let at = [seq.cast_signed()];
        if known.exists(at)? {
            continue;
        }
        lost += u64::from(!is_readable.exists(at)?);
        let (fingerprint, event_hash) = readable.query_row(at, |row| {
            Ok((u128::from_be_bytes(row.get(0)?), row.get::<_, i64>(1)?))
        })?;
        keep.add(KeyRecord {
            fingerprint,
            seq,
            event_hash: event_hash.cast_unsigned(),
        })?;
    }
    if lost > 0 {
        log::warn!(
            "{lost} keys of removed events are lost: events with them would be stored again"
        );
    }
    Ok(())
}

/// Reads the keys of removed events from each page of a segment that can be read, into a table of its own.
fn read_keys(db: &Connection, horizons: Horizons) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TEMP TABLE readable(seq INTEGER PRIMARY KEY, fingerprint BLOB, event_hash INTEGER)",
    )?;
    let described = match descriptions(db) {
        Ok(described) => described,
        Err(error) if is_corrupt(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    let damage = Damage::silent();
    let mut insert = db.prepare("INSERT OR IGNORE INTO readable VALUES (?1, ?2, ?3)")?;
    for about in described {
        let pages = Pages::of(about, &damage);
        for id in pages.layout.pages_of(Part::Keys) {
            let read = |page: &[u8]| records::<KeyRecord>(page).collect::<Vec<_>>();
            let keys = match pages.with(db, id, read) {
                Ok(keys) => keys,
                Err(error) if is_corrupt(&error) => continue,
                Err(error) => return Err(error),
            };
            for key in keys {
                if (horizons.keys + 1..=horizons.events).contains(&key.seq) {
                    let fingerprint = key.fingerprint.to_be_bytes();
                    insert.execute((
                        key.seq.cast_signed(),
                        fingerprint,
                        key.event_hash.cast_signed(),
                    ))?;
                }
            }
        }
    }
    Ok(())
}
