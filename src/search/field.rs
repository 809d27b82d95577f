//! What events are counted by: their topic, their source, or the values of a path; and those values as text.

use std::ops::ControlFlow;

use super::candidate::Candidate;
use super::path::{Found, Path};
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

    /// The first value of an event; `None` if it has none.
    pub(super) fn first_value(&self, event: &Candidate) -> Option<Value> {
        let mut first = None;
        let _ = self.visit(event, &mut |value| {
            first = Some(value);
            ControlFlow::Break(())
        });
        first
    }

    /// Hands each value of an event to `take`.
    pub(super) fn each_value(&self, event: &Candidate, take: &mut dyn FnMut(&Value)) {
        let _ = self.visit(event, &mut |value| {
            take(&value);
            ControlFlow::Continue(())
        });
    }

    fn visit(
        &self,
        event: &Candidate,
        take: &mut dyn FnMut(Value) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Field::Topic => take(Value::of_name(event.topic)),
            Field::Source => take(Value::of_name(event.source)),
            Field::Path(path) => path.visit(event.payload, &mut |found| match found {
                Found::Value(scalar) => take(Value::of(scalar.text())),
                Found::Member => ControlFlow::Continue(()),
            }),
        }
    }
}

const VALUE_BYTES: usize = if NAME_MAX_BYTES > VALUE_MAX_BYTES {
    NAME_MAX_BYTES
} else {
    VALUE_MAX_BYTES
};

/// A value as text: a name whole, of others the first [`VALUE_MAX_BYTES`] to a whole character.
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
