//! Damaged pages are rebuilt: those of keys and postings from the events, those of filters from the keys, those of
//! fences from the pages that they describe.
//!
//! Going through the events of a segment takes many slices, which only read. A transaction of its own then
//! writes the pages, and the fences and filters that change with them. Until then each read of a damaged page is
//! an error. As long as a segment has damaged pages it is not merged, and retention removes none of its events
//! that have not been gone through, because then nothing would have their keys.
//!
//! What only a damaged page had, the keys of events that were removed before, is lost. Records that no look-up finds
//! replace them, so that the segment keeps its size, and the log says how many keys these are.

mod collect;
mod needs;
mod remade;
mod write;

use rusqlite::{Connection, OptionalExtension};

use super::damage::Damage;
use super::fingerprint::Fingerprinter;
use super::layout::Description;
use super::record::{KeyRecord, Known, Part, Posting, Record, REMOVED_TOPIC};
use super::segments::Segments;
use crate::limits::{REPAIR_BYTES_PER_SLICE, REPAIR_PAGES_PER_SLICE, REPAIR_ROWS_PER_SLICE};
use crate::store::retention::horizons::Horizons;
use crate::store::rows::event_parts;
use crate::store::rows::removed_keys_after;
use collect::{Collected, Collector};
use needs::repairable;
pub(super) use needs::{needs_damaged_page, removable_up_to};
pub(super) use remade::{take_over, Remade};
pub(super) use write::{filter_page, write_fences};
use write::{remake_filter_of, remake_page, replace_runs};

/// Pages that are being made again, of one segment.
struct Repair {
    about: Description,
    /// The seq up to which its events have been gone through.
    done: u64,
    /// The same of the keys that the table of removed events has.
    done_removed: u64,
    source: MadeFrom,
}

/// What the pages are made from.
enum MadeFrom {
    /// Keys, from the events.
    Keys(Collector<KeyRecord>),
    /// Postings, from the events.
    Postings(Collector<Posting>),
    /// Filters and fences, from the other pages of the segment: the ids of theirs.
    Pages(Vec<i64>),
}

/// What repairs are made for and from.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub segments: &'a Segments,
    pub damage: &'a Damage,
    pub fingerprinter: Fingerprinter,
    pub horizons: Horizons,
}

/// Makes the damaged pages again, those of one segment at a time.
#[derive(Default)]
pub(super) struct Repairs {
    running: Option<Repair>,
}

impl Repairs {
    /// One slice of reading what the first damaged pages are made from. Returns whether they can be written.
    pub(super) fn collect(&mut self, db: &Connection, scope: Scope) -> rusqlite::Result<bool> {
        let segments = scope.segments.all();
        scope.damage.retain(|page| {
            let mut abouts = segments.iter().map(|segment| &segment.about);
            abouts.any(|about| about.level == page.level && about.layout().all().contains(&page.id))
        });
        let is_there = |repair: &Repair| scope.segments.find(&repair.about).is_some();
        if !self.running.as_ref().is_some_and(is_there) {
            self.running = Repair::plan(db, scope)?;
        }
        match &mut self.running {
            Some(repair) => repair.step(db, scope.fingerprinter),
            None => Ok(false),
        }
    }

    /// Writes the pages, inside the open transaction, once [`Repairs::collect`] says that they can be.
    pub(super) fn remake(&mut self, db: &Connection, scope: Scope) -> rusqlite::Result<Remade> {
        let mut remade = Remade::default();
        let Some(repair) = self.running.take() else {
            return Ok(remade);
        };
        let Some(segment) = scope.segments.find(&repair.about) else {
            return Ok(remade);
        };
        remade.about = Some(repair.about);
        let known = Known {
            first_seq: repair.about.first_seq,
            last_seq: repair.about.last_seq,
            removed: scope.horizons.events,
        };
        match repair.source {
            MadeFrom::Keys(collector) => {
                let runs = finish(scope, collector, known, repair.about.level, &mut remade);
                let fences = replace_runs(db, segment, &segment.key_fences, &runs)?;
                report_lost(&repair.about, &runs, scope.horizons);
                for run in runs.iter().filter(|run| run.lost > 0) {
                    remake_filter_of(db, segment, &fences, run, &mut remade)?;
                }
                remade.key_fences = Some(fences);
            }
            MadeFrom::Postings(collector) => {
                let runs = finish(scope, collector, known, repair.about.level, &mut remade);
                remade.posting_fences =
                    Some(replace_runs(db, segment, &segment.posting_fences, &runs)?);
            }
            MadeFrom::Pages(ids) => {
                for id in ids {
                    remake_page(db, segment, id, scope.damage, &mut remade)?;
                }
            }
        }
        Ok(remade)
    }
}

/// The runs that a collector has, and their ids for `remade`; none if it cannot find their records.
fn finish<R: Record>(
    scope: Scope,
    collector: Collector<R>,
    known: Known,
    level: usize,
    remade: &mut Remade,
) -> Vec<Collected<R>> {
    let ids: Vec<i64> = collector.ids().collect();
    match collector.finish(known) {
        Ok(runs) => {
            remade.ids = ids;
            runs
        }
        Err(why) => {
            scope.damage.give_up(level, ids.into_iter(), &why);
            Vec::new()
        }
    }
}

