//! Rows of the small tables whose checksums are wrong are corrected at the start, before anything is read from them:
//! one flipped bit of any, and otherwise what follows from the other tables. If nothing does, the start is refused.

use rusqlite::{Connection, OptionalExtension, Row};

use super::error::damaged;
use super::row_checksum::{checksum, judge, RowState};
use super::rows::{key_numbers, numbers_key};
use super::subscription_row;

/// The rows that have checksums: their numbers, and the checksum of these.
pub(super) const COUNTERS: &str =
    "SELECT last_seq, unique_processed, duplicate_dropped, conflicts, checksum FROM counters";
pub(super) const MARK: &str = "SELECT topics_mark, mark_checksum FROM counters";
pub(super) const HORIZONS: &str =
    "SELECT events_horizon, events_removed, keys_horizon, checksum FROM retention";
pub(super) const TIMES: &str =
    "SELECT last_seq, processed_at, checksum FROM removed_times ORDER BY last_seq";
pub(super) const REMOVED_KEYS: &str =
    "SELECT seq, fingerprint, event_hash, checksum FROM removed_keys \
     WHERE seq > ?1 ORDER BY seq LIMIT ?2";

/// Reads a row of numbers, which are followed by their checksum.
pub(super) fn numbers<const N: usize>(row: &Row) -> rusqlite::Result<([u64; N], RowState<N>)> {
    let mut numbers = [0; N];
    for (at, number) in numbers.iter_mut().enumerate() {
        *number = row.get::<_, i64>(at)?.cast_unsigned();
    }
    Ok((numbers, judge(numbers, row.get_ref(N)?)))
}

/// Reads a row of [`REMOVED_KEYS`].
pub(super) fn key_row(row: &Row) -> rusqlite::Result<([u64; 4], RowState<4>)> {
    let (seq, event_hash) = (row.get::<_, i64>(0)?, row.get::<_, i64>(2)?);
    let fingerprint = u128::from_be_bytes(row.get(1)?);
    let found = key_numbers(seq.cast_unsigned(), fingerprint, event_hash.cast_unsigned());
    Ok((found, judge(found, row.get_ref(3)?)))
}

/// Corrects the rows of the small tables, inside the open transaction. `removed_keys` only where `has_index`: without
/// it the table can be long, and quiet turns do it.
pub(super) fn repair_rows(db: &Connection, has_index: bool) -> rusqlite::Result<()> {
    subscription_row::repair(db)?;
    repair_horizons(db)?;
    repair_counters(db)?;
    repair_mark(db)?;
    repair_times(db)?;
    match has_index {
        true => repair_removed_keys(db, 0, usize::MAX).map(|_| ()),
        false => Ok(()),
    }
}

fn log_corrected(table: &str) {
    log::error!("a flipped bit in a row of the table {table} has been corrected");
}

fn repair_counters(db: &Connection) -> rusqlite::Result<()> {
    let (found, state) = db.query_row(COUNTERS, [], numbers::<4>)?;
    let counters = match state {
        RowState::Right => return Ok(()),
        RowState::Corrected(counters) => {
            log_corrected("counters");
            counters
        }
        RowState::Damaged => {
            log::error!(
                "the row of the table counters is damaged: last_seq and unique_processed are made again from the \
                 events, duplicate_dropped and conflicts may be wrong"
            );
            counted_again(db, found)?
        }
    };
    let [last_seq, unique, dropped, conflicts] = counters.map(u64::cast_signed);
    db.execute(
        "UPDATE counters SET last_seq = ?1, unique_processed = ?2, duplicate_dropped = ?3, conflicts = ?4, \
         checksum = ?5",
        (last_seq, unique, dropped, conflicts, checksum(&counters)),
    )
    .map(|_| ())
}

/// The counters as they follow from the other tables. No seq that was given is given again.
fn counted_again(db: &Connection, found: [u64; 4]) -> rusqlite::Result<[u64; 4]> {
    let number = |sql: &str| db.query_row(sql, [], |row| Ok(row.get::<_, i64>(0)?.max(0) as u64));
    let last_seq = number(
        "SELECT max((SELECT ifnull(max(seq), 0) FROM events), (SELECT events_horizon FROM retention), \
         (SELECT ifnull(max(after), 0) FROM subscriptions))",
    )?;
    let unique =
        number("SELECT (SELECT count(*) FROM events) + (SELECT events_removed FROM retention)")?;
    let [_, _, dropped, conflicts] = found.map(|number| number.cast_signed().max(0) as u64);
    Ok([last_seq, unique, dropped, conflicts.min(dropped)])
}

