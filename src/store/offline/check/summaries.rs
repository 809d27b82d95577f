//! The summaries for searches against a sample of the events that they are of.

use rusqlite::Row;

use super::run::{unless_damaged, Run};
use crate::limits::{CHECKED_EVENTS_SHARE, SUMMARY_PAYLOAD_BYTES};
use crate::search::Instant;
use crate::store::page_checksum::PageOwner;
use crate::store::rows::{clamp, unsigned};
use crate::store::summaries::block::{
    is_of_one_slot, read_seconds, with_page, Block, BLOCK_COLUMNS,
};
use crate::store::summaries::filter::{may_contain, place_of};
use crate::store::summaries::times::Interval;
use crate::store::summaries::words::{hash_text, payload_words, words_of};

/// The first and the last event of a range, and a share of the others.
const SAMPLE: &str =
    "SELECT seq, topic_id, topics.name, event_id, timestamp, source, payload, processed_at FROM events \
     JOIN topics ON topics.id = topic_id \
     WHERE seq >= ?1 AND seq <= ?2 AND (seq IN (?1, ?2) OR seq % ?3 = 0)";

/// Compares both tables with each other and with the events up to `last_seq`.
pub(super) fn compare(run: &mut Run, last_seq: u64) -> rusqlite::Result<()> {
    let sql = format!("SELECT {BLOCK_COLUMNS} FROM search_blocks ORDER BY first_seq");
    let mut statement = run.db.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let (mut before, mut pages, mut done) = (0, 0, 0);
    while let Some(row) = rows.next()? {
        let first: i64 = row.get(0)?;
        let Some((block, owner)) = Block::read(row)? else {
            add(run, first, "is damaged");
            continue;
        };
        let is_in_place = block.first_seq > before && block.last_seq <= last_seq;
        if !is_in_place || !is_of_one_slot(&block) {
            add(run, first, "does not fit the others, or the events");
            continue;
        }
        before = block.last_seq;
        pages += count_pages(run, &block, owner)?;
        compare_count(run, &block)?;
        // Damaged pages are named already.
        let seconds = unless_damaged(read_seconds(run.db, (&block, owner)))?.flatten();
        compare_sample(run, (&block, owner), seconds.as_deref())?;
        done += u64::from(block.events);
        run.progress("comparing summaries", done);
    }
    let found: i64 = run
        .db
        .query_row("SELECT count(*) FROM search_pages", [], |row| row.get(0))?;
    if found != pages {
        let what = format_args!("there are {found} pages, and the blocks have {pages}");
        run.problems.add("search_pages", what);
    }
    Ok(())
}

fn add(run: &mut Run, first_seq: i64, what: &str) {
    let what = format_args!("the block that begins with seq {first_seq} {what}");
    run.problems.add("search_blocks", what);
}

/// Reads all pages of a block. Returns how many there are.
fn count_pages(run: &mut Run, block: &Block, owner: PageOwner) -> rusqlite::Result<i64> {
    let mut found = 0;
    for page in 0..block.pages() {
        match with_page(run.db, (block, owner), page, |_| ()) {
            Ok(()) => found += 1,
            Err(error) => {
                unless_damaged::<()>(Err(error))?;
                let first_seq = block.first_seq;
                let what = format_args!(
                    "page {page} of the block that begins with seq {first_seq} is damaged or missing"
                );
                run.problems.add("search_pages", what);
                // An existing block counts, so that it is not reported twice.
                let id = block.page_id(page);
                let sql = "SELECT 1 FROM search_pages WHERE id = ?1";
                found += i64::from(run.db.prepare_cached(sql)?.exists([id])?);
            }
        }
    }
    Ok(found)
}

