//! A segment: the keys and the topics of the events in a range of seqs, sorted, immutable, on disk.
//!
//! Its pages follow each other in the table of its level: keys, filter, fences of the keys, postings, fences of the
//! postings. Memory holds the filter and the fences, so a key that is not in the segment costs no read in all but a few
//! of a thousand cases, and one that is in it costs one.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension};

use super::damage::Damage;
use super::filter::{self, Filter};
use super::layout::{Description, Layout};
use super::pages::{LevelPages, Pages};
use super::record::{partition, records, Fingerprint, KeyRecord, Posting, Record};
use crate::limits::SEGMENT_PAGE_BYTES;
use crate::store::error::is_damaged_page;
use crate::store::range::{Bound, TopicRange};

/// A segment as memory knows it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub about: Description,
    pub layout: Layout,
    pub pages: Pages,
    /// None if the setting for filter memory leaves it on disk.
    pub filter: Option<Filter>,
    pub key_fences: Vec<u64>,
    pub posting_fences: Vec<Posting>,
    /// About when its last event was processed, in microseconds since the epoch.
    pub newest_at: i64,
}

impl Segment {
    /// Reads the fences of a segment that is on disk. Those on damaged pages are made from the pages that they
    /// describe, as far as these can be read: then they rule out less, but nothing wrongly. With `holds_filter` its
    /// filter is read later, by [`Segment::read_filter`].
    pub(crate) fn load(
        db: &Connection,
        about: Description,
        holds_filter: bool,
        damage: &Damage,
    ) -> rusqlite::Result<Self> {
        let pages = Pages::of(about, damage);
        Ok(Self {
            about,
            layout: pages.layout,
            filter: match holds_filter {
                true => Filter::on_disk(about.filter_blocks()),
                false => None,
            },
            key_fences: read_fences::<KeyRecord>(db, &pages)?,
            posting_fences: read_fences::<Posting>(db, &pages)?,
            newest_at: 0,
            pages,
        })
    }

    /// Pages on disk.
    pub(crate) fn page_count(&self) -> i64 {
        self.layout.end() - self.layout.first_page
    }

