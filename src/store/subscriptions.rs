//! Named subscriptions: how far a consumer has got. All of them are in memory, and each change is in the table before
//! it is reported to anyone: it is committed with the events of its turn.
//!
//! One whose row is damaged has a name and no position, until it is put or deleted.

use std::collections::btree_map::{BTreeMap, Entry};

use rusqlite::Connection;

use super::error::{damaged, expect_changed};
use super::row_checksum::BytesState;
use super::subscription_row::{self, Position};
use super::transaction::Part;
use crate::limits::SUBSCRIPTIONS_MAX;

/// A change that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionOp {
    /// Creates a subscription, or moves it anywhere. What is `None` stays as it is; a new one needs a position.
    Put {
        name: String,
        after: Option<u64>,
        hold: Option<bool>,
    },
    /// Moves one forward, and never back.
    Acknowledge {
        name: String,
        seq: u64,
    },
    Remove {
        name: String,
    },
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionResult {
    /// The subscription has this position now.
    Stands(Position),
    Removed,
    /// There is none of this name.
    Unknown,
    /// Its row is damaged, so it has no position.
    Damaged,
    /// The seq is greater than any that is in use; this one is the greatest.
    BeyondHead(u64),
    /// There are [`SUBSCRIPTIONS_MAX`] already.
    TooMany,
}

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    At(Position),
    /// The row is damaged. One that held events holds all that there are.
    Damaged {
        holds: bool,
    },
}

impl Known {
    fn position(self) -> Option<Position> {
        match self {
            Known::At(position) => Some(position),
            Known::Damaged { .. } => None,
        }
    }

    fn holds(self) -> bool {
        match self {
            Known::At(Position { holds, .. }) | Known::Damaged { holds } => holds,
        }
    }

    /// The seq after which it holds events.
    fn held_after(self) -> Option<u64> {
        let after = self.position().map_or(0, |position| position.after);
        self.holds().then_some(after)
    }
}

/// All named subscriptions.
#[derive(Default)]
pub(super) struct Subscriptions {
    /// By name, in the order of the bytes.
    known: BTreeMap<String, Known>,
    /// How many of them are damaged.
    damaged: usize,
    /// The positions of those that hold events, and how many are at each.
    holds: BTreeMap<u64, usize>,
    /// What the open transaction has changed, as it was before, in order.
    undo: Vec<(String, Option<Known>)>,
}

impl Subscriptions {
    /// Reads the table of a database whose greatest seq is `last_seq`.
    pub(super) fn load(db: &Connection, last_seq: u64) -> rusqlite::Result<Self> {
        let mut subscriptions = Self::default();
        for row in subscription_row::read_all(db)? {
            let known = match row.state {
                BytesState::Damaged => Known::Damaged {
                    holds: row.position.holds,
                },
                BytesState::Right | BytesState::Corrected => Known::At(row.position),
            };
            let is_ahead = |position: Position| position.after > last_seq;
            if known.position().is_some_and(is_ahead) {
                return Err(damaged(format!(
                    "the subscription {:?} is ahead of the events",
                    row.shown()
                )));
            }
            subscriptions.set(&row.shown(), Some(known));
        }
        Ok(subscriptions)
    }

    /// Changes what memory holds of one. Returns what it was before.
    fn set(&mut self, name: &str, known: Option<Known>) -> Option<Known> {
        let before = match known {
            Some(known) => self.known.insert(name.to_owned(), known),
            None => self.known.remove(name),
        };
        let is_damaged = |known: &Known| known.position().is_none();
        self.damaged += usize::from(known.as_ref().is_some_and(is_damaged));
        self.damaged -= usize::from(before.as_ref().is_some_and(is_damaged));
        if let Some(after) = before.and_then(Known::held_after) {
            if let Entry::Occupied(mut held) = self.holds.entry(after) {
                *held.get_mut() -= 1;
                if *held.get() == 0 {
                    held.remove();
                }
            }
        }
        if let Some(after) = known.and_then(Known::held_after) {
            *self.holds.entry(after).or_default() += 1;
        }
        before
    }

    /// The seq after which retention removes nothing; `None` if no subscription holds events.
    pub(super) fn held_after(&self) -> Option<u64> {
        self.holds.first_key_value().map(|(after, _)| *after)
    }

    /// The first subscription that holds events after this seq.
    pub(super) fn holder(&self, after: u64) -> Option<&str> {
        let mut all = self.known.iter();
        let held = all.find(|(_, known)| known.held_after() == Some(after));
        held.map(|(name, _)| name.as_str())
    }

