//! Bounds of reading, counted in units of about a quarter of a microsecond, so that a turn of the loop reads a bounded
//! amount whatever is asked for, on any machine.

/// Units of a slice of reading, some one or two milliseconds.
pub const READ_UNITS_PER_SLICE: u64 = 4 * 1024;
/// Slices that requests of a turn take together when they come; then the next ones wait.
pub const READ_SLICES_AT_ONCE: u64 = 2;
/// Slices of a turn, those included that go on with what has begun.
pub const READ_SLICES_PER_TURN: u64 = 6;
/// Searches for pages at a time; more wait until one of them is done.
pub const READS_AT_WORK: usize = 64;
/// Milliseconds that a request waits for its first slice, or its next one, before it is answered 503.
pub const READ_WAIT_MAX_MS: u64 = 10_000;
/// Bytes of payload that are read, and written as JSON, in a unit.
pub const READ_BYTES_PER_UNIT: u64 = 256;
/// Units that an event takes besides its payload. That of its topic alone takes one.
pub const EVENT_UNITS: u64 = 8;
/// Units of a short row that is read into memory when the database is opened again.
pub const LOAD_ROW_UNITS: u64 = 4;
/// Topics for which room is made before they are read.
pub const TOPICS_RESERVED_MAX: usize = 1 << 20;
/// Units of a look into an index, or into one segment of the key index.
pub const LOOK_UP_UNITS: u64 = 16;
/// Units of a page of statistics, names of topics on it in one more, and units of a line in a list.
pub const PAGE_UNITS: u64 = 128;
pub const NAMES_PER_UNIT: u64 = 8;
pub const LINE_UNITS: u64 = 2;
/// Keys without a segment that are looked at in a unit.
pub const ENTRIES_PER_UNIT: u64 = 256;
