//! How far the keys of removed events have expired, and which rows of `removed_keys` are not needed.

use rusqlite::OptionalExtension;

use super::progress::{pause, Progress};
use super::removal::{Context, Removal};
use super::times::processed_by;
use crate::limits;
use crate::store::index::KeyIndex;
use crate::store::options::Limit;

impl Progress {
    /// The horizon of the keys at which they take about `size` bytes.
    pub(super) fn keys_beyond(&self, size: u64, index: Option<&KeyIndex>, last_seq: u64) -> u64 {
        let beyond = match index {
            Some(index) => index
                .surplus(size / self.page_bytes, self.horizons.events)
                .unwrap_or(0),
            None => {
                let kept = size / limits::REMOVED_KEY_BYTES;
                last_seq.saturating_sub(kept).min(self.horizons.events)
            }
        };
        beyond.max(self.horizons.keys)
    }

    /// The rows of the table up to this seq are not needed: expired, or in a segment.
    pub(super) fn cleared_up_to(&self, index: Option<&KeyIndex>) -> u64 {
        let in_segments = |index: &KeyIndex| index.mark().min(index.removable_up_to());
        index.map_or(0, in_segments).max(self.horizons.keys)
    }
}

impl Removal {
    /// Moves the horizon of the keys as far as that is due.
    pub(super) fn expire_keys(&mut self, context: &Context) -> rusqlite::Result<()> {
        let progress = &mut self.progress;
        let before = progress.horizons.keys;
        let horizon = match progress.settings.keys {
            None => return Ok(()),
            Some(Limit::Age(age)) => {
                if context.now_us < progress.keys_due || progress.horizons.events == before {
                    return Ok(());
                }
                let found = processed_by(context.db, context.now_us - age)?;
                if !found.has_more {
                    let next = found.next_at.map(|at| at.saturating_add(age + pause(age)));
                    progress.keys_due = next.unwrap_or(i64::MAX);
                }
                found.last_seq.unwrap_or(before)
            }
            Some(Limit::Size(size)) => progress.keys_beyond(size, context.index, context.last_seq),
        };
        if horizon > before {
            progress.horizons.keys = horizon;
            progress.times.expire(context.db, horizon)?;
            self.has_changed = true;
        }
        Ok(())
    }

    /// Deletes rows of the table that are not needed, at most `rows` of them.
    pub(super) fn clear_removed_keys(
        &mut self,
        context: &Context,
        rows: usize,
    ) -> rusqlite::Result<()> {
        let until = self.progress.cleared_up_to(context.index);
        if self.progress.removed_keys_from > until {
            return Ok(());
        }
        let first = context
            .db
            .prepare_cached("SELECT seq FROM removed_keys ORDER BY seq LIMIT 1")?
            .query_row([], |row| Ok(row.get::<_, i64>(0)? as u64))
            .optional()?;
        let Some(first) = first.filter(|first| *first <= until) else {
            self.progress.removed_keys_from = until + 1;
            return Ok(());
        };
        let last = until.min(first + rows as u64);
        context
            .db
            .prepare_cached("DELETE FROM removed_keys WHERE seq <= ?1")?
            .execute([last as i64])?;
        self.progress.removed_keys_from = last + 1;
        self.has_changed = true;
        Ok(())
    }
}
