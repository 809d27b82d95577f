//! Times that are ahead of the clock: a wrong one has stored these events. Such a time counts as now, or it would block
//! the removal of all later events until then. "Now" is when it is found, and stays; an event that is stored later, by
//! a clock that was right, gives a better time.

use rusqlite::Connection;

use super::progress::Progress;
use super::removal::{Context, Removal};
use super::times::{is_ahead, Ahead};
use crate::clock::rfc3339;

impl Progress {
    /// Plans again when the clock has gone back.
    pub(super) fn see(&mut self, unix_us: i64) {
        if is_ahead(self.seen_at, unix_us) {
            self.events_due = i64::MIN;
            self.keys_due = i64::MIN;
            self.ahead = None;
        }
        self.seen_at = unix_us;
    }

    fn warn_of_times(&mut self, what: std::fmt::Arguments<'_>, at: i64) {
        if !self.warned.of_times {
            self.warned.of_times = true;
            log::warn!(
                "{what} dated {}, ahead of the clock: for retention such times count as now",
                rfc3339(at)
            );
        }
    }
}

impl Removal {
    /// Corrects the times of removed events that are ahead of now, inside the open transaction.
    pub(super) fn correct_times(&mut self, db: &Connection, unix_us: i64) -> rusqlite::Result<()> {
        let progress = &mut self.progress;
        if !progress.times.is_ahead(unix_us) {
            return Ok(());
        }
        let at = progress.times.newest();
        progress.warn_of_times(format_args!("removed events are"), at);
        progress.times.correct(db, unix_us)?;
        progress.keys_due = i64::MIN;
        self.has_changed = true;
        Ok(())
    }
}

impl Removal {
    /// When an event counts as processed. It is the oldest that is left.
    pub(super) fn counted_at(
        &mut self,
        context: &Context,
        seq: u64,
        processed_at: i64,
    ) -> rusqlite::Result<i64> {
        if !is_ahead(processed_at, context.now_us) {
            return Ok(processed_at);
        }
        let known = self.progress.ahead.filter(|ahead| seq <= ahead.last_seq);
        let ahead = match known {
            Some(ahead) => ahead,
            None => {
                let what = format_args!("the event with seq {seq} is");
                self.progress.warn_of_times(what, processed_at);
                first_after(context, seq)?
            }
        };
        self.progress.ahead = Some(ahead);
        Ok(ahead.at)
    }
}

/// Looks for an event after `seq`, which is ahead of now, that is not: all before it had been
/// processed by then. If there is none, all had been processed. It reads at most 128 rows.
fn first_after(context: &Context, seq: u64) -> rusqlite::Result<Ahead> {
    let Context {
        last_seq, now_us, ..
    } = *context;
    let (mut ahead, mut step) = (seq, 1);
    let mut found = loop {
        if ahead >= last_seq {
            return Ok(Ahead {
                last_seq,
                at: now_us,
            });
        }
        let next = ahead.saturating_add(step).min(last_seq);
        match time_from(context.db, next)? {
            Some(at) if !is_ahead(at, now_us) => break Ahead { last_seq: next, at },
            _ => ahead = next,
        }
        step *= 2;
    };
    // The first one of these, or one near to it where the clock was wrong several times.
    while found.last_seq - ahead > 1 {
        let middle = ahead + (found.last_seq - ahead) / 2;
        match time_from(context.db, middle)? {
            Some(at) if !is_ahead(at, now_us) => {
                found = Ahead {
                    last_seq: middle,
                    at,
                }
            }
            _ => ahead = middle,
        }
    }
    Ok(found)
}

/// When the first event from this seq on was processed.
fn time_from(db: &Connection, seq: u64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT processed_at FROM events WHERE seq >= ?1 ORDER BY seq LIMIT 1";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([seq as i64])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}
