//! Retention: removes the oldest events and forgets the oldest keys, in slices.
//!
//! What has been removed is always everything before a seq, the horizon. The horizon of the keys never passes that of
//! the events: the key of a stored event is known. A transaction that moves a horizon does all that belongs to it, so a
//! kill at any moment leaves a database that is right.
//!
//! While events come, this is part of the commits, before their inserts, which then use the pages that it frees; idle
//! moments do the rest, in transactions that need no fsync of their own, because nothing was promised of them.
//!
//! `unix_us` is the time that ages are counted to. The caller takes it from a clock that does not jump ahead; if it
//! goes back, what has been planned by it is planned again.

mod events;
mod future;
pub(super) mod horizons;
mod keys;
mod progress;
mod removal;
pub(super) mod removed_keys;
mod times;
mod vacuum;

use rusqlite::Connection;

use self::horizons::Horizons;
use self::progress::Progress;
use self::removal::{Budget, Context, Removal};
use self::removed_keys::RemovedKeys;
use self::vacuum::Space;
use crate::limits;
use crate::store::error::expect_changed;
use crate::store::index::fingerprint::Fingerprinter;
use crate::store::index::{KeyIndex, MergeBound};
use crate::store::options::{Limit, OpenOptions, Retention};
use crate::store::row_checksum::checksum;
use crate::store::schema::fingerprint_key;
use crate::store::topics::Topics;
use crate::store::transaction::Part;

/// What a quiet turn has to do for retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuietStep {
    Nothing,
    /// The file becomes shorter with the checkpoint that follows.
    Checkpoint,
    Shrink,
    Remove,
}

/// What retention goes by, besides its settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// The greatest seq in use.
    pub last_seq: u64,
    /// The events after this seq are held by a subscription; `None` if none does.
    pub held_after: Option<u64>,
    /// The time that ages are counted to, in microseconds since the epoch.
    pub now_us: i64,
}

/// The part of the store that removes events and lets keys expire.
pub(super) struct Pruner {
    /// Makes the fingerprints of this database.
    fingerprinter: Fingerprinter,
    committed: Progress,
    /// What the open transaction removes, if anything is ever removed.
    open: Option<Removal>,
    /// An event costs the same with either duplicate check.
    has_one_pace: bool,
    /// The rows of removed keys after this seq have not been compared with their checksums since the start; none
    /// where all have.
    unchecked_after: Option<u64>,
}

