//! A segment: the keys and the topics of the events in a range of seqs, sorted, immutable, on disk.
//!
//! Its pages stand behind each other in the table of its level: keys, filter, fences of the keys,
//! postings, fences of the postings. Memory holds the filter and the fences, so a key that is not in
//! the segment costs no read in all but a few of a thousand cases, and one that is costs one.

use std::ops::Range;

use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::super::damaged;
use super::super::read::{Bound, TopicRange};
use super::block::BLOCK_BYTES;
use super::filter::{self, Filter};
use super::fingerprint::Fingerprint;
use super::record::{partition, records, KeyRecord, Posting, Record};
use crate::limits::{SEGMENT_LEVELS, SEGMENT_PAGE_BYTES};

/// Where the parts of a segment are: counts of pages, in the order in which they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The id of the first page in the level's table.
    pub first_page: i64,
    pub keys: i64,
    pub filter: i64,
    pub key_fences: i64,
    pub postings: i64,
    pub posting_fences: i64,
}

impl Layout {
    /// The layout of a segment with so many keys, whose filter has so many blocks.
    pub fn new(first_page: i64, entries: u64, filter_blocks: usize) -> Self {
        let pages = |records: u64, bytes: usize| {
            records.div_ceil((SEGMENT_PAGE_BYTES / bytes) as u64) as i64
        };
        let keys = pages(entries, KeyRecord::BYTES);
        let postings = pages(entries, Posting::BYTES);
        Self {
            first_page,
            keys,
            filter: filter::pages_for(filter_blocks) as i64,
            key_fences: pages(keys as u64, KEY_FENCE_BYTES),
            postings,
            posting_fences: pages(postings as u64, Posting::BYTES),
        }
    }

    pub fn filter_at(&self) -> i64 {
        self.first_page + self.keys
    }

    pub fn key_fences_at(&self) -> i64 {
        self.filter_at() + self.filter
    }

    pub fn postings_at(&self) -> i64 {
        self.key_fences_at() + self.key_fences
    }

    pub fn posting_fences_at(&self) -> i64 {
        self.postings_at() + self.postings
    }

    /// The id behind the last page.
    pub fn end(&self) -> i64 {
        self.posting_fences_at() + self.posting_fences
    }
}

/// Bytes of a key's fence on disk: the first half of its fingerprint.
pub const KEY_FENCE_BYTES: usize = 8;

/// What the table `segments` says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    pub level: usize,
    pub first_seq: u64,
    pub last_seq: u64,
    pub entries: u64,
    pub first_page: i64,
    /// Bits of filter for each key.
    pub filter_bits: u64,
}

impl Description {
    pub fn layout(&self) -> Layout {
        Layout::new(self.first_page, self.entries, self.filter_blocks())
    }

    pub fn filter_blocks(&self) -> usize {
        filter::blocks_for(self.entries, self.filter_bits)
    }

    /// Bytes of memory that the filter takes.
    pub fn filter_bytes(&self) -> usize {
        self.filter_blocks() * BLOCK_BYTES
    }
}

/// A segment as memory knows it.
#[derive(Debug)]
pub struct Segment {
    pub about: Description,
    pub layout: Layout,
    /// None where the setting for filter memory leaves it on disk.
    pub filter: Option<Filter>,
    pub key_fences: Vec<u64>,
    pub posting_fences: Vec<Posting>,
    /// About when its last event was processed, in microseconds since the epoch.
    pub newest_at: i64,
}

impl Segment {
    /// Reads the filter and the fences of a segment that is on disk.
    pub fn load(db: &Connection, about: Description, with_filter: bool) -> rusqlite::Result<Self> {
        let layout = about.layout();
        let level = about.level;
        let key_fences = read_run(db, level, layout.key_fences_at(), layout.key_fences)?
            .chunks_exact(KEY_FENCE_BYTES)
            .map(|bytes| u64::from_be_bytes(bytes.try_into().expect("chunks of eight")))
            .collect();
        let posting_fences =
            read_run(db, level, layout.posting_fences_at(), layout.posting_fences)?;
        let mut segment = Self {
            about,
            layout,
            filter: None,
            key_fences,
            posting_fences: records(&posting_fences).collect(),
            newest_at: 0,
        };
        if with_filter {
            let blocks = read_run(db, level, layout.filter_at(), layout.filter)?;
            segment.filter = Some(Filter::from_bytes(blocks));
        }
        let whole = segment.key_fences.len() as i64 == layout.keys
            && segment.posting_fences.len() as i64 == layout.postings
            && segment
                .filter
                .as_ref()
                .is_none_or(|f| f.as_bytes().len() == about.filter_bytes());
        if whole {
            Ok(segment)
        } else {
            Err(damaged(format!(
                "the segment of the events {} to {} lacks pages",
                about.first_seq, about.last_seq
            )))
        }
    }

