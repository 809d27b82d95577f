//! What events are counted by: their topic, their source, or the values of a path; and those values as text.

use super::candidate::Candidate;
use super::path::Path;
use super::text::Text;
use crate::limits::{NAME_MAX_BYTES, VALUE_MAX_BYTES, WHERE_MAX_BYTES};

/// What events are counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Topic,
    Source,
    Path(Path),
}

impl Field {
    /// Reads a value of `by`.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "" => return Err("must not be empty"),
            "topic" => return Ok(Field::Topic),
            "source" => return Ok(Field::Source),
            _ if text.len() > WHERE_MAX_BYTES => return Err("must be at most 512 bytes long"),
            _ => {}
        }
        match Path::parse(text)? {
            (path, "") => Ok(Field::Path(path)),
            _ => Err("must be topic, source or the path of a member alone"),
        }
    }

    /// The value of an event where that is a name; `None` for a path, for which the payload has to be walked.
    pub(super) fn name(&self, event: &Candidate) -> Option<Value> {
        match self {
            Field::Topic => Some(Value::of_name(event.topic)),
            Field::Source => Some(Value::of_name(event.source)),
            Field::Path(_) => None,
        }
    }

    /// The path, if it is one.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Field::Topic | Field::Source => None,
            Field::Path(path) => Some(path),
        }
    }
}

const VALUE_BYTES: usize = if NAME_MAX_BYTES > VALUE_MAX_BYTES {
    NAME_MAX_BYTES
} else {
    VALUE_MAX_BYTES
};

/// What it costs to take a value.
pub(super) const VALUE_EFFORT: usize = 64;

/// A value as text: all of a name, of others the first [`VALUE_MAX_BYTES`], cut at a character.
pub(super) struct Value {
    text: [u8; VALUE_BYTES],
    len: usize,
}

impl Value {
    fn of_name(name: &[u8]) -> Self {
        Self::cut(Text::plain(name), NAME_MAX_BYTES)
    }

    pub(super) fn of(text: Text) -> Self {
        Self::cut(text, VALUE_MAX_BYTES)
    }

    fn cut(text: Text, max: usize) -> Self {
        let mut value = Self {
            text: [0; VALUE_BYTES],
            len: 0,
        };
        let mut rest = text.decode();
        let len = rest.read(&mut value.text[..max]);
        // What comes next shows whether a character was cut; it is left out then.
        value.len = match rest.next() {
            Some(0x80..0xc0) => {
                let is_first = |byte: &u8| !(0x80..0xc0).contains(byte);
                value.text[..len].iter().rposition(is_first).unwrap_or(0)
            }
            _ => len,
        };
        value.mend_surrogates();
        value
    }

    /// Half of a surrogate pair is shown as U+FFFD, which is as long.
    fn mend_surrogates(&mut self) {
        let mut at = 0;
        while let Err(error) = std::str::from_utf8(&self.text[at..self.len]) {
            at += error.valid_up_to();
            let end = self.len.min(at + 3);
            match end - at {
                3 => self.text[at..end].copy_from_slice("\u{fffd}".as_bytes()),
                _ => self.len = at,
            }
            at = end;
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }
}

/// The text of a value that has been kept.
pub(super) fn kept_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
