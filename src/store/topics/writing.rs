//! Writing the rows of `topics`. While events come this is done with their commits, in proportion, so that it
//! costs no fsync of its own; quiet turns do the rest.

use rusqlite::Connection;

use super::topic::{Topic, TopicId};
use super::{RowRange, Sweep, Topics};
use crate::limits;
use crate::store::error::expect_changed;
use crate::store::row_checksum::checksum;

impl Topics {
    /// Begins a round if one is due. Returns whether one is under way.
    pub(crate) fn begin_sweep_if_due(&mut self, last_seq: u64) -> bool {
        let unwritten = last_seq - self.mark;
        if self.sweep.is_none() && is_sweep_due(unwritten, self.stale_count() as u64) {
            self.sweep = Some(Sweep {
                mark: last_seq,
                next: 0,
            });
        }
        self.is_sweeping()
    }

    /// Whether rows are to be written.
    pub(crate) fn is_sweeping(&self) -> bool {
        self.sweep.is_some()
    }

    /// Writes rows in the transaction that stores this many events: twice as many, so that a round ends
    /// before the next is due.
    pub(crate) fn write_due(&mut self, db: &Connection, events: usize) -> rusqlite::Result<()> {
        let Some(sweep) = self.sweep else {
            return Ok(());
        };
        let first_left = self.stale_from(sweep.next).nth(2 * events);
        let rows = RowRange {
            from: sweep.next,
            to: first_left.unwrap_or(TopicId::MAX),
            mark: first_left.is_none().then_some(sweep.mark),
        };
        self.write_rows(db, rows)
    }

    /// Writes all rows that are out of date.
    pub(crate) fn write_all(&mut self, db: &Connection, last_seq: u64) -> rusqlite::Result<()> {
        self.sweep = None;
        let rows = RowRange {
            from: 0,
            to: TopicId::MAX,
            mark: Some(last_seq),
        };
        self.write_rows(db, rows)
    }

    fn write_rows(&mut self, db: &Connection, rows: RowRange) -> rusqlite::Result<()> {
        let ids = self.stale_from(rows.from);
        for id in ids.take_while(|id| *id < rows.to) {
            write_row(db, id, self.get(id))?;
        }
        if let Some(mark) = rows.mark {
            let changed = db
                .prepare_cached("UPDATE counters SET topics_mark = ?1, mark_checksum = ?2")?
                .execute((mark as i64, checksum(&[mark])))?;
            expect_changed(changed, 1, "counters")?;
        }
        self.open.rows = Some(rows);
        Ok(())
    }

    /// Writes the rows of topics of which the open transaction removes events, after whatever else writes
    /// them.
    pub(crate) fn write_removed(&self, db: &Connection) -> rusqlite::Result<()> {
        for (id, removed) in &self.open.removed {
            let mut topic = self.get(*id).clone();
            topic.events = topic.events.saturating_sub(*removed);
            write_row(db, *id, &topic)?;
        }
        Ok(())
    }

    /// The transaction that wrote these rows has been committed.
    pub(super) fn rows_written(&mut self, rows: RowRange) {
        self.written(rows.from..rows.to);
        if let Some(sweep) = &mut self.sweep {
            sweep.next = rows.to;
        }
        if let Some(mark) = rows.mark {
            self.mark = mark;
            self.sweep = None;
        }
    }
}

/// Whether to write `rows` rows, which do not count the last `events` events yet. The more rows, the more events
/// they wait for.
fn is_sweep_due(events: u64, rows: u64) -> bool {
    let wanted = limits::EVENTS_PER_TOPIC_ROW * rows;
    events >= wanted.clamp(limits::TOPICS_MARK_EVENTS, limits::TOPICS_MARK_MAX_EVENTS)
}

fn write_row(db: &Connection, id: TopicId, topic: &Topic) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE topics SET events = ?2, last_seq = ?3, last_processed_at = ?4, checksum = ?5 WHERE id = ?1",
    )?
    .execute((
        id,
        topic.events as i64,
        topic.last_seq as i64,
        topic.last_processed_at,
        topic.checksum(id),
    ))
    .and_then(|changed| expect_changed(changed, 1, "topics"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_wait_for_more_events_but_not_for_ever() {
        let (least, most) = (limits::TOPICS_MARK_EVENTS, limits::TOPICS_MARK_MAX_EVENTS);
        let between = (least + most) / 2;
        for (events, rows, is_due) in [
            (least - 1, 1, false),
            (least, 1, true),
            (between - 1, between / limits::EVENTS_PER_TOPIC_ROW, false),
            (between, between / limits::EVENTS_PER_TOPIC_ROW, true),
            (most - 1, most, false),
            (most, most, true),
        ] {
            assert_eq!(is_sweep_due(events, rows), is_due, "{events} and {rows}");
        }
    }
}
