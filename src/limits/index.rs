//! Bounds of the key index: memtables, segments, compaction, scrub, repair.

/// Slots of a memtable of recent keys: 4 MiB of 32 bytes each.
pub const MEMTABLE_SLOTS: usize = 128 * 1024;
/// Entries at which a memtable is sealed: three quarters of its slots.
pub const MEMTABLE_ENTRIES: usize = 96 * 1024;
/// Events for which a filter is asked at once: their blocks fill an eighth of a first-level cache.
pub const KEYS_LOOKED_UP_AT_ONCE: usize = 64;
/// Memtables in memory at most: one that is filled, and those that wait for their segment.
pub const MEMTABLES_MAX: usize = 3;
/// Bytes of records on a segment's page; with its checksum and its row's header it fills one page of SQLite's
/// 4 KiB.
pub const SEGMENT_PAGE_BYTES: usize = 4_032;
/// Pages of filters that a turn after the start reads into memory, 1 MiB.
pub const FILTER_PAGES_READ_AT_ONCE: usize = 256;
/// Segments of one level that are merged into one of the next.
pub const MERGE_WIDTH: usize = 16;
/// Levels of segments; the last holds some 1,600 billion keys.
pub const SEGMENT_LEVELS: usize = 7;
/// Bits of filter for each key of a segment, by its level. With 15, one probe in some 2,800 is a false alarm, with 13
/// one in some 1,000. The few segments of the higher levels have nearly all keys of a large database.
pub const FILTER_BITS_PER_KEY: [u64; SEGMENT_LEVELS] = [15, 15, 13, 13, 13, 13, 13];
/// Records of segments written for each event that a commit stores. A key is written once when its
/// memtable is sealed and once for each level, so this keeps pace with five levels and a margin.
pub const SEGMENT_RECORDS_PER_EVENT: usize = 12;
/// Records of segments written in a slice of idle work.
pub const SEGMENT_RECORDS_PER_SLICE: usize = 8 * 1024;
/// Pages of segments of older tables that get a checksum in a slice of idle work.
pub const SEGMENT_PAGES_UPGRADED_AT_ONCE: usize = 64;
/// Records of such segments that are compared with their events in a slice, each of which costs a look-up.
pub const COMPARED_RECORDS_PER_SLICE: usize = 512;
/// Pages of the key index that a slice of the scrub reads, and how often a slice is due, in milliseconds: 2.5 MiB a
/// second, or some five hours for a billion keys.
pub const SCRUB_PAGES_PER_SLICE: i64 = 64;
pub const SCRUB_INTERVAL_MS: u64 = 100;
/// From the beginning of one pass of the scrub to that of the next, in milliseconds: a day.
pub const SCRUB_PASS_INTERVAL_MS: u64 = 24 * 3_600 * 1_000;
/// Damaged pages that are remembered; others are found again when they are read.
pub const DAMAGED_PAGES_MAX: usize = 4 * 1024;
/// Damaged pages that `GET /health` names.
pub const DAMAGED_PAGES_NAMED: usize = 16;
/// Rows that are read in a slice while damaged pages are rebuilt, and bytes of those that are read whole.
pub const REPAIR_ROWS_PER_SLICE: usize = 4 * 1024;
pub const REPAIR_BYTES_PER_SLICE: usize = 4 * 1024 * 1024;
/// Records of damaged pages that are collected at a time, 2 MiB at most.
pub const REPAIR_RECORDS_MAX: usize = 32 * 1024;
/// Pages after a damaged one that are looked at for the next that is right.
pub const REPAIR_PAGES_LOOKED_AT: i64 = 2 * 1024;
/// Pages of filters and of fences that are rebuilt in one slice.
pub const REPAIR_PAGES_PER_SLICE: usize = 8;
/// Rows of dropped segments deleted in one slice.
pub const SEGMENT_ROWS_DELETED_AT_ONCE: usize = 64;

const _: () =
    assert!(MEMTABLE_ENTRIES * 4 == MEMTABLE_SLOTS * 3 && MEMTABLE_SLOTS.is_power_of_two());
const _: () = assert!(SEGMENT_PAGE_BYTES.is_multiple_of(64));
