//! Bounds of what a search may ask, and of its work.

/// Values of `source`, and of `event_id`, in one request.
pub const NAME_FILTERS_MAX: usize = 64;
/// Values of `q`, and terms in all of them together.
pub const Q_MAX: usize = 8;
pub const TERMS_MAX: usize = 32;
/// Bytes of a term's text.
pub const TERM_MAX_BYTES: usize = 256;
/// Values of `where`, bytes of each, and steps of its path.
pub const WHERE_MAX: usize = 32;
pub const WHERE_MAX_BYTES: usize = 512;
pub const PATH_STEPS_MAX: usize = 16;
/// Digits of an age.
pub const AGE_MAX_DIGITS: usize = 9;

/// Bytes of payload that a search matches in a unit ([`READ_UNITS_PER_SLICE`](super::READ_UNITS_PER_SLICE)).
pub const SEARCH_BYTES_PER_UNIT: u64 = 128;
/// Rows that a search reads at a time, and bytes of them.
pub const SEARCH_BATCH_ROWS: usize = 256;
pub const SEARCH_BATCH_BYTES: usize = 64 * 1024;
/// Units after which a search looks at the clock again.
pub const SEARCH_CLOCK_UNITS: u64 = 64;
/// Microseconds of a slice of a search, whatever its units are.
pub const SEARCH_SLICE_US: u64 = 2_000;
/// Milliseconds after which a stream says how far it has come.
pub const PROGRESS_MS: u64 = 1_000;
/// Milliseconds of work after which a search is answered with what it has found.
pub const SEARCH_MS: u64 = 1_000;
/// A search reads the events of a few topics by themselves where they are less than one of this many.
pub const SEARCH_TOPICS_SHARE: u64 = 4;
