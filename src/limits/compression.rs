//! Bounds of the compression of answers.

/// Bytes from which an answer is compressed.
pub const COMPRESSED_MIN_BYTES: usize = 1024;
/// Bytes of an answer that are compressed at once, some 0.7 ms.
pub const COMPRESSED_PIECE_BYTES: usize = 64 * 1024;
/// Bytes that are compressed in a unit ([`READ_UNITS_PER_SLICE`](super::READ_UNITS_PER_SLICE)).
pub const COMPRESSED_BYTES_PER_UNIT: usize = 32;
