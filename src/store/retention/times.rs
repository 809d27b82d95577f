//! When removed events had been processed, as far as the expiry of their keys needs it: the table `removed_times`. A
//! row says that no event up to its seq was processed later than its time; both ascend. One row stands for many events,
//! so a key is kept somewhat longer than asked, never shorter.

use rusqlite::Connection;

use super::horizons::Horizons;
use crate::limits;
use crate::store::options::Limit;
use crate::store::row_checksum::checksum;

/// Events that had been processed by some time, whatever time they have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    /// The last of them.
    pub last_seq: u64,
    pub at: i64,
}

/// Whether a time is too far ahead of now to be its neighbour.
pub(super) fn is_ahead(at: i64, unix_us: i64) -> bool {
    at.saturating_sub(unix_us) > limits::RETAIN_PAUSE_US
}

/// The newest row, which grows until it stands for enough.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// Its seq as it is in the table; none if it is not there yet.
    row: Option<u64>,
    /// Where the row before it ends.
    begin_seq: u64,
    begin_at: Option<i64>,
    /// Where it ends itself.
    last_seq: u64,
    at: i64,
    /// Microseconds that a row may span.
    span: i64,
}

impl Times {
    pub(super) fn load(
        db: &Connection,
        horizons: Horizons,
        keys: Option<Limit>,
    ) -> rusqlite::Result<Self> {
        let sql = "SELECT last_seq, processed_at FROM removed_times ORDER BY last_seq DESC LIMIT 2";
        let mut statement = db.prepare(sql)?;
        let rows =
            statement.query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?;
        let rows = rows.collect::<rusqlite::Result<Vec<(u64, i64)>>>()?;
        let span = match keys {
            Some(Limit::Age(age)) => (age / limits::REMOVED_TIMES_PER_AGE).max(1),
            _ => limits::REMOVED_TIMES_SPAN_US,
        };
        let mut times = Self {
            begin_seq: horizons.events,
            last_seq: horizons.events,
            at: i64::MIN,
            span: span.min(limits::REMOVED_TIMES_SPAN_US),
            ..Self::default()
        };
        if let Some((last_seq, at)) = rows.first().copied() {
            let (begin_seq, begin_at) = rows.get(1).copied().unwrap_or((horizons.keys, at));
            times.row = Some(last_seq);
            (times.begin_seq, times.begin_at) = (begin_seq, Some(begin_at));
            (times.last_seq, times.at) = (last_seq, at);
        }
        Ok(times)
    }

    /// An event is removed, of those that are left the first.
    pub(super) fn see(
        &mut self,
        db: &Connection,
        seq: u64,
        processed_at: i64,
    ) -> rusqlite::Result<()> {
        let at = processed_at.max(self.at);
        let begin_at = *self.begin_at.get_or_insert(at);
        let is_full = seq - self.begin_seq > limits::REMOVED_TIMES_EVENTS
            || at.saturating_sub(begin_at) > self.span;
        if is_full && self.last_seq > self.begin_seq {
            self.write(db)?;
            self.row = None;
            self.begin_seq = self.last_seq;
            self.begin_at = Some(self.at);
        }
        (self.last_seq, self.at) = (seq, at);
        Ok(())
    }

    /// Brings the row up to date, after the last event of a slice.
    pub(super) fn write(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let (last_seq, at) = (self.last_seq as i64, self.at);
        let checksum = checksum(&[self.last_seq, at.cast_unsigned()]);
        match self.row {
            Some(row) if row == self.last_seq => return Ok(()),
            Some(row) => db
                .prepare_cached(
                    "UPDATE removed_times SET last_seq = ?1, processed_at = ?2, checksum = ?3 WHERE last_seq = ?4",
                )?
                .execute((last_seq, at, checksum, row as i64))?,
            None => db
                .prepare_cached(
                    "INSERT INTO removed_times(last_seq, processed_at, checksum) VALUES (?1, ?2, ?3)",
                )?
                .execute((last_seq, at, checksum))?,
        };
        self.row = Some(self.last_seq);
        Ok(())
    }

    /// The time of the newest row.
    pub(super) fn newest(&self) -> i64 {
        self.at
    }

    /// Whether the newest row has a time that is ahead of now.
    pub(super) fn is_ahead(&self, unix_us: i64) -> bool {
        is_ahead(self.at, unix_us)
    }

    /// Sets times that are ahead of now to now, the oldest rows first, so that they still ascend. A slice of them:
    /// afterwards there may be more.
    pub(super) fn correct(&mut self, db: &Connection, unix_us: i64) -> rusqlite::Result<()> {
        let most = limits::RETAIN_ROWS_PER_SLICE;
        let sql =
            "SELECT last_seq FROM removed_times WHERE processed_at > ?1 ORDER BY last_seq LIMIT ?2";
        let mut statement = db.prepare_cached(sql)?;
        let rows = statement.query_map((unix_us, most as i64), |row| row.get::<_, i64>(0))?;
        let ahead = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let corrected = ahead.len();
        let sql = "UPDATE removed_times SET processed_at = ?2, checksum = ?3 WHERE last_seq = ?1";
        let mut statement = db.prepare_cached(sql)?;
        for last_seq in ahead {
            let checksum = checksum(&[last_seq.cast_unsigned(), unix_us.cast_unsigned()]);
            statement.execute((last_seq, unix_us, checksum))?;
        }
        if corrected < most {
            self.at = self.at.min(unix_us);
            self.begin_at = self.begin_at.map(|at| at.min(unix_us));
        }
        Ok(())
    }

    /// The keys up to this seq are forgotten, and their times are not needed any more.
    pub(super) fn expire(&mut self, db: &Connection, horizon: u64) -> rusqlite::Result<()> {
        db.prepare_cached("DELETE FROM removed_times WHERE last_seq <= ?1")?
            .execute([horizon as i64])?;
        if self.row.is_some_and(|row| row <= horizon) {
            self.row = None;
            self.begin_seq = self.last_seq;
            self.begin_at = Some(self.at);
        }
        Ok(())
    }
}

/// Which removed events had been processed by some time.
pub(super) struct ProcessedBy {
    /// The seq up to which that is certain.
    pub last_seq: Option<u64>,
    /// The time of the row after it.
    pub next_at: Option<i64>,
    /// There were more rows to look at than fit in a slice.
    pub has_more: bool,
}

/// Which removed events had been processed by `time`.
pub(super) fn processed_by(db: &Connection, time: i64) -> rusqlite::Result<ProcessedBy> {
    let mut statement = db.prepare_cached(
        "SELECT last_seq, processed_at FROM removed_times ORDER BY last_seq LIMIT ?1",
    )?;
    let mut rows = statement.query([limits::RETAIN_ROWS_PER_SLICE as i64])?;
    let mut found = ProcessedBy {
        last_seq: None,
        next_at: None,
        has_more: false,
    };
    let mut seen = 0;
    while let Some(row) = rows.next()? {
        let at = row.get(1)?;
        if at > time {
            found.next_at = Some(at);
            return Ok(found);
        }
        found.last_seq = Some(row.get::<_, i64>(0)? as u64);
        seen += 1;
    }
    found.has_more = seen == limits::RETAIN_ROWS_PER_SLICE;
    Ok(found)
}
