//! Writes pages that have been rebuilt, inside the open transaction.

use rusqlite::Connection;

use super::collect::Collected;
use super::needs::repairable;
use super::remade::Remade;
use crate::limits::SEGMENT_PAGE_BYTES;
use crate::store::index::build::fill_filter_page;
use crate::store::index::damage::Damage;
use crate::store::index::filter::place_of;
use crate::store::index::merge::Source;
use crate::store::index::pages::Pages;
use crate::store::index::record::{KeyRecord, Part, Posting, Record};
use crate::store::index::segment::{unless_damaged_page, Segment};

/// Replaces damaged pages by those of these runs, and those of their fences. Returns the new fences of the segment.
pub(super) fn replace_runs<R: Record>(
    db: &Connection,
    segment: &Segment,
    fences: &[R::Fence],
    runs: &[Collected<R>],
) -> rusqlite::Result<Vec<R::Fence>> {
    let (pages, layout) = (&segment.pages, &segment.layout);
    let first = layout.pages_of(R::PART).start;
    let per_page = SEGMENT_PAGE_BYTES / R::FENCE_BYTES;
    let mut fences = fences.to_vec();
    let mut changed = Vec::new();
    let mut page = Vec::with_capacity(SEGMENT_PAGE_BYTES);
    for run in runs {
        for (id, records) in run.ids.clone().zip(run.records.chunks(R::PER_PAGE)) {
            page.clear();
            records.iter().for_each(|record| record.write(&mut page));
            pages.replace(db, id, &mut page)?;
            let at = (id - first) as usize;
            if fences[at] != records[0].fence() {
                fences[at] = records[0].fence();
                changed.push(at / per_page);
            }
        }
    }
    let lost: usize = runs.iter().map(|run| run.lost).sum();
    if lost > 0 {
        let sql = "UPDATE segments SET lost_records = lost_records + ?1 WHERE first_seq = ?2";
        let first_seq = segment.about.first_seq as i64;
        db.prepare_cached(sql)?.execute((lost as i64, first_seq))?;
    }
    changed.dedup();
    for number in changed {
        page.clear();
        write_fences::<R>(&fences, number, &mut page);
        let id = layout.pages_of(R::FENCES).start + number as i64;
        pages.replace(db, id, &mut page)?;
    }
    Ok(fences)
}

/// Puts the fences of one page of them on it.
pub(crate) fn write_fences<R: Record>(fences: &[R::Fence], number: usize, page: &mut Vec<u8>) {
    let per_page = SEGMENT_PAGE_BYTES / R::FENCE_BYTES;
    let on_page = fences.iter().skip(number * per_page).take(per_page);
    on_page.for_each(|fence| R::write_fence(*fence, page));
}

/// Makes the pages of the filter again that keys of a run fall to.
pub(super) fn remake_filter_of(
    db: &Connection,
    segment: &Segment,
    fences: &[u64],
    run: &Collected<KeyRecord>,
    remade: &mut Remade,
) -> rusqlite::Result<()> {
    let blocks = segment.about.filter_blocks();
    let page_of = |key: Option<&KeyRecord>| key.map(|key| place_of(key.fingerprint, blocks).0);
    let (Some(first), Some(last)) = (page_of(run.records.first()), page_of(run.records.last()))
    else {
        return Ok(());
    };
    for number in first..=last {
        // Where another page of keys is damaged, the filter goes on to say yes to keys that are lost.
        let made = unless_damaged_page(filter_page(db, &segment.pages, fences, number))?;
        if let Some(made) = made {
            let id = segment.layout.filter_at() + number as i64;
            segment.pages.replace(db, id, &mut made.clone())?;
            remade.filter.push((number, made));
            remade.ids.push(id);
        }
    }
    Ok(())
}

/// Makes a page of a segment's filter from its keys.
pub(crate) fn filter_page(
    db: &Connection,
    pages: &Pages,
    fences: &[u64],
    number: usize,
) -> rusqlite::Result<Vec<u8>> {
    let blocks = pages.about.filter_blocks();
    let page_of = |fingerprint| place_of(fingerprint, blocks).0;
    let before = fences.partition_point(|fence| page_of(u128::from(*fence) << 64) < number);
    let keys = pages.layout.pages_of(Part::Keys);
    let first = keys.start + before.saturating_sub(1) as i64;
    let mut keys = Source::<KeyRecord>::of_pages(pages, first..keys.end);
    while let Some(key) = keys.peek(db)? {
        if page_of(key.fingerprint) >= number {
            break;
        }
        keys.skip();
    }
    let mut page = Vec::with_capacity(SEGMENT_PAGE_BYTES);
    fill_filter_page(db, &mut keys, blocks, number, &mut page)?;
    Ok(page)
}

/// Makes a page of a filter or of fences again.
pub(super) fn remake_page(
    db: &Connection,
    segment: &Segment,
    id: i64,
    damage: &Damage,
    remade: &mut Remade,
) -> rusqlite::Result<()> {
    let layout = &segment.layout;
    let part = layout.part_of(id);
    let number = (id - layout.pages_of(part).start) as usize;
    let mut page = Vec::with_capacity(SEGMENT_PAGE_BYTES);
    match part {
        Part::Filter => {
            let made = filter_page(db, &segment.pages, &segment.key_fences, number);
            let Some(made) = unless_damaged_page(made)? else {
                return wait_for_keys(db, segment, id, number, damage);
            };
            page.extend_from_slice(&made);
            remade.filter.push((number, made));
        }
        Part::KeyFences => write_fences::<KeyRecord>(&segment.key_fences, number, &mut page),
        Part::PostingFences => {
            write_fences::<Posting>(&segment.posting_fences, number, &mut page);
        }
        Part::Keys | Part::Postings => return Ok(()),
    }
    segment.pages.replace(db, id, &mut page)?;
    remade.ids.push(id);
    Ok(())
}

/// A page of the filter cannot be made now, because keys have turned out to be damaged. They are rebuilt first,
/// where they can be.
fn wait_for_keys(
    db: &Connection,
    segment: &Segment,
    id: i64,
    number: usize,
    damage: &Damage,
) -> rusqlite::Result<()> {
    let level = segment.about.level;
    if !repairable(damage, segment, Part::Keys).is_empty() {
        return Ok(());
    }
    if damage.is_full() {
        // They could not be noted. The read after this does it.
        damage.make_room(level, id);
        let noted = filter_page(db, &segment.pages, &segment.key_fences, number);
        unless_damaged_page(noted)?;
    } else {
        damage.give_up(level, [id].into_iter(), "the keys are damaged");
    }
    Ok(())
}
