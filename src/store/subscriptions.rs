//! Named subscriptions: how far a consumer has got. All of them are in memory, and each change is in the
//! table as well before anybody hears of it: it is committed with the events of its turn.

use std::collections::BTreeMap;

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
}

/// A change that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionOp {
    /// Creates a subscription, or moves it anywhere.
    Put {
        name: String,
        after: u64,
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
    /// What the open transaction has changed, as it was before, in order.
    undo: Vec<(String, Option<Position>)>,
}

impl Subscriptions {
    /// Reads the table of a database whose greatest seq is `last_seq`.
    pub(super) fn load(db: &Connection, last_seq: u64) -> rusqlite::Result<Self> {
        let mut statement = db.prepare("SELECT after, updated_at, name FROM subscriptions")?;
        let mut rows = statement.query([])?;
        let mut positions = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let position = Position {
                after: unsigned(row, 0)?,
                updated_at: row.get(1)?,
            };
            let name: String = row.get(2)?;
            if position.after > last_seq {
                return Err(damaged(format!(
                    "the subscription {name:?} is ahead of the events"
                )));
            }
            positions.insert(name, position);
        }
        Ok(Self {
            positions,
            undo: Vec::new(),
        })
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
                    self.positions.insert(name.to_owned(), position);
                    self.undo.push((name.to_owned(), before));
                }
                SubscriptionResult::Removed => {
                    let removed = db
                        .prepare_cached("DELETE FROM subscriptions WHERE name = ?1")?
                        .execute([name])?;
                    expect_changed(removed, 1, "subscriptions")?;
                    self.positions.remove(name);
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
        let moved = |after| {
            SubscriptionResult::Stands(Position {
                after,
                updated_at: now_us,
            })
        };
        match change {
            SubscriptionOp::Put { name, after } => {
                let is_new = !self.positions.contains_key(name);
                let changed = if *after > last_seq {
                    SubscriptionResult::BeyondHead(last_seq)
                } else if is_new && self.positions.len() >= SUBSCRIPTIONS_MAX {
                    SubscriptionResult::TooMany
                } else {
                    moved(*after)
                };
                (name, changed)
            }
            SubscriptionOp::Acknowledge { name, seq } => {
                let changed = match self.positions.get(name) {
                    None => SubscriptionResult::Unknown,
                    Some(_) if *seq > last_seq => SubscriptionResult::BeyondHead(last_seq),
                    Some(position) if *seq > position.after => moved(*seq),
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
            match before {
                Some(position) => self.positions.insert(name, position),
                None => self.positions.remove(&name),
            };
        }
    }
}

fn write_position(db: &Connection, name: &str, position: Position) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO subscriptions(name, after, updated_at) VALUES (?1, ?2, ?3)",
    )?
    .execute((name, position.after as i64, position.updated_at))
    .and_then(|changed| expect_changed(changed, 1, "subscriptions"))
}
