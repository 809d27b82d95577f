//! Every bound by name. A queue, loop or buffer whose size a peer can influence has its limit here,
//! and the relations between limits are checked at compile time.

/// Bytes in a topic, an event id or a source.
pub const NAME_MAX_BYTES: usize = 255;
/// Levels of nesting in a payload, the payload itself being the first.
pub const PAYLOAD_MAX_DEPTH: usize = 128;
/// Entries in the `detail` of a 422 answer and in `errors` of a partial one.
pub const ERRORS_MAX: usize = 100;

/// Bytes in a request target (RFC 9110 §15.5.15); more is 414.
pub const TARGET_MAX_BYTES: usize = 8 * 1024;
/// Bytes in a request head, its empty line included; more is 431.
pub const HEAD_MAX_BYTES: usize = 16 * 1024;
/// Header fields in a request head, and in a trailer section; more is 431.
pub const HEADERS_MAX: usize = 100;
/// Bytes in a chunk's size line, extensions included; more is 400.
pub const CHUNK_LINE_MAX_BYTES: usize = 4 * 1024;
/// Bytes in the trailer section of a chunked body; more is 431.
pub const TRAILERS_MAX_BYTES: usize = 8 * 1024;
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
/// Bytes of a request body that a refused request may still bring on a connection that is kept.
pub const DISCARD_MAX_BYTES: usize = 64 * 1024;

/// Bytes of log lines that wait for standard error; what does not fit is dropped and counted.
pub const LOG_BUFFER_BYTES: usize = 1024 * 1024;
/// Bytes in one write of log lines to a pipe or socket: POSIX's `PIPE_BUF` on Linux, which a pipe that
/// polls as writable takes whole and at once (pipe(7)).
pub const LOG_WRITE_BYTES: usize = 4096;

/// Events that the ring may be made to hold (`--ring-capacity`), and so the most in one request.
pub const RING_CAPACITY_MAX: u64 = 1_000_000;
/// The smallest body limit that can be set (`--max-body-bytes`).
pub const BODY_LIMIT_MIN_BYTES: u64 = 1024;
/// The largest body limit that can be set. Spans into a body count in 32 bits.
pub const BODY_LIMIT_MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// The smallest limit for all buffered bodies and answers together (`--max-buffered-bytes`).
pub const BUFFERED_LIMIT_MIN_BYTES: u64 = 1024 * 1024;
/// Bytes in the path of a Unix socket (unix(7): `sun_path`, its closing NUL taken off).
pub const UNIX_PATH_MAX_BYTES: usize = 107;

const _: () = assert!(LOG_WRITE_BYTES * 4 <= LOG_BUFFER_BYTES);
const _: () =
    assert!(BODY_LIMIT_MIN_BYTES < BODY_LIMIT_MAX_BYTES && BODY_LIMIT_MAX_BYTES <= u32::MAX as u64);
const _: () = assert!(TARGET_MAX_BYTES < HEAD_MAX_BYTES);
const _: () = assert!(CHUNK_LINE_MAX_BYTES < HEAD_MAX_BYTES && TRAILERS_MAX_BYTES < HEAD_MAX_BYTES);
const _: () = assert!(BODY_PROGRESS_BYTES < DISCARD_MAX_BYTES);
const _: () = assert!(HEAD_TIMEOUT_MS < IDLE_TIMEOUT_MS && LINGER_MS < WRITE_TIMEOUT_MS);
