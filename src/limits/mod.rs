//! Every bound by name. A queue, loop or buffer whose size a peer can influence has its limit here,
//! and the relations between limits are checked at compile time, at the end of the file. The sections
//! are in the order of the layers.

mod clients;
mod compression;
mod ingest;
mod rejected;
mod search;
mod summaries;

pub use self::{clients::*, compression::*, ingest::*, rejected::*, search::*, summaries::*};

// Events and the bodies that bring them.

/// Bytes in a topic, an event id or a source.
pub const NAME_MAX_BYTES: usize = 255;
/// Levels of nesting in a payload, the payload itself being the first.
pub const PAYLOAD_MAX_DEPTH: usize = 128;
/// Entries in the `detail` of a 422 answer and in `errors` of a partial one.
pub const ERRORS_MAX: usize = 100;
/// The smallest body limit that can be set (`--max-body-bytes`).
pub const BODY_LIMIT_MIN_BYTES: u64 = 1024;
/// The greatest value that `--max-body-bytes` may have: spans into a body and the text appended to it
/// count in 32 bits, and that text is never longer than the body itself.
pub const BODY_CEILING_BYTES: usize = 1024 * 1024 * 1024;

// The ring.

/// Events that the ring may be made to hold (`--ring-capacity`), and so the most in one request.
pub const RING_CAPACITY_MAX: u64 = 1_000_000;
/// Bytes of bodies that wait in the ring; more is committed first.
pub const RING_MAX_BYTES: usize = 8 * 1024 * 1024;

// HTTP: the parts of a request.

/// Bytes in a request target (RFC 9110 §15.5.15); more is 414.
pub const TARGET_MAX_BYTES: usize = 8 * 1024;
/// Bytes in a request head, its empty line included; more is 431.
pub const HEAD_MAX_BYTES: usize = 16 * 1024;
/// Header fields in a request head, and in a trailer section; more is 431.
pub const HEADERS_MAX: usize = 100;
/// Bytes in a chunk's size line, extensions included; more is 400.
pub const CHUNK_LINE_MAX_BYTES: usize = 4 * 1024;
/// Bytes of framing that each chunk may have, and further ones for each byte of its data. Framing is what is
/// not data: size lines with their extensions and leading zeros, and line ends.
pub const CHUNK_FRAMING_BYTES: u64 = 16;
pub const CHUNK_FRAMING_PER_BYTE: u64 = 2;
/// Bytes of framing beyond that in a body so far; more is 400. What chunks leave of theirs makes up for it.
pub const CHUNK_EXCESS_MAX_BYTES: u64 = 16 * 1024;
/// Bytes in the trailer section of a chunked body; more is 431.
pub const TRAILERS_MAX_BYTES: usize = 8 * 1024;
/// Greatest `Content-Length` that is taken for a number at all; more is 400 (RFC 9110 §8.6).
pub const CONTENT_LENGTH_MAX: u64 = 1 << 63;
/// Binary logarithm of the largest zstd window: 8 MiB (RFC 9659 §3).
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;

// HTTP: the buffers of a connection.

/// Bytes of room that a body gets on the word of its `Content-Length` alone; more as it arrives.
pub const BODY_RESERVE_BYTES: usize = 4 * 1024;
/// Bytes that are held of a body that is taken in pieces before it is read no further; one read more may come.
pub const BODY_PIECE_BYTES: usize = 256 * 1024;
/// Bytes of a request body that a refused request may still bring on a connection that is kept.
pub const DISCARD_MAX_BYTES: usize = 64 * 1024;
/// Received bytes not yet parsed at which a connection is read no further.
pub const READ_AHEAD_MAX_BYTES: usize = 64 * 1024;
/// Bytes of answers waiting for a client at which its next request is not looked at.
pub const OUTPUT_WAIT_MAX_BYTES: usize = 64 * 1024;
/// Bytes from which a part of the program is sent from where it is, and not copied into an output.
pub const FIXED_MIN_BYTES: usize = 4 * 1024;
/// Bytes of an empty buffer that a connection keeps for its next request; it has three.
pub const BUFFER_KEEP_BYTES: usize = 2 * 1024;

// HTTP: timeouts.

