//! Bounds of the commands that are clients.

// Of the program's clients.
/// Milliseconds of the first pause before something that failed is tried again; each pause is twice the one
/// before.
pub const CLIENT_PAUSE_MIN_MS: u64 = 100;
/// Milliseconds of the longest pause that a client makes by itself.
pub const CLIENT_PAUSE_MAX_MS: u64 = 10_000;
/// Milliseconds of the longest pause that a server can ask a client for (`Retry-After`).
pub const CLIENT_RETRY_AFTER_MAX_MS: u64 = 60_000;
/// Milliseconds of failures before a client reports them.
pub const CLIENT_QUIET_MS: u64 = 1_000;
/// Milliseconds after a signal in which a client still publishes what it has read.
pub const CLIENT_GRACE_MS: u64 = 5_000;
/// Bytes of a connection's buffers, and of a read, in a client.
pub const CLIENT_BUFFER_BYTES: usize = 128 * 1024;
/// Bytes of an answer that a client reads whole.
pub const CLIENT_ANSWER_MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// Bytes at which a batch of events is sent before it has its number of events.
pub const CLIENT_BATCH_BYTES: usize = 1024 * 1024;
/// Lines that are reported one by one because they cannot be published; further ones are only counted.
pub const CLIENT_LINES_REPORTED: u64 = 100;

// Of `ship`.
/// Bytes of a line of a log file; a longer one is shipped in pieces.
pub const SHIP_LINE_MAX_BYTES: usize = 1024 * 1024;
/// Bytes of a log file read at a time, where no line is longer.
pub const SHIP_READ_BYTES: usize = 256 * 1024;
/// Lines, and bytes in the file, of a record of several lines, if its first line has no more.
pub const SHIP_RECORD_LINES: usize = 1_000;
pub const SHIP_RECORD_BYTES: usize = 256 * 1024;
/// Milliseconds without a change of the file after which its last record counts as whole.
pub const SHIP_QUIET_MS: u64 = 2_000;
/// Bytes of a line in which the pattern is looked for that begins a record.
pub const SHIP_PATTERN_BYTES: usize = 4 * 1024;
/// Bytes before a mark by which a file is known again.
pub const SHIP_TAIL_BYTES: usize = 1024;
/// Bytes at the beginning of a file whose checksum tells whether it was written again.
pub const SHIP_PREFIX_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of NULs that are skipped in one step.
pub const SHIP_HOLE_BYTES: u64 = 16 * 1024 * 1024;
/// Events in one request.
pub const SHIP_BATCH_EVENTS: usize = 1_000;
/// Requests with lines of one file before the next file has its turn.
pub const SHIP_BATCHES_PER_TURN: usize = 16;
/// Milliseconds between two checks of the files.
pub const SHIP_POLL_MS: u64 = 200;
/// Milliseconds after which a file that has been rotated away and was not written to is closed.
pub const SHIP_DONE_MS: u64 = 60_000;
/// Rotated files of one log file that are still read.
pub const SHIP_FILES_MAX: usize = 64;
/// Rotated files of one log file that are checked although they have been read to their ends.
pub const SHIP_PARKED_MAX: usize = 256;
/// Milliseconds between two checks of them.
pub const SHIP_PARKED_MS: u64 = 1_000;
/// Files beside a log file that are remembered as not belonging to it.
pub const SHIP_OTHERS_MAX: usize = 1_024;
/// Files that are followed because they match a pattern, together with those that are named.
pub const SHIP_PATTERN_FILES_MAX: usize = 16_384;
/// Milliseconds after which a file of a pattern is closed that nobody writes to.
pub const SHIP_SLEEP_MS: u64 = 5_000;
/// Milliseconds between two checks of the folders of patterns.
pub const SHIP_PATTERN_INTERVAL_MS: u64 = 1_000;
/// Links that are followed on the way to a log file.
pub const SHIP_LINKS_MAX: usize = 8;
/// Milliseconds between two writings of the state while lines with times of their own are shipped.
pub const SHIP_SAVE_MS: u64 = 1_000;
/// Bytes of a log file's name that the name of its state begins with; the name of a file has at most 255 bytes.
pub const SHIP_STATE_PREFIX_BYTES: usize = 230;
/// Milliseconds that the first line of a batch from standard input waits for others.
pub const SHIP_LINGER_MS: u64 = 100;
/// Milliseconds between two checks of which database the server has.
pub const SHIP_DATABASE_MS: u64 = 10_000;

