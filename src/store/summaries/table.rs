//! What memory holds of the tables `search_blocks` and `search_pages`, and the steps in which they are made: which
//! events have summaries, and what is to be done next.
//!
//! A slot is a range of as many seqs as the largest block has. The blocks of a slot are made in the order of their
//! seqs, slots from the newest on. A block's row and its pages are written, and deleted, in one transaction.

use std::cell::Cell;

use rusqlite::{Connection, OptionalExtension};

use super::block::{delete_blocks, slot_of, write_pages, Block, BLOCK_COLUMNS};
use super::building::{Building, Made};
use super::covered::Covered;
use super::filter::pages_of;
use super::scrub::Scrub;
use crate::limits::{
    SUMMARY_BLOCKS_DROPPED_AT_ONCE, SUMMARY_BLOCK_EVENTS, SUMMARY_BYTE_NS, SUMMARY_EVENT_NS,
    SUMMARY_ROWS_READ_AT_ONCE, SUMMARY_ROW_NS, SUMMARY_WAIT_MS,
};
use crate::store::options::SearchIndex;
use crate::store::rows::{clamp, unsigned};
use crate::store::soundness::is_corrupt;
use crate::store::topics::Topics;
use crate::store::transaction::Part;

/// Bytes that a row of `search_blocks`, and one of `search_pages`, takes, about.
const BLOCK_ROW_BYTES: u64 = 512;
const PAGE_ROW_BYTES: u64 = 4_096;
/// Bytes of a small event's texts.
const SMALL_EVENT_BYTES: u64 = 256;

/// The range of events, and the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// The events up to this seq have been removed.
    pub horizon: u64,
    pub last_seq: u64,
    /// Milliseconds of the monotonic clock.
    pub now_ms: u64,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// More of the same: nothing has to be written yet.
    More,
    /// [`Summaries::write`], in a transaction.
    Write(Write),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// The block that is complete.
    Block,
    /// Blocks whose events have all been removed are dropped.
    Drop { horizon: u64 },
    /// The blocks of a slot are dropped, because one of them is damaged.
    Discard { slot: (u64, u64) },
    /// Some blocks are dropped, because there are to be none.
    Clear,
}

/// What the open transaction has done.
#[derive(Debug)]
enum Change {
    Written,
    Dropped {
        last: u64,
        bytes: u64,
        oldest: Option<u64>,
    },
    Discarded,
    Cleared {
        has_rows: bool,
    },
}

/// The block that is being made.
#[derive(Debug, Default)]
enum Stage {
    #[default]
    None,
    Making(Building),
    Made(Building, Made),
}

/// The newest events, which have no summary because their slot is not full.
#[derive(Clone, Copy, Debug)]
struct Tail {
    first: u64,
    /// When they get one although their slot is not full.
    due_ms: u64,
}

/// What memory holds of the summaries.
pub(crate) struct Summaries {
    setting: SearchIndex,
    covered: Covered,
    stage: Stage,
    tail: Option<Tail>,
    /// The last seq of the oldest block; none if there is no block.
    oldest: Option<u64>,
    /// The tables have rows although there are to be none.
    has_unwanted: bool,
    /// Bytes of the row that the block replaces.
    replaced_bytes: u64,
    /// Nanoseconds that the summary of an event took in the last block; before the first, what a small one takes.
    event_ns: u64,
    open: Option<Change>,
    /// A seq of a slot with a damaged block, which a look-up has found.
    damaged: Cell<Option<u64>>,
    /// The tables, or the events, cannot be read: nothing is made any more.
    is_stopped: Cell<bool>,
    scrub: Scrub,
}

impl Summaries {
    pub(crate) fn load(db: &Connection, setting: SearchIndex) -> rusqlite::Result<Self> {
        let mut summaries = Self {
            setting,
            covered: Covered::default(),
            stage: Stage::None,
            tail: None,
            oldest: None,
            has_unwanted: false,
            replaced_bytes: 0,
            event_ns: SUMMARY_EVENT_NS + SUMMARY_BYTE_NS * SMALL_EVENT_BYTES,
            open: None,
            damaged: Cell::new(None),
            is_stopped: Cell::new(false),
            scrub: Scrub::default(),
        };
        let read = oldest(db).and_then(|oldest| Ok((oldest, has_rows(db)?)));
        match read {
            Ok((oldest, has_rows)) => {
                summaries.oldest = oldest;
                summaries.has_unwanted = has_rows && setting == SearchIndex::Off;
            }
            Err(error) if is_corrupt(&error) => summaries.stop(&error),
            Err(error) => return Err(error),
        }
        Ok(summaries)
    }

