//! The segments of the duplicate check `index`: that they cover the seqs without a gap, that each page
//! of each is there and holds what it must, and that all of it is what the events say.

use super::differences::{name_differences, SegmentName as Name};
use super::filter::FilterPages;
use super::rows::Groups;
use super::run::{unless_damaged, Run};
use super::sum::Sum;
use super::tables::Counters;
use crate::limits::{SEGMENT_LEVELS, SEGMENT_PAGE_BYTES};
use crate::store::index::fingerprint::Fingerprinter;
use crate::store::index::layout::{Description, Layout, FILTER_BITS};
use crate::store::index::pages::Pages as StoredPages;
use crate::store::index::record::{
    records, KeyRecord, Part, Posting, Record, LOST_SEQ, REMOVED_TOPIC,
};
use crate::store::index::Damage;

/// Reads the table `segments`. What cannot be a segment is reported and left out.
pub(super) fn read(run: &mut Run, counters: &Counters) -> rusqlite::Result<Vec<Description>> {
    // Those of older tables have no checksums.
    let checksum = if run.version < 4 { "NULL" } else { "checksum" };
    let sql = format!(
        "SELECT level, first_seq, last_seq, entries, first_page, filter_bits, {checksum} FROM segments \
         ORDER BY first_seq"
    );
    let mut statement = run.db.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut segments: Vec<Description> = Vec::new();
    let mut next = 1;
    let expired = run.horizons.keys as i64;
    while let Some(row) = rows.next()? {
        let mut values = [0_i64; 6];
        for (at, value) in values.iter_mut().enumerate() {
            *value = row.get(at)?;
        }
        let [level, first, last, entries, first_page, filter_bits] = values;
        // Those whose keys have all expired are dropped, the oldest first.
        if segments.is_empty() && next < first {
            next = first.min(expired + 1);
        }
        if first != next {
            let what = if first < next {
                "overlap"
            } else {
                "leave a gap"
            };
            run.problems.add(
                "segments",
                format_args!("they {what} between seq {} and seq {first}", next - 1),
            );
        }
        let is_possible = (0..SEGMENT_LEVELS as i64).contains(&level)
            && 1 <= first
            && first <= last
            && last as u64 <= counters.last_seq
            && 1 <= entries
            && entries - 1 <= last - first
            && (1..i64::MAX - last).contains(&first_page)
            && FILTER_BITS.contains(&(filter_bits as u64));
        if !is_possible {
            run.problems.add(
                "segments",
                format_args!(
                    "there cannot be one of level {level}, seq {first} to {last}, entries {entries}, \
                     page {first_page}, bits {filter_bits}"
                ),
            );
        } else if first >= next {
            let checksum: Option<i64> = row.get(6)?;
            let about = Description {
                level: level as usize,
                first_seq: first as u64,
                last_seq: last as u64,
                entries: entries as u64,
                first_page,
                filter_bits: filter_bits as u64,
                has_checksums: checksum.is_some(),
            };
            compare_checksum(run, &about, checksum);
            segments.push(about);
        }
        next = next.max(last.saturating_add(1));
    }
    Ok(segments)
}

/// Compares the checksum of a segment's row with what the row says.
fn compare_checksum(run: &mut Run, about: &Description, checksum: Option<i64>) {
    if checksum.is_some_and(|checksum| checksum != i64::from(about.owner().number())) {
        let what = format_args!("the row of {} was changed", Name(about));
        run.problems.add("segments", what);
    }
}

/// The result of comparing all segments.
#[derive(Default)]
pub(super) struct Compared {
    /// Pages that belong to none.
    pub garbage_pages: u64,
    /// Keys of removed events that have not expired.
    pub kept: u64,
    /// Keys that were lost and replaced.
    pub lost: u64,
}

