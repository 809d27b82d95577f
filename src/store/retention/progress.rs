//! How far retention has come, and what it knows between two slices.

use rusqlite::Connection;

use super::horizons::Horizons;
use super::times::{Ahead, Times};
use crate::limits;
use crate::store::error::damaged;
use crate::store::options::{Limit, Retention};
use crate::store::rows::unsigned;

/// The state of retention. A transaction works on a copy, which takes its place once it is committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub settings: Retention,
    pub horizons: Horizons,
    /// When the oldest event, and the oldest key of one that has been removed, may be too old, in
    /// microseconds since the epoch.
    pub events_due: i64,
    pub keys_due: i64,
    /// The time of the last check.
    pub seen_at: i64,
    /// Events that are dated ahead of the clock.
    pub ahead: Option<Ahead>,
    pub times: Times,
    /// The table `removed_keys` has no row before this seq.
    pub removed_keys_from: u64,
    pub page_bytes: u64,
    /// Whether the file has the map of its pages that shrinking it needs.
    pub can_shrink: bool,
    pub is_shrinking: bool,
    /// There are more events than the setting allows, because a subscription holds them.
    pub is_held: bool,
    pub warned: Warned,
}

/// What has been logged, each once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Warned {
    /// There are times ahead of the clock.
    pub of_times: bool,
    /// The keys leave the events less than their share.
    pub of_keys: bool,
    /// The file cannot be made shorter.
    pub of_space: bool,
}

impl Progress {
    /// Reads what has been removed, of a database whose greatest seq is `last_seq`.
    pub(super) fn load(
        db: &Connection,
        settings: Retention,
        last_seq: u64,
    ) -> rusqlite::Result<Self> {
        let horizons = Horizons::load(db)?;
        let oldest = "SELECT ifnull(min(seq), 0) FROM events";
        let oldest: i64 = db.query_row(oldest, [], |row| row.get(0))?;
        let are_sound = horizons.keys <= horizons.events
            && horizons.events <= last_seq
            && horizons.removed <= horizons.events
            && (oldest == 0 || oldest > horizons.events as i64);
        if !are_sound {
            return Err(damaged(
                "the table retention does not agree with the events",
            ));
        }
        let number = |sql: &str| db.query_row(sql, [], |row| unsigned(row, 0));
        let first = "SELECT min(seq) FROM removed_keys";
        let first: Option<i64> = db.query_row(first, [], |row| row.get(0))?;
        Ok(Self {
            settings,
            horizons,
            events_due: i64::MIN,
            keys_due: i64::MIN,
            seen_at: i64::MIN,
            ahead: None,
            times: Times::load(db, horizons, settings.keys)?,
            removed_keys_from: first.map_or(horizons.events + 1, |seq| seq as u64),
            page_bytes: number("PRAGMA page_size")?.max(1),
            can_shrink: number("PRAGMA auto_vacuum")? == 2,
            is_shrinking: false,
            is_held: false,
            warned: Warned::default(),
        })
    }
}

/// How much older than `age` something may become before it is looked for, so that events are not checked one by one.
pub(super) fn pause(age: i64) -> i64 {
    limits::RETAIN_PAUSE_US.min(age / 8)
}

impl Progress {
    /// When something becomes too old, in microseconds since the epoch; none if age does not count.
    pub(super) fn due(&self, last_seq: u64) -> Option<i64> {
        let Retention { events, keys, .. } = self.settings;
        let has_age = |limit| matches!(limit, Some(Limit::Age(_)));
        let has_events = last_seq > self.horizons.events;
        let has_keys = self.horizons.events > self.horizons.keys;
        let events = (has_age(events) && has_events).then_some(self.events_due);
        let keys = (has_age(keys) && has_keys).then_some(self.keys_due);
        [events, keys].into_iter().flatten().min()
    }
}