    /// Whether there are summaries.
    pub(crate) fn is_wanted(&self) -> bool {
        self.setting == SearchIndex::Words
    }

    pub(crate) fn setting(&self) -> SearchIndex {
        self.setting
    }

    /// The events up to this seq are known to have summaries, or have been removed.
    pub(crate) fn through(&self, horizon: u64) -> u64 {
        match self.setting {
            SearchIndex::Words => self.covered.through(horizon),
            SearchIndex::Off => 0,
        }
    }

    /// Bytes that the summaries take which are known.
    pub(crate) fn bytes(&self) -> u64 {
        self.covered.bytes()
    }

    /// About how many nanoseconds the summary of an event takes.
    pub(super) fn event_ns(&self) -> u64 {
        self.event_ns
    }

    /// A block of the slot of this seq is damaged: it is rebuilt.
    pub(super) fn note_damage(&self, seq: u64, error: &rusqlite::Error) {
        if self.damaged.replace(Some(seq)).is_none() && !self.is_stopped.get() {
            log::error!("a summary for searches is damaged, and is rebuilt: {error}");
        }
    }

    /// Stops making summaries if this error says that the file is damaged. Returns whether it does.
    pub(super) fn stop_if_corrupt(&self, error: &rusqlite::Error) -> bool {
        let is_corrupt = is_corrupt(error);
        if is_corrupt {
            self.stop(error);
        }
        is_corrupt
    }

    fn stop(&self, error: &rusqlite::Error) {
        if !self.is_stopped.replace(true) {
            log::error!("no summaries are made any more, and searches take longer: {error}");
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.get()
    }

    /// When there is something to do although nothing more is stored.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let is_at_work = self.is_wanted() && !self.is_stopped.get();
        self.tail.filter(|_| is_at_work).map(|tail| tail.due_ms)
    }

    /// When [`Summaries::scrub`] has something to do next.
    pub(crate) fn scrub_due_ms(&self) -> Option<u64> {
        let is_at_work = self.is_wanted() && !self.is_stopped.get();
        (is_at_work && self.damaged.get().is_none()).then(|| self.scrub.due_ms())
    }

