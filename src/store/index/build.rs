//! The making of a segment, out of a sealed memtable or out of the segments of the level below, a
//! few pages at a time.
//!
//! What a step has written counts only when its transaction is committed. When one fails, the whole build is thrown
//! away and started again: its inputs are still there, and the pages that it left are obsolete, since nothing refers to
//! them.

use rusqlite::Connection;

use super::damage::Damage;
use super::filter::{page_bytes, place_of, Filter, Maker};
use super::layout::{Description, Layout};
use super::merge::{Merge, Source};
use super::pages::Pages;
use super::record::{KeyRecord, Posting, Record};
use super::segment::Segment;
use super::stored::Collision;
use crate::limits::SEGMENT_PAGE_BYTES;
use crate::store::error::damaged;
use crate::store::page_checksum::CHECKSUM_BYTES;

/// What is written next.
enum Phase {
    Keys,
    Filter {
        at: usize,
    },
    /// The same where memory does not hold the filter: it is made of the keys' pages, which are sorted as
    /// its blocks are.
    FilterOfPages {
        keys: Source<KeyRecord>,
    },
    KeyFences {
        at: usize,
    },
    Postings,
    PostingFences {
        at: usize,
    },
    Complete,
}

/// A segment in the making.
pub(crate) struct SegmentBuilder {
    pub about: Description,
    layout: Layout,
    pages: Pages,
    phase: Phase,
    /// The id of the page that is written next.
    next_page: i64,
    keys: Merge<KeyRecord>,
    postings: Merge<Posting>,
    /// None if memory has no room for it.
    filter: Option<Filter>,
    blocks: Maker,
    key_fences: Vec<u64>,
    posting_fences: Vec<Posting>,
    last_key: Option<KeyRecord>,
    /// Records read so far of the keys, then of the postings.
    records: u64,
    page: Vec<u8>,
}

impl SegmentBuilder {
    /// With `holds_filter` memory holds the filter of all keys from the first one on.
    pub(crate) fn new(
        about: Description,
        keys: Vec<Source<KeyRecord>>,
        postings: Vec<Source<Posting>>,
        holds_filter: bool,
        damage: &Damage,
    ) -> Self {
        let pages = Pages::of(about, damage);
        let layout = pages.layout;
        Self {
            about,
            layout,
            pages,
            phase: Phase::Keys,
            next_page: about.first_page,
            keys: Merge::new(keys),
            postings: Merge::new(postings),
            filter: match holds_filter {
                true => Filter::with_blocks(about.filter_blocks()),
                false => None,
            },
            blocks: Maker::new(about.filter_blocks()),
            key_fences: Vec::with_capacity(layout.keys as usize),
            posting_fences: Vec::with_capacity(layout.postings as usize),
            last_key: None,
            records: 0,
            page: Vec::with_capacity(SEGMENT_PAGE_BYTES + CHECKSUM_BYTES),
        }
    }

    /// The pages that this build has written or may have written.
    pub(crate) fn pages(&self) -> std::ops::Range<i64> {
        self.about.first_page..self.layout.end()
    }

