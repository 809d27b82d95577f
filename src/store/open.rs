//! Opening: the lock, whether the file is ours and whole, the pragmas, and what memory holds of it.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection as Sqlite;

use super::connection::{Connection, Synchronous};
use super::definitions::require_ours;
use super::error::{explain, OpenError, DAMAGED, NOT_A_DATABASE, SHORT};
use super::file_kind::{is_mounted_alone, require_ordinary};
use super::head::Head;
use super::lengths::{require_not_emptied, require_whole};
use super::lock::Lock;
use super::options::{Dedup, Durability, OpenOptions};
use super::paths::{beside, make_folder};
use super::row_repair::repair_rows;
use super::schema::{create_tables, recorded_check, upgrade};
use super::soundness::{is_index_taken_away, is_index_unreadable, unsound_table, REBUILD};
use super::state::Store;
use super::transaction;
use super::wal::recovery::recover_wal;
use crate::limits;

impl Store {
    /// Opens the database, or creates it and its folder where there is none or an empty file.
    pub fn open(options: &OpenOptions) -> Result<Store, OpenError> {
        let shown = options.path.display().to_string();
        let fail = |what: String| OpenError(format!("cannot open the database {shown}: {what}"));
        if let Some(folder) = options.path.parent().filter(|p| !p.as_os_str().is_empty()) {
            make_folder(folder).map_err(|e| fail(format!("the folder cannot be made: {e}")))?;
        }
        require_ordinary(&options.path).map_err(&fail)?;
        // Two names of one file must lead to one lock, and a link has its second name only once the file
        // that it leads to is there.
        let path = fs::canonicalize(&options.path)
            .or_else(|_| {
                File::options()
                    .create(true)
                    .append(true)
                    .open(&options.path)?;
                fs::canonicalize(&options.path)
            })
            .map_err(|e| fail(format!("the file cannot be opened or made: {e}")))?;
        let sqlite = |e: rusqlite::Error| fail(explain(&e));
        let (lock, mut db) =
            connect_alone(&path, options.durability, options.triggers).map_err(&fail)?;
        prepare_tables(&mut db, options.dedup).map_err(&fail)?;
        check_content(&db, &path).map_err(&fail)?;
        let dedup = recorded_check(&db).map_err(sqlite)?;
        require_ours(&db, dedup).map_err(&fail)?;
        recover_wal(&db, &path).map_err(&fail)?;

        if is_mounted_alone(&path) {
            log::warn!(
                "the file {} is mounted by itself, so its write-ahead log is kept apart from it; mount its folder",
                path.display()
            );
        }
        let store = Store::load(lock, db, options.clone(), path).map_err(sqlite)?;
        store.files.write_head();
        Ok(store)
    }
}

/// Opens an existing file for writing, with the lock that excludes every other writer of ours. The file is empty, or
/// ours and of a version that this program knows. The lock comes first because it must be dropped last.
pub(super) fn connect_alone(
    path: &Path,
    durability: Durability,
    triggers: bool,
) -> Result<(Lock, Connection), String> {
    let lock = Lock::take(path)?;
    if lock.database().is_none() {
        return Err("it has been removed".into());
    }
    require_not_emptied(path)?;
    check_size(path)?;
    let head = Head::read(path);
    head.map_or(Ok(()), |head| head.require_own_log(path))?;
    // Another program's lock may be short: the start, and only the start, waits for it.
    let busy_timeout = Duration::from_millis(limits::OPEN_BUSY_MS);
    let db = Connection::open(path, durability, triggers, busy_timeout).map_err(|error| {
        // SQLite found damage before the lengths could be compared.
        match error.starts_with(DAMAGED) && is_short(path) {
            true => SHORT.into(),
            false => error,
        }
    })?;
    require_whole(&db, path)?;
    head.map_or(Ok(()), |head| head.require_newest(path, &db))?;
    Ok((lock, db))
}

/// Compares the size that the file's header states with the size it has. A truncated file would otherwise be noticed
/// only when a missing page is read (SQLite file format §1.3.8).
fn check_size(path: &Path) -> Result<(), String> {
    // A checkpoint that was interrupted has written the header and perhaps not the pages: those are still in the
    // write-ahead log.
    if std::fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Ok(());
    }
    // SQLite would take this for an empty file (its `unixFileSize`), and overwrite it.
    if fs::metadata(path).is_ok_and(|about| about.len() == 1) {
        return Err(NOT_A_DATABASE.into());
    }
    match is_short(path) {
        true => Err(SHORT.into()),
        false => Ok(()),
    }
}

/// Whether a file is shorter than its header says.
fn is_short(path: &Path) -> bool {
    let mut header = [0_u8; 100];
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    let size = file.metadata().map_or(0, |m| m.len());
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"SQLite format 3\0") {
        return false;
    }
    let word = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let page_size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        n => u64::from(n),
    };
    let stated_is_valid = word(24) == word(92);
    stated_is_valid && u64::from(word(28)) * page_size > size
}

/// Creates the tables of a new database, and proves that the file can be written.
fn prepare_tables(db: &mut Connection, wanted: Option<Dedup>) -> Result<(), String> {
    transaction::run(db, &mut (), Synchronous::Full, |db, ()| {
        let tables: i64 =
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables == 0 {
            create_tables(db, wanted.unwrap_or(Dedup::Index))
        } else {
            upgrade(db)?;
            repair_rows(db, recorded_check(db)? == Dedup::Index)
        }
    })
    .map_err(|e| explain(&e))?;
    let dedup = recorded_check(db).map_err(|e| explain(&e))?;
    match wanted.filter(|wanted| *wanted != dedup) {
        None => Ok(()),
        Some(wanted) => Err(format!(
            "it has the duplicate check {:?}, not {:?}; leave out --dedup, or convert it with: \
             logagg convert --dedup {} DATABASE",
            dedup.name(),
            wanted.name(),
            wanted.name()
        )),
    }
}

/// Whether all that SQLite cannot read can be rebuilt.
fn is_index_alone_unreadable(db: &Sqlite) -> bool {
    matches!(is_index_unreadable(db), Ok(true)) && matches!(unsound_table(db), Ok(None))
}

/// Looks for damage within the time of a start: a small database is read whole.
fn check_content(db: &Sqlite, path: &Path) -> Result<(), String> {
    let size = fs::metadata(path).map_or(0, |m| m.len());
    if is_index_taken_away(db).map_err(|e| explain(&e))? {
        return Err(REBUILD.into());
    }
    if size > limits::CHECKED_AT_START_BYTES {
        return Ok(());
    }
    let answer: String = db
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|e| explain(&e))?;
    match answer.as_str() {
        "ok" => Ok(()),
        _ if is_index_alone_unreadable(db) => Err(REBUILD.into()),
        damage => Err(format!(
            "it is damaged: {}",
            damage.trim().replace('\n', " ")
        )),
    }
}
