//! Going through events in the order of their seqs, in slices of bounded work.
//!
//! A [`Walk`] remembers only how far it has come, so it takes the same memory whatever it goes through, and commits and
//! retention may happen between its slices. Each event that cannot be ruled out is shown to a visitor, which matches it
//! in place and keeps what it needs. What a walk has not shown to its visitor is known not to match.

use std::time::Duration;

use crate::limits::{
    EVENT_UNITS, SEARCH_BATCH_BYTES, SEARCH_BATCH_ROWS, SEARCH_BYTES_PER_UNIT, SEARCH_CLOCK_UNITS,
    SEARCH_RELOADED_PART, SEARCH_STEP_BYTES, SEARCH_TOPICS_SHARE,
};
use crate::search::{Candidate, Effort, Filters};
use crate::store::error::{no_event, StoreError};
use crate::store::events::merge::TopicMerge;
use crate::store::events::row::{stored_event, StoredEvent};
use crate::store::events::scan::{BatchSize, TakenRow};
use crate::store::range::Bound;
use crate::store::rows::{clamp, COLUMNS};
use crate::store::state::Store;
use crate::store::summaries::look_up::{Counted, Verdict};
use crate::store::summaries::question::Question;
use crate::store::summaries::times::Interval;
use crate::store::topics::topic::TopicId;

/// Whether a visitor wants to see the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    GoOn,
    Enough,
    /// Its step was over before the event was decided: it is shown again.
    Unfinished,
}

/// What a walk shows events to.
pub trait Visitor {
    /// Looks at the event with this seq for a step. One that was unfinished is shown again before all others, unless it
    /// has been removed meanwhile.
    fn visit(&mut self, seq: u64, event: &Candidate, effort: &mut Effort) -> Visit;

    /// Counts events of which only the times are known, where that is enough: all of them pass every filter but that of
    /// times.
    fn count(&mut self, _times: &[Interval]) -> Counted {
        Counted::NeedsEvents
    }
}

impl<F: FnMut(u64, &Candidate, &mut Effort) -> Visit> Visitor for F {
    fn visit(&mut self, seq: u64, event: &Candidate, effort: &mut Effort) -> Visit {
        self(seq, event, effort)
    }
}

/// How much a walk may do before others get their turn.
#[derive(Clone, Copy)]
pub struct Slice<'s> {
    /// Units of work; to read a large event may take more.
    pub units: u64,
    pub time: Duration,
    /// How much of the time is over.
    pub spent: &'s dyn Fn() -> Duration,
}

/// Why a walk has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its slice is over.
    Slice,
    /// Its visitor has enough.
    Enough,
    /// It has gone through everything, or as much as it may.
    End,
}

/// How far a walk through the events has come.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Where it goes on.
    from: Bound,
    /// Seqs that it may still visit.
    left: u64,
    /// Seqs that it has visited, without those that had been removed.
    scanned: u64,
    /// Of these, those whose rows were not read because summaries rule them out.
    skipped: u64,
    /// The event that was being looked at when the last slice was over.
    unfinished: Option<u64>,
}

impl Walk {
    /// Up to this seq, in the direction of the walk, every stored event has been decided; 0 where there was none to
    /// go down to.
    pub fn through(&self) -> u64 {
        match self.from {
            Bound::Before(_) if self.scanned == 0 => 0,
            from => from.seq(),
        }
    }

    /// How many seqs have been decided, without those that retention has removed.
    pub fn scanned(&self) -> u64 {
        self.scanned
    }

    /// How many of these seqs summaries have ruled out.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The event that was being looked at when the last slice was over.
    pub fn unfinished(&self) -> Option<u64> {
        self.unfinished
    }

    /// Goes on with this event, which another walk to the same place has not finished.
    pub fn go_on_with(&mut self, unfinished: Option<u64>) {
        self.unfinished = unfinished;
    }

    /// The next seq that has not been decided.
    fn next(&self, removed: u64) -> u64 {
        match self.from {
            Bound::After(seq) => seq.max(removed).saturating_add(1),
            Bound::Before(seq) => seq.saturating_sub(1),
        }
    }

