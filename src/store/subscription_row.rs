//! The rows of the table `subscriptions`, each with a checksum. A position with a flipped bit would lose events for its
//! consumer, or repeat them, so a row whose checksum is wrong has no position.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::row_checksum::{checksum_of_bytes, judge_bytes, BytesState};
use crate::event::name_error;

/// The position of a named subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The seq of the last event that its consumer is done with; 0 for none.
    pub after: u64,
    /// Microseconds since the epoch.
    pub updated_at: i64,
    /// Retention removes no event after it.
    pub holds: bool,
}

/// A row as it was read, with one flipped bit corrected.
pub(super) struct SubscriptionRow {
    /// UTF-8 unless it is damaged.
    pub(super) name: Vec<u8>,
    pub(super) position: Position,
    pub(super) state: BytesState,
}

impl SubscriptionRow {
    /// The name for the log.
    pub(super) fn shown(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }
}

/// All rows.
pub(super) fn read_all(db: &Connection) -> rusqlite::Result<Vec<SubscriptionRow>> {
    let sql = "SELECT CAST(name AS BLOB), after, updated_at, hold, checksum FROM subscriptions";
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([], read)?;
    rows.collect()
}

/// Writes a position.
pub(super) fn write(db: &Connection, name: &str, position: Position) -> rusqlite::Result<usize> {
    let Position {
        after,
        updated_at,
        holds,
    } = position;
    let checksum = checksum_of_bytes(&bytes_of(name.as_bytes(), position));
    db.prepare_cached(
        "INSERT OR REPLACE INTO subscriptions(name, after, updated_at, hold, checksum) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((name, after.cast_signed(), updated_at, holds, checksum))
}

/// Gives all rows their checksums.
pub(super) fn seal(db: &Connection) -> rusqlite::Result<()> {
    for row in read_all(db)? {
        if let Ok(name) = std::str::from_utf8(&row.name) {
            write(db, name, row.position)?;
        }
    }
    Ok(())
}

/// Corrects rows with a flipped bit, inside the open transaction. One with more damage is kept as long as its name is
/// legal: it says that the subscription has to be put again.
pub(super) fn repair(db: &Connection) -> rusqlite::Result<()> {
    let rows = read_all(db)?;
    if rows.iter().all(|row| row.state == BytesState::Right) {
        return Ok(());
    }
    // With a wrong name a row is in a wrong place, so all are written again: those that are damaged first, since
    // another one may have their name.
    db.execute("DELETE FROM subscriptions", [])?;
    for row in rows.iter().filter(|row| row.state == BytesState::Damaged) {
        let name = std::str::from_utf8(&row.name).ok();
        match name.filter(|name| name_error(name).is_none()) {
            Some(name) => {
                log::error!(
                    "the subscription {name:?} is damaged and has no position any more: PUT it again"
                );
                let sql = "INSERT INTO subscriptions(name, after, updated_at, hold) VALUES (?1, 0, 0, ?2)";
                db.execute(sql, (name, row.position.holds))?;
            }
            None => log::error!(
                "a subscription is damaged and lost, also its name, which is now {:?}",
                row.shown()
            ),
        }
    }
    for row in rows.iter().filter(|row| row.state != BytesState::Damaged) {
        if row.state == BytesState::Corrected {
            log::error!("a flipped bit in a row of the table subscriptions has been corrected");
        }
        if let Ok(name) = std::str::from_utf8(&row.name) {
            write(db, name, row.position)?;
        }
    }
    Ok(())
}

fn read(row: &Row) -> rusqlite::Result<SubscriptionRow> {
    let name = row.get_ref(0)?.as_bytes()?.to_vec();
    let number = |at| match row.get_ref(at) {
        Ok(ValueRef::Integer(number)) => Some(number),
        _ => None,
    };
    let hold = number(3);
    let found = match (number(1), number(2), hold) {
        (Some(after), Some(updated_at), Some(hold)) => [after, updated_at, hold],
        _ => {
            return Ok(SubscriptionRow {
                name,
                position: position([0, 0, hold.unwrap_or(0)]),
                state: BytesState::Damaged,
            })
        }
    };
    let mut bytes = bytes_of_numbers(&name, found);
    let state = judge_bytes(&mut bytes, row.get_ref(4)?);
    let (numbers, name) = parse(&bytes).unwrap_or((found, &name));
    Ok(SubscriptionRow {
        name: name.to_vec(),
        position: position(numbers),
        state,
    })
}

fn position([after, updated_at, hold]: [i64; 3]) -> Position {
    Position {
        after: after.cast_unsigned(),
        updated_at,
        holds: hold != 0,
    }
}

/// What the checksum is over.
fn bytes_of(name: &[u8], position: Position) -> Vec<u8> {
    let Position {
        after,
        updated_at,
        holds,
    } = position;
    bytes_of_numbers(name, [after.cast_signed(), updated_at, holds.into()])
}

fn bytes_of_numbers(name: &[u8], numbers: [i64; 3]) -> Vec<u8> {
    let mut bytes: Vec<u8> = numbers.into_iter().flat_map(i64::to_be_bytes).collect();
    bytes.extend_from_slice(name);
    bytes
}

fn parse(bytes: &[u8]) -> Option<([i64; 3], &[u8])> {
    let (numbers, name) = bytes.split_first_chunk::<24>()?;
    let number = |at: usize| {
        let (number, _) = numbers.get(8 * at..)?.split_first_chunk()?;
        Some(i64::from_be_bytes(*number))
    };
    Some(([number(0)?, number(1)?, number(2)?], name))
}