/// Milliseconds from the first byte of a head to its last; then 408.
pub const HEAD_TIMEOUT_MS: u64 = 10_000;
/// Milliseconds in which a body must bring [`BODY_PROGRESS_BYTES`]; else 408.
pub const BODY_TIMEOUT_MS: u64 = 20_000;
/// Bytes of body that count as progress.
pub const BODY_PROGRESS_BYTES: usize = 1024;
/// Milliseconds that an idle keep-alive connection is kept.
pub const IDLE_TIMEOUT_MS: u64 = 75_000;
/// Milliseconds in which a client must take at least one byte of a waiting answer.
pub const WRITE_TIMEOUT_MS: u64 = 30_000;
/// Milliseconds that a refused connection is read and discarded, so that its answer is not lost in a
/// reset (RFC 9112 §9.6).
pub const LINGER_MS: u64 = 2_000;

// The store.

/// SQL statements kept prepared; more than the server has.
pub const STATEMENTS_CACHED: usize = 96;
/// Events that one statement inserts.
pub const ROWS_AT_ONCE: usize = 8;
/// The longest payload of theirs.
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
/// Milliseconds of one such rest at the most.
pub const WAL_COPY_REST_MAX_MS: u64 = 250;
/// Milliseconds between two looks at that process.
pub const WAL_COPIER_POLL_MS: u64 = 20;
/// Bytes of a database that is checked whole at every start, which takes some 20 ms.
pub const CHECKED_AT_START_BYTES: u64 = 16 * 1024 * 1024;
/// Events after the mark from which the counts of topics are written: at once where a row stands for this
/// many of them, and in any case at the maximum. After a kill the start counts little more than that, a million
/// in some 0.6 s.
pub const TOPICS_MARK_EVENTS: u64 = 256 * 1024;
pub const EVENTS_PER_TOPIC_ROW: u64 = 16;
pub const TOPICS_MARK_MAX_EVENTS: u64 = 3 * TOPICS_MARK_EVENTS;
/// Rows of the table `topics` written in one slice of idle work.
pub const TOPICS_WRITTEN_AT_ONCE: usize = 1_000;
/// Topics in one piece of the list that holds them in the order of their names.
pub const TOPICS_PER_PIECE: usize = 512;
/// Bytes of payload after which a page of events ends before its `limit`.
pub const PAGE_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Seqs of one topic read ahead while several topics are merged.
pub const TOPIC_SEQS_BUFFERED: usize = 64;

// Reading, counted in units of about a quarter of a microsecond, so that a turn of the loop reads a bounded amount
// whatever is asked for, on each machine.

/// Units of a slice of reading, some one or two milliseconds.
pub const READ_UNITS_PER_SLICE: u64 = 4 * 1024;
/// Slices that requests of a turn take together when they come; then the next ones wait.
pub const READ_SLICES_AT_ONCE: u64 = 2;
/// Slices of a turn, those included that go on with what has begun.
pub const READ_SLICES_PER_TURN: u64 = 6;
/// Pages that are searched for at a time; more wait until one of them has been found.
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

// The store: the key index.

/// Slots of a memtable of recent keys: 2 MiB of 32 bytes each.
pub const MEMTABLE_SLOTS: usize = 64 * 1024;
/// Entries at which a memtable is sealed: three quarters of its slots.
pub const MEMTABLE_ENTRIES: usize = 48 * 1024;
/// Events for which a filter is asked at once: their blocks fill an eighth of a first-level cache.
pub const KEYS_LOOKED_UP_AT_ONCE: usize = 64;
/// Memtables in memory at the most: one that is filled, and those that wait for their segment.
pub const MEMTABLES_MAX: usize = 3;
/// Bytes of records on a segment's page; with its checksum and its row's header it fills one page of SQLite's
/// 4 KiB.
pub const SEGMENT_PAGE_BYTES: usize = 4_032;
/// Bits of filter for each key. One probe in some 2,800 is a false alarm. With the fences it is just under two
/// bytes a key.
pub const FILTER_BITS_PER_KEY: u64 = 15;
/// Segments of one level that are merged into one of the next.
pub const MERGE_WIDTH: usize = 16;
/// Levels of segments; the last holds some eight hundred thousand million keys.
pub const SEGMENT_LEVELS: usize = 7;
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
/// second, or some five hours for a thousand million keys.
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
/// Records of damaged pages that are collected at a time, 2 MiB at the most.
pub const REPAIR_RECORDS_MAX: usize = 32 * 1024;
/// Pages after a damaged one that are looked at for the next that is right.
pub const REPAIR_PAGES_LOOKED_AT: i64 = 2 * 1024;
/// Pages of filters and of fences that are rebuilt in one slice.
pub const REPAIR_PAGES_PER_SLICE: usize = 8;
/// Rows of dropped segments deleted in one slice.
pub const SEGMENT_ROWS_DELETED_AT_ONCE: usize = 64;

