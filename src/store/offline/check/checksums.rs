//! The checksums of the rows of the small tables.

use super::run::Run;
use super::tables::Schema;
use crate::store::meta::each_row;
use crate::store::row_checksum::{BytesState, RowState};
use crate::store::row_repair::{key_row, numbers, COUNTERS, HORIZONS, MARK, REMOVED_KEYS, TIMES};
use crate::store::subscription_row;

/// Compares the rows that have checksums with them.
pub(super) fn compare(run: &mut Run, schema: &Schema) -> rusqlite::Result<()> {
    // Older tables have none.
    if run.version < 5 {
        return Ok(());
    }
    if schema.is_right("counters") {
        let counters = run.db.query_row(COUNTERS, [], numbers::<4>)?.1;
        is_right(run, "counters", "the row", counters);
        let mark = run.db.query_row(MARK, [], numbers::<1>)?.1;
        is_right(run, "counters", "topics_mark", mark);
    }
    if schema.is_right("retention") {
        let horizons = run.db.query_row(HORIZONS, [], numbers::<3>)?.1;
        is_right(run, "retention", "the row", horizons);
    }
    if schema.is_right("removed_times") {
        let mut statement = run.db.prepare(TIMES)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let ([last_seq, _], state) = numbers(row)?;
            if state != RowState::Right {
                let what = format!("the row with last_seq {last_seq}");
                is_right(run, "removed_times", &what, state);
            }
        }
    }
    if schema.is_right("removed_keys") {
        let mut statement = run.db.prepare(REMOVED_KEYS)?;
        let mut rows = statement.query((i64::MIN, i64::MAX))?;
        while let Some(row) = rows.next()? {
            let (key, state) = key_row(row)?;
            if state != RowState::Right {
                is_right(
                    run,
                    "removed_keys",
                    &format!("the row with seq {}", key[0]),
                    state,
                );
            }
        }
    }
    if run.version >= 8 {
        compare_named(run, schema)?;
    }
    Ok(())
}

/// The same for the rows that have names.
fn compare_named(run: &mut Run, schema: &Schema) -> rusqlite::Result<()> {
    if schema.is_right("subscriptions") {
        for row in subscription_row::read_all(run.db)? {
            let what = format!("the row {:?}", row.shown());
            is_named_right(run, "subscriptions", &what, row.state);
        }
    }
    if schema.is_right("meta") {
        let mut states = Vec::new();
        each_row(run.db, |state, name, _| {
            states.push((state, name));
            Ok(())
        })?;
        for (state, name) in states {
            let what = format!("the row {:?}", String::from_utf8_lossy(&name));
            is_named_right(run, "meta", &what, state);
        }
    }
    Ok(())
}

fn is_named_right(run: &mut Run, table: &'static str, what: &str, state: BytesState) {
    let state = match state {
        BytesState::Right => RowState::Right,
        BytesState::Corrected => RowState::Corrected([]),
        BytesState::Damaged => RowState::Damaged,
    };
    is_right(run, table, what, state);
}

fn is_right<const N: usize>(run: &mut Run, table: &'static str, what: &str, state: RowState<N>) {
    match state {
        RowState::Right => {}
        RowState::Corrected(_) => run.problems.add(
            table,
            format_args!("{what} has a flipped bit, which the server corrects at its next start"),
        ),
        RowState::Damaged => run
            .problems
            .add(table, format_args!("{what} has a wrong checksum")),
    }
}
