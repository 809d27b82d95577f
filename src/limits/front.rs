//! Bounds of a front, whose engine is another program.

/// Milliseconds of silence on a connection after which it is given up, and for which a request waits for the engine.
pub const FRONT_SILENCE_MS: u64 = 10_000;
/// Milliseconds between two tries to connect: the first pause, and the longest.
pub const FRONT_RETRY_MS: u64 = 100;
pub const FRONT_RETRY_MAX_MS: u64 = 1_000;
/// Connections that write, and those that read.
pub const FRONT_WRITERS: usize = 4;
pub const FRONT_READERS: usize = 2;
/// Events of one transaction, and bytes of bodies, beyond which it takes no further request.
pub const FRONT_BATCH_EVENTS: usize = 5_000;
pub const FRONT_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Milliseconds that a transaction may be at its keys, where it may wait for another server, before the next begins.
pub const FRONT_KEYS_MS: u64 = 100;
/// Milliseconds between two looks for new events, with subscribers and without.
pub const FRONT_LOOK_MS: u64 = 50;
pub const FRONT_IDLE_LOOK_MS: u64 = 1_000;
/// Milliseconds after its arrival at which a request that reads is answered at the latest, whatever the engine is at.
pub const FRONT_READ_MAX_MS: u64 = 14_000;
/// Names of topics that a front remembers; with more it looks them up again.
pub const FRONT_TOPICS_MAX: usize = 100_000;
/// Requests that may wait to read from the engine.
pub const FRONT_READS_MAX: usize = 1_000;
/// Bytes that are read from an engine in one turn.
pub const ENGINE_TURN_BYTES: usize = 1024 * 1024;
/// Milliseconds between two looks whether a name has been resolved.
pub const RESOLVE_LOOK_MS: u64 = 10;
/// Events of a part that a stream gets from the engine, bytes of their payloads, and how many parts there may be.
pub const FRONT_PART_EVENTS: usize = 512;
pub const FRONT_PART_BYTES: usize = 1024 * 1024;
pub const FRONT_PARTS_MAX: usize = 16;
/// Events of a part that a search gets.
pub const FRONT_SEARCH_EVENTS: usize = 2_048;
/// Seqs of a part that a search asks for where the engine may have to look at all their events to find one: of the
/// first, at the least, and at the most.
pub const FRONT_SCAN_SEQS: u64 = 32_768;
pub const FRONT_SCAN_SEQS_MIN: u64 = 1_024;
pub const FRONT_SCAN_SEQS_MAX: u64 = 1 << 20;
/// Milliseconds under which the next part may be twice as long, and from which it is half as long.
pub const FRONT_SCAN_FAST_MS: u64 = 50;
pub const FRONT_SCAN_SLOW_MS: u64 = 250;
/// Milliseconds after which a stream looks again whether its part has come.
pub const FRONT_WAIT_MS: u64 = 5;
/// Milliseconds after which a part that its stream does not take makes room for that of another stream.
pub const FRONT_PART_KEPT_MS: u64 = 100;
/// Seqs of which a front counts the events of each topic in one statement.
pub const FRONT_COUNT_SEQS: u64 = 1_000_000;
/// Milliseconds for which statistics that were read from the engine are good.
pub const FRONT_STATS_MS: u64 = 500;
