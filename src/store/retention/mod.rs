//! Retention: removes the oldest events and forgets the oldest keys, in slices.
//!
//! What has gone is always what stands in front of a seq, the horizon. The horizon of the keys never
//! passes that of the events: the key of a stored event is known. A transaction that moves a horizon
//! does all that belongs to it, so a kill at any moment leaves a database that is right.
//!
//! While events come, this rides along with the commits, in front of their inserts, which then take the
//! pages that it frees; idle moments do the rest, in transactions that need no fsync of their own:
//! nothing was promised of them.
//!
//! `unix_us` is the time that ages are counted to. The caller takes it from a clock that does not jump
//! ahead; where it goes back, what has been planned by it is planned again.

mod events;
mod future;
pub(super) mod horizons;
pub(super) mod keys;
mod times;
mod vacuum;

use std::collections::BTreeMap;

use future::Ahead;
use rusqlite::Connection;
use times::Times;

use crate::limits;
use crate::store::error::{damaged, expect_changed, StoreError};
use crate::store::index::MergeBound;
use crate::store::maintenance::{write_topic, CheckpointPlan};
use crate::store::options::{Limit, Retention};
use crate::store::retention::horizons::Horizons;
use crate::store::rows::unsigned;
use crate::store::state::Store;
use crate::store::topics::topic::TopicId;
use crate::store::topics::Topics;

/// What has to be known between two slices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retainer {
    retention: Retention,
    /// When the oldest event, and the oldest key of one that has been removed, may be too old, in
    /// microseconds since the epoch.
    events_due: i64,
    keys_due: i64,
    /// The time that the last look was taken at.
    seen_at: i64,
    /// Events that are dated ahead of the clock.
    ahead: Option<Ahead>,
    /// The log has been told that there are such times.
    has_told_of_times: bool,
    times: Times,
    /// The table `removed_keys` has no row in front of this seq.
    removed_keys_from: u64,
    page_bytes: u64,
    /// Whether the file has the map of its pages that giving some back needs.
    can_give_back: bool,
    is_giving_back: bool,
    /// The log has been told that the keys leave the events less than their share.
    has_told_of_keys: bool,
    /// The log has been told that space cannot be given back.
    has_told_of_space: bool,
    /// An event counts the same with either check.
    has_one_pace: bool,
}

impl Retainer {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            retention,
            events_due: i64::MIN,
            keys_due: i64::MIN,
            seen_at: i64::MIN,
            ahead: None,
            has_told_of_times: false,
            times: Times::default(),
            removed_keys_from: 0,
            page_bytes: 1,
            can_give_back: false,
            is_giving_back: false,
            has_told_of_keys: false,
            has_told_of_space: false,
            has_one_pace: false,
        }
    }
}

/// How much a transaction may let go.
#[derive(Clone, Copy, Debug)]
struct Budget {
    rows: usize,
    bytes: u64,
    /// Topics whose counts change.
    topics: usize,
    /// Bytes that the transaction will bring.
    incoming: u64,
}

impl Budget {
    fn has_room(&self) -> bool {
        self.rows > 0 && self.bytes > 0 && self.topics > 0
    }
}

/// What the open transaction lets go.
pub(super) struct Removal {
    horizons: Horizons,
    retainer: Retainer,
    /// When the first of the events was processed that it removes.
    oldest_at: Option<i64>,
    /// Events that it removes of each topic.
    topics: BTreeMap<TopicId, u64>,
    /// Whether it has written anything.
    pub has_changed: bool,
}

impl Removal {
    pub(super) fn horizons(&self) -> Horizons {
        self.horizons
    }
}

impl Store {
    /// Reads what has been let go.
    pub(super) fn load_retention(&mut self) -> rusqlite::Result<()> {
        let horizons = Horizons::load(&self.db)?;
        let oldest = "SELECT ifnull(min(seq), 0) FROM events";
        let oldest: i64 = self.db.query_row(oldest, [], |row| row.get(0))?;
        let are_sound = horizons.keys <= horizons.events
            && horizons.events <= self.last_seq
            && horizons.removed <= horizons.events
            && (oldest == 0 || oldest > horizons.events as i64);
        if !are_sound {
            return Err(damaged(
                "the table retention does not agree with the events",
            ));
        }
        self.horizons = horizons;
        let mut retainer = Retainer::new(self.options.retention);
        retainer.times = Times::load(&self.db, horizons, retainer.retention.keys)?;
        let number = |sql: &str| self.db.query_row(sql, [], |row| unsigned(row, 0));
        retainer.page_bytes = number("PRAGMA page_size")?.max(1);
        retainer.can_give_back = number("PRAGMA auto_vacuum")? == 2;
        let first: Option<i64> =
            self.db
                .query_row("SELECT min(seq) FROM removed_keys", [], |row| row.get(0))?;
        retainer.removed_keys_from = first.map_or(horizons.events + 1, |seq| seq as u64);
        self.retainer = retainer;
        Ok(())
    }