// The log.

/// Bytes of log lines that wait for standard error; what does not fit is dropped and counted.
pub const LOG_BUFFER_BYTES: usize = 1024 * 1024;
/// Bytes in one write of log lines to a pipe or socket: POSIX's `PIPE_BUF` on Linux, which a pipe that
/// polls as writable takes whole and at once (pipe(7)).
pub const LOG_WRITE_BYTES: usize = 4096;

// Streams and named subscriptions.

/// Events kept as JSON in memory for live subscribers, while there are any.
pub const RECENT_MAX_EVENTS: usize = 16 * 1024;
/// Bytes of their texts.
pub const RECENT_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Rows read for one slice of a subscriber's stream.
pub const FEED_ROWS_MAX: usize = 1_024;
/// Bytes read for it, but for a single event that is larger.
pub const FEED_BYTES_MAX: usize = 256 * 1024;
/// Topics up to which their own orders are merged for a slice; for more of them the events are gone through.
pub const FEED_TOPICS_MERGED: usize = 16;
/// Bytes of one slice of a stream, but for a single event that is larger.
pub const STREAM_SLICE_BYTES: usize = 64 * 1024;
/// Bytes of one slice in a turn that commits nothing, for a reader who has taken everything.
pub const STREAM_LONG_SLICE_BYTES: usize = 3 * STREAM_SLICE_BYTES;
/// Bytes of a stream that may wait for its reader, but for a single event that is larger.
pub const STREAM_BUFFER_BYTES: usize = 256 * 1024;
/// Milliseconds of silence after which a stream says that it is still there.
pub const HEARTBEAT_MS: u64 = 15_000;
/// Microseconds that streams, or bodies that are decoded, may take of a turn in which no publication waits.
pub const SPARE_QUIET_US: u64 = 5_000;
/// Microseconds that they always get.
pub const SPARE_LEAST_US: u64 = 200;
/// The part of a turn that they get otherwise: one in this many.
pub const SPARE_SHARE: u32 = 4;
/// Milliseconds between two commits, or groups of them, after which caught-up subscribers are woken.
pub const STREAM_PAUSE_MS: u64 = 2;
/// Milliseconds after which streams are tried again for which there was no memory.
pub const STREAM_RETRY_MS: u64 = 50;
/// Named subscriptions.
pub const SUBSCRIPTIONS_MAX: usize = 10_000;

// A buffer that may be refilled takes a slice, and its framing as chunk and lines.
const _: () = assert!(OUTPUT_WAIT_MAX_BYTES + 2 * STREAM_SLICE_BYTES <= STREAM_BUFFER_BYTES);
const _: () = assert!(STREAM_LONG_SLICE_BYTES + STREAM_SLICE_BYTES <= STREAM_BUFFER_BYTES);
const _: () = assert!(HEARTBEAT_MS < WRITE_TIMEOUT_MS);

// Tokens.

/// Bytes of a tokens file.
pub const TOKENS_FILE_MAX_BYTES: usize = 1024 * 1024;
/// Bytes of one of its lines.
pub const TOKEN_LINE_MAX_BYTES: usize = 1024;
/// Tokens in it. Each request is compared with all of them.
pub const TOKENS_MAX: usize = 1_000;
/// Answers under way whose tokens are looked at in one turn after the file has been read again.
pub const TOKENS_CHECKED_PER_TURN: usize = 100;
/// Bytes of a token's name.
pub const TOKEN_NAME_MAX_BYTES: usize = 255;
/// Bytes of a token.
pub const TOKEN_MAX_BYTES: usize = 512;
/// Milliseconds that a client waits for its token from a pipe.
pub const TOKEN_WAIT_MS: u64 = 10_000;

// The interface.

/// Events on a page where the client does not say.
pub const PAGE_DEFAULT_EVENTS: usize = 100;
/// Events on a page at the most.
pub const PAGE_MAX_EVENTS: usize = 1_000;
/// Bytes of the address of the next page, so that it fits into a request.
pub const NEXT_MAX_BYTES: usize = 8_000;
/// Names in the statistic `topics`.
pub const STATS_TOPICS_MAX: usize = 1_000;