    /// Everything up to `seq` has been decided, it included; the events up to `removed` are gone.
    fn pass(&mut self, seq: u64, removed: u64) {
        let passed = match self.from {
            Bound::After(from) => seq.saturating_sub(from.max(removed)),
            Bound::Before(from) => from.saturating_sub(seq.max(removed + 1)),
        };
        self.scanned += passed;
        self.left -= passed.min(self.left);
        self.from = match self.from {
            Bound::After(from) => Bound::After(from.max(seq)),
            Bound::Before(from) => Bound::Before(from.min(seq)),
        };
    }
}

impl Store {
    /// Begins to go through the events, and through `seqs_max` seqs at most.
    pub fn begin_walk(&self, from: Bound, seqs_max: u64) -> Walk {
        let from = match from {
            Bound::After(_) => from,
            Bound::Before(seq) => Bound::Before(seq.min(self.last_seq() + 1)),
        };
        Walk {
            from,
            left: seqs_max,
            scanned: 0,
            skipped: 0,
            unfinished: None,
        }
    }

    /// Whether a walk has nothing left to go through, as far as is known now.
    pub fn has_walked_all(&self, walk: &Walk) -> bool {
        match walk.from {
            Bound::After(seq) => seq >= self.last_seq(),
            Bound::Before(seq) => seq <= self.first_seq(),
        }
    }

    /// The last seq that a walk may come to, in its order.
    fn last_of(&self, walk: &Walk) -> u64 {
        match walk.from {
            Bound::After(seq) => {
                let from = seq.max(self.horizon());
                self.last_seq().min(from.saturating_add(walk.left))
            }
            Bound::Before(seq) => self.first_seq().max(seq.saturating_sub(walk.left)),
        }
    }

    /// Continues for a slice, by one seq at least. Events that do not match `filters` may be left out. An error leaves
    /// the walk where it was, or further.
    pub fn walk(
        &self,
        walk: &mut Walk,
        filters: &Filters,
        slice: &Slice,
        visitor: &mut dyn Visitor,
    ) -> Result<Stop, StoreError> {
        let mut pace = Pace::new(self, slice);
        if let Some(stop) = self.finish_event(walk, &mut pace, visitor)? {
            return Ok(stop);
        }
        let last = self.last_of(walk);
        let is_over = match walk.from {
            Bound::After(seq) => seq >= last,
            Bound::Before(seq) => seq <= last,
        };
        if is_over || walk.left == 0 {
            return Ok(Stop::End);
        }
        let stop = match self.rare_topics(filters) {
            Some(ids) => self.walk_topics(walk, (&ids, last), &mut pace, visitor)?,
            None => self.walk_blocks(walk, (filters, last), &mut pace, visitor)?,
        };
        if stop == Stop::End {
            walk.pass(last, self.horizon());
        }
        Ok(stop)
    }

    /// The topics that are wanted, where they are so few, and have so few of the events, that reading those by
    /// themselves costs less than going through all.
    fn rare_topics(&self, filters: &Filters) -> Option<Vec<TopicId>> {
        let ids = self.few_topics(filters.topics())?;
        let topics = &self.parts.topics;
        let events: u64 = ids.iter().map(|id| topics.get(*id).events).sum();
        (events.saturating_mul(SEARCH_TOPICS_SHARE) <= self.last_seq()).then_some(ids)
    }

    /// Goes through the events of these topics.
    fn walk_topics(
        &self,
        walk: &mut Walk,
        (ids, last): (&[TopicId], u64),
        pace: &mut Pace,
        visitor: &mut dyn Visitor,
    ) -> Result<Stop, StoreError> {
        let last_key = walk.from.key(last);
        let mut seqs = TopicMerge::new(self, ids, walk.from)?;
        let sql = format!("SELECT {COLUMNS} FROM events WHERE seq = ?1");
        let mut statement = self.db.prepare_cached(&sql)?;
        let reaches = |walk: &Walk, seq: &u64| walk.from.key(*seq) <= last_key;
        while let Some(seq) = seqs.next()?.filter(|seq| reaches(walk, seq)) {
            let mut rows = statement.query([clamp(seq)])?;
            let row = rows.next()?.ok_or_else(|| no_event(seq))?;
            let event = stored_event(&self.parts.topics, row)?;
            self.work.add(EVENT_UNITS);
            self.work.add_bytes(event.payload.len());
            if let Some(stop) = self.show(walk, &event, pace, visitor) {
                return Ok(stop);
            }
        }
        Ok(Stop::End)
    }