impl Pruner {
    /// Reads what has been removed, of a database whose greatest seq is `last_seq`.
    pub(super) fn load(
        db: &Connection,
        options: &OpenOptions,
        last_seq: u64,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            fingerprinter: Fingerprinter::new(fingerprint_key(db)?, options.fingerprint_bits),
            committed: Progress::load(db, options.retention, last_seq)?,
            open: None,
            has_one_pace: false,
            unchecked_after: Some(0),
        })
    }

    /// Makes the fingerprints of this database.
    pub(super) fn fingerprinter(&self) -> Fingerprinter {
        self.fingerprinter
    }

    /// What has been removed as of the last commit.
    pub(super) fn horizons(&self) -> Horizons {
        self.committed.horizons
    }

    /// After which seq the rows of removed keys have still to be compared with their checksums.
    pub(super) fn unchecked_after(&self) -> Option<u64> {
        self.unchecked_after
    }

    /// They have been compared up to a seq; none says that there are no more.
    pub(super) fn keys_checked(&mut self, up_to: Option<u64>) {
        self.unchecked_after = up_to;
    }

    /// The keys that SQLite's constraint does not know, as the open transaction has them.
    pub(super) fn removed_keys(&self) -> Option<RemovedKeys> {
        let progress = self.open.as_ref().map(|removal| removal.progress);
        RemovedKeys::new(
            self.fingerprinter,
            progress.unwrap_or(self.committed).horizons,
        )
    }

    /// What the segments that merges make may span.
    pub(super) fn merge_bound(&self) -> MergeBound {
        match self.committed.settings.keys {
            None => MergeBound::None,
            Some(Limit::Age(age)) => MergeBound::Age(age),
            Some(Limit::Size(bytes)) => MergeBound::Entries(bytes / limits::SEGMENT_BYTES_PER_KEY),
        }
    }

    /// Lets a transaction remove as many events with the check `constraint` as with `index`.
    pub(super) fn remove_at_one_pace(&mut self) {
        self.has_one_pace = true;
    }

    /// Whether anything is ever removed.
    pub(super) fn retains(&self) -> bool {
        let Retention { events, keys, .. } = self.committed.settings;
        events.is_some() || keys.is_some()
    }

    /// Whether there are more events than the setting allows because a subscription holds them.
    pub(super) fn is_held(&self) -> bool {
        self.committed.is_held
    }

    /// How many events are kept, or for how long.
    pub(super) fn events_limit(&self) -> Option<Limit> {
        self.committed.settings.events
    }

    /// When something becomes too old, in microseconds since the epoch; none if age does not count.
    pub(super) fn due(&self, last_seq: u64) -> Option<i64> {
        self.committed.due(last_seq)
    }

    /// What a quiet turn has to do.
    pub(super) fn next_step(
        &mut self,
        db: &Connection,
        index: Option<&KeyIndex>,
        standing: Standing,
    ) -> rusqlite::Result<QuietStep> {
        let progress = &mut self.committed;
        progress.see(standing.now_us);
        let space = vacuum::space(db)?;
        let was_shrinking = progress.is_shrinking;
        progress.judge_space(space, index);
        if was_shrinking && !progress.is_shrinking {
            return Ok(QuietStep::Checkpoint);
        }
        let removes = is_due(progress, space, index, standing);
        // A few free pages are soon reused while events are removed.
        let shrinks =
            progress.is_shrinking && (space.free >= limits::GIVE_BACK_FREE_PAGES || !removes);
        Ok(match (shrinks, removes) {
            (true, _) => QuietStep::Shrink,
            (false, true) => QuietStep::Remove,
            (false, false) => QuietStep::Nothing,
        })
    }

    /// Gives free pages at the end of the file back, a few.
    pub(super) fn shrink(db: &Connection) -> rusqlite::Result<()> {
        vacuum::give_back(db)
    }

    /// Removes a slice of what is due in the open transaction, which does nothing else.
    pub(super) fn prune(
        &mut self,
        db: &Connection,
        topics: &mut Topics,
        index: &mut Option<KeyIndex>,
        standing: Standing,
    ) -> rusqlite::Result<()> {
        let budget = Budget {
            rows: limits::RETAIN_ROWS_PER_SLICE / self.row_cost(index.is_some()),
            bytes: limits::RETAIN_BYTES_PER_SLICE,
            topics: limits::RETAIN_TOPICS_PER_SLICE,
            incoming: 0,
        };
        self.remove(db, topics, index, standing, budget)
    }

    /// Removes what is due in the transaction that stores `incoming`, as counts of events and bytes, before
    /// it does. Does nothing where nothing is ever removed.
    pub(super) fn prune_with_commit(
        &mut self,
        db: &Connection,
        topics: &mut Topics,
        index: &mut Option<KeyIndex>,
        standing: Standing,
        incoming: impl Iterator<Item = (usize, usize)>,
    ) -> rusqlite::Result<()> {
        if !self.retains() {
            return Ok(());
        }
        self.committed.see(standing.now_us);
        let (mut events, mut bytes) = (0, 0);
        for (of_events, of_bytes) in incoming {
            events += of_events;
            bytes += of_bytes as u64;
        }
        let many = limits::RETAIN_ROWS_PER_EVENT * events;
        let cost = self.row_cost(index.is_some());
        let budget = Budget {
            rows: many.max(limits::RETAIN_ROWS_PER_COMMIT / cost),
            bytes: limits::RETAIN_BYTES_PER_SLICE.max(limits::RETAIN_ROWS_PER_EVENT as u64 * bytes),
            topics: many.max(limits::RETAIN_TOPICS_PER_SLICE),
            incoming: bytes,
        };
        self.remove(db, topics, index, standing, budget)
    }

    /// How much more it costs to remove an event than where all of it is in the order of the seqs.
    fn row_cost(&self, has_index: bool) -> usize {
        if has_index || self.has_one_pace {
            1
        } else {
            limits::RETAIN_CONSTRAINT_COST
        }
    }

    fn remove(
        &mut self,
        db: &Connection,
        topics: &mut Topics,
        index: &mut Option<KeyIndex>,
        standing: Standing,
        budget: Budget,
    ) -> rusqlite::Result<()> {
        let mut removal = Removal {
            progress: self.committed,
            oldest_at: None,
            has_changed: false,
        };
        let mut context = Context {
            db,
            topics,
            index: index.as_ref(),
            fingerprinter: self.fingerprinter,
            last_seq: standing.last_seq,
            held_after: standing.held_after.unwrap_or(u64::MAX),
            now_us: standing.now_us,
        };
        removal.correct_times(db, standing.now_us)?;
        removal.expire_keys(&context)?;
        removal.remove_events(&mut context, budget)?;
        removal.clear_removed_keys(&context, budget.rows)?;
        if let Some(index) = index {
            index.set_horizons(removal.progress.horizons);
            removal.has_changed |= index.has_expired();
            index.drop_expired(db)?;
        }
        self.open = Some(removal);
        Ok(())
    }

    /// Whether the open transaction has removed anything.
    pub(super) fn has_removed(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|removal| removal.has_changed)
    }

    /// Writes the row of the table `retention`, where the open transaction has changed it.
    pub(super) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        let Some(removal) = self.open.as_ref().filter(|removal| removal.has_changed) else {
            return Ok(());
        };
        let Horizons {
            events,
            removed,
            keys,
        } = removal.progress.horizons;
        db.prepare_cached(
            "UPDATE retention SET events_horizon = ?1, events_removed = ?2, keys_horizon = ?3, checksum = ?4",
        )?
        .execute((
            events as i64,
            removed as i64,
            keys as i64,
            checksum(&[events, removed, keys]),
        ))
        .and_then(|changed| expect_changed(changed, 1, "retention"))
    }
}

