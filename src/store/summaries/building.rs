//! Making the summary of a block: adding its events, a slice at a time.

use rusqlite::{Connection, Row};

use super::block::Block;
use super::filter::{add, empty, lines_of};
use super::seconds;
use super::times::{are_of_one_second, intervals_of};
use super::word_set::WordSet;
use super::words::{hash_text, payload_words, words_of};
use crate::limits::{
    SUMMARY_BLOCK_BYTES, SUMMARY_BYTE_NS, SUMMARY_EVENT_NS, SUMMARY_NAMES, SUMMARY_PAYLOAD_BYTES,
    SUMMARY_ROW_NS, SUMMARY_TIME_NS, SUMMARY_WORDS_MAX, SUMMARY_WORD_NS,
};
use crate::search::Instant;
use crate::store::rows::{clamp, unsigned};
use crate::store::topics::topic::TopicId;
use crate::store::topics::Topics;

/// The events after a seq and up to another, without payloads that are too long to be read here.
const EVENTS: &str =
    "SELECT seq, topic_id, event_id, timestamp, source, processed_at, octet_length(payload), \
     CASE WHEN octet_length(payload) <= ?3 THEN payload END \
     FROM events WHERE seq > ?1 AND seq <= ?2 ORDER BY seq";

/// Seqs that get summaries, one block after the other.
#[derive(Debug)]
pub(super) struct Building {
    /// The first seq of the block that is being made.
    first: u64,
    /// The last seq whose event it has.
    taken: u64,
    /// The last seq that gets a summary.
    until: u64,
    content: Content,
    /// The block, once all its events have been added.
    filling: Option<Filling>,
    /// Nanoseconds that the block has taken so far.
    spent_ns: u64,
}

/// A block whose filter is being filled.
#[derive(Debug)]
struct Filling {
    made: Made,
    /// The next place of the set of words.
    next: usize,
}

/// The sum of the events of a block so far.
#[derive(Debug, Default)]
struct Content {
    events: u32,
    bytes: u64,
    processed_at: Option<(i64, i64)>,
    times: Vec<Instant>,
    topics: Names<TopicId>,
    sources: Names<u64>,
    words: WordSet,
    /// It has an event whose payload was not read.
    lacks_words: bool,
    /// Memory for strings with escapes.
    text: Vec<u8>,
}

/// A small sorted set.
#[derive(Debug, Default)]
struct Names<T> {
    list: Vec<T>,
    has_overflown: bool,
}

impl<T: Copy + Ord> Names<T> {
    /// Adds a name. Returns whether it was there.
    fn add(&mut self, name: T) -> bool {
        match self.list.binary_search(&name) {
            Ok(_) => return true,
            Err(at) if self.list.len() < SUMMARY_NAMES => self.list.insert(at, name),
            Err(_) => self.has_overflown = true,
        }
        false
    }

    fn clear(&mut self) {
        self.list.clear();
        self.has_overflown = false;
    }

    /// All of them, if they are not too many.
    fn all(&self) -> Option<Vec<T>> {
        (!self.has_overflown).then(|| self.list.clone())
    }
}

/// One event as it is read.
struct Incoming<'r> {
    topic: TopicId,
    event_id: &'r [u8],
    timestamp: &'r [u8],
    source: &'r [u8],
    processed_at: i64,
    payload_bytes: u64,
    /// None if it is too long.
    payload: Option<&'r [u8]>,
}

impl<'r> Incoming<'r> {
    fn of(row: &'r Row) -> rusqlite::Result<Self> {
        Ok(Self {
            topic: row.get(1)?,
            event_id: row.get_ref(2)?.as_bytes()?,
            timestamp: row.get_ref(3)?.as_bytes()?,
            source: row.get_ref(4)?.as_bytes()?,
            processed_at: row.get(5)?,
            payload_bytes: unsigned(row, 6)?,
            payload: row.get_ref(7)?.as_bytes_or_null()?,
        })
    }

    /// Bytes of its texts.
    fn bytes(&self) -> u64 {
        self.payload_bytes + (self.event_id.len() + self.source.len()) as u64
    }
}

impl Content {
    fn clear(&mut self) {
        self.events = 0;
        self.bytes = 0;
        self.processed_at = None;
        self.times.clear();
        self.topics.clear();
        self.sources.clear();
        self.words.clear();
        self.lacks_words = false;
        self.text.clear();
        self.text.shrink_to(64 * 1024);
    }

    /// Whether an event belongs to the next block.
    fn is_full_before(&self, event: &Incoming) -> bool {
        self.events > 0
            && (self.bytes + event.bytes() > SUMMARY_BLOCK_BYTES
                || self.words.len() > SUMMARY_WORDS_MAX / 2
                || self.lacks_words
                || event.payload.is_none())
    }