// Ring and store together.

/// Milliseconds for which a publication waits for another program's lock before it is refused.
pub const LOCKED_RETRY_MS: u64 = 900;
/// Milliseconds between two tries to commit into a locked database.
pub const LOCKED_PAUSE_MS: u64 = 10;
/// Milliseconds between two checks of the names of the database's files while nothing is committed.
pub const FILES_CHECK_INTERVAL_MS: u64 = 1_000;
/// Microseconds within which a file system may give two changes of a folder the same time: 2 s on FAT.
pub const FOLDER_TIME_US: i64 = 3_000_000;
/// How often, [`LOCKED_PAUSE_MS`] apart, a command looks before it calls a database open under another name.
pub const OTHER_NAME_TRIES: usize = 20;
/// Milliseconds between two tries of a store that failed.
pub const RETRY_MS: u64 = 1_000;
/// The longest wait that a client is asked for by a store that has failed, in seconds.
pub const RETRY_AFTER_MAX_S: u64 = 8;
/// Milliseconds between two summaries of duplicates.
pub const SUMMARY_MS: u64 = 1_000;
/// Lines of single duplicates within [`DUPLICATE_HINT_MS`] after which the log says, once, how to have fewer.
pub const DUPLICATE_HINT_LINES: u32 = 100;
pub const DUPLICATE_HINT_MS: u64 = 1_000;
/// Buffers of each kind that are kept for reuse.
pub const SPARE_BUFFERS: usize = 1_024;

// Sockets and the loop.

/// Addresses that are listened on.
pub const LISTENERS_MAX: usize = 32;
/// Those of HTTP, and as many for each protocol that has sockets of its own.
pub const ALL_LISTENERS_MAX: usize = 4 * LISTENERS_MAX;
/// Bytes in the path of a Unix socket (unix(7): `sun_path`, its closing NUL taken off).
pub const UNIX_PATH_MAX_BYTES: usize = 107;
/// Connections that may wait to be accepted; the kernel's own limit may be lower.
pub const BACKLOG: i32 = 4_096;
/// Connections accepted from one listener in one turn.
pub const ACCEPTS_PER_TURN: usize = 1_024;
/// Milliseconds that accepting pauses when descriptors have run out.
pub const ACCEPT_PAUSE_MS: u64 = 100;
/// Descriptors kept for files and pipes when connections are counted against the file limit.
pub const DESCRIPTORS_KEPT: u64 = 32;
/// Readinesses taken from the kernel in one turn.
pub const EVENTS_PER_POLL: usize = 1_024;
/// Bytes read from a socket at a time, by all clients into one buffer.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Reads of one client in one turn.
pub const READS_PER_TURN: usize = 8;
/// Times that a turn looks again for publications to share its commit.
pub const GATHER_ROUNDS: usize = 4;
/// The smallest limit for all buffered bodies and answers together (`--max-buffered-bytes`).
pub const BUFFERED_LIMIT_MIN_BYTES: u64 = 1024 * 1024;
/// Bytes below which a client counts as holding little of the memory that all share.
pub const SMALL_SHARE_BYTES: usize = 16 * 1024;
/// Bytes up to which an answer counts as small. Beside what is small by its kind, which has all of the memory
/// for small answers, others may take half of that.
pub const ANSWER_SMALL_BYTES: usize = 64 * 1024;
/// The share of the memory of all clients that is for small answers: one in this many.
pub const ANSWER_SMALL_SHARE: usize = 8;
/// Milliseconds for which a client waits for memory before it is answered 503.
pub const PAUSE_MAX_MS: u64 = 10_000;
/// Milliseconds of idle work in one turn from which it is logged, at the level `debug`.
pub const IDLE_WORK_LOGGED_MS: u64 = 1;
/// Milliseconds after which a log that could not be written is tried again.
pub const LOG_RETRY_MS: u64 = 50;
/// Milliseconds from the signal to the exit at the most.
pub const DRAIN_MS: u64 = 9_000;
/// Milliseconds for which the end of the program waits for standard error to take the last lines.
pub const LAST_LINES_MS: u64 = 500;

// The commands `check` and `convert`.