/// Compares the number of events, unless some of them have been removed.
fn compare_count(run: &mut Run, block: &Block) -> rusqlite::Result<()> {
    let in_times: u32 = block.times.iter().map(|interval| interval.events).sum();
    if in_times != block.events {
        add(
            run,
            clamp(block.first_seq),
            "has another number of times than of events",
        );
    }
    if block.first_seq <= run.horizons.events {
        return Ok(());
    }
    let sql = "SELECT count(*) FROM events WHERE seq >= ?1 AND seq <= ?2";
    let range = (clamp(block.first_seq), clamp(block.last_seq));
    let count: i64 = run
        .db
        .prepare_cached(sql)?
        .query_row(range, |row| row.get(0))?;
    if count != i64::from(block.events) {
        let (first, events) = (block.first_seq, block.events);
        run.problems.add(
            "search_blocks",
            format_args!(
                "the block that begins with seq {first} has {events} events, but there are {count}"
            ),
        );
    }
    Ok(())
}

fn compare_sample(
    run: &mut Run,
    (block, owner): (&Block, PageOwner),
    seconds: Option<&[Interval]>,
) -> rusqlite::Result<()> {
    let mut statement = run.db.prepare_cached(SAMPLE)?;
    let range = (clamp(block.first_seq), clamp(block.last_seq));
    let mut rows = statement.query((range.0, range.1, CHECKED_EVENTS_SHARE as i64))?;
    while let Some(row) = rows.next()? {
        let seq = unsigned(row, 0)?;
        let lacks = match what_it_lacks(row, block, seconds)? {
            None => lacks_a_word(run, row, (block, owner))?.then_some("words"),
            lacks => lacks,
        };
        if let Some(lacks) = lacks {
            let first = block.first_seq;
            run.problems.add(
                "search_blocks",
                format_args!(
                    "the block that begins with seq {first} lacks the {lacks} of the event {seq}"
                ),
            );
        }
    }
    Ok(())
}

/// The part of an event that is missing in the row of its block.
fn what_it_lacks(
    row: &Row,
    block: &Block,
    seconds: Option<&[Interval]>,
) -> rusqlite::Result<Option<&'static str>> {
    let topic = row.get(1)?;
    let time = Instant::of_stored(row.get_ref(4)?.as_bytes()?);
    let source = hash_text(row.get_ref(5)?.as_bytes()?);
    let processed_at: i64 = row.get(7)?;
    let has = |list: &Option<Vec<u64>>, hash| list.as_ref().is_none_or(|all| all.contains(&hash));
    let (from, to) = block.processed_at;
    let has_time = |all: &[Interval]| all.iter().any(|i| (i.first..=i.last).contains(&time));
    let topics = block.topics.as_ref();
    Ok(if topics.is_some_and(|topics| !topics.contains(&topic)) {
        Some("topic")
    } else if !has(&block.sources, source) {
        Some("source")
    } else if !has_time(&block.times) {
        Some("timestamp")
    } else if seconds.is_some_and(|seconds| !has_time(seconds)) {
        Some("second")
    } else if !(from..=to).contains(&processed_at) {
        Some("processed_at")
    } else {
        None
    })
}

/// Whether a word of an event is not in the filter of its block.
fn lacks_a_word(
    run: &mut Run,
    row: &Row,
    (block, owner): (&Block, PageOwner),
) -> rusqlite::Result<bool> {
    let payload = row.get_ref(6)?.as_bytes()?;
    // A longer payload has a block without words.
    if block.filter_lines == 0 || payload.len() as u64 > SUMMARY_PAYLOAD_BYTES {
        return Ok(block.filter_lines > 0);
    }
    let mut words = Vec::new();
    for text in [row.get_ref(2)?, row.get_ref(3)?, row.get_ref(5)?] {
        words_of(text.as_bytes()?, |word| words.push(word));
    }
    payload_words(payload, &mut Vec::new(), |word| words.push(word));
    words.sort_unstable_by_key(|word| place_of(*word, block.filter_lines));
    words.dedup();
    for word in words {
        let (page, at) = place_of(word, block.filter_lines);
        let has = with_page(run.db, (block, owner), page, |page| {
            may_contain(page, at, word)
        });
        // A damaged page is named already.
        if unless_damaged(has)? == Some(false) {
            return Ok(true);
        }
    }
    Ok(false)
}
