//! Segments of tables before version 4, whose pages have no checksums, get them where they are: a few pages in each
//! quiet turn, until the segment's row says that all have one. Keys and postings are compared with the events first: a
//! page that was damaged before there were checksums is rebuilt and gets none for wrong content. Filters and fences are
//! rebuilt from the keys and postings. What is known of removed events is taken as it is.

mod comparison;

use rusqlite::Connection;

use super::damage::Damage;
use super::layout::Description;
use super::pages::Pages;
use super::record::{records, KeyRecord, Part, Posting, Record};
use super::repair::{filter_page, write_fences, Scope};
use super::segment::{unless_damaged_page, Segment};
use super::segments::Segments;
use crate::limits::{SEGMENT_PAGES_UPGRADED_AT_ONCE, SEGMENT_PAGE_BYTES};
use comparison::{key_is_right, posting_is_right, Comparison};

/// How far a segment is.
struct Upgrade {
    about: Description,
    /// The page that is next.
    next: i64,
    /// Records of that page that have been compared with their events.
    compared: usize,
    keys: Fences<KeyRecord>,
    postings: Fences<Posting>,
    /// Pages of the filter that the open transaction has written, counted from its first.
    filter: Vec<(usize, Vec<u8>)>,
}

/// The first record of each page that has been read, and the last of all.
struct Fences<R: Record> {
    first: Vec<R::Fence>,
    last: Option<R>,
}

impl<R: Record> Default for Fences<R> {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            last: None,
        }
    }
}

/// Gives checksums to segments, to one at a time.
#[derive(Default)]
pub(super) struct Upgrades {
    running: Option<Upgrade>,
}

/// The first segment that can get checksums.
pub(super) fn next_segment<'s>(segments: &'s Segments, damage: &Damage) -> Option<&'s Segment> {
    let is_next = |segment: &&Segment| {
        let about = &segment.about;
        !about.has_checksums && !damage.is_in(about)
    };
    segments.all().iter().find(is_next)
}

impl Upgrades {
    /// Gives some pages their checksums, inside the open transaction. After it [`Upgrades::ended`] is to be called.
    pub(super) fn step(&mut self, db: &Connection, scope: Scope) -> rusqlite::Result<()> {
        let running = self.running.take();
        let Some(segment) = next_segment(scope.segments, scope.damage) else {
            return Ok(());
        };
        let about = segment.about;
        let mut upgrade = match running {
            Some(upgrade) if upgrade.about.is_same(&about) => upgrade,
            _ => Upgrade::new(segment),
        };
        let mut comparison = Comparison::new(scope.fingerprinter, about, scope.horizons.events);
        for _ in 0..SEGMENT_PAGES_UPGRADED_AT_ONCE {
            if upgrade.next == segment.layout.end() {
                break;
            }
            let sealed = upgrade.seal_next(db, &segment.pages, &mut comparison);
            match unless_damaged_page(sealed)? {
                Some(true) => {}
                Some(false) => break,
                None if upgrade.reads_records(&segment.pages) => {
                    // It is rebuilt before this goes on with it.
                    upgrade.compared = 0;
                    break;
                }
                // A page written earlier is damaged: this begins again when it has been rebuilt.
                None => return Ok(()),
            }
        }
        if upgrade.next == segment.layout.end() {
            let first = about.first_seq as i64;
            db.prepare_cached("UPDATE segments SET checksum = ?1 WHERE first_seq = ?2")?
                .execute((about.owner().number(), first))?;
        }
        self.running = Some(upgrade);
        Ok(())
    }

    /// The transaction that has given pages their checksums was committed, or not.
    pub(super) fn ended(&mut self, is_committed: bool, segments: &mut Segments) {
        let Some(mut upgrade) = self.running.take() else {
            return;
        };
        let segment = segments.find_mut(&upgrade.about);
        let Some(segment) = segment.filter(|_| is_committed) else {
            return;
        };
        for (number, page) in upgrade.filter.drain(..) {
            if let Some(filter) = &mut segment.filter {
                filter.set_page(number, &page);
            }
        }
        if upgrade.next < segment.layout.end() {
            self.running = Some(upgrade);
            return;
        }
        segment.key_fences = upgrade.keys.first;
        segment.posting_fences = upgrade.postings.first;
        segment.about.has_checksums = true;
        segment.pages.about.has_checksums = true;
    }
}

impl Upgrade {
    fn new(segment: &Segment) -> Self {
        Self {
            about: segment.about,
            next: segment.layout.first_page,
            compared: 0,
            keys: Fences::default(),
            postings: Fences::default(),
            filter: Vec::new(),
        }
    }

    /// Whether the next page holds records, and not what is made from other pages.
    fn reads_records(&self, pages: &Pages) -> bool {
        matches!(pages.layout.part_of(self.next), Part::Keys | Part::Postings)
    }

    /// Gives the next page its checksum; false where the slice ended before that.
    fn seal_next(
        &mut self,
        db: &Connection,
        pages: &Pages,
        comparison: &mut Comparison,
    ) -> rusqlite::Result<bool> {
        let id = self.next;
        let part = pages.layout.part_of(id);
        let number = (id - pages.layout.pages_of(part).start) as usize;
        let mut page = Vec::with_capacity(SEGMENT_PAGE_BYTES);
        match part {
            Part::Keys => {
                pages.with(db, id, |content| page.extend_from_slice(content))?;
                if !comparison.compare(db, pages, id, &page, &mut self.compared, key_is_right)? {
                    return Ok(false);
                }
                self.keys.take(pages, id, &page)?;
            }
            Part::Postings => {
                pages.with(db, id, |content| page.extend_from_slice(content))?;
                let is_right = posting_is_right;
                if !comparison.compare(db, pages, id, &page, &mut self.compared, is_right)? {
                    return Ok(false);
                }
                self.postings.take(pages, id, &page)?;
            }
            Part::Filter => {
                let made = filter_page(db, pages, &self.keys.first, number)?;
                page.extend_from_slice(&made);
                self.filter.push((number, made));
            }
            Part::KeyFences => write_fences::<KeyRecord>(&self.keys.first, number, &mut page),
            Part::PostingFences => {
                write_fences::<Posting>(&self.postings.first, number, &mut page);
            }
        }
        pages.replace(db, id, &mut page)?;
        self.next += 1;
        self.compared = 0;
        Ok(true)
    }
}

impl<R: Record> Fences<R> {
    /// Takes a page of records, which must go on where the one before it ended.
    fn take(&mut self, pages: &Pages, id: i64, page: &[u8]) -> rusqlite::Result<()> {
        let mut last = self.last;
        for record in records::<R>(page) {
            if last.is_some_and(|last| last >= record) {
                return Err(pages.damaged(id));
            }
            last = Some(record);
        }
        self.first.extend(records::<R>(page).next().map(R::fence));
        self.last = last;
        Ok(())
    }
}
