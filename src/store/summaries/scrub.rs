//! The scrub: reads all summaries once a day and once after a start, so that damage is found although no search runs
//! into it. It is repaired like damage that a search has found; until then a copy of the database is refused.

use rusqlite::{Connection, OptionalExtension};

use super::block::{
    first_page, is_of_one_slot, seq_of_page, slot_of, with_page, Block, BLOCK_COLUMNS,
};
use crate::limits::{SCRUB_INTERVAL_MS, SCRUB_PAGES_PER_SLICE, SCRUB_PASS_INTERVAL_MS};
use crate::store::error::damaged;
use crate::store::page_checksum::PageOwner;
use crate::store::rows::clamp;
use crate::store::soundness::is_corrupt;

/// How far the scrub has come. Times are milliseconds of the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Scrub {
    /// When the next slice is due; the first one immediately.
    due_ms: u64,
    pass: Option<Pass>,
}

/// A skip all blocks, the oldest first.
#[derive(Clone, Copy, Debug)]
struct Pass {
    begun_ms: u64,
    /// The blocks before this seq are done; none before the first.
    next: Option<u64>,
}

/// A seq of a slot with damage, and what that is.
pub(super) type Found = (u64, rusqlite::Error);

impl Scrub {
    pub(super) fn due_ms(&self) -> u64 {
        self.due_ms
    }

    /// Reads a slice of blocks, if one is due at `now_ms`. It ends at damage.
    pub(super) fn step(&mut self, db: &Connection, now_ms: u64) -> rusqlite::Result<Option<Found>> {
        if now_ms < self.due_ms {
            return Ok(None);
        }
        self.due_ms = now_ms + SCRUB_INTERVAL_MS;
        let pass = self.pass.get_or_insert(Pass {
            begun_ms: now_ms,
            next: None,
        });
        let mut pages_left = SCRUB_PAGES_PER_SLICE;
        while pages_left > 0 {
            let Some((seq, read)) = pass.read_block(db)? else {
                let begun_ms = pass.begun_ms;
                self.due_ms = self.due_ms.max(begun_ms + SCRUB_PASS_INTERVAL_MS);
                self.pass = None;
                return Ok(None);
            };
            match read {
                Ok(pages) => pages_left -= 1 + i64::from(pages),
                Err(error) => return Ok(Some((seq, error))),
            }
        }
        Ok(None)
    }
}

impl Pass {
    /// Reads the next block with its pages: one of its seqs, and how many pages it has or what is wrong with it. None
    /// after the last.
    fn read_block(
        &mut self,
        db: &Connection,
    ) -> rusqlite::Result<Option<(u64, rusqlite::Result<u32>)>> {
        let from = self.next.map_or(i64::MIN, clamp);
        let sql = format!(
            "SELECT {BLOCK_COLUMNS} FROM search_blocks WHERE first_seq >= ?1 ORDER BY first_seq LIMIT 1"
        );
        let row = db
            .prepare_cached(&sql)?
            .query_row([from], |row| Ok((row.get(0)?, Block::read(row)?)))
            .optional()?;
        let Some((first, block)): Option<(i64, _)> = row else {
            return self.read_rest(db);
        };
        let seq = first.max(1).cast_unsigned();
        let Some((block, owner)) = block.filter(|(block, _)| is_of_one_slot(block)) else {
            self.next = Some(slot_of(seq).1 + 1);
            return Ok(Some((seq, Err(damaged("a row of search_blocks")))));
        };
        let read = match self.read_pages(db, &block, owner) {
            Err(error) if !is_corrupt(&error) => return Err(error),
            read => read,
        };
        // Of a damaged block the whole slot is rebuilt.
        self.next = Some(match read {
            Ok(_) => block.last_seq + 1,
            Err(_) => slot_of(seq).1 + 1,
        });
        Ok(Some((seq, read)))
    }

    fn read_pages(
        &self,
        db: &Connection,
        block: &Block,
        owner: PageOwner,
    ) -> rusqlite::Result<u32> {
        for page in 0..block.pages() {
            with_page(db, (block, owner), page, |_| ())?;
        }
        let sql = "SELECT count(*) FROM search_pages WHERE id >= ?1 AND id < ?2";
        let range = (self.first_page(), first_page(block.last_seq + 1));
        let found: i64 = db.prepare_cached(sql)?.query_row(range, |row| row.get(0))?;
        match found == i64::from(block.pages()) {
            true => Ok(block.pages()),
            false => Err(damaged("search_pages has pages of no block")),
        }
    }

    /// After the last block there must be no page.
    fn read_rest(
        &mut self,
        db: &Connection,
    ) -> rusqlite::Result<Option<(u64, rusqlite::Result<u32>)>> {
        let sql = "SELECT id FROM search_pages WHERE id >= ?1 ORDER BY id LIMIT 1";
        let page: Option<i64> = db
            .prepare_cached(sql)?
            .query_row([self.first_page()], |row| row.get(0))
            .optional()?;
        let Some(page) = page else {
            return Ok(None);
        };
        let seq = seq_of_page(page);
        self.next = Some(slot_of(seq).1 + 1);
        Ok(Some((
            seq,
            Err(damaged("search_pages has pages of no block")),
        )))
    }

    /// The least id that a page of the next block may have.
    fn first_page(&self) -> i64 {
        self.next.map_or(i64::MIN, first_page)
    }
}
