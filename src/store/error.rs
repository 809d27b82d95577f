//! What can go wrong in the store, for its callers and for those who start the server.

/// The store could not do what was asked; nothing was changed, unless it says so.
#[derive(Debug)]
pub enum StoreError {
    /// Another program holds the lock; trying again soon may succeed.
    Locked,
    /// A page of the key index that has to be read is damaged. It is rebuilt, where that is possible.
    Repairing,
    /// SQLite's own words: disk full, I/O error, damaged file.
    Failed(String),
    /// A name leads to another file than the one that is open. What a commit brought may be in that one.
    Replaced(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreError::Locked => f.write_str("the database is locked by another program"),
            StoreError::Repairing => {
                f.write_str("a page of the key index is damaged, and is being rebuilt")
            }
            StoreError::Failed(why) | StoreError::Replaced(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                StoreError::Locked
            }
            _ if is_damaged_page(&error) => StoreError::Repairing,
            _ if has_unreadable_page(&error) => StoreError::Failed(unreadable("the database")),
            _ => StoreError::Failed(error.to_string()),
        }
    }
}

/// The database cannot be opened; the sentence says why and names the file.
#[derive(Debug)]
pub struct OpenError(pub String);

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}

pub(super) const NOT_A_DATABASE: &str = "it is not an SQLite database";
pub(super) const SHORT: &str = "it is damaged: the file is shorter than its header says";
/// The beginning of a clause that says what cannot be read.
pub(super) const DAMAGED: &str = "it is damaged: ";

/// SQLite's error as a clause of a sentence for the person who starts the server.
pub(super) fn explain(error: &rusqlite::Error) -> String {
    use rusqlite::ErrorCode as Code;
    match error.sqlite_error_code() {
        Some(Code::NotADatabase) => NOT_A_DATABASE.into(),
        // `Unknown` is SQLITE_ERROR: the SQL is right, so what it names is missing in the file.
        Some(Code::DatabaseCorrupt | Code::Unknown) => format!("{DAMAGED}{error}"),
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => "it is locked by another program".into(),
        Some(Code::ReadOnly) => "it cannot be written".into(),
        Some(Code::CannotOpen) => {
            "the file cannot be opened or made (is the folder writable?)".into()
        }
        _ => match error {
            rusqlite::Error::SqliteFailure(..) => error.to_string(),
            _ => format!("{DAMAGED}{error}"),
        },
    }
}

/// The file contradicts itself; `what` is for the person who reads the log.
pub(super) fn damaged(what: impl Into<String>) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(what.into()))
}

/// The key index names an event that the table does not have.
pub(super) fn no_event(seq: u64) -> rusqlite::Error {
    damaged(format!(
        "the index has an event with seq {seq}, but the table has none"
    ))
}

/// Makes sure that a statement has changed as many rows as it must. Where it has not, another program has
/// changed the tables or what is on them, and the transaction must fail.
pub(super) fn expect_changed(changed: usize, expected: usize, table: &str) -> rusqlite::Result<()> {
    if changed == expected {
        return Ok(());
    }
    Err(damaged(format!(
        "{changed} rows of {table} were written, not {expected}: another program has changed the database"
    )))
}

/// Whether SQLite itself says that it cannot read a page, in its own words.
pub(super) fn has_unreadable_page(error: &rusqlite::Error) -> bool {
    let is_corrupt = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt);
    is_corrupt && !is_damaged_page(error) && error.to_string().contains("disk image is malformed")
}

/// The same error, which names what SQLite was reading.
pub(super) fn while_reading(error: rusqlite::Error, what: &str) -> rusqlite::Error {
    match has_unreadable_page(&error) {
        true => damaged(unreadable(what)),
        false => error,
    }
}

fn unreadable(what: &str) -> String {
    format!(
        "a page of {what} is damaged, and SQLite cannot read it: stop the server, and see what logagg check says"
    )
}

/// Whether an error says that a page of a segment is damaged, which is rebuilt.
pub(super) fn is_damaged_page(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|code| code.extended_code);
    code == Some(rusqlite::ffi::SQLITE_CORRUPT_INDEX)
}