/// Compares all segments with the sums of their events.
pub(super) fn compare_all(
    run: &mut Run,
    fingerprinter: &Fingerprinter,
    segments: &[Description],
    groups: &Groups,
) -> rusqlite::Result<Compared> {
    let mut compared = Compared::default();
    for (about, group) in segments.iter().zip(&groups.list) {
        let is_whole = about.first_seq > run.horizons.events;
        if is_whole && about.entries != group.keys.records {
            run.problems.add(
                "segments",
                format_args!(
                    "{} says entries {}, but there are {} events",
                    Name(about),
                    about.entries,
                    group.keys.records
                ),
            );
        }
        let mut pages = Pages {
            about,
            layout: about.layout(),
            stored: StoredPages::of(*about, &Damage::silent()),
            content: Vec::new(),
        };
        let keys = pages.sum_keys(run)?;
        let postings = pages.sum_postings(run)?;
        let (Some(keys), Some(postings)) = (keys, postings) else {
            name_differences(run, fingerprinter, about, group)?;
            continue;
        };
        if keys.stored != group.keys || postings.stored != group.postings {
            name_differences(run, fingerprinter, about, group)?;
        }
        if keys.removed != postings.removed && !has_lost_records(run, about)? {
            run.problems.add(
                "segments",
                format_args!(
                    "{} has other removed events as keys than as postings",
                    Name(about)
                ),
            );
        }
        compared.kept += keys.kept;
        compared.lost += keys.lost;
    }
    compared.garbage_pages = garbage_pages(run, segments)?;
    Ok(compared)
}

/// Whether records of a segment replace lost ones: its postings then say nothing about removed events.
fn has_lost_records(run: &Run, about: &Description) -> rusqlite::Result<bool> {
    if run.version < 4 {
        return Ok(false);
    }
    let sql = "SELECT lost_records > 0 FROM segments WHERE first_seq = ?1";
    let mut statement = run.db.prepare_cached(sql)?;
    statement.query_row([about.first_seq as i64], |row| row.get(0))
}

/// What the records of a segment add up to.
#[derive(Default)]
struct Sums {
    /// Those of stored events.
    stored: Sum,
    /// The seqs of removed events.
    removed: Sum,
    /// How many of these have not expired.
    kept: u64,
    /// Records that replace lost keys.
    lost: u64,
}

/// The pages of one segment, read one after the other.
struct Pages<'a> {
    about: &'a Description,
    layout: Layout,
    stored: StoredPages,
    content: Vec<u8>,
}

