//! The table of rejected records against its counts.

use super::run::Run;
use crate::limits::{REJECTED_RECORD_BYTES, REJECTED_ROW_BYTES};
use crate::store::rejected::table::ROW_BYTES;

/// Compares the rows with each other and with the row of `rejected_counters`.
pub(super) fn compare(run: &mut Run) -> rusqlite::Result<()> {
    let sql = "SELECT last_seq, records, bytes FROM rejected_counters";
    let counted: [i64; 3] = run
        .db
        .query_row(sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
    let [last_seq, counted @ ..] = counted;
    let sql = format!("SELECT seq, bytes, length(record), {ROW_BYTES} FROM rejected ORDER BY seq");
    let mut statement = run.db.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut found = [0; 2];
    while let Some(row) = rows.next()? {
        let [seq, bytes, kept]: [i64; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        if !(1..=last_seq).contains(&seq) {
            let what = format_args!("there is a record {seq}, and last_seq is {last_seq}");
            run.problems.add("rejected", what);
        }
        if kept > i64::min(bytes, REJECTED_RECORD_BYTES as i64) {
            let what = format_args!("of record {seq} there are {kept} of {bytes} bytes");
            run.problems.add("rejected", what);
        }
        found[0] += 1;
        found[1] += row.get::<_, i64>(3)? + REJECTED_ROW_BYTES as i64;
    }
    for (name, (counted, found)) in ["records", "bytes"].iter().zip(counted.iter().zip(found)) {
        if *counted != found {
            run.problems.add(
                "rejected_counters",
                format_args!("{name} is {counted}, but there are {found}"),
            );
        }
    }
    Ok(())
}
