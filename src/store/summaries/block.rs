//! A block's row of `search_blocks`: what it says, and reading and writing it with its checksum.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::filter::pages_of;
use super::seconds::decode as decode_seconds;
use super::times::{decode, encode, Interval};
use crate::limits::{
    SUMMARY_BLOCK_EVENTS, SUMMARY_NAMES, SUMMARY_PAGES_PER_SEQ, SUMMARY_PAGE_BYTES,
};
use crate::store::error::{damaged, expect_changed};
use crate::store::page_checksum::PageOwner;
use crate::store::rows::clamp;
use crate::store::topics::topic::TopicId;

pub(crate) const BLOCK_COLUMNS: &str = "first_seq, last_seq, events, filter_lines, \
     first_processed_at, last_processed_at, times, topics, sources, checksum";

/// What is known of the events of consecutive seqs. Some of them may have been removed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub first_seq: u64,
    pub last_seq: u64,
    pub events: u32,
    /// Lines of the filter over the words; 0 where nothing is known of them.
    pub filter_lines: u32,
    /// The least and the greatest `processed_at`, in microseconds.
    pub processed_at: (i64, i64),
    /// Intervals that hold all event times.
    pub times: Vec<Interval>,
    /// Bytes of the list of seconds that the events happened in, on pages after those of the filter; 0 if there is
    /// none.
    pub seconds_bytes: u32,
    /// The topics, ascending; none if they are too many.
    pub topics: Option<Vec<TopicId>>,
    /// The hashes of the sources, ascending; none if they are too many.
    pub sources: Option<Vec<u64>>,
}

/// A row as it is read or written: the numbers and the lists that the checksum is over.
struct Columns<'a> {
    numbers: [i64; 6],
    times: &'a [u8],
    topics: Option<&'a [u8]>,
    sources: Option<&'a [u8]>,
}

impl Columns<'_> {
    /// What the block's pages belong to. Its number is the checksum of the row.
    fn owner(&self) -> PageOwner {
        let lists = [Some(self.times), self.topics, self.sources];
        // No list is not the same as an empty one.
        let sums = lists.map(|list| list.map_or(u64::MAX, |list| crc32fast::hash(list).into()));
        let [first, last, events, lines, from, to] = self.numbers.map(i64::cast_unsigned);
        let [times, topics, sources] = sums;
        PageOwner::of(&[first, last, events, lines, from, to, times, topics, sources])
    }
}

/// The first and the last seq of the slot of a seq, which is not 0.
pub(crate) fn slot_of(seq: u64) -> (u64, u64) {
    let first = (seq - 1) / SUMMARY_BLOCK_EVENTS * SUMMARY_BLOCK_EVENTS + 1;
    (first, first + SUMMARY_BLOCK_EVENTS - 1)
}

/// Whether a block is within a slot, as all of ours are.
pub(crate) fn is_of_one_slot(block: &Block) -> bool {
    let (first, last) = (block.first_seq, block.last_seq);
    first > 0 && (first..=slot_of(first).1).contains(&last)
}

/// The id of the first page that the filter of a block has.
pub(super) fn first_page(first_seq: u64) -> i64 {
    clamp(first_seq.saturating_mul(SUMMARY_PAGES_PER_SEQ))
}

/// The first seq of the block that a page of this id belongs to, at least 1.
pub(super) fn seq_of_page(id: i64) -> u64 {
    (id.max(0).cast_unsigned() / SUMMARY_PAGES_PER_SEQ).max(1)
}

impl Block {
    /// All its pages.
    pub(crate) fn pages(&self) -> u32 {
        let of_seconds = self.seconds_bytes.div_ceil(SUMMARY_PAGE_BYTES as u32);
        pages_of(self.filter_lines) + of_seconds
    }

    /// The id of one of them.
    pub(crate) fn page_id(&self, page: u32) -> i64 {
        first_page(self.first_seq) + i64::from(page)
    }

    /// Reads a row of [`BLOCK_COLUMNS`], with what its pages belong to; none if it is damaged.
    pub(crate) fn read(row: &Row) -> rusqlite::Result<Option<(Self, PageOwner)>> {
        let mut numbers = [0; 6];
        for (at, number) in numbers.iter_mut().enumerate() {
            *number = row.get(at)?;
        }
        let columns = Columns {
            numbers,
            times: row.get_ref(6)?.as_blob()?,
            topics: row.get_ref(7)?.as_blob_or_null()?,
            sources: row.get_ref(8)?.as_blob_or_null()?,
        };
        let owner = columns.owner();
        if row.get_ref(9)? != ValueRef::Integer(owner.number().cast_signed().into()) {
            return Ok(None);
        }
        Ok(Self::of(&columns).map(|block| (block, owner)))
    }

    fn of(columns: &Columns) -> Option<Self> {
        let [first_seq, last_seq, events, filter_lines, from, to] = columns.numbers;
        let (times, seconds_bytes) = decode(columns.times)?;
        Some(Self {
            first_seq: u64::try_from(first_seq).ok()?,
            last_seq: u64::try_from(last_seq).ok()?,
            events: u32::try_from(events).ok()?,
            filter_lines: u32::try_from(filter_lines).ok()?,
            processed_at: (from, to),
            times,
            seconds_bytes,
            topics: numbers(columns.topics, TopicId::from_be_bytes),
            sources: numbers(columns.sources, u64::from_be_bytes),
        })
    }

