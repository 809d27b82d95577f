//! The start of the key index: what memory has to know of the segments, and the pages that no segment
//! owns.

use std::collections::VecDeque;

use rusqlite::Connection;

use super::fingerprint::Fingerprinter;
use super::layout::Description;
use super::memtable::Memtable;
use super::pages::last_page;
use super::scrub::Scrub;
use super::segment::{time_of, Segment};
use super::{Damage, Horizons, KeyIndex, MergeBound, PageRange, FILTER_BITS};
use crate::limits::{MEMTABLE_ENTRIES, MEMTABLE_SLOTS, MERGE_WIDTH, SEGMENT_LEVELS};
use crate::store::error::damaged;
use crate::store::rows::unsigned;

impl KeyIndex {
    /// Reads what memory has to know of the segments. The events behind [`KeyIndex::mark`] are to be
    /// handed to [`KeyIndex::restore`].
    pub(crate) fn load(
        db: &Connection,
        fingerprinter: Fingerprinter,
        filter_memory_max: usize,
        horizons: Horizons,
    ) -> rusqlite::Result<Self> {
        let described = descriptions(db)?;
        check(&described, horizons)?;
        let mut index = Self {
            fingerprinter,
            filter_memory_max,
            segments: Vec::with_capacity(described.len()),
            memtables: VecDeque::from([Memtable::new(MEMTABLE_SLOTS)]),
            memtable_slots: MEMTABLE_SLOTS,
            builds: Default::default(),
            next_page: [1; SEGMENT_LEVELS],
            finished: Vec::new(),
            obsolete: Vec::new(),
            obsolete_left: None,
            added: 0,
            horizons,
            dropped: 0,
            merge_bound: MergeBound::None,
            damage: Damage::default(),
            repair: None,
            upgrade: None,
            scrub: Scrub::default(),
        };
        for about in described {
            let segment = Segment::load(db, about, false, &index.damage)?;
            index.segments.push(segment);
        }
        index.load_filters(db)?;
        for segment in &mut index.segments {
            segment.newest_at = time_of(db, segment.about.last_seq)?;
        }
        index.find_obsolete(db)?;
        Ok(index)
    }

    /// Takes the filters into memory, those of small segments first: they are asked as often as those
    /// of large ones and cost less.
    fn load_filters(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut by_size: Vec<usize> = (0..self.segments.len()).collect();
        by_size.sort_by_key(|at| self.segments[*at].about.entries);
        let mut bytes = 0;
        for at in by_size {
            let about = self.segments[at].about;
            bytes += about.filter_bytes();
            if bytes > self.filter_memory_max {
                break;
            }
            self.segments[at] = Segment::load(db, about, true, &self.damage)?;
        }
        Ok(())
    }

    /// Finds the pages that builds cut off by the end of the process have left.
    fn find_obsolete(&mut self, db: &Connection) -> rusqlite::Result<()> {
        for level in 0..SEGMENT_LEVELS {
            let mut live: Vec<_> = self
                .segments
                .iter()
                .filter(|s| s.about.level == level)
                .map(|s| s.layout)
                .collect();
            live.sort_by_key(|layout| layout.first_page);
            let mut from = 1;
            let end = last_page(db, level)? + 1;
            for layout in live {
                if layout.first_page < from || layout.end() > end {
                    return Err(damaged(format!(
                        "a segment of level {level} has pages that are not its own"
                    )));
                }
                if from < layout.first_page {
                    self.obsolete.push(PageRange {
                        level,
                        first: from,
                        end: layout.first_page,
                    });
                }
                from = layout.end();
            }
            if from < end {
                self.obsolete.push(PageRange {
                    level,
                    first: from,
                    end,
                });
            }
            self.next_page[level] = from.max(end);
        }
        Ok(())
    }
}

/// What the table `segments` says.
fn descriptions(db: &Connection) -> rusqlite::Result<Vec<Description>> {
    let mut statement = db.prepare(
        "SELECT level, first_seq, last_seq, entries, first_page, filter_bits, checksum FROM segments \
         ORDER BY first_seq",
    )?;
    let described = statement.query_map([], |row| {
        let checksum: Option<i64> = row.get(6)?;
        let about = Description {
            level: row.get::<_, u32>(0)? as usize,
            first_seq: unsigned(row, 1)?,
            last_seq: unsigned(row, 2)?,
            entries: unsigned(row, 3)?,
            first_page: row.get(4)?,
            filter_bits: unsigned(row, 5)?,
            has_checksums: checksum.is_some(),
        };
        match checksum {
            Some(checksum) if checksum != i64::from(about.owner().number()) => {
                Err(does_not_fit(&about))
            }
            _ => Ok(about),
        }
    })?;
    described.collect()
}

/// Whether the segments follow each other without a gap, the higher levels first, and have the sizes that
/// builds give them. What else a damaged file says of them then has a bound. Those in front whose keys
/// are all forgotten may be missing.
fn check(described: &[Description], horizons: Horizons) -> rusqlite::Result<()> {
    let first_seq = described.first().map_or(1, |about| about.first_seq);
    let mut covered = first_seq.saturating_sub(1).min(horizons.keys);
    let mut level = SEGMENT_LEVELS - 1;
    for about in described {
        let seqs = about.last_seq.saturating_sub(covered);
        let is_sound = about.first_seq == covered + 1
            && about.level <= level
            && (1..=seqs).contains(&about.entries)
            && has_size_of_a_build(about);
        if !is_sound {
            return Err(does_not_fit(about));
        }
        (covered, level) = (about.last_seq, about.level);
    }
    Ok(())
}

fn has_size_of_a_build(about: &Description) -> bool {
    about.level < SEGMENT_LEVELS
        && about.entries <= (MEMTABLE_ENTRIES * MERGE_WIDTH.pow(about.level as u32)) as u64
        && (1..i64::MAX / 2).contains(&about.first_page)
        && FILTER_BITS.contains(&about.filter_bits)
}

fn does_not_fit(about: &Description) -> rusqlite::Error {
    damaged(format!(
        "the segment that begins with the event {} does not fit the others",
        about.first_seq
    ))
}
