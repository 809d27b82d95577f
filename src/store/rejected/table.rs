//! What memory holds of the table `rejected`, and storing and removing its rows, a bounded number at a time.

use rusqlite::Connection;

use crate::event::{Publication, RejectedRecord};
use crate::limits;
use crate::store::error::expect_changed;
use crate::store::options::{Limit, RejectedLimit, Retention};
use crate::store::rows::unsigned;
use crate::store::transaction::Part;

/// How many bytes a row counts: those of its texts and its record, and what a row takes besides.
pub(crate) const ROW_BYTES: &str = "octet_length(peer) + octet_length(reason) + length(record)";

/// How many records, and how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    records: u64,
    bytes: u64,
}

impl Amount {
    fn of(record: &RejectedRecord) -> Self {
        let texts = record.peer.len() + record.reason.len() + record.record.len();
        Self::of_row(texts as u64)
    }

    /// Of a row whose texts and record have this many bytes.
    fn of_row(bytes: u64) -> Self {
        Self {
            records: 1,
            bytes: bytes + limits::REJECTED_ROW_BYTES,
        }
    }

    fn add(&mut self, other: Amount) {
        self.records += other.records;
        self.bytes += other.bytes;
    }

    fn subtract(&mut self, other: Amount) {
        self.records = self.records.saturating_sub(other.records);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    most: Amount,
    /// Microseconds.
    age: Option<i64>,
}

impl Bounds {
    fn of(settings: Retention) -> Self {
        let kept = match settings.events {
            // Rejected records must not displace the events of a small database.
            Some(Limit::Size(size)) => size / limits::REJECTED_SHARE_OF_EVENTS,
            _ => limits::REJECTED_KEPT_BYTES,
        };
        let bytes = kept.min(limits::REJECTED_KEPT_BYTES);
        let (records, bytes, age) = match settings.rejected {
            RejectedLimit::Count(records) => (records, bytes, None),
            RejectedLimit::Within(Limit::Age(age)) => (u64::MAX, bytes, Some(age)),
            RejectedLimit::Within(Limit::Size(bytes)) => (u64::MAX, bytes, None),
        };
        Self {
            most: Amount { records, bytes },
            age,
        }
    }

    fn has_room(&self, amount: Amount) -> bool {
        amount.records <= self.most.records && amount.bytes <= self.most.bytes
    }
}

/// What the tables say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    /// The greatest seq that a record has had.
    last_seq: u64,
    kept: Amount,
    /// When the oldest record came, in microseconds since the epoch; none if there is no record.
    oldest_at: Option<i64>,
}

/// The part of the store that keeps rejected records.
pub(crate) struct Rejected {
    bounds: Bounds,
    committed: Totals,
    /// With what the open transaction has done.
    open: Totals,
}

/// What a transaction may remove.
struct Budget {
    rows: u64,
    bytes: u64,
}

impl Rejected {
    pub(crate) fn load(db: &Connection, settings: Retention) -> rusqlite::Result<Self> {
        let sql = "SELECT last_seq, records, bytes, (SELECT received_at FROM rejected ORDER BY seq LIMIT 1), \
                   (SELECT ifnull(max(seq), 0) FROM rejected) FROM rejected_counters";
        let totals = db.query_row(sql, [], |row| {
            Ok(Totals {
                last_seq: unsigned(row, 0)?.max(unsigned(row, 4)?),
                kept: Amount {
                    records: unsigned(row, 1)?,
                    bytes: unsigned(row, 2)?,
                },
                oldest_at: row.get(3)?,
            })
        })?;
        Ok(Self {
            bounds: Bounds::of(settings),
            committed: totals,
            open: totals,
        })
    }

    /// The greatest seq that a record has had as of the last commit; 0 if there has been none.
    pub(crate) fn last_seq(&self) -> u64 {
        self.committed.last_seq
    }