    /// Goes through the blocks, and through the rows of those in which an event may match.
    fn walk_blocks(
        &self,
        walk: &mut Walk,
        (filters, last): (&Filters, u64),
        pace: &mut Pace,
        visitor: &mut dyn Visitor,
    ) -> Result<Stop, StoreError> {
        let question = Question::of(filters);
        loop {
            let next = walk.next(self.horizon());
            if walk.from.key(next) > walk.from.key(last) {
                return Ok(Stop::End);
            }
            let look = self.ask_summary(next, filters, &question)?;
            let (begin_of_block, end_of_block) = match walk.from {
                Bound::After(_) => (look.first, look.last),
                Bound::Before(_) => (look.last, look.first),
            };
            let end = match walk.from {
                Bound::After(_) => end_of_block.min(last),
                Bound::Before(_) => end_of_block.max(last),
            };
            let is_decided = match look.verdict {
                Verdict::NotInHere => true,
                Verdict::Perhaps => false,
                // The times are of the whole block, not of a part.
                Verdict::AllButTimes(about) => {
                    let is_whole = (next, end) == (begin_of_block, end_of_block);
                    let (kind, mut count) =
                        (filters.range().kind, |times: &_| visitor.count(times));
                    is_whole && self.count_block((&about.0, about.1), kind, &mut count)?
                }
            };
            if !is_decided {
                match self.walk_rows(walk, end, pace, visitor)? {
                    Stop::End => walk.pass(end, self.horizon()),
                    stop => return Ok(stop),
                }
                continue;
            }
            let scanned = walk.scanned;
            walk.pass(end, self.horizon());
            walk.skipped += walk.scanned - scanned;
            if pace.is_over(self.work.done()) {
                return Ok(Stop::Slice);
            }
        }
    }

    /// Goes through the rows of the table.
    fn walk_rows(
        &self,
        walk: &mut Walk,
        last: u64,
        pace: &mut Pace,
        visitor: &mut dyn Visitor,
    ) -> Result<Stop, StoreError> {
        let max = BatchSize {
            rows: SEARCH_BATCH_ROWS,
            bytes: SEARCH_BATCH_BYTES,
        };
        loop {
            let range = (walk.from, last);
            let (mut batch, is_end) = self.db.batch_scan().read(&self.db, range, max)?;
            let mut stop = None;
            for row in batch.rows() {
                self.work.add(1);
                self.work.add_bytes(row.texts[3].len());
                stop = self.show(walk, &self.event_of(&row)?, pace, visitor);
                if stop.is_some() {
                    break;
                }
            }
            if walk.unfinished.is_some() {
                self.db.held_event().borrow_mut().hold(&mut batch);
            }
            if let Some(stop) = stop {
                return Ok(stop);
            }
            if is_end {
                return Ok(Stop::End);
            }
        }
    }