    /// What the segments that merges make may span.
    pub(super) fn merge_bound(&self) -> MergeBound {
        match self.options.retention.keys {
            None => MergeBound::None,
            Some(Limit::Age(age)) => MergeBound::Age(age),
            Some(Limit::Size(bytes)) => MergeBound::Entries(bytes / limits::SEGMENT_BYTES_PER_KEY),
        }
    }

    /// Lets a transaction remove as many events with the check `constraint` as with `index`, until the
    /// database is opened anew: for tests that compare the two.
    pub fn remove_at_one_pace(&mut self) {
        self.retainer.has_one_pace = true;
    }

    /// Whether anything is ever let go.
    pub fn retains(&self) -> bool {
        self.retainer.retention != Retention::default()
    }

    /// When something becomes too old, in microseconds since the epoch; none where age does not count.
    pub fn retention_due(&self) -> Option<i64> {
        let Retention { events, keys } = self.retainer.retention;
        let has_age = |limit| matches!(limit, Some(Limit::Age(_)));
        let has_events = self.last_seq > self.horizons.events;
        let has_keys = self.horizons.events > self.horizons.keys;
        let events = (has_age(events) && has_events).then_some(self.retainer.events_due);
        let keys = (has_age(keys) && has_keys).then_some(self.retainer.keys_due);
        [events, keys].into_iter().flatten().min()
    }

    /// One slice, of a few milliseconds, of what retention has to do in a quiet turn. Says whether there
    /// may be more.
    pub fn retain(&mut self, unix_us: i64) -> Result<bool, StoreError> {
        if !self.retains() {
            return Ok(false);
        }
        // Before anything is planned: the database may be opened again in here.
        self.settle_log()?;
        self.retainer.see(unix_us);
        let space = self.space()?;
        let was_giving_back = self.retainer.is_giving_back;
        self.judge_space(space);
        if was_giving_back && !self.retainer.is_giving_back {
            // Only a checkpoint makes the file itself shorter.
            self.checkpoint_plan = CheckpointPlan::default();
            return Ok(true);
        }
        let removes = self.is_due(space, unix_us);
        // Pages that are given back while few are free are found soon.
        let gives_back = self.retainer.is_giving_back
            && (space.free >= limits::GIVE_BACK_FREE_PAGES || !removes);
        if !removes && !gives_back {
            return Ok(false);
        }
        if gives_back {
            self.in_lazy_transaction(|store| vacuum::give_back(&store.db))?;
            return Ok(true);
        }
        let budget = Budget {
            rows: limits::RETAIN_ROWS_PER_SLICE / self.row_cost(),
            bytes: limits::RETAIN_BYTES_PER_SLICE,
            topics: limits::RETAIN_TOPICS_PER_SLICE,
            incoming: 0,
        };
        let result = self.in_lazy_transaction(|store| {
            let removal = store.let_go(unix_us, budget)?;
            write_removal(&store.db, &store.topics, &removal)?;
            Ok(removal)
        });
        match result {
            Ok(removal) => {
                if let Some(keys) = &mut self.keys {
                    keys.committed();
                }
                self.removal_committed(removal);
                Ok(true)
            }
            Err(error) => {
                if let Some(keys) = &mut self.keys {
                    keys.rolled_back();
                }
                self.removal_rolled_back();
                Err(error)
            }
        }
    }

