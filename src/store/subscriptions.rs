//! Named subscriptions: how far a consumer has got. All of them are in memory, and each change is in the
//! table as well before anybody hears of it: it is committed with the events of its turn.

use std::collections::btree_map::{BTreeMap, Entry};

use rusqlite::Connection;

use super::error::{damaged, expect_changed};
use super::rows::unsigned;
use super::transaction::Part;
use crate::limits::SUBSCRIPTIONS_MAX;

/// Where a named subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The seq of the last event that its consumer is done with; 0 for none.
    pub after: u64,
    /// Microseconds since the epoch.
    pub updated_at: i64,
    /// Retention removes no event after it.
    pub holds: bool,
}

/// A change that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionOp {
    /// Creates a subscription, or moves it anywhere. What is none stays as it is; a new one needs a position.
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
    /// The subscription stands here now.
    Stands(Position),
    Removed,
    /// There is none of this name.
    Unknown,
    /// The seq is greater than any that is in use; this one is the greatest.
    BeyondHead(u64),
    /// There are [`SUBSCRIPTIONS_MAX`] already.
    TooMany,
}

/// All named subscriptions.
#[derive(Default)]
pub(super) struct Subscriptions {
    /// By name, in the order of the bytes.
    positions: BTreeMap<String, Position>,
    /// Where those stand that hold events, and how many at each place.
    holds: BTreeMap<u64, usize>,
    /// What the open transaction has changed, as it was before, in order.
    undo: Vec<(String, Option<Position>)>,
}

impl Subscriptions {
    /// Reads the table of a database whose greatest seq is `last_seq`.
    pub(super) fn load(db: &Connection, last_seq: u64) -> rusqlite::Result<Self> {
        let mut statement =
            db.prepare("SELECT after, updated_at, name, hold FROM subscriptions")?;
        let mut rows = statement.query([])?;
        let mut subscriptions = Self::default();
        while let Some(row) = rows.next()? {
            let position = Position {
                after: unsigned(row, 0)?,
                updated_at: row.get(1)?,
                holds: row.get::<_, i64>(3)? != 0,
            };
            let name: String = row.get(2)?;
            if position.after > last_seq {
                return Err(damaged(format!(
                    "the subscription {name:?} is ahead of the events"
                )));
            }
            subscriptions.set(&name, Some(position));
        }
        Ok(subscriptions)
    }

    /// Changes what memory holds of one.
    fn set(&mut self, name: &str, position: Option<Position>) {
        let before = match position {
            Some(position) => self.positions.insert(name.to_owned(), position),
            None => self.positions.remove(name),
        };
        if let Some(Position {
            after, holds: true, ..
        }) = before
        {
            if let Entry::Occupied(mut held) = self.holds.entry(after) {
                *held.get_mut() -= 1;
                if *held.get() == 0 {
                    held.remove();
                }
            }
        }
        if let Some(Position {
            after, holds: true, ..
        }) = position
        {
            *self.holds.entry(after).or_default() += 1;
        }
    }

    /// The seq after which retention removes nothing; none where no subscription holds events.
    pub(super) fn held_after(&self) -> Option<u64> {
        self.holds.first_key_value().map(|(after, _)| *after)
    }

    /// The first subscription that holds events after this seq.
    pub(super) fn holder(&self, after: u64) -> Option<&str> {
        let mut all = self.all();
        let held = all.find(|(_, position)| position.holds && position.after == after);
        held.map(|(name, _)| name)
    }

    /// All of them in the order of their names' bytes.
    pub(super) fn all(&self) -> impl ExactSizeIterator<Item = (&str, Position)> {
        let named = self.positions.iter();
        named.map(|(name, position)| (name.as_str(), *position))
    }

    /// Where a subscription stands, if there is one of this name.
    pub(super) fn get(&self, name: &str) -> Option<Position> {
        self.positions.get(name).copied()
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
            let before = self.get(name);
            match changed {
                SubscriptionResult::Stands(position) if before != Some(position) => {
                    write_position(db, name, position)?;
                    self.set(name, Some(position));
                    self.undo.push((name.to_owned(), before));
                }
                SubscriptionResult::Removed => {
                    let removed = db
                        .prepare_cached("DELETE FROM subscriptions WHERE name = ?1")?
                        .execute([name])?;
                    expect_changed(removed, 1, "subscriptions")?;
                    self.set(name, None);
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
                let before = self.positions.get(name);
                let holds = hold.unwrap_or(before.is_some_and(|position| position.holds));
                let changed = match after.or(before.map(|position| position.after)) {
                    None => SubscriptionResult::Unknown,
                    Some(after) if after > last_seq => SubscriptionResult::BeyondHead(last_seq),
                    Some(_) if before.is_none() && self.positions.len() >= SUBSCRIPTIONS_MAX => {
                        SubscriptionResult::TooMany
                    }
                    Some(after) => stands(after, holds),
                };
                (name, changed)
            }
            SubscriptionOp::Acknowledge { name, seq } => {
                let changed = match self.positions.get(name) {
                    None => SubscriptionResult::Unknown,
                    Some(_) if *seq > last_seq => SubscriptionResult::BeyondHead(last_seq),
                    Some(position) if *seq > position.after => stands(*seq, position.holds),
                    Some(position) => SubscriptionResult::Stands(*position),
                };
                (name, changed)
            }
            SubscriptionOp::Remove { name } => {
                let known = self.positions.contains_key(name);
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

fn write_position(db: &Connection, name: &str, position: Position) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO subscriptions(name, after, updated_at, hold) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((
        name,
        position.after as i64,
        position.updated_at,
        position.holds,
    ))
    .and_then(|changed| expect_changed(changed, 1, "subscriptions"))
}
