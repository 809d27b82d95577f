//! Reading rejected records, a page at a time.

use rusqlite::Row;

use crate::limits::{EVENT_UNITS, LOOK_UP_UNITS, PAGE_MAX_BYTES};
use crate::store::error::StoreError;
use crate::store::events::page::Page;
use crate::store::range::Bound;
use crate::store::rows::{clamp, unsigned};
use crate::store::state::Store;

/// A rejected record as it is stored. The texts are UTF-8 unless another program has written them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedRow<'a> {
    /// Its own, no event's.
    pub seq: u64,
    /// Microseconds since the epoch.
    pub received_at: i64,
    pub protocol: &'a [u8],
    pub peer: &'a [u8],
    pub reason: &'a [u8],
    /// How long it was. What is kept of it may be shorter.
    pub bytes: u64,
    pub record: &'a [u8],
}

impl<'a> RejectedRow<'a> {
    fn of(row: &'a Row) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: unsigned(row, 0)?,
            received_at: row.get(1)?,
            protocol: row.get_ref(2)?.as_bytes()?,
            peer: row.get_ref(3)?.as_bytes()?,
            reason: row.get_ref(4)?.as_bytes()?,
            bytes: unsigned(row, 5)?,
            record: row.get_ref(6)?.as_bytes()?,
        })
    }
}

impl Store {
    /// The greatest seq that a rejected record has had; 0 where there has been none.
    pub fn last_rejected_seq(&self) -> u64 {
        self.parts.rejected.last_seq()
    }

    /// Hands the rejected records of a page to `take`, which says how many bytes the page has so far: it ends with
    /// `limit` records or after [`PAGE_MAX_BYTES`].
    pub fn rejected(
        &self,
        bound: Bound,
        limit: usize,
        mut take: impl FnMut(RejectedRow) -> usize,
    ) -> Result<Page, StoreError> {
        self.work.add(LOOK_UP_UNITS);
        let (sql, from) = match bound {
            Bound::After(from) => ("WHERE seq > ?1 ORDER BY seq", from),
            Bound::Before(from) => ("WHERE seq < ?1 ORDER BY seq DESC", from),
        };
        let sql = format!(
            "SELECT seq, received_at, protocol, peer, reason, bytes, record FROM rejected {sql} LIMIT ?2"
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query((clamp(from), limit as i64 + 1))?;
        let (mut page, mut last, mut bytes) = (Page::default(), 0, 0);
        while let Some(row) = rows.next()? {
            if page.count == limit || bytes >= PAGE_MAX_BYTES {
                page.more_after = Some(last);
                break;
            }
            let row = RejectedRow::of(row)?;
            self.work.add(EVENT_UNITS);
            self.work.add_bytes(row.record.len() + row.reason.len());
            (page.count, last) = (page.count + 1, row.seq);
            bytes = take(row);
        }
        Ok(page)
    }
}