// Of `simulate` and `bench`.
/// Events of a load that is simulated.
pub const SIMULATED_MAX_EVENTS: u64 = 100_000_000;
/// Connections of a load that is simulated, each with a thread of its own.
pub const SIMULATED_MAX_CONNECTIONS: u64 = 256;
/// Connections of a load that is measured.
pub const LOAD_MAX_CONNECTIONS: u64 = 10_000;
/// Requests a second of a load that has a rate.
pub const LOAD_MAX_RATE: u64 = 1_000_000;
/// Topics that the events of a load are spread over.
pub const LOAD_MAX_TOPICS: u64 = 1_000_000;
/// Bytes of the payload of each event of a load that is measured.
pub const LOAD_MAX_PAYLOAD_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of such an event besides its payload, at most.
pub const LOAD_EVENT_BYTES: u64 = 192;
/// Bytes of the requests of all connections together.
pub const LOAD_MAX_BYTES: u64 = 1024 * 1024 * 1024;

const _: () = assert!(SHIP_RECORD_BYTES < SHIP_LINE_MAX_BYTES);
const _: () = assert!(SHIP_TAIL_BYTES < SHIP_READ_BYTES && SHIP_READ_BYTES <= SHIP_LINE_MAX_BYTES);

// Of the commands that use an engine.

/// The longest message that is taken from an engine. No answer that is asked for is near it.
#[cfg(feature = "fleet")]
pub const ENGINE_MESSAGE_MAX_BYTES: i32 = 64 * 1024 * 1024;
/// Milliseconds for connecting to an engine, and of silence on a connection after which it is given up.
#[cfg(feature = "fleet")]
pub const ENGINE_SILENCE_MS: u64 = 20_000;
/// Milliseconds that a server of NATS may take for an answer. It gives up a batch that has stood still for as long.
#[cfg(feature = "fleet")]
pub const NATS_ANSWER_MS: u64 = 10_000;
/// Bytes of a line of its protocol. The longest one lists the members of a cluster.
#[cfg(feature = "fleet")]
pub const NATS_LINE_MAX_BYTES: usize = 1024 * 1024;
/// Events of a batch that JetStream takes as a whole.
#[cfg(feature = "fleet")]
pub const STREAM_BATCH_EVENTS_MAX: u32 = 1_000;
/// Events of a batch that is forwarded, by default, and bytes after which it ends early.
#[cfg(feature = "fleet")]
pub const FORWARD_BATCH_EVENTS: u32 = 5_000;
#[cfg(feature = "fleet")]
pub const FORWARD_BATCH_EVENTS_MAX: u32 = 100_000;
#[cfg(feature = "fleet")]
pub const FORWARD_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Milliseconds between two checks for new events: after some have come, and at most, when none have come for long. An
/// event is in the store 2 s after its commit at the latest, so the second one is well below that.
#[cfg(feature = "fleet")]
pub const FORWARD_POLL_MS: u64 = 100;
#[cfg(feature = "fleet")]
pub const FORWARD_POLL_MAX_MS: u64 = 1_000;
/// Milliseconds between two acknowledgements.
#[cfg(feature = "fleet")]
pub const FORWARD_ACKNOWLEDGE_MS: u64 = 900;
/// Milliseconds between two checks of the position while nothing comes, or another forwarder is at work.
#[cfg(feature = "fleet")]
pub const FORWARD_LOOK_MS: u64 = 2_000;
/// Milliseconds without progress of a position after which a standby takes over.
#[cfg(feature = "fleet")]
pub const FORWARD_TAKE_OVER_MS: u64 = 10_000;
/// Events of one partition of the store, and how many partitions are made with it.
#[cfg(feature = "fleet")]
pub const STORE_PARTITION_EVENTS: u64 = 50_000_000;
#[cfg(feature = "fleet")]
pub const STORE_PARTITIONS: u64 = 20;
/// Partitions that are there beyond the one that is written to.
#[cfg(feature = "fleet")]
pub const STORE_PARTITIONS_AHEAD: u64 = 3;
/// Keys that are deleted with one statement.
#[cfg(feature = "fleet")]
pub const STORE_KEYS_AT_ONCE: u64 = 10_000;
