//! What is done when a name of the database leads to another file than the one that is open, or when that file was
//! truncated.

use super::connection::checkpoint_on_close;
use super::error::StoreError;
use super::lengths::LengthCheck;
use super::state::Store;

impl Store {
    /// Makes sure that the names of the database lead to the files that are open, each of them, and that these
    /// are as long as they must be. Where not, nothing more is promised until the names are right again or the
    /// server is restarted.
    pub fn check_files(&mut self, now_us: i64) -> Result<(), StoreError> {
        self.check_lengths()?;
        let checked = self.files.verify_each(now_us);
        self.judge(checked)
    }

    /// Makes sure that the files that are open are as long as they must be.
    pub(super) fn check_lengths(&mut self) -> Result<(), StoreError> {
        let found = self.db.check_lengths();
        let found = found.map_err(|error| StoreError::Failed(error.to_string()))?;
        match found {
            LengthCheck::Whole => {}
            LengthCheck::WantsCheckpoint => {
                log::warn!(
                    "the database's file is shorter than it was: what it lacks is in the write-ahead log, which is \
                     copied now"
                );
                self.wal.checkpoint_soon();
            }
            LengthCheck::Truncated(which) => self.files.truncated(which),
        }
        let reason = self.files.reason_if_truncated();
        reason.map_or(Ok(()), |reason| Err(StoreError::Replaced(reason)))
    }

    /// Checks the names, as it is done for each commit.
    pub(super) fn verify_files(&mut self, now_us: i64) -> Result<(), StoreError> {
        let checked = self.files.verify(now_us);
        self.judge(checked)
    }

    fn judge(&mut self, checked: Result<(), String>) -> Result<(), StoreError> {
        checked.map_err(|reason| {
            self.rescue_wal();
            StoreError::Replaced(reason)
        })
    }

    /// Refuses to commit into files that were found replaced, unless they are right again.
    pub(super) fn require_files(&mut self, now_us: i64) -> Result<(), StoreError> {
        // Without a connection only the database is checked, before it is opened again.
        if !self.is_replaced() || self.wal.closed().is_some() {
            return Ok(());
        }
        self.check_files(now_us)
    }

    /// Makes sure that what closing writes will be found.
    pub(super) fn require_files_to_close(&mut self) -> Result<(), StoreError> {
        if self.wal.closed().is_some() {
            return Ok(());
        }
        self.check_files(0)
    }

    /// Whether the names led elsewhere at the last check.
    pub fn is_replaced(&self) -> bool {
        self.files.is_replaced()
    }

    /// Copies all of the log into the database that is open, and empties it. So the file is complete without
    /// its log, wherever it is now, and a log that still has its name does no harm to another file.
    fn rescue_wal(&mut self) {
        if !self.wal.is_certain() || !self.files.can_rescue() {
            return;
        }
        let copied = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, bool>(0).map(|is_refused| !is_refused)
            });
        match copied {
            Ok(true) => {
                self.files.rescued();
                self.db.clear_wal_frames();
            }
            Ok(false) => {}
            Err(error) => {
                self.note_io_error(&error, true);
                log::error!(
                    "the write-ahead log cannot be copied into the file that is open: {error}"
                );
            }
        }
    }

    /// Closes a database whose names lead elsewhere: what they lead to is left as it is.
    pub(super) fn close_replaced(self) -> Result<(), StoreError> {
        let copies = self.files.may_copy_on_close() && self.wal.is_certain();
        checkpoint_on_close(&self.db, copies)?;
        let Store { db, files, .. } = self;
        let closed = db.close().map_err(StoreError::from);
        // The lock must outlive the connection.
        drop(files);
        closed
    }
}