/// Lines that a check writes about one part of the database.
pub const CHECK_LINES_PER_PART: u64 = 20;
/// Events after the last segment whose keys a check holds in memory, 96 MiB. A server leaves fewer.
pub const CHECK_TAIL_MAX_EVENTS: usize = 2 * RING_CAPACITY_MAX as usize;
/// Records between two reports of progress.
pub const PROGRESS_RECORDS: u64 = 8 * 1024;
/// Records of segments that a conversion writes in one transaction, some 32 MiB.
pub const CONVERT_RECORDS_PER_COMMIT: usize = 1_000_000;

// How the bounds relate.

// Two bytes are for the one `{}` that stands for all absent payloads.
const _: () = assert!(2 * BODY_CEILING_BYTES + 2 <= u32::MAX as usize);
const _: () = assert!(BODY_LIMIT_MIN_BYTES < BODY_CEILING_BYTES as u64);
const _: () = assert!(TARGET_MAX_BYTES < HEAD_MAX_BYTES && NEXT_MAX_BYTES < TARGET_MAX_BYTES);
const _: () = assert!(CHUNK_LINE_MAX_BYTES < HEAD_MAX_BYTES && TRAILERS_MAX_BYTES < HEAD_MAX_BYTES);
// No single line is refused for its length as framing, and no plain chunk of one byte has an excess.
const _: () = assert!((CHUNK_LINE_MAX_BYTES as u64) < CHUNK_EXCESS_MAX_BYTES);
const _: () = assert!(CHUNK_FRAMING_BYTES >= "1\r\n\r\n".len() as u64);
const _: () =
    assert!(HEAD_MAX_BYTES <= READ_AHEAD_MAX_BYTES && HEAD_MAX_BYTES <= u16::MAX as usize);
const _: () = assert!(BUFFER_KEEP_BYTES <= BODY_RESERVE_BYTES && HEADERS_MAX < u8::MAX as usize);
const _: () = assert!(BODY_PROGRESS_BYTES < DISCARD_MAX_BYTES);
const _: () = assert!(HEAD_TIMEOUT_MS < IDLE_TIMEOUT_MS && LINGER_MS < WRITE_TIMEOUT_MS);
const _: () = assert!(PAUSE_MAX_MS < BODY_TIMEOUT_MS && DRAIN_MS < 10_000);
const _: () = assert!(LOCKED_RETRY_MS < RETRY_MS);
const _: () =
    assert!(MEMTABLE_ENTRIES * 4 == MEMTABLE_SLOTS * 3 && MEMTABLE_SLOTS.is_power_of_two());
const _: () = assert!(SEGMENT_PAGE_BYTES.is_multiple_of(64));
const _: () = assert!(LOG_WRITE_BYTES * 4 <= LOG_BUFFER_BYTES);
const _: () = assert!(TOKEN_NAME_MAX_BYTES + TOKEN_MAX_BYTES + 16 <= TOKEN_LINE_MAX_BYTES);

// What many clients together can ask for.

/// Bytes of a request that a client may bring although all others' have filled the memory for requests:
/// a publication of one event never waits for large ones.
pub const CLIENT_RESERVE_BYTES: usize = 4 * 1024;
/// Events that the spare buffers for events have room for together.
pub const SPARE_EVENTS: usize = 64 * 1024;
/// Bytes of an answer that the kernel takes before its client has taken those before (tcp(7),
/// `TCP_NOTSENT_LOWAT`), so that five hundred clients that do not read fill no gigabyte of its memory.
pub const UNSENT_MAX_BYTES: u32 = 128 * 1024;
/// Bytes up to which a body with a content coding is decoded before those that take longer: a thousand
/// events, usually.
pub const DECODED_SHORT_BYTES: usize = 512 * 1024;
/// Bytes of short ones that are decoded in a turn whatever time that takes, as long as they become events.
pub const DECODED_PER_TURN_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a coded body up to which it is not much work even where less comes out than goes in.
pub const DECODED_FREE_BYTES: usize = 1024;
/// Bytes decoded at a time of those that take longer.
pub const DECODED_PIECE_BYTES: usize = 64 * 1024;
/// Bytes of a request from which it is read on only when its turn comes.
pub const LARGE_REQUEST_BYTES: usize = 1024 * 1024;
/// Reads of the one such client whose turn it is.
pub const LARGE_READS_PER_TURN: usize = 4;
/// Milliseconds between two log lines that say that new connections wait.
pub const ACCEPT_WARN_INTERVAL_MS: u64 = 60_000;