fn report_lost(about: &Description, runs: &[Collected<KeyRecord>], horizons: Horizons) {
    let lost: usize = runs.iter().map(|run| run.lost).sum();
    // Those that have expired anyway are no loss.
    if lost > 0 && horizons.events > horizons.keys.max(about.first_seq - 1) {
        let Description {
            first_seq,
            last_seq,
            ..
        } = about;
        log::error!(
            "the keys of up to {lost} removed events of seq {first_seq} to {last_seq} are lost, because \
             only the damaged page had them: such an event is stored again if it comes again"
        );
    }
}

impl Repair {
    /// Of the first segment that has damaged pages, those of the first part.
    fn plan(db: &Connection, scope: Scope) -> rusqlite::Result<Option<Self>> {
        for segment in scope.segments.all() {
            let ids_of = |part| repairable(scope.damage, segment, part);
            let keys = ids_of(Part::Keys);
            let postings = ids_of(Part::Postings);
            let source = if !keys.is_empty() {
                MadeFrom::Keys(Collector::new(db, &segment.pages, &keys)?)
            } else if !postings.is_empty() {
                MadeFrom::Postings(Collector::new(db, &segment.pages, &postings)?)
            } else {
                let mut ids = ids_of(Part::Filter);
                ids.extend(ids_of(Part::KeyFences));
                ids.extend(ids_of(Part::PostingFences));
                ids.truncate(REPAIR_PAGES_PER_SLICE);
                MadeFrom::Pages(ids)
            };
            if !matches!(&source, MadeFrom::Pages(ids) if ids.is_empty()) {
                return Ok(Some(Self {
                    about: segment.about,
                    done: segment.about.first_seq - 1,
                    done_removed: segment.about.first_seq - 1,
                    source,
                }));
            }
        }
        Ok(None)
    }

    /// Reads one slice of the events, of a few milliseconds. Returns whether that were all.
    fn step(&mut self, db: &Connection, fingerprinter: Fingerprinter) -> rusqlite::Result<bool> {
        if matches!(self.source, MadeFrom::Pages(_)) {
            return Ok(true);
        }
        let last_seq = self.about.last_seq;
        let mut rows_left = REPAIR_ROWS_PER_SLICE;
        if self.done_removed < last_seq {
            let (done, source) = (&mut self.done_removed, &mut self.source);
            removed_keys_after(db, *done, rows_left, |key| {
                rows_left -= 1;
                *done = key.seq;
                if key.seq <= last_seq {
                    source.take_removed(key);
                }
                Ok(())
            })?;
            if rows_left == 0 {
                return Ok(false);
            }
            *done = last_seq;
        }
        let sql = match self.source {
            MadeFrom::Postings(_) => {
                "SELECT seq, topic_id FROM events WHERE seq > ?1 AND seq <= ?2 ORDER BY seq"
            }
            _ => "SELECT seq, topic_id, event_id FROM events WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
        };
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query((self.done as i64, last_seq as i64))?;
        let mut bytes_left = REPAIR_BYTES_PER_SLICE;
        while rows_left > 0 && bytes_left > 0 {
            let Some(row) = rows.next()? else {
                return Ok(true);
            };
            rows_left -= 1;
            self.done = row.get::<_, i64>(0)? as u64;
            match &mut self.source {
                MadeFrom::Postings(collector) => collector.take(Posting {
                    topic: row.get(1)?,
                    seq: self.done,
                }),
                MadeFrom::Keys(collector) => {
                    let event_id = row.get_ref(2)?.as_bytes()?;
                    let fingerprint = fingerprinter.of_key(row.get(1)?, event_id);
                    let [low, high] = [u64::MIN, u64::MAX].map(|event_hash| KeyRecord {
                        fingerprint,
                        seq: self.done,
                        event_hash,
                    });
                    if collector.wants(low) || collector.wants(high) {
                        let bytes = take_event(db, fingerprinter, self.done, collector)?;
                        bytes_left = bytes_left.saturating_sub(bytes);
                    }
                }
                MadeFrom::Pages(_) => return Ok(true),
            }
        }
        Ok(false)
    }
}

impl MadeFrom {
    /// Takes the key of an event that was removed before its segment was made, which the table of such keys may
    /// still have.
    fn take_removed(&mut self, key: KeyRecord) {
        match self {
            MadeFrom::Keys(collector) => collector.take(key),
            MadeFrom::Postings(collector) => collector.take(Posting {
                topic: REMOVED_TOPIC,
                seq: key.seq,
            }),
            MadeFrom::Pages(_) => {}
        }
    }
}

/// Reads an event whole and takes its key. Returns how many bytes it has.
fn take_event(
    db: &Connection,
    fingerprinter: Fingerprinter,
    seq: u64,
    collector: &mut Collector<KeyRecord>,
) -> rusqlite::Result<usize> {
    let sql =
        "SELECT seq, topic_id, event_id, timestamp, source, payload FROM events WHERE seq = ?1";
    let found = db.prepare_cached(sql)?.query_row([seq as i64], |row| {
        let event = event_parts(row)?;
        collector.take(fingerprinter.record(&event, seq));
        Ok(event.payload.len())
    });
    Ok(found.optional()?.unwrap_or(0))
}
