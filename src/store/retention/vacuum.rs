//! The pages of the file: how many are used, how many are free, and giving free ones back.
//!
//! Removal leaves free pages, which the next events use: a database that retention holds at a size has few of them.
//! Many are free only when a limit is set for the first time, or traffic has fallen off; then quiet turns move pages
//! from the end of the file into free ones and cut the end off, a few at a time (SQLite's `PRAGMA incremental_vacuum`).

use rusqlite::Connection;

use super::progress::Progress;
use crate::limits;
use crate::store::index::KeyIndex;
use crate::store::options::Limit;
use crate::store::rows::unsigned;

/// Pages of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    pub used: u64,
    pub free: u64,
}

fn number(db: &Connection, sql: &str) -> rusqlite::Result<u64> {
    db.prepare_cached(sql)?
        .query_row([], |row| unsigned(row, 0))
}

/// Pages of the file that are not free, the open transaction included.
pub(super) fn used_pages(db: &Connection) -> rusqlite::Result<u64> {
    let free = number(db, "PRAGMA freelist_count")?;
    Ok(number(db, "PRAGMA page_count")?.saturating_sub(free))
}

/// Gives some pages back, inside the open transaction. The file becomes shorter with the checkpoint that
/// follows.
pub(super) fn give_back(db: &Connection) -> rusqlite::Result<()> {
    let sql = format!("PRAGMA incremental_vacuum({})", limits::GIVE_BACK_PAGES);
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    // Each row is a page.
    while rows.next()?.is_some() {}
    Ok(())
}

/// The pages of the file.
pub(super) fn space(db: &Connection) -> rusqlite::Result<Space> {
    let free = number(db, "PRAGMA freelist_count")?;
    let used = number(db, "PRAGMA page_count")?.saturating_sub(free);
    Ok(Space { used, free })
}

impl Progress {
    /// Pages that the whole database may use where events are kept up to `size` bytes. Keys that are
    /// kept for longer than their events leave these a share in any case.
    pub(super) fn pages_allowed(&self, size: u64, index: Option<&KeyIndex>) -> u64 {
        let size = size / self.page_bytes;
        size.max(self.key_pages(index) + size / limits::EVENTS_SHARE)
    }

    /// About how many pages keys take.
    fn key_pages(&self, index: Option<&KeyIndex>) -> u64 {
        // Rows whose keys are in a segment take space until they are deleted.
        let in_table = (self.horizons.events + 1).saturating_sub(self.removed_keys_from);
        let (pages, row_bytes) = match index {
            Some(index) => (index.pages(), limits::SEGMENT_BYTES_PER_KEY),
            None => (0, limits::REMOVED_KEY_BYTES),
        };
        pages + in_table * row_bytes / self.page_bytes
    }

    /// Decides whether the file is to be made shorter, and warns where the keys leave the events little.
    pub(super) fn judge_space(&mut self, space: Space, index: Option<&KeyIndex>) {
        let total = space.used + space.free;
        let (spare, slack) = match self.settings.events {
            None => return,
            // What is free within the size will be used again.
            Some(Limit::Size(size)) => {
                let allowed = self.pages_allowed(size, index);
                let spare = total.saturating_sub(allowed).min(space.free);
                (spare, allowed / limits::SPARE_SHARE_OF_SIZE)
            }
            Some(Limit::Age(_)) => {
                let share = total / limits::SPARE_SHARE_OF_FILE;
                (space.free, share.min(limits::SPARE_PAGES_MAX))
            }
        };
        let slack = slack.max(limits::SPARE_PAGES_MIN);
        let most = if self.is_shrinking { slack / 2 } else { slack };
        self.is_shrinking = self.can_shrink && spare > most;
        if spare > most && !self.can_shrink && !self.warned.of_space {
            self.warned.of_space = true;
            log::info!(
                "an older version made this file: the space of what is removed is used again, \
                 but the file does not become shorter"
            );
        }
        self.judge_keys(index);
    }

    fn judge_keys(&mut self, index: Option<&KeyIndex>) {
        let Some(Limit::Size(size)) = self.settings.events else {
            return;
        };
        let pages = size / self.page_bytes;
        let keys = self.key_pages(index);
        let is_crowded = keys + pages / limits::EVENTS_SHARE > pages;
        if is_crowded && !self.warned.of_keys {
            self.warned.of_keys = true;
            log::warn!(
                "the keys take {} MB of the {} of --retain-events, and events keep a quarter of these: \
                 --retain-keys would bound the keys",
                keys * self.page_bytes / 1_000_000,
                Limit::Size(size)
            );
        }
    }
}