    /// Adds an event.
    fn take(&mut self, event: &Incoming, topics: &Topics) -> rusqlite::Result<()> {
        self.events += 1;
        self.bytes += event.bytes();
        let at = event.processed_at;
        let (from, to) = self.processed_at.unwrap_or((at, at));
        self.processed_at = Some((from.min(at), to.max(at)));
        self.times.push(Instant::of_stored(event.timestamp));
        let words = &mut self.words;
        // A name that is in a list has been counted for its words.
        if !self.topics.add(event.topic) {
            let name = &topics.stored(event.topic.into())?.name;
            words_of(name.as_bytes(), |word| words.insert(word));
        }
        if !self.sources.add(hash_text(event.source)) {
            words_of(event.source, |word| words.insert(word));
        }
        words_of(event.event_id, |word| words.insert(word));
        match event.payload {
            Some(payload) => payload_words(payload, &mut self.text, |word| words.insert(word)),
            None => self.lacks_words = true,
        }
        Ok(())
    }

    /// The block of these events, with its seconds. Its filter has no words yet.
    fn made(&mut self, first_seq: u64, last_seq: u64) -> Made {
        let has_words = !self.lacks_words && !self.words.has_overflown();
        // A filter of no words has a line, so that it is told from none.
        let lines = lines_of(self.words.len().max(1)) as u32;
        let times = intervals_of(&mut self.times);
        let mut seconds = Vec::new();
        // Otherwise the intervals say as much.
        if !are_of_one_second(&times) {
            seconds = seconds::encode(&self.times);
        }
        let block = Block {
            first_seq,
            last_seq,
            events: self.events,
            filter_lines: if has_words { lines } else { 0 },
            processed_at: self.processed_at.unwrap_or_default(),
            times,
            seconds_bytes: seconds.len() as u32,
            topics: self.topics.all(),
            sources: self.sources.all(),
        };
        Made {
            filter: empty(block.filter_lines),
            block,
            seconds,
        }
    }
}

/// A block that is complete and not written yet.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) block: Block,
    pub(super) filter: Vec<u8>,
    pub(super) seconds: Vec<u8>,
}

impl Filling {
    /// Adds words to the filter for about `budget` nanoseconds, which are subtracted. Returns whether it has all.
    fn step(&mut self, words: &WordSet, budget: &mut i64) -> bool {
        let lines = self.made.block.filter_lines;
        let slots = words.slots().get(self.next..).filter(|_| lines > 0);
        for hash in slots.unwrap_or_default() {
            if *budget <= 0 {
                return false;
            }
            self.next += 1;
            if *hash != 0 {
                add(&mut self.made.filter, lines, *hash);
                *budget -= SUMMARY_WORD_NS as i64;
            }
        }
        true
    }
}

impl Building {
    /// Begins with the seqs from `first` to `until`, all of which are committed and of one slot.
    pub(super) fn new(first: u64, until: u64) -> Self {
        Self {
            first,
            taken: first.saturating_sub(1),
            until,
            content: Content::default(),
            filling: None,
            spent_ns: 0,
        }
    }

    /// Adds events for about `budget` nanoseconds, which are subtracted. Gives a block once it is complete.
    pub(super) fn step(
        &mut self,
        db: &Connection,
        topics: &Topics,
        budget: &mut i64,
    ) -> rusqlite::Result<Option<Made>> {
        let before = *budget;
        let made = self.go_on(db, topics, budget);
        self.spent_ns += before.abs_diff(*budget);
        made
    }

    /// About how many nanoseconds the summary of an event has taken, those of `rows` rows of its block included.
    pub(super) fn event_ns(&self, rows: u32) -> u64 {
        let all = self.spent_ns + SUMMARY_ROW_NS * u64::from(rows);
        all / u64::from(self.content.events.max(1))
    }

    fn go_on(
        &mut self,
        db: &Connection,
        topics: &Topics,
        budget: &mut i64,
    ) -> rusqlite::Result<Option<Made>> {
        if let Some(filling) = &mut self.filling {
            let is_done = filling.step(&self.content.words, budget);
            let done = self.filling.take_if(|_| is_done);
            return Ok(done.map(|filling| filling.made));
        }
        let mut statement = db.prepare_cached(EVENTS)?;
        let longest = clamp(SUMMARY_PAYLOAD_BYTES);
        let mut rows = statement.query((clamp(self.taken), clamp(self.until), longest))?;
        while *budget > 0 {
            let Some(row) = rows.next()? else {
                self.fill(self.until, budget);
                break;
            };
            let event = Incoming::of(row)?;
            if self.content.is_full_before(&event) {
                self.fill(self.taken, budget);
                break;
            }
            self.content.take(&event, topics)?;
            self.taken = unsigned(row, 0)?;
            let bytes = event.bytes().min(SUMMARY_BLOCK_BYTES);
            *budget -= (SUMMARY_EVENT_NS + SUMMARY_BYTE_NS * bytes) as i64;
        }
        Ok(None)
    }

    /// Begins to fill the filter of the block that ends with this seq.
    fn fill(&mut self, last_seq: u64, budget: &mut i64) {
        let made = self.content.made(self.first, last_seq);
        *budget -= (SUMMARY_TIME_NS * u64::from(self.content.events)) as i64;
        self.filling = Some(Filling { made, next: 0 });
    }

    /// Goes on with the next block after one that is written; none if all have been made.
    pub(super) fn after(mut self, written: &Block) -> Option<Self> {
        self.content.clear();
        self.spent_ns = 0;
        self.first = written.last_seq + 1;
        self.taken = written.last_seq;
        (written.last_seq < self.until).then_some(self)
    }
}
