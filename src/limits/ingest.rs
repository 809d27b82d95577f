//! The bounds of what shippers speak, and of sockets that are not HTTP.

// Records, and uploads.

/// Bytes that are kept of a record, or a body, that could not become events.
pub const REJECTED_RECORD_BYTES: usize = 64 * 1024;

/// Members of a record that a query may name for its identity, and names with dots between them in one. A record is
/// scanned for each of them.
pub const IDENTITY_MEMBERS_MAX: usize = 8;
pub const MEMBER_NAMES_MAX: usize = 16;
/// What a request says once may be repeated in each of its events: an OTLP resource, the labels of a stream, a source
/// in the query. All its events take at most this factor times the limit of a body, and these bytes more. A resource of
/// 20 KB and 10,000 records below it are within that.
pub const REPEATED_FACTOR: usize = 16;
pub const REPEATED_FREE_BYTES: usize = 16 * 1024 * 1024;
/// Bytes that the smallest event takes: an id and a time.
pub const EVENT_LEAST_BYTES: usize = 64;

/// Bytes of answer that a bulk request may have for each of its own, and further ones. Only tiny documents with a long
/// index in the path would need more.
pub const BULK_ANSWER_FACTOR: usize = 20;
pub const BULK_ANSWER_FREE_BYTES: usize = 64 * 1024;

/// Ids of one request for acknowledgements, each of which makes the answer longer.
pub const HEC_ACKS_MAX: usize = 100_000;

/// Bytes of one field's value in the Journal Export Format, as journald itself has it.
pub const JOURNAL_VALUE_MAX_BYTES: u64 = 768 * 1024 * 1024;
/// Fields of one of its entries; one with more is rejected. journald itself takes 1,024.
pub const JOURNAL_FIELDS_MAX: usize = 16 * 1024;
/// Bodies with a content coding that are decoded as they arrive at a time, each with a window of up to 8 MiB; more are
/// refused with 503.
pub const CODED_UPLOADS_MAX: usize = 32;

// Sockets.

/// Milliseconds of silence after which the system asks whether the peer of a connection is still there that is never
/// closed for being idle.
pub const KEEP_ALIVE_MS: u64 = 60_000;
/// Bytes that the kernel is asked to keep for a UDP socket; its own limit may be lower (`net.core.rmem_max`).
pub const DATAGRAM_BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of one read of such a connection, its reads in one turn, and datagrams of one socket.
pub const SOCKET_READ_BYTES: usize = 16 * 1024;
pub const SOCKET_READS_PER_TURN: usize = 16;
pub const DATAGRAMS_PER_TURN: usize = 1_024;
/// Events in one turn after which such a socket is read no further, and after which none is, some 20 ms.
pub const SOCKET_EVENTS_PER_TURN: usize = 2_000;
pub const SOCKETS_EVENTS_PER_TURN: usize = 4_000;
/// The share of the memory of all clients that messages may take which have begun on such connections: one in this
/// many. Beyond it each has to do with `CLIENT_RESERVE_BYTES`.
pub const INPUT_MEMORY_SHARE: usize = 8;
/// Buffers for the records of such sockets that are kept for reuse, and the bytes of the largest of them.
pub const SPARE_RECORDS: usize = 4;
pub const SPARE_RECORDS_BYTES: usize = 4 * 1024 * 1024;
/// Milliseconds for which such sockets are still read after a signal to stop, as long as something has arrived.
pub const LAST_READS_MS: u64 = 1_000;
/// Milliseconds after a socket has been read to its end in which the kernel is asked how many datagrams it has dropped,
/// and the bytes of its table that are looked at.
pub const DROPPED_ASKED_MS: u64 = 1_000;
pub const DATAGRAM_TABLE_BYTES: u64 = 4 * 1024 * 1024;
/// Milliseconds between two lines of the log about datagrams that the kernel has dropped.
pub const DROPPED_TOLD_MS: u64 = 10_000;

// syslog.

/// Bytes of a message; what it has beyond them is discarded.
pub const SYSLOG_MESSAGE_BYTES: usize = 64 * 1024;
/// Digits of a count of octets (RFC 6587 §3.4.1).
pub const SYSLOG_COUNT_DIGITS: usize = 7;

// Fluentd forward.

/// Bytes of a chunk's id. Fluentd's has 24.
pub const FORWARD_CHUNK_BYTES: usize = 4 * 1024;

// GELF.

/// Chunks of a message.
pub const GELF_CHUNKS_MAX: usize = 128;
/// Milliseconds after its first chunk in which a message must be whole.
pub const GELF_CHUNKS_MS: u64 = 5_000;
/// Messages of a socket that are not whole at a time, and the bytes of all their chunks.
pub const GELF_MESSAGES_OPEN: usize = 1_000;
pub const GELF_CHUNKS_BYTES: usize = 12 * 1024 * 1024;