    /// Writes the row inside the open transaction, and says what its pages belong to.
    pub(crate) fn write(&self, db: &Connection) -> rusqlite::Result<PageOwner> {
        let times = encode(&self.times, self.seconds_bytes);
        let topics = self.topics.as_ref().map(|topics| {
            let bytes = topics.iter().flat_map(|topic| topic.to_be_bytes());
            bytes.collect::<Vec<u8>>()
        });
        let sources = self.sources.as_ref().map(|sources| {
            let bytes = sources.iter().flat_map(|source| source.to_be_bytes());
            bytes.collect::<Vec<u8>>()
        });
        let (from, to) = self.processed_at;
        let columns = Columns {
            numbers: [
                clamp(self.first_seq),
                clamp(self.last_seq),
                self.events.into(),
                self.filter_lines.into(),
                from,
                to,
            ],
            times: &times,
            topics: topics.as_deref(),
            sources: sources.as_deref(),
        };
        let owner = columns.owner();
        let [first, last, events, lines, from, to] = columns.numbers;
        let sql = format!(
            "INSERT INTO search_blocks({BLOCK_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        );
        db.prepare_cached(&sql)?
            .execute((
                first,
                last,
                events,
                lines,
                from,
                to,
                columns.times,
                columns.topics,
                columns.sources,
                owner.number().cast_signed(),
            ))
            .and_then(|changed| expect_changed(changed, 1, "search_blocks"))?;
        Ok(owner)
    }
}

/// The numbers of a list. One that is longer than we write is ignored.
fn numbers<const N: usize, T>(bytes: Option<&[u8]>, number: fn([u8; N]) -> T) -> Option<Vec<T>> {
    let bytes = bytes.filter(|bytes| bytes.len() <= N * SUMMARY_NAMES)?;
    let (numbers, _) = bytes.as_chunks::<N>();
    Some(numbers.iter().map(|bytes| number(*bytes)).collect())
}

/// Lends a page of a block's filter to `look`.
///
/// # Errors
/// Damage, where the page is missing or its checksum is wrong.
pub(crate) fn with_page<T>(
    db: &Connection,
    (block, owner): (&Block, PageOwner),
    page: u32,
    look: impl FnOnce(&[u8]) -> T,
) -> rusqlite::Result<T> {
    let id = block.page_id(page);
    let mut statement = db.prepare_cached("SELECT content FROM search_pages WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    if let Some(row) = rows.next()? {
        if let Some(content) = owner.content(id, row.get_ref(0)?.as_blob()?) {
            return Ok(look(content));
        }
    }
    Err(damaged(format!("page {id} of search_pages is damaged")))
}

/// The seconds that a block's events happened in, and how many in each, as intervals; `None` if there is no list of
/// them.
///
/// # Errors
/// Damage, where a page is missing or wrong.
pub(crate) fn read_seconds(
    db: &Connection,
    (block, owner): (&Block, PageOwner),
) -> rusqlite::Result<Option<Vec<Interval>>> {
    let mut bytes = Vec::with_capacity(block.seconds_bytes as usize);
    for page in pages_of(block.filter_lines)..block.pages() {
        with_page(db, (block, owner), page, |page| {
            bytes.extend_from_slice(page)
        })?;
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    let has_all = |seconds: &Vec<Interval>| {
        let events: u64 = seconds.iter().map(|second| u64::from(second.events)).sum();
        events == u64::from(block.events)
    };
    match decode_seconds(&bytes).filter(has_all) {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(damaged("a list of seconds in search_pages is damaged")),
    }
}

/// Writes the pages of a block, those of its filter and those of its seconds, inside the open transaction.
pub(super) fn write_pages(
    db: &Connection,
    first_seq: u64,
    owner: PageOwner,
    (filter, seconds): (&[u8], &[u8]),
) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached("INSERT INTO search_pages(id, content) VALUES (?1, ?2)")?;
    let mut page = Vec::with_capacity(SUMMARY_PAGE_BYTES + 4);
    let contents = [filter, seconds].into_iter();
    let contents = contents.flat_map(|content| content.chunks(SUMMARY_PAGE_BYTES));
    for (id, content) in (first_page(first_seq)..).zip(contents) {
        page.clear();
        page.extend_from_slice(content);
        owner.seal(id, &mut page);
        insert.execute((id, &page[..]))?;
    }
    Ok(())
}

/// Deletes the blocks that begin with these seqs inside the open transaction, and their pages; and pages that no
/// block has.
pub(super) fn delete_blocks(db: &Connection, first: u64, last: u64) -> rusqlite::Result<()> {
    // Below the first seq there may only be what is damaged.
    let (first, page) = match first {
        0 | 1 => (i64::MIN, i64::MIN),
        first => (clamp(first), first_page(first)),
    };
    db.prepare_cached("DELETE FROM search_blocks WHERE first_seq >= ?1 AND first_seq <= ?2")?
        .execute((first, clamp(last)))?;
    db.prepare_cached("DELETE FROM search_pages WHERE id >= ?1 AND id < ?2")?
        .execute((page, first_page(last.saturating_add(1))))?;
    Ok(())
}
