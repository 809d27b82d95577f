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
/// Bytes of an event that a search looks at in a step, which takes some 30 µs. A slice is broken off only between
/// steps.
pub const SEARCH_STEP_BYTES: u32 = 16 * 1024;
/// Where a slice had to read its event again it goes on for one of this many parts of what it has.
pub const SEARCH_RELOADED_PART: u64 = 4;
/// Slices of searches after which an event that takes several slices is no longer held in memory, if none of these has
/// asked for it.
pub const HELD_EVENT_UNUSED_MAX: u32 = 1_000;
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
/// Bytes of a string's value that count where events are counted by it.
pub const VALUE_MAX_BYTES: usize = 128;

// Histograms.

/// Buckets of a histogram, and their default number.
pub const BUCKETS_MAX: u64 = 500;
pub const BUCKETS_DEFAULT: u64 = 60;
/// Values that a histogram tells apart.
pub const SERIES_MAX: usize = 20;

// Lists of fields.

/// Values of `by`, and fields that are found where there are none.
pub const FIELDS_ASKED_MAX: usize = 8;
pub const FIELDS_FOUND_MAX: usize = 50;
/// Values of a field that are kept, those that are listed at most, and how many where nothing is said.
pub const FIELD_VALUES_MAX: usize = 1_000;
pub const FIELD_VALUES_LISTED_MAX: u64 = 100;
pub const FIELD_VALUES_LISTED: u64 = 10;
/// Bytes of the values of all fields together; further ones are counted and not kept. A buffer that grows may take
/// twice as many.
pub const FIELD_VALUES_BYTES: usize = 512 * 1024;
/// Bytes that a value takes besides its text.
pub const FIELD_VALUE_BYTES: usize = 32;
/// Values of one event that are recognised although they are not kept.
pub const FIELD_VALUES_UNKEPT: usize = 1_000;
/// Seqs that are gone through for a list of fields at most, and where nothing is said.
pub const SAMPLE_MAX: u64 = 1_000_000;
pub const SAMPLE_DEFAULT: u64 = 100_000;
