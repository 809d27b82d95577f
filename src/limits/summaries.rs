//! Bounds of the summaries that searches look at before rows.

/// Seqs of a slot: a block is within one, and is a whole one where its text and its words are few enough.
pub const SUMMARY_BLOCK_EVENTS: u64 = 4_096;
/// Bytes of text at which a block ends before its slot does.
pub const SUMMARY_BLOCK_BYTES: u64 = 2 * 1024 * 1024;
/// Bytes of a payload that is not read for a summary, which then says nothing of words. Its event has a block of its
/// own.
pub const SUMMARY_PAYLOAD_BYTES: u64 = 1024 * 1024;
/// Distinct words of a block, 1 MiB of memory while it is made. A block ends at half of them; one event with more has
/// a block without words.
pub const SUMMARY_WORDS_MAX: usize = 64 * 1024;
/// Bits of filter for each word. One question in some 150 is a false alarm.
pub const SUMMARY_BITS_PER_WORD: usize = 12;
/// Bytes of a filter's lines on a page of `search_pages`.
pub const SUMMARY_PAGE_BYTES: usize = 4_032;
/// Ids of pages that each seq has, more than any block has pages.
pub const SUMMARY_PAGES_PER_SEQ: u64 = 64;
/// Intervals that hold the times of a block's events.
pub const SUMMARY_INTERVALS: usize = 8;
/// Bytes of the list of seconds that a block's events happened in; a longer one is left out. Sparse events take one
/// byte each, others less.
pub const SUMMARY_SECONDS_BYTES: usize = 4 * SUMMARY_PAGE_BYTES;
/// Topics, and sources, of a block that are listed; beyond that the words decide.
pub const SUMMARY_NAMES: usize = 64;
/// Words of a text that are looked up in a filter. Each costs at most one page.
pub const SUMMARY_WORDS_ASKED: usize = 16;
/// Zeros at the end of a number that are written out to look for it.
pub const SUMMARY_ZEROS_ASKED: usize = 64;
/// Milliseconds after which the newest events get a summary although their block is not full.
pub const SUMMARY_WAIT_MS: u64 = 60_000;
/// Nanoseconds of a slice of making summaries in a quiet turn, as they are estimated: for an event, for a byte of its
/// text, for a word of a filter, for a time that is sorted, and for a row that is written.
pub const SUMMARY_SLICE_NS: u64 = 2_000_000;
pub const SUMMARY_EVENT_NS: u64 = 600;
pub const SUMMARY_BYTE_NS: u64 = 5;
pub const SUMMARY_WORD_NS: u64 = 20;
pub const SUMMARY_TIME_NS: u64 = 50;
pub const SUMMARY_ROW_NS: u64 = 10_000;
/// The part of a turn with commits that making summaries takes; and the part of the time since the last commit that a
/// slice in a quiet turn may take.
pub const SUMMARY_TURN_SHARE: u64 = 20;
/// The part of a turn with commits, and of the wait before it, that it takes where that is enough to keep pace with
/// what is published.
pub const SUMMARY_PACE_SHARE: u64 = 8;
/// How many of the last turns say how fast that is, about.
pub const SUMMARY_PACE_TURNS: u64 = 256;
/// The part of the loop's wait before a turn with commits that making summaries takes after it, where that is worth a
/// slice.
pub const SUMMARY_WAIT_SHARE: u64 = 2;
/// Nanoseconds that turns may save together for summaries; a longer turn may give more at once.
pub const SUMMARY_SAVED_NS: u64 = 500_000;
/// Milliseconds after a commit in which quiet turns make no summaries: a publisher may be about to send its next
/// request.
pub const SUMMARY_QUIET_MS: u64 = 1;
/// The least such time that is used; less is saved for later turns.
pub const SUMMARY_SLICE_MIN_NS: u64 = 50_000;
/// Rows of `search_blocks` that are read or dropped in a slice.
pub const SUMMARY_ROWS_READ_AT_ONCE: usize = 512;
pub const SUMMARY_BLOCKS_DROPPED_AT_ONCE: usize = 16;
/// One event of this many of a block is compared with its summary by `check`.
pub const CHECKED_EVENTS_SHARE: u64 = 64;
/// Runs of blocks without a gap that are remembered; more are found again.
pub const SUMMARY_RUNS: usize = 64;

const _: () = assert!(SUMMARY_PAGE_BYTES.is_multiple_of(64));
const _: () = assert!(
    (SUMMARY_WORDS_MAX * SUMMARY_BITS_PER_WORD) as u64
        <= 8 * SUMMARY_PAGE_BYTES as u64 * (SUMMARY_PAGES_PER_SEQ - 1 - 4)
);
const _: () = assert!(SUMMARY_SECONDS_BYTES <= 4 * SUMMARY_PAGE_BYTES);
const _: () = assert!(SUMMARY_PAYLOAD_BYTES <= SUMMARY_BLOCK_BYTES);