impl Pages<'_> {
    /// Reads the page at `id`. Returns whether it is there and its checksum is right.
    fn read(&mut self, run: &mut Run, id: i64) -> rusqlite::Result<bool> {
        self.content.clear();
        let content = &mut self.content;
        let found = self
            .stored
            .with(run.db, id, |page| content.extend_from_slice(page));
        if unless_damaged(found)?.is_some() {
            return Ok(true);
        }
        let name = Name(self.about);
        let level = self.about.level;
        let sql = format!("SELECT 1 FROM segment_pages_{level} WHERE id = ?1");
        if run.db.prepare_cached(&sql)?.exists([id])? {
            let part = self.layout.part_of(id).name();
            let what = format_args!("page {id} of {name} ({part}) has a wrong checksum or length");
            run.problems.add("pages", what);
        } else {
            run.problems
                .add("pages", format_args!("{name} lacks its page {id}"));
        }
        Ok(false)
    }

    /// Reads pages of records. The sums are none if a page is damaged or the records do not ascend.
    /// `see` gets each record, and whether it is the first of a page.
    fn sum<R: Record>(
        &mut self,
        run: &mut Run,
        first: i64,
        count: i64,
        mut see: impl FnMut(&mut Run, R, bool) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<Option<Sums>> {
        let horizons = run.horizons;
        let mut sums = Sums::default();
        let mut done = 0;
        let mut last: Option<R> = None;
        let mut is_whole = true;
        for at in 0..count {
            if !self.read(run, first + at)? {
                is_whole = false;
                continue;
            }
            for (place, record) in records::<R>(&self.content).enumerate() {
                if last.is_some_and(|last| last >= record) {
                    let name = Name(self.about);
                    run.problems.add(
                        R::PART.name(),
                        format_args!(
                            "page {} of {name} is not sorted at record {place}",
                            first + at
                        ),
                    );
                    is_whole = false;
                }
                last = Some(record);
                let seq = record.seq();
                if seq > horizons.events {
                    run.adder.add(&mut sums.stored, record);
                } else if self.about.first_seq <= seq && seq <= self.about.last_seq {
                    let topic = REMOVED_TOPIC;
                    run.adder.add(&mut sums.removed, Posting { topic, seq });
                    sums.kept += u64::from(seq > horizons.keys);
                } else if seq == LOST_SEQ && R::PART == Part::Keys {
                    sums.lost += 1;
                } else {
                    let name = Name(self.about);
                    let what =
                        format_args!("{name} has the seq {seq}, which is not one of its own");
                    run.problems.add(R::PART.name(), what);
                    is_whole = false;
                }
                see(run, record, place == 0)?;
                done += 1;
            }
            run.progress("reading segments", done);
        }
        Ok(is_whole.then_some(sums))
    }

    /// Compares pages with what they must hold.
    fn compare(
        &mut self,
        run: &mut Run,
        part: &'static str,
        first: i64,
        wanted: &[u8],
        page_bytes: usize,
    ) -> rusqlite::Result<()> {
        for (at, wanted) in wanted.chunks(page_bytes).enumerate() {
            let id = first + at as i64;
            if self.read(run, id)? && self.content != wanted {
                let name = Name(self.about);
                run.problems.add(
                    part,
                    format_args!("page {id} of {name} does not agree with the records"),
                );
            }
        }
        Ok(())
    }

    /// Reads the keys, and compares the filter and the fences with them.
    fn sum_keys(&mut self, run: &mut Run) -> rusqlite::Result<Option<Sums>> {
        let layout = self.layout;
        let mut fences = Vec::new();
        let mut filter = FilterPages::of(&self.stored);
        let sum =
            self.sum::<KeyRecord>(run, layout.first_page, layout.keys, |run, key, is_first| {
                if is_first {
                    fences.extend_from_slice(&key.fence().to_be_bytes());
                }
                filter.see(run.db, key)
            })?;
        filter.go_to(run.db, layout.filter as usize)?;
        if sum.is_none() {
            return Ok(None);
        }
        for (id, what) in filter.wrong {
            let name = Name(self.about);
            run.problems
                .add("filter", format_args!("page {id} of {name} {what}"));
        }
        self.compare(
            run,
            "fences",
            layout.key_fences_at(),
            &fences,
            SEGMENT_PAGE_BYTES,
        )?;
        Ok(sum)
    }

    /// Reads the postings, and compares their fences with them.
    fn sum_postings(&mut self, run: &mut Run) -> rusqlite::Result<Option<Sums>> {
        let layout = self.layout;
        let mut fences = Vec::new();
        let sum = self.sum::<Posting>(
            run,
            layout.postings_at(),
            layout.postings,
            |_, posting, is_first| {
                if is_first {
                    posting.fence().write(&mut fences);
                }
                Ok(())
            },
        )?;
        if sum.is_some() {
            let page_bytes = Posting::PER_PAGE * Posting::BYTES;
            self.compare(
                run,
                "fences",
                layout.posting_fences_at(),
                &fences,
                page_bytes,
            )?;
        }
        Ok(sum)
    }
}

/// Counts the pages that no segment has, and reports those that the server would never find.
fn garbage_pages(run: &mut Run, segments: &[Description]) -> rusqlite::Result<u64> {
    let mut pages = 0;
    for level in 0..SEGMENT_LEVELS {
        let mut live: Vec<Layout> = segments
            .iter()
            .filter(|about| about.level == level)
            .map(Description::layout)
            .collect();
        live.sort_by_key(|layout| layout.first_page);
        let sql = format!("SELECT count(*) FROM segment_pages_{level} WHERE id >= ?1 AND id < ?2");
        let mut statement = run.db.prepare(&sql)?;
        let mut count = |from: i64, to: i64| {
            statement.query_row((from, to), |row| Ok(row.get::<_, i64>(0)? as u64))
        };
        if count(i64::MIN, 1)? > 0 {
            run.problems.add(
                "pages",
                format_args!("level {level} has pages before the first"),
            );
        }
        let mut from = 1;
        for layout in live {
            if layout.first_page < from {
                run.problems.add(
                    "segments",
                    format_args!(
                        "page {} of level {level} is in two segments",
                        layout.first_page
                    ),
                );
            }
            pages += count(from, layout.first_page)?;
            from = layout.end();
        }
        pages += count(from, i64::MAX)?;
    }
    Ok(pages)
}
