//! Every bound by name. A queue, loop or buffer whose size a peer can influence has its limit here,
//! and the relations between limits are checked at compile time, at the end of the files. What belongs to
//! one subject is in a file of its own.

mod clients;
mod compression;
#[cfg(feature = "fleet")]
mod front;
mod http;
mod index;
mod ingest;
mod reading;
mod rejected;
mod retention;
mod search;
mod store;
mod summaries;

#[cfg(feature = "fleet")]
pub use self::front::*;
pub use self::{clients::*, compression::*, http::*, index::*, ingest::*};
pub use self::{reading::*, rejected::*, retention::*, search::*, store::*, summaries::*};

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
/// Answers in progress whose tokens are checked in one turn after the file has been read again.
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
/// Events on a page at most.
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
/// How often, [`LOCKED_PAUSE_MS`] apart, a command checks before it reports a database as open under another name.
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
/// Milliseconds from the signal to the exit at most.
pub const DRAIN_MS: u64 = 9_000;
/// Milliseconds that the program waits at its end for standard error to take the last lines.
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
const _: () = assert!(PAUSE_MAX_MS < BODY_TIMEOUT_MS && DRAIN_MS < 10_000);
const _: () = assert!(LOCKED_RETRY_MS < RETRY_MS);
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
/// Bytes of short ones that are decoded in a turn without a limit of time, as long as they become events.
pub const DECODED_PER_TURN_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a coded body up to which it is not much work even where less comes out than goes in.
pub const DECODED_FREE_BYTES: usize = 1024;
/// Bytes decoded at a time of those that take longer.
pub const DECODED_PIECE_BYTES: usize = 64 * 1024;
/// Bytes of a request beyond which it is read only when its turn comes.
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

/// Requests that are answered in one turn before they are counted, which otherwise happens at its end.
pub const ANSWERED_AT_ONCE: usize = 1_024;
/// Milliseconds that the loop waits for a supervisor that is slow to read its messages.
pub const SUPERVISOR_WAIT_MS: u64 = 100;
/// Bytes of an answer that `healthcheck` reads.
pub const HEALTHCHECK_MAX_BYTES: usize = 64 * 1024;
/// The longest timeout of a health check, in milliseconds.
pub const HEALTHCHECK_MAX_MS: u64 = 3_600_000;

// Of backups.

/// Pages that a backup copies between two rests, 1 MiB.
pub const BACKUP_STEP_PAGES: i32 = 256;
/// Steps of a backup after which its file is synced.
pub const BACKUP_STEPS_PER_SYNC: u64 = 8;
/// Milliseconds of one rest at most.
pub const BACKUP_REST_MAX_MS: u64 = 1_000;

// Of the program's clients; all else of theirs is in `clients`.

/// Bytes of a line of events: the largest body that a server can be made to take, and the members that it
/// adds. A longer one is no event.
pub const CLIENT_LINE_MAX_BYTES: usize = BODY_CEILING_BYTES + 4_096;

const _: () =
    assert!(SOCKET_READ_BYTES <= READ_BUFFER_BYTES && CLIENT_RESERVE_BYTES < SOCKET_READ_BYTES);
const _: () = assert!(SOCKET_READS_PER_TURN * SOCKET_READ_BYTES < RING_MAX_BYTES);
// The longest datagram of syslog is read whole.
const _: () = assert!(SYSLOG_MESSAGE_BYTES <= READ_BUFFER_BYTES);