fn repair_mark(db: &Connection) -> rusqlite::Result<()> {
    let mark = match db.query_row(MARK, [], numbers::<1>)?.1 {
        RowState::Right => return Ok(()),
        RowState::Corrected(mark) => {
            log_corrected("counters");
            mark
        }
        // Then all events are counted that the rows of topics do not count yet.
        RowState::Damaged => {
            log::error!(
                "topics_mark in the table counters is damaged: the events are counted again"
            );
            [0]
        }
    };
    db.execute(
        "UPDATE counters SET topics_mark = ?1, mark_checksum = ?2",
        (mark[0].cast_signed(), checksum(&mark)),
    )
    .map(|_| ())
}

fn repair_horizons(db: &Connection) -> rusqlite::Result<()> {
    let horizons = match db.query_row(HORIZONS, [], numbers::<3>)?.1 {
        RowState::Right => return Ok(()),
        RowState::Corrected(horizons) => horizons,
        RowState::Damaged => {
            return Err(damaged(
                "the row of the table retention has a wrong checksum, and nothing else says which keys have \
                 expired; restore a backup",
            ))
        }
    };
    log_corrected("retention");
    let [events, removed, keys] = horizons.map(u64::cast_signed);
    db.execute(
        "UPDATE retention SET events_horizon = ?1, events_removed = ?2, keys_horizon = ?3, checksum = ?4",
        (events, removed, keys, checksum(&horizons)),
    )
    .map(|_| ())
}

/// A row whose time is lost takes that of the next one, or now: keys are then kept for longer, and not shorter.
fn repair_times(db: &Connection) -> rusqlite::Result<()> {
    let mut statement = db.prepare(TIMES)?;
    let rows = statement.query_map([], numbers::<2>)?;
    let wrong: Vec<_> = rows
        .filter(|row| !matches!(row, Ok((_, RowState::Right))))
        .collect::<rusqlite::Result<_>>()?;
    // From the newest on, so that the next row of each is right.
    for ([last_seq, _], state) in wrong.into_iter().rev() {
        let row = match state {
            RowState::Corrected(row) if row[0] == last_seq => {
                log_corrected("removed_times");
                row
            }
            _ => {
                log::error!(
                    "the row with last_seq {last_seq} of the table removed_times is damaged: the keys of the \
                     events up to it are kept for longer"
                );
                [last_seq, time_after(db, last_seq)?.cast_unsigned()]
            }
        };
        db.execute(
            "UPDATE removed_times SET processed_at = ?2, checksum = ?3 WHERE last_seq = ?1",
            (row[0].cast_signed(), row[1].cast_signed(), checksum(&row)),
        )?;
    }
    Ok(())
}

fn time_after(db: &Connection, last_seq: u64) -> rusqlite::Result<i64> {
    let sql =
        "SELECT processed_at FROM removed_times WHERE last_seq > ?1 ORDER BY last_seq LIMIT 1";
    let next = db.query_row(sql, [last_seq.cast_signed()], |row| row.get(0));
    match next.optional()? {
        Some(next) => Ok(next),
        None => db.query_row("SELECT unixepoch() * 1000000", [], |row| row.get(0)),
    }
}

/// Corrects the rows of removed keys after a seq, at most `limit` of them, inside the open transaction. Returns how far
/// it has come; none if there are no more. A lost key is kept as a row that matches no event, so that their number
/// stays right.
pub(super) fn repair_removed_keys(
    db: &Connection,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Option<u64>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = db.prepare(REMOVED_KEYS)?;
    let mut rows = statement.query((after.cast_signed(), limit))?;
    let (mut wrong, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let (found, state) = key_row(row)?;
        let seq = found[0];
        last = Some(seq);
        match state {
            RowState::Right => {}
            RowState::Corrected(key) if key[0] == seq => {
                log_corrected("removed_keys");
                wrong.push(key);
            }
            _ => {
                log::error!(
                    "the key of the removed event with seq {seq} is damaged, and lost: an event with it would be \
                     stored again"
                );
                wrong.push(found);
            }
        }
    }
    for numbers in wrong {
        let key = numbers_key(numbers);
        db.execute(
            "UPDATE removed_keys SET fingerprint = ?2, event_hash = ?3, checksum = ?4 WHERE seq = ?1",
            (
                key.seq.cast_signed(),
                key.fingerprint.to_be_bytes(),
                key.event_hash.cast_signed(),
                checksum(&numbers),
            ),
        )?;
    }
    Ok(last)
}
