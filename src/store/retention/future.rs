//! Times that are ahead of the clock: a wrong one has stored these events. Such a time counts as now, or it
//! would hold up all events after it until then. Now is when it is found, and from then on it stays: an
//! event that is stored later, by a clock that was right, tells better.

use rusqlite::Connection;

use super::{Removal, Retainer};
use crate::clock::rfc3339;
use crate::limits;
use crate::store::state::Store;

/// Events that had been processed by some time, whatever they say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    /// The last of them.
    last_seq: u64,
    at: i64,
}

/// Whether a time is too far ahead of now to be its neighbour.
pub(super) fn is_ahead(at: i64, unix_us: i64) -> bool {
    at.saturating_sub(unix_us) > limits::RETAIN_PAUSE_US
}

impl Retainer {
    /// Plans again when the clock has gone back.
    pub(super) fn see(&mut self, unix_us: i64) {
        if is_ahead(self.seen_at, unix_us) {
            self.events_due = i64::MIN;
            self.keys_due = i64::MIN;
            self.ahead = None;
        }
        self.seen_at = unix_us;
    }

    fn tell_of_times(&mut self, what: std::fmt::Arguments<'_>, at: i64) {
        if !self.has_told_of_times {
            self.has_told_of_times = true;
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
        let retainer = &mut self.retainer;
        if !retainer.times.is_ahead(unix_us) {
            return Ok(());
        }
        let at = retainer.times.newest();
        retainer.tell_of_times(format_args!("removed events are"), at);
        retainer.times.correct(db, unix_us)?;
        retainer.keys_due = i64::MIN;
        self.has_changed = true;
        Ok(())
    }
}

impl Store {
    /// When the event counts as processed, which is the oldest that is left. It is `unix_us` now.
    pub(super) fn counted_at(
        &self,
        removal: &mut Removal,
        seq: u64,
        processed_at: i64,
        unix_us: i64,
    ) -> rusqlite::Result<i64> {
        if !is_ahead(processed_at, unix_us) {
            return Ok(processed_at);
        }
        let retainer = &mut removal.retainer;
        let known = retainer.ahead.filter(|ahead| seq <= ahead.last_seq);
        let ahead = match known {
            Some(ahead) => ahead,
            None => {
                retainer.tell_of_times(format_args!("the event with seq {seq} is"), processed_at);
                self.first_after(seq, unix_us)?
            }
        };
        retainer.ahead = Some(ahead);
        Ok(ahead.at)
    }

    /// Looks for an event after `seq`, which is ahead of now, that is not: all before it had been
    /// processed by then. Where there is none, all had been by now. It reads at most 128 rows.
    fn first_after(&self, seq: u64, unix_us: i64) -> rusqlite::Result<Ahead> {
        let (mut ahead, mut step) = (seq, 1);
        let mut found = loop {
            if ahead >= self.last_seq {
                return Ok(Ahead {
                    last_seq: self.last_seq,
                    at: unix_us,
                });
            }
            let next = ahead.saturating_add(step).min(self.last_seq);
            match self.time_from(next)? {
                Some(at) if !is_ahead(at, unix_us) => break Ahead { last_seq: next, at },
                _ => ahead = next,
            }
            step *= 2;
        };
        // The first one of these, or one near to it where the clock was wrong several times.
        while found.last_seq - ahead > 1 {
            let middle = ahead + (found.last_seq - ahead) / 2;
            match self.time_from(middle)? {
                Some(at) if !is_ahead(at, unix_us) => {
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
    fn time_from(&self, seq: u64) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT processed_at FROM events WHERE seq >= ?1 ORDER BY seq LIMIT 1";
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query([seq as i64])?;
        rows.next()?.map(|row| row.get(0)).transpose()
    }
}