    /// Bytes of memory that the filter and the fences take.
    pub fn memory_bytes(&self) -> usize {
        self.filter_bytes()
            + self.key_fences.len() * size_of::<u64>()
            + self.posting_fences.len() * size_of::<Posting>()
    }

    /// Bytes of memory that the filter takes.
    pub fn filter_bytes(&self) -> usize {
        self.filter.as_ref().map_or(0, |f| f.as_bytes().len())
    }

    /// Calls `take` with the record of each event that has this fingerprint, until it says true. A filter
    /// in memory is not asked: whoever calls has done that.
    pub fn find(
        &self,
        db: &Connection,
        fingerprint: Fingerprint,
        take: &mut impl FnMut(KeyRecord) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<bool> {
        if self.filter.is_none() {
            let (page, offset) = filter::place_of(fingerprint, self.about.filter_blocks());
            let absent = with_page(
                db,
                self.about.level,
                self.layout.filter_at() + page as i64,
                |page| !filter::page_may_contain(page, offset, fingerprint),
            )?;
            if absent {
                return Ok(false);
            }
        }
        let mut found = Vec::new();
        for page in self.pages_of(fingerprint) {
            with_page(db, self.about.level, page, |page| {
                found.extend(records_of(page, fingerprint));
            })?;
            for record in found.drain(..) {
                if take(record)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The pages that may have a fingerprint.
    fn pages_of(&self, fingerprint: Fingerprint) -> Range<i64> {
        let fence = KeyRecord {
            fingerprint,
            seq: 0,
            event_hash: 0,
        }
        .fence();
        let fences = &self.key_fences;
        let from = fences.partition_point(|f| *f < fence);
        let equal = fences[from..].iter().take_while(|f| **f == fence).count();
        let first = self.layout.first_page;
        first + from.saturating_sub(1) as i64..first + (from + equal) as i64
    }

    /// The page that alone may have a fingerprint, in a segment whose filter is in memory.
    pub fn only_page_of(&self, fingerprint: Fingerprint) -> Option<i64> {
        let pages = self.pages_of(fingerprint);
        (self.filter.is_some() && pages.end - pages.start == 1).then_some(pages.start)
    }

    /// Appends the seqs that are asked for, in their order, until `out` holds as many as it may.
    pub fn seqs_of(
        &self,
        db: &Connection,
        range: &TopicRange,
        out: &mut Vec<u64>,
    ) -> rusqlite::Result<()> {
        // The postings that are asked for lie between these two, the first within, the second without.
        let (behind, high, ascending) = match range.bound {
            Bound::After(from) => (from.max(range.removed), u64::MAX, true),
            Bound::Before(from) => (range.removed, from, false),
        };
        let low = behind.saturating_add(1);
        let [low, high] = [low, high].map(|seq| Posting {
            topic: range.topic,
            seq,
        });
        let fences = &self.posting_fences;
        let first = fences.partition_point(|f| *f <= low).saturating_sub(1);
        let mut pages = first..fences.partition_point(|f| *f < high);
        while range.room(out) > 0 {
            let next = if ascending {
                pages.next()
            } else {
                pages.next_back()
            };
            let Some(page) = next else { break };
            let id = self.layout.postings_at() + page as i64;
            with_page(db, self.about.level, id, |page| {
                let start = partition::<Posting>(page, |p| p < low);
                let end = partition::<Posting>(page, |p| p < high).max(start);
                let wanted =
                    records::<Posting>(&page[start * Posting::BYTES..end * Posting::BYTES]);
                let room = range.room(out);
                if ascending {
                    out.extend(wanted.take(room).map(|p| p.seq));
                } else {
                    out.extend(wanted.rev().take(room).map(|p| p.seq));
                }
            })?;
        }
        Ok(())
    }
}

/// Statements that name a level's table, one for each level.
macro_rules! for_levels {
    ($before:literal, $after:literal) => {
        [
            concat!($before, "0", $after),
            concat!($before, "1", $after),
            concat!($before, "2", $after),
            concat!($before, "3", $after),
            concat!($before, "4", $after),
            concat!($before, "5", $after),
            concat!($before, "6", $after),
        ]
    };
}

const SELECT_PAGE: [&str; SEGMENT_LEVELS] =
    for_levels!("SELECT content FROM segment_pages_", " WHERE id = ?1");
const SELECT_PAGES: [&str; SEGMENT_LEVELS] = for_levels!(
    "SELECT content FROM segment_pages_",
    " WHERE id >= ?1 AND id < ?2 ORDER BY id"
);
const INSERT_PAGE: [&str; SEGMENT_LEVELS] = for_levels!(
    "INSERT INTO segment_pages_",
    "(id, content) VALUES (?1, ?2)"
);
const REPLACE_PAGE: [&str; SEGMENT_LEVELS] =
    for_levels!("UPDATE segment_pages_", " SET content = ?2 WHERE id = ?1");
const DELETE_PAGES: [&str; SEGMENT_LEVELS] =
    for_levels!("DELETE FROM segment_pages_", " WHERE id >= ?1 AND id < ?2");
const NEXT_PAGE: [&str; SEGMENT_LEVELS] = for_levels!(
    "SELECT id FROM segment_pages_",
    " WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1"
);
const LAST_PAGE: [&str; SEGMENT_LEVELS] = for_levels!("SELECT max(id) FROM segment_pages_", "");

/// About when an event was processed that is stored or has been removed; 0 where nothing tells.
pub fn time_of(db: &Connection, seq: u64) -> rusqlite::Result<i64> {
    for sql in [
        "SELECT processed_at FROM events WHERE seq = ?1",
        "SELECT processed_at FROM removed_times WHERE last_seq >= ?1 ORDER BY last_seq LIMIT 1",
    ] {
        let found = db
            .prepare_cached(sql)?
            .query_row([seq as i64], |row| row.get(0));
        if let Some(processed_at) = found.optional()? {
            return Ok(processed_at);
        }
    }
    Ok(0)
}

/// Lends a page to `look`. A page that is missing is an error: the file is damaged.
pub fn with_page<T>(
    db: &Connection,
    level: usize,
    id: i64,
    look: impl FnOnce(&[u8]) -> T,
) -> rusqlite::Result<T> {
    LevelPages::of_level(db, level)?.with(id, look)
}

/// Reads pages of a level, one after the other.
pub struct LevelPages<'db> {
    level: usize,
    statement: CachedStatement<'db>,
}

impl<'db> LevelPages<'db> {
    pub fn of_level(db: &'db Connection, level: usize) -> rusqlite::Result<Self> {
        let statement = db.prepare_cached(SELECT_PAGE[level])?;
        Ok(Self { level, statement })
    }

    /// As [`with_page`] does.
    pub fn with<T>(&mut self, id: i64, look: impl FnOnce(&[u8]) -> T) -> rusqlite::Result<T> {
        self.statement.raw_bind_parameter(1, id)?;
        let mut rows = self.statement.raw_query();
        let row = rows.next()?.ok_or_else(|| {
            let level = self.level;
            damaged(format!(
                "page {id} of the segments of level {level} is missing"
            ))
        })?;
        Ok(look(row.get_ref(0)?.as_blob()?))
    }
}

/// The records of a page of keys that have this fingerprint.
pub fn records_of(page: &[u8], fingerprint: Fingerprint) -> impl Iterator<Item = KeyRecord> + '_ {
    let from = partition::<KeyRecord>(page, |record| record.fingerprint < fingerprint);
    records::<KeyRecord>(&page[from * KeyRecord::BYTES..])
        .take_while(move |record| record.fingerprint == fingerprint)
}

/// The content of pages that stand behind each other.
fn read_run(db: &Connection, level: usize, first: i64, pages: i64) -> rusqlite::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(pages as usize * SEGMENT_PAGE_BYTES);
    let mut statement = db.prepare_cached(SELECT_PAGES[level])?;
    let mut rows = statement.query((first, first + pages))?;
    while let Some(row) = rows.next()? {
        content.extend_from_slice(row.get_ref(0)?.as_blob()?);
    }
    Ok(content)
}

/// Writes one page.
pub fn write_page(db: &Connection, level: usize, id: i64, content: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached(INSERT_PAGE[level])?
        .execute((id, content))
        .map(|_| ())
}

/// Gives a page that is there another content.
pub fn replace_page(
    db: &Connection,
    level: usize,
    id: i64,
    content: &[u8],
) -> rusqlite::Result<()> {
    db.prepare_cached(REPLACE_PAGE[level])?
        .execute((id, content))
        .map(|_| ())
}

/// Deletes the first pages of a range, at most `rows` of them, and says where the rest begins.
pub fn delete_pages(
    db: &Connection,
    level: usize,
    first: i64,
    end: i64,
    rows: i64,
) -> rusqlite::Result<i64> {
    let mut next = db.prepare_cached(NEXT_PAGE[level])?;
    let Some(from) = next
        .query_row((first, end), |row| row.get::<_, i64>(0))
        .optional()?
    else {
        return Ok(end);
    };
    let to = (from + rows).min(end);
    db.prepare_cached(DELETE_PAGES[level])?
        .execute((from, to))?;
    Ok(to)
}

/// The id of the last page of a level, 0 where there is none.
pub fn last_page(db: &Connection, level: usize) -> rusqlite::Result<i64> {
    db.query_row(LAST_PAGE[level], [], |row| {
        Ok(row.get::<_, Option<i64>>(0)?.unwrap_or(0))
    })
}
