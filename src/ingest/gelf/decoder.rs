//! From datagrams, and from the bytes of a connection, to messages.

use super::chunks::{is_chunk, Chunks};
use super::message::{self, coding};
use crate::http::encoding::{Coding, DecodeError, Decoding};
use crate::ingest::records::Records;
use crate::ingest::socket_decoder::{SocketDecoder, Unreadable};
use crate::limits::{
    BUFFER_KEEP_BYTES, DECODED_PER_TURN_BYTES, DECODED_SHORT_BYTES, REJECTED_RECORD_BYTES,
};

const TOO_LARGE: &str = "the message is larger than a body may be";

/// The decoder of a connection, or of a socket of datagrams.
pub(crate) struct Gelf {
    chunks: Chunks,
    /// A compressed message that is not decoded yet.
    decoding: Option<Box<Decoding>>,
    /// Bytes of messages since the present turn began.
    worked: usize,
    /// The message of a connection that has begun; of one over the limit the beginning.
    held: Vec<u8>,
    /// Its bytes so far.
    length: usize,
    /// Most bytes of a message.
    limit: usize,
}

impl Gelf {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            chunks: Chunks::default(),
            decoding: None,
            worked: 0,
            held: Vec::new(),
            length: 0,
            limit,
        }
    }

    /// A datagram, or the chunks of one message. A short one is decoded at once.
    fn message(&mut self, bytes: &[u8], records: &mut Records) {
        self.worked += bytes.len();
        match coding(bytes) {
            Coding::Identity if bytes.len() > self.limit => {
                records.reject(TOO_LARGE.to_owned(), bytes);
            }
            Coding::Identity => record(bytes, records),
            coding => {
                let decoding = Decoding::new(coding, bytes.to_vec(), self.limit);
                self.decoding = decoding.ok().map(Box::new);
                self.decode(records);
            }
        }
    }

    /// Continues with the compressed message.
    fn decode(&mut self, records: &mut Records) {
        let Some(mut decoding) = self.decoding.take() else {
            return;
        };
        match decoding.go_on(DECODED_SHORT_BYTES) {
            Ok(None) => {
                self.worked += DECODED_SHORT_BYTES;
                self.decoding = Some(decoding);
            }
            Ok(Some(bytes)) => {
                self.worked += bytes.len();
                message::record(&bytes, records);
            }
            Err(error) => {
                let reason = match error {
                    DecodeError::TooLarge => TOO_LARGE,
                    DecodeError::Broken => "the message cannot be decompressed",
                };
                records.reject(reason.to_owned(), &decoding.into_body());
            }
        }
    }

    /// Bytes of a connection, before the end of a message.
    fn hold(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len());
        let most = if self.length > self.limit {
            REJECTED_RECORD_BYTES
        } else {
            self.limit
        };
        let room = most.saturating_sub(self.held.len());
        self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.held.len() > most {
            self.held.truncate(most);
            self.held.shrink_to_fit();
        }
    }

    /// A message of a connection has ended.
    fn end_message(&mut self, records: &mut Records) {
        let length = std::mem::take(&mut self.length);
        if length > self.limit {
            records.reject_cut(TOO_LARGE.to_owned(), &self.held, length as u64);
        } else {
            record(&self.held, records);
        }
        self.held.clear();
        self.held.shrink_to(BUFFER_KEEP_BYTES);
    }
}

/// Nothing at all, or a line feed after the end of a message, is no message.
fn record(bytes: &[u8], records: &mut Records) {
    if !bytes.trim_ascii().is_empty() {
        message::record(bytes, records);
    }
}

impl SocketDecoder for Gelf {
    fn receive(&mut self, bytes: &mut &[u8], records: &mut Records) -> Result<(), Unreadable> {
        self.worked = 0;
        self.decode(records);
        while !bytes.is_empty() && !records.is_full() {
            let end = memchr::memchr(0, bytes);
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            *bytes = rest.get(1..).unwrap_or_default();
            if end.is_some() && self.held.is_empty() && piece.len() <= self.limit {
                record(piece, records);
                continue;
            }
            self.hold(piece);
            if end.is_some() {
                self.end_message(records);
            }
        }
        Ok(())
    }

    fn end(&mut self, records: &mut Records) {
        self.end_message(records);
        while self.decoding.is_some() {
            self.decode(records);
        }
        self.worked = 0;
        self.expire(u64::MAX, records);
    }

    fn datagram(&mut self, bytes: &[u8], _is_cut: bool, now_ms: u64, records: &mut Records) {
        if !is_chunk(bytes) {
            return self.message(bytes, records);
        }
        let peer = records.origin().peer;
        let mut result = self.chunks.add(peer, bytes, now_ms);
        if result.is_err() && self.chunks.deadline().is_some_and(|at| at <= now_ms) {
            // Dropping messages whose time is over frees memory.
            self.expire(now_ms, records);
            records.set_peer(peer);
            result = self.chunks.add(peer, bytes, now_ms);
        }
        match result {
            Ok(None) => {}
            Ok(Some(whole)) => self.message(&whole, records),
            Err(reason) => records.reject(reason.to_owned(), bytes),
        }
    }

    fn held_bytes(&self) -> usize {
        let decoding = self.decoding.as_ref().map(|decoding| decoding.held_bytes());
        self.chunks.held_bytes() + self.held.capacity() + decoding.unwrap_or_default()
    }

    fn has_more(&self) -> bool {
        self.decoding.is_some() || self.worked >= DECODED_PER_TURN_BYTES
    }

    fn deadline(&self) -> Option<u64> {
        self.chunks.deadline()
    }

    fn expire(&mut self, now_ms: u64, records: &mut Records) {
        while let Some(message) = self.chunks.expire(now_ms) {
            records.set_peer(message.peer);
            let (came, count) = (message.came, message.count);
            let reason = format!("only {came} of its {count} chunks arrived");
            records.reject(reason, &message.bytes);
        }
    }
}

#[cfg(test)]
mod tests;