    /// Stores the rejected records of the publications in the open transaction, and removes the oldest ones for
    /// them. Those that would be removed at once are not stored. `now_us` is the time that ages are counted to.
    pub(crate) fn store<'p>(
        &mut self,
        db: &Connection,
        publications: impl Iterator<Item = &'p Publication> + Clone,
        received_at: i64,
        now_us: i64,
    ) -> rusqlite::Result<()> {
        let mut records = publications.flat_map(|publication| &publication.rejected);
        let mut incoming = Amount::default();
        records
            .clone()
            .for_each(|record| incoming.add(Amount::of(record)));
        if incoming.records == 0 || self.bounds.most.records == 0 {
            return Ok(());
        }
        while !self.bounds.has_room(incoming) {
            let Some(record) = records.next() else { break };
            incoming.subtract(Amount::of(record));
            self.open.last_seq += 1;
        }
        let budget = Budget {
            rows: limits::REJECTED_ROWS_REMOVED_AT_ONCE.max(2 * incoming.records),
            bytes: limits::REJECTED_BYTES_REMOVED_AT_ONCE.max(2 * incoming.bytes),
        };
        self.remove(db, incoming, now_us, budget)?;
        let mut insert = db.prepare_cached(
            "INSERT INTO rejected(seq, received_at, protocol, peer, reason, bytes, record) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for record in records {
            self.open.last_seq += 1;
            let seq = self.open.last_seq as i64;
            let bytes = i64::try_from(record.bytes).unwrap_or(i64::MAX);
            let name = record.protocol.name();
            let (peer, reason, kept) = (&record.peer, &record.reason, &record.record);
            insert.execute((seq, received_at, name, peer, reason, bytes, kept))?;
            self.open.oldest_at.get_or_insert(received_at);
        }
        self.open.kept.add(incoming);
        Ok(())
    }

    /// Removes a slice of what is too old or too much in the open transaction.
    pub(crate) fn prune(&mut self, db: &Connection, now_us: i64) -> rusqlite::Result<()> {
        let budget = Budget {
            rows: limits::REJECTED_ROWS_REMOVED_AT_ONCE,
            bytes: limits::REJECTED_BYTES_REMOVED_AT_ONCE,
        };
        self.remove(db, Amount::default(), now_us, budget)
    }

    /// Removes the oldest records until there is room for `incoming` and none is too old.
    fn remove(
        &mut self,
        db: &Connection,
        incoming: Amount,
        now_us: i64,
        budget: Budget,
    ) -> rusqlite::Result<()> {
        if !self.is_too_much(incoming, now_us) {
            return Ok(());
        }
        let sql = format!("SELECT seq, received_at, {ROW_BYTES} FROM rejected ORDER BY seq");
        let mut statement = db.prepare_cached(&sql)?;
        let mut rows = statement.query([])?;
        let (mut removed, mut up_to) = (Amount::default(), 0_i64);
        loop {
            let Some(row) = rows.next()? else {
                // There are no more, whatever was counted.
                self.open.kept = Amount::default();
                self.open.oldest_at = None;
                break;
            };
            self.open.oldest_at = Some(row.get(1)?);
            let is_spent = removed.records == budget.rows || removed.bytes >= budget.bytes;
            if is_spent || !self.is_too_much(incoming, now_us) {
                break;
            }
            up_to = row.get(0)?;
            let row = Amount::of_row(unsigned(row, 2)?);
            removed.add(row);
            self.open.kept.subtract(row);
        }
        drop(rows);
        if removed.records == 0 {
            return Ok(());
        }
        let deleted = db
            .prepare_cached("DELETE FROM rejected WHERE seq <= ?1")?
            .execute([up_to])?;
        expect_changed(deleted, removed.records as usize, "rejected")
    }

    /// Whether something has to be removed, `incoming` records considered.
    fn is_too_much(&self, incoming: Amount, now_us: i64) -> bool {
        let Totals {
            mut kept,
            oldest_at,
            ..
        } = self.open;
        let has_any = kept != Amount::default() || oldest_at.is_some();
        kept.add(incoming);
        has_any && (!self.bounds.has_room(kept) || self.due().is_some_and(|due| now_us >= due))
    }

    /// When something has to be removed, in microseconds since the epoch; none if that depends on what comes.
    pub(crate) fn due(&self) -> Option<i64> {
        let Totals {
            kept, oldest_at, ..
        } = self.open;
        if !self.bounds.has_room(kept) {
            return Some(i64::MIN);
        }
        Some(oldest_at?.saturating_add(self.bounds.age?))
    }

    /// Whether the open transaction has stored or removed anything.
    pub(crate) fn has_changed(&self) -> bool {
        self.open != self.committed
    }

    /// Writes the row of the table `rejected_counters`, where the open transaction has changed it.
    pub(crate) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        if !self.has_changed() {
            return Ok(());
        }
        let Totals { last_seq, kept, .. } = self.open;
        db.prepare_cached("UPDATE rejected_counters SET last_seq = ?1, records = ?2, bytes = ?3")?
            .execute((last_seq as i64, kept.records as i64, kept.bytes as i64))
            .and_then(|changed| expect_changed(changed, 1, "rejected_counters"))
    }

    /// Seqs up to this one are not given again, whatever the table says.
    pub(crate) fn never_give_again(&mut self, last_seq: u64) {
        self.committed.last_seq = self.committed.last_seq.max(last_seq);
        self.open = self.committed;
    }
}

impl Part for Rejected {
    fn committed(&mut self) {
        self.committed = self.open;
    }

    fn rolled_back(&mut self) {
        self.open = self.committed;
    }
}