    /// All that have a position, in the order of their names' bytes.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Position)> {
        let named = self.known.iter();
        named.filter_map(|(name, known)| Some((name.as_str(), known.position()?)))
    }

    /// How many have a position.
    pub(super) fn len(&self) -> usize {
        self.known.len() - self.damaged
    }

    /// The names of those whose rows are damaged, in the order of their bytes.
    pub(super) fn damaged(&self) -> impl Iterator<Item = &str> {
        // Usually there is none, and `/health` asks often.
        let all = (self.damaged > 0).then_some(&self.known);
        let damaged = all
            .into_iter()
            .flatten()
            .filter(|(_, known)| known.position().is_none());
        damaged.map(|(name, _)| name.as_str())
    }

    /// The position of a subscription, if there is one of this name.
    pub(super) fn get(&self, name: &str) -> Option<Position> {
        self.known.get(name)?.position()
    }

    /// Whether the row of a subscription is damaged.
    pub(super) fn is_damaged(&self, name: &str) -> bool {
        matches!(self.known.get(name), Some(Known::Damaged { .. }))
    }

    /// Makes the changes in the open transaction, in order, where `last_seq` is the greatest seq that it
    /// will have given.
    pub(super) fn change(
        &mut self,
        db: &Connection,
        changes: &[SubscriptionOp],
        last_seq: u64,
        now_us: i64,
    ) -> rusqlite::Result<Vec<SubscriptionResult>> {
        let mut done = Vec::with_capacity(changes.len());
        for change in changes {
            let (name, changed) = self.decide(change, last_seq, now_us);
            match changed {
                SubscriptionResult::Stands(position) if self.get(name) != Some(position) => {
                    let written = subscription_row::write(db, name, position)?;
                    expect_changed(written, 1, "subscriptions")?;
                    let before = self.set(name, Some(Known::At(position)));
                    self.undo.push((name.to_owned(), before));
                }
                SubscriptionResult::Removed => {
                    let removed = db
                        .prepare_cached("DELETE FROM subscriptions WHERE name = ?1")?
                        .execute([name])?;
                    expect_changed(removed, 1, "subscriptions")?;
                    let before = self.set(name, None);
                    self.undo.push((name.to_owned(), before));
                }
                _ => {}
            }
            done.push(changed);
        }
        Ok(done)
    }

    fn decide<'c>(
        &self,
        change: &'c SubscriptionOp,
        last_seq: u64,
        now_us: i64,
    ) -> (&'c str, SubscriptionResult) {
        let stands = |after, holds| {
            SubscriptionResult::Stands(Position {
                after,
                updated_at: now_us,
                holds,
            })
        };
        match change {
            SubscriptionOp::Put { name, after, hold } => {
                let before = self.known.get(name).copied();
                let holds = hold.unwrap_or(before.is_some_and(Known::holds));
                let stored = before.and_then(Known::position);
                let changed = match after.or(stored.map(|position| position.after)) {
                    None if before.is_some() => SubscriptionResult::Damaged,
                    None => SubscriptionResult::Unknown,
                    Some(after) if after > last_seq => SubscriptionResult::BeyondHead(last_seq),
                    Some(_) if before.is_none() && self.known.len() >= SUBSCRIPTIONS_MAX => {
                        SubscriptionResult::TooMany
                    }
                    Some(after) => stands(after, holds),
                };
                (name, changed)
            }
            SubscriptionOp::Acknowledge { name, seq } => {
                let changed = match self.known.get(name) {
                    None => SubscriptionResult::Unknown,
                    Some(Known::Damaged { .. }) => SubscriptionResult::Damaged,
                    Some(_) if *seq > last_seq => SubscriptionResult::BeyondHead(last_seq),
                    Some(Known::At(position)) if *seq > position.after => {
                        stands(*seq, position.holds)
                    }
                    Some(Known::At(position)) => SubscriptionResult::Stands(*position),
                };
                (name, changed)
            }
            SubscriptionOp::Remove { name } => {
                let known = self.known.contains_key(name);
                let changed = if known {
                    SubscriptionResult::Removed
                } else {
                    SubscriptionResult::Unknown
                };
                (name, changed)
            }
        }
    }
}

impl Part for Subscriptions {
    fn committed(&mut self) {
        self.undo.clear();
    }

    fn rolled_back(&mut self) {
        while let Some((name, before)) = self.undo.pop() {
            self.set(&name, before);
        }
    }
}