    /// What rides along with a commit of these events, in front of them. None where nothing is ever let
    /// go.
    pub(super) fn let_go_along(
        &mut self,
        incoming: impl Iterator<Item = (usize, usize)>,
        unix_us: i64,
    ) -> rusqlite::Result<Option<Removal>> {
        if !self.retains() {
            return Ok(None);
        }
        self.retainer.see(unix_us);
        let (mut events, mut bytes) = (0, 0);
        for (of_events, of_bytes) in incoming {
            events += of_events;
            bytes += of_bytes as u64;
        }
        let many = limits::RETAIN_ROWS_PER_EVENT * events;
        let budget = Budget {
            rows: many.max(limits::RETAIN_ROWS_PER_COMMIT / self.row_cost()),
            bytes: limits::RETAIN_BYTES_PER_SLICE.max(limits::RETAIN_ROWS_PER_EVENT as u64 * bytes),
            topics: many.max(limits::RETAIN_TOPICS_PER_SLICE),
            incoming: bytes,
        };
        self.let_go(unix_us, budget).map(Some)
    }

    /// How much dearer it is to remove an event than where all of it stands in the order of the seqs.
    fn row_cost(&self) -> usize {
        if self.keys.is_some() || self.retainer.has_one_pace {
            1
        } else {
            limits::RETAIN_CONSTRAINT_COST
        }
    }

    /// Lets go what is due, inside the open transaction.
    fn let_go(&mut self, unix_us: i64, budget: Budget) -> rusqlite::Result<Removal> {
        let mut removal = Removal {
            horizons: self.horizons,
            retainer: self.retainer,
            oldest_at: None,
            topics: BTreeMap::new(),
            has_changed: false,
        };
        removal.correct_times(&self.db, unix_us)?;
        self.forget_keys(&mut removal, unix_us)?;
        self.remove_events(&mut removal, unix_us, budget)?;
        self.clear_removed_keys(&mut removal, budget.rows)?;
        if let Some(keys) = &mut self.keys {
            keys.set_horizons(removal.horizons);
            removal.has_changed |= keys.has_expired();
            keys.drop_expired(&self.db)?;
        }
        Ok(removal)
    }

    /// The transaction has been committed.
    pub(super) fn removal_committed(&mut self, removal: Removal) {
        self.horizons = removal.horizons;
        self.retainer = removal.retainer;
        for (topic, events) in removal.topics {
            self.topics.remove(topic, events);
        }
    }

    /// The transaction has failed.
    pub(super) fn removal_rolled_back(&mut self) {
        if let Some(keys) = &mut self.keys {
            keys.set_horizons(self.horizons);
        }
    }

    /// Whether something is to be let go now.
    fn is_due(&self, space: vacuum::Space, unix_us: i64) -> bool {
        let Retention { events, keys } = self.retainer.retention;
        let has_events = self.last_seq > self.horizons.events;
        let events_due = match events {
            Some(Limit::Age(_)) => unix_us >= self.retainer.events_due,
            Some(Limit::Size(size)) => space.used > self.pages_allowed(size, self.horizons),
            None => false,
        };
        let keys_due = match keys {
            Some(Limit::Age(_)) => {
                self.horizons.events > self.horizons.keys && unix_us >= self.retainer.keys_due
            }
            Some(Limit::Size(size)) => self.keys_beyond(size, self.horizons) > self.horizons.keys,
            None => false,
        };
        has_events && events_due
            || keys_due
            || self.retainer.times.is_ahead(unix_us)
            || self.keys.as_ref().is_some_and(|keys| keys.has_expired())
            || self.retainer.removed_keys_from <= self.cleared_up_to(self.horizons)
    }
}

/// How much older than `age` something may become before it is looked for: not each for itself.
fn pause(age: i64) -> i64 {
    limits::RETAIN_PAUSE_US.min(age / 8)
}

/// Writes what a removal means for the tables, at the end of its transaction: behind whatever else
/// writes the counts of topics.
pub(super) fn write_removal(
    db: &Connection,
    topics: &Topics,
    removal: &Removal,
) -> rusqlite::Result<()> {
    if !removal.has_changed {
        return Ok(());
    }
    for (id, removed) in &removal.topics {
        let mut topic = topics.get(*id).clone();
        topic.events = topic.events.saturating_sub(*removed);
        write_topic(db, *id, &topic)?;
    }
    let Horizons {
        events,
        removed,
        keys,
    } = removal.horizons;
    db.prepare_cached(
        "UPDATE retention SET events_horizon = ?1, events_removed = ?2, keys_horizon = ?3",
    )?
    .execute((events as i64, removed as i64, keys as i64))
    .and_then(|changed| expect_changed(changed, 1, "retention"))
}
