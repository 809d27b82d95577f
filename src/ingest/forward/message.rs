//! A message: its tag, where its entries are, and what its option says.

use super::msgpack::{Broken, Reader, Token};
use crate::http::encoding::Coding;
use crate::limits::FORWARD_CHUNK_BYTES;

/// What a message is. Ranges are those of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) tag: &'a [u8],
    pub(super) entries: Entries<'a>,
    /// The option `chunk`: the message is acknowledged by it.
    pub(super) chunk: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entries<'a> {
    /// A time and a record, one after the other.
    One(&'a [u8]),
    /// Arrays of a time and a record, one after the other.
    Many(&'a [u8]),
    /// The same, compressed.
    Compressed(Coding, &'a [u8]),
}

/// Reads a message; `None` for nil, which is only a heartbeat.
///
/// # Errors
/// It is no message.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Message<'_>>, Broken> {
    let mut reader = Reader::new(bytes);
    let count = match reader.token()? {
        Token::Nil => return Ok(None),
        Token::Array(count @ 2..=4) => count,
        _ => return Err(Broken),
    };
    let (Token::Text(tag) | Token::Binary(tag)) = reader.token()? else {
        return Err(Broken);
    };
    let mut after_second = reader;
    let (mut entries, others) = match after_second.token()? {
        Token::Array(entries) => {
            let from = after_second.rest();
            for _ in 0..entries {
                after_second.object()?;
            }
            let length = from.len() - after_second.rest().len();
            (Entries::Many(&from[..length]), 1)
        }
        Token::Text(packed) | Token::Binary(packed) => (Entries::Many(packed), 1),
        _ => {
            let from = reader.rest();
            after_second = reader;
            after_second.object()?;
            after_second.object()?;
            let length = from.len() - after_second.rest().len();
            (Entries::One(&from[..length]), 0)
        }
    };
    let needed = if others == 0 { 3 } else { 2 };
    if count < needed || count > needed + 1 {
        return Err(Broken);
    }
    let mut chunk = None;
    if count > needed {
        let (found, coding) = option(&mut after_second)?;
        chunk = found;
        if let (Some(coding), Entries::Many(packed)) = (coding, entries) {
            entries = Entries::Compressed(coding, packed);
        }
    }
    let message = Message {
        tag,
        entries,
        chunk,
    };
    Ok(Some(message))
}

/// What an option says: `chunk` and `compressed`.
fn option<'a>(reader: &mut Reader<'a>) -> Result<(Option<&'a [u8]>, Option<Coding>), Broken> {
    let (mut chunk, mut coding) = (None, None);
    let pairs = match reader.token()? {
        Token::Map(pairs) => pairs,
        Token::Nil => 0,
        _ => return Err(Broken),
    };
    for _ in 0..pairs {
        let (Token::Text(key) | Token::Binary(key)) = reader.token()? else {
            return Err(Broken);
        };
        let mut value = Reader::new(reader.object()?);
        match (key, value.token()?) {
            (b"chunk", Token::Text(id) | Token::Binary(id)) if !id.is_empty() => {
                // Each entry's identity is made of it.
                if id.len() > FORWARD_CHUNK_BYTES {
                    return Err(Broken);
                }
                chunk = Some(id);
            }
            (b"compressed", Token::Text(name)) => {
                coding = match name {
                    b"gzip" => Some(Coding::Gzip),
                    b"zstd" => Some(Coding::Zstd),
                    b"text" => None,
                    _ => return Err(Broken),
                }
            }
            _ => {}
        }
    }
    Ok((chunk, coding))
}