impl Part for Pruner {
    fn committed(&mut self) {
        if let Some(removal) = self.open.take() {
            self.committed = removal.progress;
        }
    }

    fn rolled_back(&mut self) {
        self.open = None;
    }
}

/// Whether something is to be removed now. Notes whether a subscription holds what the size does not allow.
fn is_due(
    progress: &mut Progress,
    space: Space,
    index: Option<&KeyIndex>,
    standing: Standing,
) -> bool {
    let Standing {
        last_seq,
        held_after,
        now_us,
    } = standing;
    let Retention { events, keys, .. } = progress.settings;
    let horizons = progress.horizons;
    let events_due = match events {
        Some(Limit::Age(_)) => now_us >= progress.events_due,
        Some(Limit::Size(size)) => {
            let is_over = space.used > progress.pages_allowed(size, index);
            let is_held = held_after.is_some_and(|after| after <= horizons.events);
            progress.is_held = is_over && is_held && last_seq > horizons.events;
            is_over && !is_held
        }
        None => false,
    };
    let keys_due = match keys {
        Some(Limit::Age(_)) => horizons.events > horizons.keys && now_us >= progress.keys_due,
        Some(Limit::Size(size)) => progress.keys_beyond(size, index, last_seq) > horizons.keys,
        None => false,
    };
    last_seq > horizons.events && events_due
        || keys_due
        || progress.times.is_ahead(now_us)
        || index.is_some_and(KeyIndex::has_expired)
        || progress.removed_keys_from <= progress.cleared_up_to(index)
}