    /// Reads some summaries, if that is due. Returns whether one is damaged, and is to be rebuilt.
    pub(crate) fn scrub(&mut self, db: &Connection, now_ms: u64) -> rusqlite::Result<bool> {
        if self.scrub_due_ms().is_none() {
            return Ok(false);
        }
        match self.scrub.step(db, now_ms) {
            Ok(None) => Ok(false),
            Ok(Some((seq, error))) => {
                self.note_damage(seq, &error);
                Ok(true)
            }
            Err(error) if self.stop_if_corrupt(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Notes since when the newest events wait, and says up to which seq summaries are made now.
    fn wanted(&mut self, at: Extent) -> u64 {
        let full = at.last_seq / SUMMARY_BLOCK_EVENTS * SUMMARY_BLOCK_EVENTS;
        let first = full.max(self.covered.last()).max(at.horizon) + 1;
        if first > at.last_seq {
            self.tail = None;
        } else if self.tail.is_none_or(|tail| tail.first < first) {
            self.tail = Some(Tail {
                first,
                due_ms: at.now_ms.saturating_add(SUMMARY_WAIT_MS),
            });
        }
        match self.tail {
            Some(tail) if tail.due_ms <= at.now_ms => at.last_seq,
            _ => full,
        }
    }

    /// What is to be done, if that can be said without reading.
    fn waiting(&mut self, at: Extent) -> Option<Step> {
        if self.is_stopped.get() {
            return Some(Step::Nothing);
        }
        if !self.is_wanted() {
            return Some(match self.has_unwanted {
                true => Step::Write(Write::Clear),
                false => Step::Nothing,
            });
        }
        if let Some(seq) = self.damaged.get() {
            let slot = slot_of(seq.max(1));
            return Some(Step::Write(Write::Discard { slot }));
        }
        if self.oldest.is_some_and(|oldest| oldest <= at.horizon) {
            let horizon = at.horizon;
            return Some(Step::Write(Write::Drop { horizon }));
        }
        let wanted = self.wanted(at);
        match self.stage {
            Stage::Made(..) => Some(Step::Write(Write::Block)),
            Stage::Making(_) => None,
            Stage::None => match self.covered.missing(wanted, at.horizon) {
                Some(_) => None,
                None => Some(Step::Nothing),
            },
        }
    }

    /// Whether there is something to do.
    pub(super) fn has_work(&mut self, at: Extent) -> bool {
        self.waiting(at) != Some(Step::Nothing)
    }

    /// Reads for about `budget` nanoseconds, which are subtracted, and returns what comes next.
    pub(super) fn step(
        &mut self,
        db: &Connection,
        topics: &Topics,
        at: Extent,
        budget: &mut i64,
    ) -> rusqlite::Result<Step> {
        if let Some(step) = self.waiting(at) {
            return Ok(step);
        }
        let mut building = match std::mem::take(&mut self.stage) {
            Stage::Making(building) => building,
            // Nothing waits to be written, so nothing is made either.
            stage => {
                let wanted = self.wanted(at);
                if let Some(missing) = self.covered.missing(wanted, at.horizon) {
                    self.stage = self.begin(db, missing, at, budget)?;
                }
                drop(stage);
                return Ok(Step::More);
            }
        };
        let made = building.step(db, topics, budget)?;
        self.stage = match made {
            Some(made) => Stage::Made(building, made),
            None => Stage::Making(building),
        };
        Ok(Step::More)
    }

    /// Finds the blocks that end with a seq, as far as there is no gap; or begins to make those of its slot.
    fn begin(
        &mut self,
        db: &Connection,
        missing: u64,
        at: Extent,
        budget: &mut i64,
    ) -> rusqlite::Result<Stage> {
        let sql = format!(
            "SELECT {BLOCK_COLUMNS} FROM search_blocks WHERE first_seq <= ?1 ORDER BY first_seq DESC LIMIT ?2"
        );
        let mut statement = db.prepare_cached(&sql)?;
        let mut rows = statement.query((clamp(missing), SUMMARY_ROWS_READ_AT_ONCE as i64))?;
        let (slot, _) = slot_of(missing);
        let mut from = slot.max(at.horizon + 1);
        let (mut known, mut bytes) = (missing + 1, 0);
        self.replaced_bytes = 0;
        while let Some(row) = rows.next()? {
            *budget -= SUMMARY_ROW_NS as i64 / 8;
            let Some((block, _)) = Block::read(row)? else {
                let seq: i64 = row.get(0)?;
                let seq = seq.max(0).cast_unsigned();
                self.note_damage(seq, &crate::store::error::damaged("a row of search_blocks"));
                break;
            };
            if block.last_seq + 1 != known {
                // The newest block of a slot that was not full, or what a crash has left of several.
                if known > missing && block.last_seq < missing && block.first_seq >= slot {
                    from = block.first_seq;
                    self.replaced_bytes = bytes_of(&block);
                }
                break;
            }
            known = block.first_seq;
            bytes += bytes_of(&block);
            // What follows is known, or has been removed.
            if self.covered.missing(known - 1, at.horizon) != Some(known - 1) {
                break;
            }
        }
        if known <= missing {
            self.covered.add(known, missing, bytes);
            return Ok(Stage::None);
        }
        if self.damaged.get().is_some() {
            return Ok(Stage::None);
        }
        let building = Building::new(from, missing);
        Ok(Stage::Making(building))
    }

    /// Writes what is to be written, inside the open transaction.
    pub(super) fn write(
        &mut self,
        db: &Connection,
        write: Write,
        budget: &mut i64,
    ) -> rusqlite::Result<()> {
        let change = match write {
            Write::Block => match &self.stage {
                Stage::Made(_, made) => {
                    let block = &made.block;
                    delete_blocks(db, block.first_seq, block.last_seq)?;
                    let owner = block.write(db)?;
                    write_pages(db, block.first_seq, owner, (&made.filter, &made.seconds))?;
                    *budget -= (SUMMARY_ROW_NS * u64::from(1 + block.pages())) as i64;
                    Change::Written
                }
                _ => return Ok(()),
            },
            Write::Drop { horizon } => drop_up_to(db, horizon)?,
            Write::Discard {
                slot: (first, last),
            } => {
                delete_blocks(db, first, last)?;
                Change::Discarded
            }
            Write::Clear => clear(db)?,
        };
        *budget -= SUMMARY_ROW_NS as i64;
        self.open = Some(change);
        Ok(())
    }

    fn block_is_written(&mut self) {
        let Stage::Made(building, Made { block, .. }) = std::mem::take(&mut self.stage) else {
            return;
        };
        let replaced = std::mem::take(&mut self.replaced_bytes);
        self.covered.cut_end(block.first_seq, replaced);
        self.covered
            .add(block.first_seq, block.last_seq, bytes_of(&block));
        self.event_ns = building.event_ns(1 + block.pages());
        let oldest = self.oldest.unwrap_or(u64::MAX);
        self.oldest = Some(oldest.min(block.last_seq));
        self.stage = building.after(&block).map_or(Stage::None, Stage::Making);
    }
}

impl Part for Summaries {
    fn committed(&mut self) {
        match self.open.take() {
            None => {}
            Some(Change::Written) => self.block_is_written(),
            Some(Change::Dropped {
                last,
                bytes,
                oldest,
            }) => {
                self.covered.cut_up_to(last, bytes);
                self.oldest = oldest;
            }
            Some(Change::Discarded) => {
                self.damaged.set(None);
                self.stage = Stage::None;
                self.covered = Covered::default();
            }
            Some(Change::Cleared { has_rows }) => self.has_unwanted = has_rows,
        }
    }

    fn rolled_back(&mut self) {
        self.open = None;
    }
}

fn bytes_of(block: &Block) -> u64 {
    let of_filter = PAGE_ROW_BYTES * u64::from(pages_of(block.filter_lines));
    BLOCK_ROW_BYTES + of_filter + u64::from(block.seconds_bytes)
}

/// The last seq of the oldest block.
fn oldest(db: &Connection) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT last_seq FROM search_blocks ORDER BY first_seq LIMIT 1";
    db.query_row(sql, [], |row| unsigned(row, 0)).optional()
}

fn has_rows(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM search_blocks) OR EXISTS (SELECT 1 FROM search_pages)";
    db.query_row(sql, [], |row| row.get(0))
}

/// Deletes the oldest blocks, as far as their events have been removed, inside the open transaction.
fn drop_up_to(db: &Connection, horizon: u64) -> rusqlite::Result<Change> {
    let sql = format!("SELECT {BLOCK_COLUMNS} FROM search_blocks ORDER BY first_seq LIMIT ?1");
    let (mut last, mut bytes) = (0, 0);
    {
        let mut statement = db.prepare_cached(&sql)?;
        let mut rows = statement.query([SUMMARY_BLOCKS_DROPPED_AT_ONCE as i64])?;
        while let Some(row) = rows.next()? {
            let last_of_block = unsigned(row, 1)?;
            if last_of_block > horizon {
                break;
            }
            last = last_of_block;
            bytes += Block::read(row)?.map_or(0, |(block, _)| bytes_of(&block));
        }
    }
    delete_blocks(db, 0, last)?;
    Ok(Change::Dropped {
        last,
        bytes,
        oldest: oldest(db)?,
    })
}

/// Deletes some rows of both tables inside the open transaction.
fn clear(db: &Connection) -> rusqlite::Result<Change> {
    let sql = "SELECT max(first_seq) FROM (SELECT first_seq FROM search_blocks ORDER BY first_seq LIMIT ?1)";
    let rows = SUMMARY_BLOCKS_DROPPED_AT_ONCE as i64;
    let last: Option<i64> = db.query_row(sql, [rows], |row| row.get(0))?;
    match last {
        Some(last) => delete_blocks(db, 0, last.max(0).cast_unsigned())?,
        // Pages that no block has.
        None => {
            let sql = "DELETE FROM search_pages WHERE id IN (SELECT id FROM search_pages LIMIT ?1)";
            db.execute(sql, [SUMMARY_ROWS_READ_AT_ONCE as i64])?;
        }
    }
    let has_rows = has_rows(db)?;
    Ok(Change::Cleared { has_rows })
}
