//! Asking the summary of a block whether a search need look at its events.

use rusqlite::OptionalExtension;

use super::block::{is_of_one_slot, read_seconds, slot_of, with_page, Block, BLOCK_COLUMNS};
use super::filter::{may_contain, place_of};
use super::question::{Question, Words};
use super::times::Interval;
use crate::limits::LOOK_UP_UNITS;
use crate::search::{Filters, Instant, TimeKind, TimeRange};
use crate::store::error::{damaged, StoreError};
use crate::store::page_checksum::PageOwner;
use crate::store::rows::clamp;
use crate::store::soundness::is_corrupt;
use crate::store::state::Store;

/// What is known of the events of some seqs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// None of them matches.
    NotInHere,
    /// The rows decide.
    Perhaps,
    /// All of them match every filter but that of times: [`Store::count_block`].
    AllButTimes(Box<(Block, PageOwner)>),
}

/// What a search has done with the times of events that it need not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    All,
    /// None of them: the times must be known more exactly.
    NeedsFiner,
    /// None of them: it has to see the events.
    NeedsEvents,
}

/// A verdict, and the seqs that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub first: u64,
    pub last: u64,
    pub verdict: Verdict,
}

impl Store {
    /// What the summary of the block with this seq says. Where there is none, the rows decide up to the next block or
    /// the end of the slot, on either side.
    ///
    /// # Errors
    /// The database cannot be read. A damaged summary is no error: it is noted, and the rows decide.
    pub(crate) fn ask_summary(
        &self,
        seq: u64,
        filters: &Filters,
        question: &Question,
    ) -> Result<Look, StoreError> {
        if !self.parts.summaries.is_wanted() {
            return Ok(Look {
                first: 0,
                last: u64::MAX,
                verdict: Verdict::Perhaps,
            });
        }
        match self.ask_block(seq, filters, question) {
            Ok(look) => Ok(look),
            Err(error) if is_corrupt(&error) => {
                self.parts.summaries.note_damage(seq.max(1), &error);
                let (first, last) = slot_of(seq.max(1));
                Ok(Look {
                    first,
                    last,
                    verdict: Verdict::Perhaps,
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn ask_block(
        &self,
        seq: u64,
        filters: &Filters,
        question: &Question,
    ) -> rusqlite::Result<Look> {
        self.work.add(LOOK_UP_UNITS);
        let sql = format!(
            "SELECT {BLOCK_COLUMNS} FROM search_blocks WHERE first_seq <= ?1 ORDER BY first_seq DESC LIMIT 1"
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query([clamp(seq)])?;
        let mut before = 0;
        if let Some(row) = rows.next()? {
            let read = Block::read(row)?.filter(|(block, _)| is_of_one_slot(block));
            let (block, owner) = read.ok_or_else(|| damaged("a row of search_blocks"))?;
            if block.last_seq >= seq {
                let verdict = self.verdict_of(&block, owner, filters, question)?;
                return Ok(Look {
                    first: block.first_seq,
                    last: block.last_seq,
                    verdict,
                });
            }
            before = block.last_seq;
        }
        drop(rows);
        self.gap(seq, before)
    }

    /// The seqs around this one that have no summary, of its slot.
    fn gap(&self, seq: u64, before: u64) -> rusqlite::Result<Look> {
        let (first, last) = slot_of(seq.max(1));
        let sql =
            "SELECT first_seq FROM search_blocks WHERE first_seq > ?1 ORDER BY first_seq LIMIT 1";
        let mut next = self.db.prepare_cached(sql)?;
        let next = next.query_row([clamp(seq)], |row| row.get::<_, i64>(0));
        let next = next.optional()?.map(i64::cast_unsigned);
        Ok(Look {
            first: first.max(before + 1),
            last: next.map_or(last, |next| last.min(next.saturating_sub(1))),
            verdict: Verdict::Perhaps,
        })
    }

    /// Counts the events of a block: by its intervals, or else by seconds. Returns whether they are.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(crate) fn count_block(
        &self,
        (block, owner): (&Block, PageOwner),
        kind: TimeKind,
        count: &mut dyn FnMut(&[Interval]) -> Counted,
    ) -> Result<bool, StoreError> {
        match count(&times_of(block, kind)) {
            Counted::All => return Ok(true),
            Counted::NeedsFiner if kind == TimeKind::Event => {}
            _ => return Ok(false),
        }
        self.work.add(LOOK_UP_UNITS);
        self.work.add_bytes(block.seconds_bytes as usize);
        match read_seconds(&self.db, (block, owner)) {
            Ok(Some(seconds)) => Ok(count(&seconds) == Counted::All),
            Ok(None) => Ok(false),
            Err(error) if is_corrupt(&error) => {
                self.parts.summaries.note_damage(block.first_seq, &error);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn verdict_of(
        &self,
        block: &Block,
        owner: PageOwner,
        filters: &Filters,
        question: &Question,
    ) -> rusqlite::Result<Verdict> {
        let topics = self.topics_of(block, filters);
        let no_source = match (&question.sources, &block.sources) {
            (Some(wanted), Some(there)) => {
                !there.iter().any(|hash| wanted.binary_search(hash).is_ok())
            }
            _ => false,
        };
        let range = filters.range();
        let times = times_of(block, range.kind);
        let no_time = !times.iter().any(|time| meets(range, time));
        if topics == Some(false) || no_source || no_time {
            return Ok(Verdict::NotInHere);
        }
        if block.filter_lines > 0 {
            let of_topics = Some(&question.topics).filter(|topics| !topics.is_empty());
            let of_topics = of_topics.filter(|_| block.topics.is_none());
            for clause in question.clauses.iter().chain(of_topics) {
                if !self.may_hold(block, owner, clause)? {
                    return Ok(Verdict::NotInHere);
                }
            }
        }
        // Of a block that is partly removed it is not known which events are gone.
        let is_whole = block.first_seq > self.horizon();
        let all_match = topics == Some(true) && question.is_of_topics_and_times;
        Ok(match all_match && is_whole {
            true => Verdict::AllButTimes(Box::new((block.clone(), owner))),
            false => Verdict::Perhaps,
        })
    }

    /// Whether all topics of a block match, or none does; `None` where that is not known.
    fn topics_of(&self, block: &Block, filters: &Filters) -> Option<bool> {
        let wanted = filters.topics();
        if wanted.is_all() {
            return Some(true);
        }
        let mut matching = 0;
        let there = block.topics.as_ref()?;
        for topic in there {
            let topic = self.parts.topics.stored(i64::from(*topic)).ok()?;
            matching += usize::from(wanted.matches(topic.name.as_bytes()));
        }
        match matching {
            0 => Some(false),
            all if all == there.len() => Some(true),
            _ => None,
        }
    }

    /// Whether one of the alternatives may be in the block.
    fn may_hold(
        &self,
        block: &Block,
        owner: PageOwner,
        alternatives: &[Words],
    ) -> rusqlite::Result<bool> {
        for words in alternatives {
            let mut has_all = true;
            for hash in words {
                self.work.add(LOOK_UP_UNITS / 2);
                let (page, at) = place_of(*hash, block.filter_lines);
                let look = |page: &[u8]| may_contain(page, at, *hash);
                if !with_page(&self.db, (block, owner), page, look)? {
                    has_all = false;
                    break;
                }
            }
            if has_all {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Intervals that hold the times of a block's events.
fn times_of(block: &Block, kind: TimeKind) -> Vec<Interval> {
    match kind {
        TimeKind::Event => block.times.clone(),
        TimeKind::Received if block.events == 0 => Vec::new(),
        TimeKind::Received => {
            let (first, last) = block.processed_at;
            vec![Interval {
                first: Instant::from_unix_us(first),
                last: Instant::from_unix_us(last),
                events: block.events,
            }]
        }
    }
}

/// Whether a time of an interval may be in the range.
fn meets(range: &TimeRange, time: &Interval) -> bool {
    range.since.is_none_or(|since| since <= time.last)
        && range.until.is_none_or(|until| time.first < until)
}
