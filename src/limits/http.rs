//! Bounds of a connection's HTTP: the parts of a request, the buffers, the timeouts.

// The parts of a request.

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
/// Bytes of framing beyond that in a body so far; more is 400. What chunks do not use counts against it.
pub const CHUNK_EXCESS_MAX_BYTES: u64 = 16 * 1024;
/// Bytes in the trailer section of a chunked body; more is 431.
pub const TRAILERS_MAX_BYTES: usize = 8 * 1024;
/// The greatest `Content-Length` that is read as a number; more is 400 (RFC 9110 §8.6).
pub const CONTENT_LENGTH_MAX: u64 = 1 << 63;
/// Binary logarithm of the largest zstd window: 8 MiB (RFC 9659 §3).
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;

// The buffers of a connection.

/// Bytes that are reserved for a body by its `Content-Length` alone; more as it arrives.
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

// Timeouts.

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

const _: () = assert!(CHUNK_LINE_MAX_BYTES < HEAD_MAX_BYTES && TRAILERS_MAX_BYTES < HEAD_MAX_BYTES);
// No single line is refused for its length as framing, and no plain chunk of one byte has an excess.
const _: () = assert!((CHUNK_LINE_MAX_BYTES as u64) < CHUNK_EXCESS_MAX_BYTES);
const _: () = assert!(CHUNK_FRAMING_BYTES >= "1\r\n\r\n".len() as u64);
const _: () =
    assert!(HEAD_MAX_BYTES <= READ_AHEAD_MAX_BYTES && HEAD_MAX_BYTES <= u16::MAX as usize);
const _: () = assert!(BUFFER_KEEP_BYTES <= BODY_RESERVE_BYTES && HEADERS_MAX < u8::MAX as usize);
const _: () = assert!(BODY_PROGRESS_BYTES < DISCARD_MAX_BYTES);
const _: () = assert!(HEAD_TIMEOUT_MS < IDLE_TIMEOUT_MS && LINGER_MS < WRITE_TIMEOUT_MS);