const _: () =
    assert!(CLIENT_RESERVE_BYTES <= ANSWER_SMALL_BYTES && FIXED_MIN_BYTES <= CLIENT_RESERVE_BYTES);
// However little memory there is, a small answer fits into the half that others leave.
const _: () =
    assert!(2 * ANSWER_SMALL_BYTES <= BUFFERED_LIMIT_MIN_BYTES as usize / ANSWER_SMALL_SHARE);
// A list of names, each character of which may have to be escaped, fits sixteen times into what is for small
// answers by default (128 MiB): it is the longest of those that are small by their kind.
const _: () =
    assert!(STATS_TOPICS_MAX * (2 * NAME_MAX_BYTES + 3) <= (128 << 20) / ANSWER_SMALL_SHARE / 16);
const _: () = assert!(
    CLIENT_RESERVE_BYTES <= SMALL_SHARE_BYTES && BODY_RESERVE_BYTES <= CLIENT_RESERVE_BYTES
);
const _: () = assert!(DECODED_PIECE_BYTES <= DECODED_SHORT_BYTES);
const _: () =
    assert!(SMALL_SHARE_BYTES < LARGE_REQUEST_BYTES && LARGE_READS_PER_TURN <= READS_PER_TURN);

// Supervisors and health checks.

/// Requests that are answered in one turn before they are counted, which else waits for its end.
pub const ANSWERED_AT_ONCE: usize = 1_024;
/// Milliseconds that the loop waits for a supervisor that is slow to read its messages.
pub const SUPERVISOR_WAIT_MS: u64 = 100;
/// Bytes of an answer that `healthcheck` takes for one.
pub const HEALTHCHECK_MAX_BYTES: usize = 64 * 1024;
/// The longest timeout of a health check, in milliseconds.
pub const HEALTHCHECK_MAX_MS: u64 = 3_600_000;

// Of backups.

/// Pages that a backup copies between two rests, 1 MiB.
pub const BACKUP_STEP_PAGES: i32 = 256;
/// Steps of a backup after which its file is synced.
pub const BACKUP_STEPS_PER_SYNC: u64 = 8;
/// Milliseconds of one rest at the most.
pub const BACKUP_REST_MAX_MS: u64 = 1_000;

// Of the program's clients; all else of theirs is in `clients`.

/// Bytes of a line of events: the largest body that a server can be made to take, and the members that it
/// adds. A longer one is no event.
pub const CLIENT_LINE_MAX_BYTES: usize = BODY_CEILING_BYTES + 4_096;

// Of retention.

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
/// How many times dearer that is with the check `constraint`, whose indexes are in no order.
pub const RETAIN_CONSTRAINT_COST: usize = 8;
/// Events, and bytes of payload, that it removes for each that a commit stores. So the size is held where
/// what is removed is up to four times smaller than what comes.
pub const RETAIN_ROWS_PER_EVENT: usize = 4;
/// Milliseconds between two warnings of a subscription that holds more events than retention is to keep.
pub const HOLD_WARNING_INTERVAL_MS: u64 = 60_000;
/// Microseconds between two looks for what has become too old.
pub const RETAIN_PAUSE_US: i64 = 1_000_000;
/// The part of the size for events that is freed at the most for a commit before it is known what it stores.
pub const INCOMING_SHARE: u64 = 8;
/// The part of the size for events that stays theirs, however much the keys take.
pub const EVENTS_SHARE: u64 = 4;
/// Bytes that a key takes in a segment, its posting, its share of the filter and the fences included.
pub const SEGMENT_BYTES_PER_KEY: u64 = 48;
/// Bytes that the key of a removed event takes with the check `constraint`, about.
pub const REMOVED_KEY_BYTES: u64 = 80;
/// The share of what is kept of keys that a segment may span: so much longer than asked are some kept.
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
const _: () =
    assert!(SOCKET_READ_BYTES <= READ_BUFFER_BYTES && CLIENT_RESERVE_BYTES < SOCKET_READ_BYTES);
const _: () = assert!(SOCKET_READS_PER_TURN * SOCKET_READ_BYTES < RING_MAX_BYTES);
// The longest datagram of syslog is read whole.
const _: () = assert!(SYSLOG_MESSAGE_BYTES <= READ_BUFFER_BYTES);
