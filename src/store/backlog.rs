//! A write-ahead log that has grown long behind another program's snapshot. SQLite copies it in one go,
//! and with gigabytes of it that takes many seconds; so another process does it, beside the server, and
//! the server goes on.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

use super::open::{connect, explain, OpenError};
use super::settle::{position, Doubt};
use super::{Durability, Store};
use crate::limits::{BACKLOG_FRAMES, CHECKPOINT_FRAMES, OPEN_BUSY_MS};

/// How far the log has been copied, in frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// In the log, up to the last commit.
    pub frames: u64,
    /// Those of them that are in the database.
    pub copied: u64,
}

/// Copies what it may of the log of a database, beside the server that has it open. The log is not
/// shortened by it; whoever writes next begins it anew where all of it has been copied.
pub fn copy_log(path: &Path) -> Result<Copied, OpenError> {
    let fail = |what: String| {
        let shown = path.display();
        OpenError(format!(
            "cannot copy the log of the database {shown}: {what}"
        ))
    };
    if !path.is_file() {
        return Err(fail("it is not a file".into()));
    }
    let frames = Arc::new(AtomicU32::new(0));
    let patience = Duration::from_millis(OPEN_BUSY_MS);
    let db = connect(path, Durability::Full, patience, &frames).map_err(&fail)?;
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(Copied {
            frames: row.get::<_, i64>(1)?.max(0) as u64,
            copied: row.get::<_, i64>(2)?.max(0) as u64,
        })
    })
    .map_err(|error| fail(explain(&error)))
}

impl Store {
    /// Whether the part of the log that is still to be copied is so long that [`copy_log`] should do it, in
    /// another process. Until [`Store::helped`], nothing is copied here.
    pub fn wants_help(&self) -> bool {
        self.needs_help
    }

    /// The file whose log it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Decides who copies the log next.
    pub(super) fn is_backlog(&mut self) -> bool {
        let frames = self.wal_frames.load(Ordering::Relaxed);
        let is_long = frames.saturating_sub(self.frames_copied) > BACKLOG_FRAMES;
        self.needs_help = is_long && self.doubt == Doubt::default();
        self.needs_help
    }

    /// What was asked for has been tried. Where it has `failed` on the disk, nothing more is copied before
    /// that is settled; where there was nobody to do it, it is done here, however long that takes.
    pub fn helped(&mut self, help: Help) {
        self.needs_help = false;
        match help {
            Help::Given => match position(&self.db) {
                Ok(position) => {
                    self.frames_copied = position.copied as u32;
                    self.checkpoint_at =
                        if position.frames - position.copied > BACKLOG_FRAMES.into() {
                            // A reader still holds it back.
                            position.frames as u32 + CHECKPOINT_FRAMES
                        } else {
                            0
                        };
                }
                Err(error) => log::warn!("the write-ahead log cannot be looked at: {error}"),
            },
            Help::Failed => {
                self.doubt.log = true;
                self.doubt.database = true;
            }
            Help::None => self.frames_copied = self.wal_frames.load(Ordering::Relaxed),
        }
    }
}

/// What became of a call for help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Help {
    Given,
    Failed,
    None,
}