    /// How many it has written.
    pub(crate) fn pages_written(&self) -> i64 {
        self.next_page - self.about.first_page
    }

    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.phase, Phase::Complete)
    }

    /// Writes pages of at most about `budget` records and returns how many they were. Two equal fingerprints that meet
    /// are handed to `collide`.
    pub(crate) fn step(
        &mut self,
        db: &Connection,
        budget: usize,
        collide: &mut impl FnMut(Collision) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<usize> {
        let mut done = 0;
        while done < budget && !self.is_complete() {
            done += self.write_next_page(db, collide)?;
        }
        Ok(done)
    }

    fn write_next_page(
        &mut self,
        db: &Connection,
        collide: &mut impl FnMut(Collision) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<usize> {
        if self.is_complete() {
            return Ok(0);
        }
        self.page.clear();
        let written = self.fill_page(db, collide)?;
        if self.page.is_empty() {
            return Err(self.wrong_count());
        }
        self.pages.write(db, self.next_page, &mut self.page)?;
        self.next_page += 1;
        self.check_count(db, written as u64)?;
        self.go_to_next_phase();
        Ok(written)
    }

    /// Puts the content of the next page on `page`. Returns how many records that counts as.
    fn fill_page(
        &mut self,
        db: &Connection,
        collide: &mut impl FnMut(Collision) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<usize> {
        match &mut self.phase {
            Phase::Keys => return self.fill_with_keys(db, collide),
            Phase::Postings => return self.fill_with_postings(db),
            Phase::FilterOfPages { keys } => {
                let number = (self.next_page - self.layout.filter_at()) as usize;
                let blocks = self.about.filter_blocks();
                return fill_filter_page(db, keys, blocks, number, &mut self.page);
            }
            Phase::Filter { at } => {
                let filter = self.filter.as_ref().map_or(&[][..], Filter::as_bytes);
                take(filter, at, &mut self.page);
            }
            Phase::KeyFences { at } => {
                let rest = &self.key_fences[*at..];
                let fences = &rest[..rest.len().min(SEGMENT_PAGE_BYTES / KeyRecord::FENCE_BYTES)];
                fences
                    .iter()
                    .for_each(|fence| KeyRecord::write_fence(*fence, &mut self.page));
                *at += fences.len();
            }
            Phase::PostingFences { at } => {
                let rest = &self.posting_fences[*at..];
                let fences = &rest[..rest.len().min(Posting::PER_PAGE)];
                fences.iter().for_each(|fence| fence.write(&mut self.page));
                *at += fences.len();
            }
            Phase::Complete => {}
        }
        Ok(SEGMENT_PAGE_BYTES / KeyRecord::BYTES)
    }

    fn fill_with_keys(
        &mut self,
        db: &Connection,
        collide: &mut impl FnMut(Collision) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<usize> {
        let mut written = 0;
        while written < KeyRecord::PER_PAGE {
            let Some(record) = self.keys.next(db)? else {
                break;
            };
            let last = self.last_key.replace(record);
            if let Some(last) = last.filter(|last| last.fingerprint == record.fingerprint) {
                collide(Collision {
                    first: last.seq,
                    second: record.seq,
                })?;
            }
            if written == 0 {
                self.key_fences.push(record.fence());
            }
            if let Some(filter) = &mut self.filter {
                if let Some(made) = self.blocks.take(record.fingerprint) {
                    filter.set(made);
                }
            }
            record.write(&mut self.page);
            written += 1;
        }
        Ok(written)
    }

    fn fill_with_postings(&mut self, db: &Connection) -> rusqlite::Result<usize> {
        let mut written = 0;
        while written < Posting::PER_PAGE {
            let Some(posting) = self.postings.next(db)? else {
                break;
            };
            if written == 0 {
                self.posting_fences.push(posting);
            }
            posting.write(&mut self.page);
            written += 1;
        }
        Ok(written)
    }

    fn go_to_next_phase(&mut self) {
        let layout = &self.layout;
        if self.next_page == layout.end() {
            self.phase = Phase::Complete;
        } else if self.next_page == layout.posting_fences_at() {
            self.phase = Phase::PostingFences { at: 0 };
        } else if self.next_page == layout.postings_at() {
            self.phase = Phase::Postings;
        } else if self.next_page == layout.key_fences_at() {
            self.phase = Phase::KeyFences { at: 0 };
        } else if self.next_page == layout.filter_at() {
            if let (Some(filter), Some(made)) = (&mut self.filter, self.blocks.finish()) {
                filter.set(made);
            }
            self.phase = match self.filter {
                Some(_) => Phase::Filter { at: 0 },
                None => Phase::FilterOfPages {
                    keys: Source::of(&self.pages),
                },
            };
        }
    }

    /// Counts the records of a page of keys or postings. After the last of these pages the inputs must
    /// have given as many as they said, and have no more.
    fn check_count(&mut self, db: &Connection, records: u64) -> rusqlite::Result<()> {
        let (end, has_more) = match self.phase {
            Phase::Keys => {
                let end = self.layout.filter_at();
                (end, self.next_page == end && self.keys.next(db)?.is_some())
            }
            Phase::Postings => {
                let end = self.layout.posting_fences_at();
                (
                    end,
                    self.next_page == end && self.postings.next(db)?.is_some(),
                )
            }
            _ => return Ok(()),
        };
        self.records += records;
        if self.next_page < end {
            return Ok(());
        }
        if has_more || std::mem::take(&mut self.records) != self.about.entries {
            return Err(self.wrong_count());
        }
        Ok(())
    }

    fn wrong_count(&self) -> rusqlite::Error {
        let Description {
            first_seq,
            last_seq,
            entries,
            ..
        } = self.about;
        damaged(format!(
            "the segments of the events {first_seq} to {last_seq} do not have the {entries} records they should"
        ))
    }

    /// The segment, once it is complete and its last transaction is committed.
    pub(crate) fn into_segment(self, newest_at: i64) -> Segment {
        assert!(self.is_complete(), "only a complete build is a segment");
        Segment {
            about: self.about,
            layout: self.layout,
            pages: self.pages,
            filter: self.filter,
            key_fences: self.key_fences,
            posting_fences: self.posting_fences,
            newest_at,
        }
    }
}

/// Makes a page of a filter of `blocks` blocks from the next keys. Returns how many these were.
pub(super) fn fill_filter_page(
    db: &Connection,
    keys: &mut Source<KeyRecord>,
    blocks: usize,
    number: usize,
    page: &mut Vec<u8>,
) -> rusqlite::Result<usize> {
    page.clear();
    page.resize(page_bytes(blocks, number), 0);
    let mut maker = Maker::new(blocks);
    let mut taken = 0;
    while let Some(key) = keys.peek(db)? {
        if place_of(key.fingerprint, blocks).0 != number {
            break;
        }
        if let Some(made) = maker.take(key.fingerprint) {
            made.write(page);
        }
        keys.skip();
        taken += 1;
    }
    if let Some(made) = maker.finish() {
        made.write(page);
    }
    Ok(taken)
}

/// Moves the next page's worth of `content` onto `page`.
fn take(content: &[u8], at: &mut usize, page: &mut Vec<u8>) {
    let rest = &content[*at..];
    let part = &rest[..rest.len().min(SEGMENT_PAGE_BYTES)];
    page.extend_from_slice(part);
    *at += part.len();
}
