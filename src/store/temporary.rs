//! Where SQLite makes its temporary files (its source, `unixTempFileDir`), to name the folder in an error.

use std::path::PathBuf;

use rusqlite::ffi::SQLITE_IOERR_GETTEMPPATH;
use rusqlite::ErrorCode;
use rustix::fs::{access, Access};

/// A sentence for an error that temporary files of an open database cause, or may cause; `None` for any other.
pub(super) fn explain(error: &rusqlite::Error) -> Option<String> {
    let error = error.sqlite_error()?;
    let folder = folder();
    let shown = folder.as_ref().map_or_else(
        || "any of /var/tmp, /usr/tmp, /tmp and the current folder".to_owned(),
        |folder| format!("the folder {}", folder.display()),
    );
    let advice = "set SQLITE_TMPDIR to a folder with room for an index";
    // The database itself is open, so no other file is opened any more.
    if error.code == ErrorCode::CannotOpen || error.extended_code == SQLITE_IOERR_GETTEMPPATH {
        return Some(format!(
            "no temporary file can be made in {shown}: {advice}"
        ));
    }
    (error.code == ErrorCode::DiskFull).then(|| {
        format!("there is no room for it, or for its temporary files in {shown}: make room, or {advice}")
    })
}

/// The folder that SQLite takes: the first that it may write to.
fn folder() -> Option<PathBuf> {
    let named = ["SQLITE_TMPDIR", "TMPDIR"].map(std::env::var_os);
    let usual = ["/var/tmp", "/usr/tmp", "/tmp", "."].map(PathBuf::from);
    let folders = named.into_iter().flatten().map(PathBuf::from).chain(usual);
    let may_write = Access::WRITE_OK | Access::EXEC_OK;
    let mut usable = folders.filter(|folder| folder.is_dir() && access(folder, may_write).is_ok());
    usable.next()
}
