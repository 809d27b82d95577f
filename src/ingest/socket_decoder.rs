//! What a connection, or a socket that receives datagrams, does with the bytes that arrive, where they are not HTTP. It
//! never sees a socket.

use super::records::Records;

/// The zone of the times of a socket: seconds east of UTC at a time in seconds since the epoch.
pub trait Zone {
    fn offset_at(&self, unix: i64) -> i32;
}

/// UTC.
impl Zone for () {
    fn offset_at(&self, _unix: i64) -> i32 {
        0
    }
}

/// The server's machine, for messages that do not name theirs.
pub struct Machine {
    pub hostname: String,
    pub zone: Box<dyn Zone>,
}

/// A machine without a name whose zone is UTC.
impl Default for Machine {
    fn default() -> Self {
        Self {
            hostname: String::new(),
            zone: Box::new(()),
        }
    }
}

/// What a socket does with the bytes that arrive.
pub(crate) trait SocketDecoder {
    /// Takes bytes of a stream from the front of `bytes`, until they are used up or `records` are full.
    ///
    /// # Errors
    /// Nothing more can be read from the stream. What was read before stays.
    fn receive(&mut self, bytes: &mut &[u8], records: &mut Records) -> Result<(), Unreadable>;

    /// Nothing more comes.
    fn end(&mut self, records: &mut Records);

    /// Takes a datagram, which may have been cut. `now_ms` is the time of the monotonic clock.
    fn datagram(&mut self, bytes: &[u8], is_cut: bool, now_ms: u64, records: &mut Records);

    /// Bytes of memory that it holds.
    fn held_bytes(&self) -> usize;

    /// Whether there is more to do with what has been received: to be received further, with or without new bytes.
    fn has_more(&self) -> bool {
        false
    }

    /// When the next thing that waits for more datagrams is given up: a time of the monotonic clock.
    fn deadline(&self) -> Option<u64> {
        None
    }

    /// Gives up whatever has waited until then.
    fn expire(&mut self, _now_ms: u64, _records: &mut Records) {}

    /// What is to be sent when the records so far have been committed.
    fn take_answer(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Whether senders send again what is not acknowledged.
    fn is_acknowledged(&self) -> bool {
        false
    }
}

/// A stream that cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

pub(crate) type Decoder = Box<dyn SocketDecoder>;
