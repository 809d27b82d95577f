//! The segments of the index as memory knows them: they cover the seqs up to a mark without a gap.

use rusqlite::Connection;

use super::damage::Damage;
use super::layout::{Description, FILTER_BITS};
use super::segment::{time_of, Segment};
use crate::limits::{
    LOOK_UP_UNITS, MEMTABLE_ENTRIES, MERGE_WIDTH, READ_BYTES_PER_UNIT, SEGMENT_LEVELS,
};
use crate::store::error::damaged;
use crate::store::retention::horizons::Horizons;
use crate::store::rows::unsigned;
use crate::store::work::LoadBudget;

/// All segments, by seq, ascending.
pub(super) struct Segments {
    list: Vec<Segment>,
    /// Bytes of filters that may be in memory.
    filter_memory_max: usize,
    /// The first segments, as many as the open transaction has dropped.
    dropped: usize,
}

impl Segments {
    /// All of them, also those that the open transaction has dropped.
    pub(super) fn all(&self) -> &[Segment] {
        &self.list
    }

    /// Those that the open transaction has not dropped.
    pub(super) fn kept(&self) -> &[Segment] {
        &self.list[self.dropped..]
    }

    /// The last seq that they cover; 0 when there are none.
    pub(super) fn mark(&self) -> u64 {
        self.list.last().map_or(0, |segment| segment.about.last_seq)
    }

    /// The segment of this description, which may have got its checksums meanwhile.
    pub(super) fn find(&self, about: &Description) -> Option<&Segment> {
        self.list.iter().find(|s| s.about.is_same(about))
    }

    pub(super) fn find_mut(&mut self, about: &Description) -> Option<&mut Segment> {
        self.list.iter_mut().find(|s| s.about.is_same(about))
    }

    /// Drops the first `count` segments inside the open transaction.
    pub(super) fn drop_first(&mut self, db: &Connection, count: usize) -> rusqlite::Result<()> {
        if count > self.dropped {
            let last_seq = self.list[count - 1].about.last_seq;
            db.prepare_cached("DELETE FROM segments WHERE last_seq <= ?1")?
                .execute([last_seq as i64])?;
            self.dropped = count;
        }
        Ok(())
    }

    /// The open transaction is committed. Returns the segments that it has dropped.
    pub(super) fn committed(&mut self) -> impl Iterator<Item = Segment> + '_ {
        self.list.drain(..std::mem::take(&mut self.dropped))
    }

    pub(super) fn rolled_back(&mut self) {
        self.dropped = 0;
    }

    /// Replaces the segments that a segment on disk was made of, and returns them.
    pub(super) fn replace(&mut self, segment: Segment) -> Vec<Segment> {
        let Description {
            first_seq,
            last_seq,
            ..
        } = segment.about;
        let from = self.list.partition_point(|s| s.about.first_seq < first_seq);
        let to = self.list.partition_point(|s| s.about.last_seq <= last_seq);
        let replaced = self.list.splice(from..to, [segment]).collect();
        self.keep_filters_within_bound();
        replaced
    }

    /// Whether a segment's filter could stay in memory, in the place of those of what it is made of.
    pub(super) fn has_room_for_filter(&self, about: &Description) -> bool {
        let is_other = |segment: &&Segment| {
            segment.about.last_seq < about.first_seq || segment.about.first_seq > about.last_seq
        };
        let others = self.list.iter().filter(is_other);
        let others: usize = others.map(Segment::filter_bytes).sum();
        others + about.filter_bytes() <= self.filter_memory_max
    }

    /// Whether there are filters for memory that have not been read yet.
    pub(super) fn has_unread_filters(&self) -> bool {
        self.list.iter().any(Segment::has_unread_filter)
    }

    /// Reads at most `pages` pages of them, those of the smallest segment first: a look-up that has to ask a filter on
    /// disk costs as much whatever its size.
    pub(super) fn read_filters(&mut self, db: &Connection, pages: usize) -> rusqlite::Result<()> {
        let mut left = pages;
        while left > 0 {
            let unread = self.list.iter_mut().filter(|s| s.has_unread_filter());
            let Some(smallest) = unread.min_by_key(|segment| segment.about.entries) else {
                break;
            };
            left -= smallest.read_filter(db, left)?;
        }
        Ok(())
    }

    /// Leaves on disk the filters that have not been read.
    pub(super) fn leave_unread_filters(&mut self) {
        for segment in self.list.iter_mut().filter(|s| s.has_unread_filter()) {
            segment.filter = None;
        }
    }

    /// Leaves the filters of the largest segments on disk where memory may not hold all.
    fn keep_filters_within_bound(&mut self) {
        let mut total: usize = self.list.iter().map(Segment::filter_bytes).sum();
        while total > self.filter_memory_max {
            let by_size = self.list.iter_mut();
            let Some(largest) = by_size.max_by_key(|segment| segment.filter_bytes()) else {
                break;
            };
            total -= largest.filter_bytes();
            largest.filter = None;
        }
    }
}

/// Segments that are being read, one after the other.
pub(super) struct SegmentsLoad {
    described: Vec<Description>,
    segments: Segments,
    /// The places of the segments whose filters are to be in memory, ascending: those of small ones, which are asked
    /// as often as those of large ones and cost less.
    filters: Vec<usize>,
}

impl SegmentsLoad {
    pub(super) fn begin(
        db: &Connection,
        filter_memory_max: usize,
        horizons: Horizons,
    ) -> rusqlite::Result<Self> {
        let described = descriptions(db)?;
        check(&described, horizons)?;
        let mut by_size: Vec<usize> = (0..described.len()).collect();
        by_size.sort_by_key(|at| described[*at].entries);
        let mut bytes = 0;
        let fits = |at: &usize| {
            bytes += described[*at].filter_bytes();
            bytes <= filter_memory_max
        };
        let mut filters: Vec<usize> = by_size.into_iter().take_while(fits).collect();
        filters.sort_unstable();
        Ok(Self {
            segments: Segments {
                list: Vec::with_capacity(described.len()),
                filter_memory_max,
                dropped: 0,
            },
            described,
            filters,
        })
    }

    /// Reads what memory has to know of further segments. Returns whether these were the last.
    pub(super) fn step(
        &mut self,
        db: &Connection,
        damage: &Damage,
        budget: &mut LoadBudget,
    ) -> rusqlite::Result<bool> {
        let list = &mut self.segments.list;
        while let Some(about) = self.described.get(list.len()) {
            if budget.is_spent() {
                return Ok(false);
            }
            let holds_filter = self.filters.binary_search(&list.len()).is_ok();
            let mut segment = Segment::load(db, *about, holds_filter, damage)?;
            segment.newest_at = time_of(db, about.last_seq)?;
            budget.take(LOOK_UP_UNITS + segment.fence_bytes() as u64 / READ_BYTES_PER_UNIT);
            list.push(segment);
        }
        Ok(true)
    }

    /// The segments, once all have been read.
    pub(super) fn finish(self) -> Segments {
        self.segments
    }
}

/// What the table `segments` says.
pub(crate) fn descriptions(db: &Connection) -> rusqlite::Result<Vec<Description>> {
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

/// Whether the segments follow each other without a gap, the higher levels first, and have the sizes that builds give
/// them. This bounds everything else that a damaged file can say about them. The first ones, whose keys have all
/// expired, may be missing.
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
