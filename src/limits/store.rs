//! Bounds of the store: SQLite, the WAL and its copier, the counts of topics.

/// SQL statements kept prepared; more than the server has.
pub const STATEMENTS_CACHED: usize = 96;
/// Events that one statement inserts.
pub const ROWS_AT_ONCE: usize = 8;
/// The longest payload of such an event.
pub const ROWS_AT_ONCE_PAYLOAD_BYTES: usize = 4 * 1024;
/// Milliseconds that the start waits for another program's lock on the database.
pub const OPEN_BUSY_MS: u64 = 1_000;
/// KiB of SQLite's page cache.
pub const PAGE_CACHE_KIB: usize = 8 * 1024;
/// Bytes of an idle write-ahead log that are kept for reuse.
pub const WAL_KEPT_BYTES: usize = 16 * 1024 * 1024;
/// Bytes by which a longer one is truncated at a time.
pub const WAL_TRUNCATE_STEP_BYTES: u64 = 8 * 1024 * 1024;
/// Frames in the write-ahead log at which it is checkpointed, 4 MiB: a slice of a few milliseconds.
pub const CHECKPOINT_FRAMES: u32 = 1_000;
/// How often the frames between two tries are doubled, to 256 MiB, while another program blocks the checkpoint.
pub const CHECKPOINT_BACKOFF_MAX: u32 = 6;
/// Frames that are copied at once, 8 MiB, some 10 milliseconds; more than that another process copies.
pub const CHECKPOINT_MAX_FRAMES: u64 = 2 * CHECKPOINT_FRAMES as u64;
/// Frames that are copied at once where that process could not keep up with what is committed, 48 MiB, some
/// tenths of a second.
pub const CHECKPOINT_LAST_FRAMES: u64 = 12 * CHECKPOINT_FRAMES as u64;
/// How often a stop tries to copy the log while another process does, and the pause between two tries.
pub const CLOSE_COPY_TRIES: u32 = 100;
pub const CLOSE_COPY_PAUSE_MS: u64 = 10;
/// Rounds in which a process that copies the write-ahead log copies also what has been added meanwhile.
pub const WAL_COPY_ROUNDS: u32 = 16;
/// Milliseconds for which that process copies before what it has copied is synced.
pub const WAL_COPY_PORTION_MS: u64 = 4;
/// How many times as long as that took, the sync included, the disk is left to others. In each round after the
/// first it is half as many times.
pub const WAL_COPY_REST_FACTOR: f64 = 2.0;
/// Milliseconds of one such rest at most.
pub const WAL_COPY_REST_MAX_MS: u64 = 250;
/// Milliseconds between two checks of that process.
pub const WAL_COPIER_POLL_MS: u64 = 20;
/// Up to this many bytes a database is checked whole at every start, which takes some 20 ms.
pub const CHECKED_AT_START_BYTES: u64 = 16 * 1024 * 1024;
/// Events after the mark from which the counts of topics are written: at once where a row stands for this
/// many of them, and in any case at the maximum. After a kill the start counts little more than that, a million
/// in some 0.6 s.
pub const TOPICS_MARK_EVENTS: u64 = 256 * 1024;
pub const EVENTS_PER_TOPIC_ROW: u64 = 16;
pub const TOPICS_MARK_MAX_EVENTS: u64 = 3 * TOPICS_MARK_EVENTS;
/// Rows of the table `topics` written in one slice of idle work.
pub const TOPICS_WRITTEN_AT_ONCE: usize = 1_000;
/// Topics in one piece of the list that is sorted by name.
pub const TOPICS_PER_PIECE: usize = 512;
/// Bytes of payload after which a page of events ends before its `limit`.
pub const PAGE_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Seqs of one topic read ahead while several topics are merged.
pub const TOPIC_SEQS_BUFFERED: usize = 64;
