//! Bounds of what is kept of rejected records.

/// Bytes of the reason why a record was rejected.
pub const REJECTED_REASON_BYTES: usize = 1024;
/// Rejected records that are kept where nothing else is set.
pub const REJECTED_KEPT_RECORDS: u64 = 10_000;
/// Bytes of rejected records that are kept where no size is set, and the part of the size for events that they take
/// at most.
pub const REJECTED_KEPT_BYTES: u64 = 16 * 1024 * 1024;
pub const REJECTED_SHARE_OF_EVENTS: u64 = 8;
/// Bytes that a rejected record takes besides its texts and its own.
pub const REJECTED_ROW_BYTES: u64 = 128;
/// Rejected records, and bytes of them, that are removed at once: in a slice of idle work, or along with a commit that
/// brings few. One that brings many removes twice as many.
pub const REJECTED_ROWS_REMOVED_AT_ONCE: u64 = 2 * 1024;
pub const REJECTED_BYTES_REMOVED_AT_ONCE: u64 = 2 * 1024 * 1024;
