//! Bounds of retention.

/// The greatest age, in microseconds, or size, in bytes, that can be set for retention: a quarter of the
/// range leaves room for sums with times.
pub const RETAIN_MAX: u64 = i64::MAX as u64 / 4;
/// Events that retention removes with one statement, and bytes of payload after which that ends early: some
/// 0.1 ms.
pub const RETAIN_ROWS_AT_ONCE: usize = 128;
pub const RETAIN_BYTES_AT_ONCE: u64 = 256 * 1024;
/// Events that retention removes in a slice of idle work, bytes of their payloads, and topics whose counts
/// they change: some 2 ms each.
pub const RETAIN_ROWS_PER_SLICE: usize = 2 * 1024;
pub const RETAIN_BYTES_PER_SLICE: u64 = 2 * 1024 * 1024;
pub const RETAIN_TOPICS_PER_SLICE: usize = 512;
/// Keys of removed events that a quiet turn compares with their checksums: some 2 ms.
pub const REMOVED_KEYS_CHECKED_AT_ONCE: usize = 2 * 1024;
/// Events that retention removes along with a commit, whatever that stores.
pub const RETAIN_ROWS_PER_COMMIT: usize = 1024;
/// How many times more that costs with the check `constraint`, whose indexes are in no order.
pub const RETAIN_CONSTRAINT_COST: usize = 8;
/// Events, and bytes of payload, that it removes for each that a commit stores. So the size is held where
/// what is removed is up to four times smaller than what comes.
pub const RETAIN_ROWS_PER_EVENT: usize = 4;
/// Milliseconds between two warnings of a subscription that holds more events than retention is to keep.
pub const HOLD_WARNING_INTERVAL_MS: u64 = 60_000;
/// Microseconds between two checks for what has become too old.
pub const RETAIN_PAUSE_US: i64 = 1_000_000;
/// The part of the size for events that is freed at most for a commit before it is known what it stores.
pub const INCOMING_SHARE: u64 = 8;
/// The part of the size for events that stays theirs, however much the keys take.
pub const EVENTS_SHARE: u64 = 4;
/// Bytes that a key takes in a segment, its posting, its share of the filter and the fences included.
pub const SEGMENT_BYTES_PER_KEY: u64 = 48;
/// About how many bytes the key of a removed event takes with the check `constraint`.
pub const REMOVED_KEY_BYTES: u64 = 80;
/// The share of the age of keys that a segment may span: some keys are kept longer than asked by that much.
pub const KEYS_SPAN_SHARE: u64 = 8;
/// Events and microseconds that one row about the times of removed events stands for, and how many such
/// rows there are at least in the age of keys.
pub const REMOVED_TIMES_EVENTS: u64 = 16 * 1024;
pub const REMOVED_TIMES_SPAN_US: i64 = 3_600_000_000;
pub const REMOVED_TIMES_PER_AGE: i64 = 64;
/// Free pages that are not given back: a share of the size or of the file, at least and at most this many.
pub const SPARE_SHARE_OF_SIZE: u64 = 16;
pub const SPARE_SHARE_OF_FILE: u64 = 4;
pub const SPARE_PAGES_MIN: u64 = 256;
pub const SPARE_PAGES_MAX: u64 = 256 * 1024;
/// Pages given back in one slice, some 1 ms; and the number of free ones from which that comes before
/// removing more, because SQLite looks some of them up one by one.
pub const GIVE_BACK_PAGES: u64 = 64;
pub const GIVE_BACK_FREE_PAGES: u64 = 2 * 1024;

const _: () = assert!(RETAIN_ROWS_AT_ONCE <= RETAIN_ROWS_PER_COMMIT);
const _: () = assert!(RETAIN_BYTES_AT_ONCE <= RETAIN_BYTES_PER_SLICE);