    /// Bytes of memory that the filter and the fences take.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.filter_bytes() + self.fence_bytes()
    }

    /// Bytes of memory that the fences take.
    pub(crate) fn fence_bytes(&self) -> usize {
        self.key_fences.len() * size_of::<u64>() + self.posting_fences.len() * size_of::<Posting>()
    }

    /// Bytes of memory that the filter takes.
    pub(crate) fn filter_bytes(&self) -> usize {
        self.filter.as_ref().map_or(0, |f| f.as_bytes().len())
    }

    /// Whether memory is to hold pages of the filter that have not been read yet.
    pub(crate) fn has_unread_filter(&self) -> bool {
        self.filter.as_ref().and_then(Filter::next_unread).is_some()
    }

    /// Reads at most `pages` further pages of the filter into memory, and returns how many these were. The blocks of a
    /// damaged one say yes to every key.
    pub(crate) fn read_filter(&mut self, db: &Connection, pages: usize) -> rusqlite::Result<usize> {
        let Some(filter) = &mut self.filter else {
            return Ok(0);
        };
        let mut level = LevelPages::of_level(db, self.about.level)?;
        for read in 0..pages {
            let Some(number) = filter.next_unread() else {
                return Ok(read);
            };
            let id = self.layout.filter_at() + number as i64;
            let page = level.with(&self.pages, id, |page| filter.set_page(number, page));
            unless_damaged_page(page)?;
            filter.set_read();
        }
        Ok(pages)
    }

    /// Whether the block of a fingerprint is in memory.
    fn holds_block_of(&self, fingerprint: Fingerprint) -> bool {
        let filter = self.filter.as_ref();
        filter.is_some_and(|filter| filter.has_read(fingerprint))
    }

    /// Calls `take` with the record of each event that has this fingerprint, until it says true. A block of the filter
    /// in memory is not asked: the caller has done that.
    pub(crate) fn find(
        &self,
        db: &Connection,
        fingerprint: Fingerprint,
        take: &mut impl FnMut(KeyRecord) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<bool> {
        if !self.holds_block_of(fingerprint) {
            let (page, offset) = filter::place_of(fingerprint, self.about.filter_blocks());
            let id = self.layout.filter_at() + page as i64;
            let asked = self.pages.with(db, id, |page| {
                filter::page_may_contain(page, offset, fingerprint)
            });
            if unless_damaged_page(asked)? == Some(false) {
                return Ok(false);
            }
        }
        let mut found = Vec::new();
        for page in self.pages_of(fingerprint) {
            self.pages.with(db, page, |page| {
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
    pub(crate) fn pages_of(&self, fingerprint: Fingerprint) -> Range<i64> {
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

    /// The page that alone may have a fingerprint, where memory has asked the filter.
    pub(crate) fn only_page_of(&self, fingerprint: Fingerprint) -> Option<i64> {
        let pages = self.pages_of(fingerprint);
        (self.holds_block_of(fingerprint) && pages.end - pages.start == 1).then_some(pages.start)
    }

    /// Appends the seqs that are asked for, in their order, until `out` holds as many as it may.
    pub(crate) fn seqs_of(
        &self,
        db: &Connection,
        range: &TopicRange,
        out: &mut Vec<u64>,
    ) -> rusqlite::Result<()> {
        // The postings that are asked for are between these two, the first included.
        let (after, high, ascending) = match range.bound {
            Bound::After(from) => (from.max(range.removed), u64::MAX, true),
            Bound::Before(from) => (range.removed, from, false),
        };
        let low = after.saturating_add(1);
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
            self.pages.with(db, id, |page| {
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

/// Nothing where a page is damaged.
pub(crate) fn unless_damaged_page<T>(result: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_damaged_page(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the fences of a part. Those on a damaged page are replaced by the first records of the pages that they
/// describe; if such a page is damaged as well, by the fence before it. A look-up then reads that page, which is an
/// error, and never skips it.
fn read_fences<R: Record>(db: &Connection, pages: &Pages) -> rusqlite::Result<Vec<R::Fence>> {
    let layout = &pages.layout;
    let records = layout.pages_of(R::PART);
    let count = (records.end - records.start) as usize;
    let mut fences: Vec<R::Fence> = Vec::with_capacity(count);
    let mut level = LevelPages::of_level(db, pages.about.level)?;
    for id in layout.pages_of(R::FENCES) {
        let read = level.with(pages, id, |page| {
            fences.extend(page.chunks_exact(R::FENCE_BYTES).map(R::read_fence));
        });
        if unless_damaged_page(read)?.is_some() {
            continue;
        }
        let until = count.min(fences.len() + SEGMENT_PAGE_BYTES / R::FENCE_BYTES);
        while fences.len() < until {
            let id = records.start + fences.len() as i64;
            let first = level.with(pages, id, |page| R::read(&page[..R::BYTES]).fence());
            let before = fences.last().copied().unwrap_or_default();
            fences.push(unless_damaged_page(first)?.unwrap_or(before));
        }
    }
    Ok(fences)
}

/// About when an event that is stored or has been removed was processed; 0 if it is not known.
pub(crate) fn time_of(db: &Connection, seq: u64) -> rusqlite::Result<i64> {
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

/// The records of a page of keys that have this fingerprint.
pub(crate) fn records_of(
    page: &[u8],
    fingerprint: Fingerprint,
) -> impl Iterator<Item = KeyRecord> + '_ {
    let from = partition::<KeyRecord>(page, |record| record.fingerprint < fingerprint);
    records::<KeyRecord>(&page[from * KeyRecord::BYTES..])
        .take_while(move |record| record.fingerprint == fingerprint)
}