    /// Hands these events to `take`, in order. What retention has removed meanwhile is left out.
    pub fn read_events(
        &self,
        seqs: &[u64],
        mut take: impl FnMut(StoredEvent),
    ) -> Result<(), StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE seq = ?1");
        let mut statement = self.db.prepare_cached(&sql)?;
        for seq in seqs {
            let mut rows = statement.query([clamp(*seq)])?;
            let Some(row) = rows.next()? else {
                if *seq <= self.horizon() {
                    continue;
                }
                return Err(no_event(*seq).into());
            };
            let event = stored_event(&self.parts.topics, row)?;
            self.work.add(EVENT_UNITS);
            self.work.add_bytes(event.payload.len());
            take(event);
        }
        Ok(())
    }

    /// Goes on with the event that was unfinished when the last slice was over, if it has not been removed. Says why
    /// the walk stops here, if it does.
    fn finish_event(
        &self,
        walk: &mut Walk,
        pace: &mut Pace,
        visitor: &mut dyn Visitor,
    ) -> Result<Option<Stop>, StoreError> {
        let mut held = self.db.held_event().borrow_mut();
        let unfinished = walk.unfinished.take();
        let Some(seq) = unfinished.filter(|seq| *seq > self.horizon()) else {
            held.was_not_used();
            return Ok(None);
        };
        if held.row(seq).is_none() {
            let range = (Bound::After(seq - 1), seq);
            let one = BatchSize { rows: 1, bytes: 1 };
            let (mut batch, _) = self.db.batch_scan().read(&self.db, range, one)?;
            self.work.add_bytes(batch.size());
            held.hold(&mut batch);
            // A walk that had to read it again makes progress nevertheless.
            pace.begin_again(self.work.done());
        }
        let row = held.row(seq).ok_or_else(|| no_event(seq))?;
        Ok(self.show(walk, &self.event_of(&row)?, pace, visitor))
    }

    /// The event of a row.
    fn event_of<'r>(&'r self, row: &TakenRow<'r>) -> rusqlite::Result<StoredEvent<'r>> {
        let [event_id, timestamp, source, payload] = row.texts;
        Ok(StoredEvent {
            seq: row.seq as u64,
            topic: self.parts.topics.stored(row.topic)?.name.as_bytes(),
            event_id,
            timestamp,
            source,
            payload,
            processed_at: row.processed_at,
        })
    }

    /// Shows an event to the visitor, step by step.
    fn show(
        &self,
        walk: &mut Walk,
        event: &StoredEvent,
        pace: &mut Pace,
        visitor: &mut dyn Visitor,
    ) -> Option<Stop> {
        let candidate = Candidate {
            topic: event.topic,
            event_id: event.event_id,
            source: event.source,
            timestamp: event.timestamp,
            payload: event.payload,
            processed_at: event.processed_at,
        };
        loop {
            let mut effort = Effort::of(SEARCH_STEP_BYTES);
            let visit = visitor.visit(event.seq, &candidate, &mut effort);
            self.work.add(effort.spent() / SEARCH_BYTES_PER_UNIT);
            match visit {
                Visit::Unfinished => self.work.add(1),
                Visit::GoOn | Visit::Enough => walk.pass(event.seq, self.horizon()),
            }
            match visit {
                Visit::Enough => return Some(Stop::Enough),
                _ if pace.is_over(self.work.done()) => {
                    walk.unfinished = (visit == Visit::Unfinished).then_some(event.seq);
                    return Some(Stop::Slice);
                }
                Visit::GoOn => return None,
                Visit::Unfinished => {}
            }
        }
    }
}

/// Whether a slice is over: its units are spent, or its time is.
struct Pace<'s> {
    slice: &'s Slice<'s>,
    /// The part of the time that was over when it began.
    began: Duration,
    time: Duration,
    ends_at: u64,
    /// When the clock is read again, in units.
    look_at: u64,
}

impl<'s> Pace<'s> {
    fn new(store: &Store, slice: &'s Slice<'s>) -> Self {
        let done = store.work.done();
        Self {
            slice,
            began: Duration::ZERO,
            time: slice.time,
            ends_at: done + slice.units,
            look_at: done + SEARCH_CLOCK_UNITS,
        }
    }

    fn is_over(&mut self, done: u64) -> bool {
        if done < self.look_at {
            return done >= self.ends_at;
        }
        self.look_at = done + SEARCH_CLOCK_UNITS;
        done >= self.ends_at || (self.slice.spent)() >= self.began + self.time
    }

    /// The rest of the slice begins only now: what was done before does not count.
    fn begin_again(&mut self, done: u64) {
        self.began = (self.slice.spent)();
        self.ends_at = done + self.slice.units / SEARCH_RELOADED_PART;
        self.time = self.slice.time / SEARCH_RELOADED_PART as u32;
        self.look_at = done + SEARCH_CLOCK_UNITS;
    }
}
