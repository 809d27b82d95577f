//! Messages of GELF that come in chunks over UDP, in any order, some twice, some never.
//!
//! Owns the chunks of messages that are not whole: at most [`GELF_MESSAGES_OPEN`] messages and [`GELF_CHUNKS_BYTES`]
//! bytes. What does not fit is refused, and never replaces what is there. Knows no socket and no clock.

use std::collections::VecDeque;

use crate::event::Peer;
use crate::limits::{GELF_CHUNKS_BYTES, GELF_CHUNKS_MAX, GELF_CHUNKS_MS, GELF_MESSAGES_OPEN};

/// The first two bytes of a chunk. Then come the message's id, the chunk's number from 0, and how many there are.
const MAGIC: [u8; 2] = [0x1e, 0x0f];
const HEAD_BYTES: usize = 12;
/// What a chunk takes beside its bytes.
const PIECE_BYTES: usize = 16;

type Id = [u8; 8];

/// Messages that are not whole.
#[derive(Debug, Default)]
pub struct Chunks {
    /// The one that began first is at the front.
    open: VecDeque<Open>,
    held: usize,
}

#[derive(Debug)]
struct Open {
    peer: Peer,
    id: Id,
    began_ms: u64,
    pieces: Vec<Option<Box<[u8]>>>,
    missing: usize,
}

/// A message that did not come whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    pub peer: Peer,
    /// The chunks that came, one after the other.
    pub bytes: Vec<u8>,
    pub came: usize,
    pub count: usize,
}

/// Whether a datagram is a chunk.
pub fn is_chunk(datagram: &[u8]) -> bool {
    datagram.starts_with(&MAGIC)
}

impl Open {
    fn held(&self) -> usize {
        let bytes = self.pieces.iter().flatten().map(|piece| piece.len());
        PIECE_BYTES * self.pieces.len() + bytes.sum::<usize>()
    }

    fn bytes(&self) -> Vec<u8> {
        let pieces: Vec<&[u8]> = self
            .pieces
            .iter()
            .flatten()
            .map(|piece| &piece[..])
            .collect();
        pieces.concat()
    }
}

impl Chunks {
    /// Takes a chunk of a peer, and returns the message whose last one it was.
    ///
    /// # Errors
    /// Why the chunk is refused. Its message stays as it was.
    pub fn add(
        &mut self,
        peer: Peer,
        chunk: &[u8],
        now_ms: u64,
    ) -> Result<Option<Vec<u8>>, &'static str> {
        let Some((head, bytes)) = chunk.split_first_chunk::<HEAD_BYTES>() else {
            return Err("a chunk is shorter than its head");
        };
        let [_, _, id @ .., number, count] = *head;
        let (number, count) = (usize::from(number), usize::from(count));
        if count == 0 || count > GELF_CHUNKS_MAX {
            return Err("a message must have 1 to 128 chunks");
        }
        if number >= count {
            return Err("a chunk's number must be below the count of chunks");
        }
        let is_same = |open: &Open| open.id == id && open.peer == peer;
        let found = self.open.iter().position(is_same);
        let known = found.map(|at| &self.open[at]);
        if known.is_some_and(|open| open.pieces.len() != count) {
            return Err("the chunks of a message must agree in their count");
        }
        if known.is_some_and(|open| open.pieces[number].is_some()) {
            return Ok(None);
        }
        if count == 1 {
            return Ok(Some(bytes.to_vec()));
        }
        let more = bytes.len()
            + if found.is_none() {
                PIECE_BYTES * count
            } else {
                0
            };
        if self.held + more > GELF_CHUNKS_BYTES {
            return Err("there is no memory for more chunks of messages that are not whole");
        }
        if found.is_none() && self.open.len() >= GELF_MESSAGES_OPEN {
            return Err("too many messages are not whole");
        }
        self.held += more;
        let at = found.unwrap_or_else(|| {
            self.open.push_back(Open {
                peer,
                id,
                began_ms: now_ms,
                pieces: vec![None; count],
                missing: count,
            });
            self.open.len() - 1
        });
        let open = &mut self.open[at];
        open.pieces[number] = Some(bytes.into());
        open.missing -= 1;
        if open.missing > 0 {
            return Ok(None);
        }
        let whole = self.open.remove(at);
        Ok(whole.map(|open| {
            self.held -= open.held();
            open.bytes()
        }))
    }

    /// When the next message is given up.
    pub fn deadline(&self) -> Option<u64> {
        self.open.front().map(|open| open.began_ms + GELF_CHUNKS_MS)
    }

    /// Gives up the message that began first, if its time is over.
    pub fn expire(&mut self, now_ms: u64) -> Option<Incomplete> {
        self.deadline().filter(|at| *at <= now_ms)?;
        let open = self.open.pop_front()?;
        self.held -= open.held();
        Some(Incomplete {
            peer: open.peer,
            bytes: open.bytes(),
            came: open.pieces.len() - open.missing,
            count: open.pieces.len(),
        })
    }

    /// Bytes of memory that they take.
    pub fn held_bytes(&self) -> usize {
        self.held
    }
}

#[cfg(test)]
mod tests;
