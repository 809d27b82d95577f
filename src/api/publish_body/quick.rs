//! The fast path over a body: the forms that clients send, as long as nothing is wrong with them.
//!
//! Anything unusual, and above all anything that breaks a rule, makes it give up; then [`reader`](super::reader) starts
//! over and decides. So it says nothing of faults, and must never take a body that the reader refuses, or take it for
//! other events. It knows the grammar of RFC 8259; the rules of events are the [`Sink`]'s.

use super::super::json::escapes;
use super::members::{Member, Members, Value};
use super::sink::Sink;
use crate::limits::PAYLOAD_MAX_DEPTH;
use crate::text::Eight;

/// Reads `text` and gives its objects, at most `max_events`, to `sink`. False where the reader has to decide; then what
/// the sink has taken is discarded.
pub(super) fn read<'a>(text: &'a str, sink: &mut impl Sink<'a>, max_events: usize) -> bool {
    let mut quick = Quick {
        cursor: Cursor::new(text),
        sink,
        room: max_events,
    };
    quick.body().is_some()
}

/// Whether `text` is one JSON value with white space around it at most. False also of some that are one: those that are
/// nested too deep for this path.
pub(crate) fn is_value(text: &str) -> bool {
    let mut cursor = Cursor::new(text);
    cursor.value().is_some() && cursor.peek().is_none()
}

const _: () = assert!(
    PAYLOAD_MAX_DEPTH == u128::BITS as usize,
    "a bit for each level"
);

struct Quick<'a, 's, S> {
    cursor: Cursor<'a>,
    sink: &'s mut S,
    /// Events that may still come.
    room: usize,
}

impl<'a, S: Sink<'a>> Quick<'a, '_, S> {
    /// An array of events, an object that holds nothing but one, or events one after another.
    fn body(&mut self) -> Option<()> {
        let mut inside = self.cursor;
        if self.cursor.peek()? == b'[' {
            self.array()?;
        } else if inside.pass(b'{').and_then(|()| inside.key()) == Some("\"events\"") {
            self.cursor = inside;
            self.array()?;
            self.cursor.pass(b'}')?;
        } else {
            while self.cursor.peek().is_some() {
                self.event()?;
            }
        }
        self.cursor.peek().is_none().then_some(())
    }

    fn array(&mut self) -> Option<()> {
        self.cursor.pass(b'[')?;
        loop {
            self.event()?;
            match self.cursor.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    fn event(&mut self) -> Option<()> {
        let mut members = Members::default();
        self.cursor.pass(b'{')?;
        let start = self.cursor.at - 1;
        loop {
            let key = self.cursor.key()?;
            let value = self.cursor.value()?;
            match Member::of_plain_key(key) {
                Some(member) if member == Member::Events || members.has(member) => return None,
                Some(member) => members.insert(member, value),
                None => {}
            }
            match self.cursor.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        self.room = self.room.checked_sub(1)?;
        let text = &self.cursor.text[start..self.cursor.at];
        self.sink.object(&members, text, |_, _| {}).then_some(())
    }
}

/// Where in the text the next token begins, or white space before it.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// Bytes of white space before it.
    white: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        let (at, white) = (0, 0);
        Self { text, at, white }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The first byte of the next token.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte()? {
                b' ' | b'\t' | b'\n' | b'\r' => {
                    self.at += 1;
                    self.white += 1;
                }
                byte => return Some(byte),
            }
        }
    }

    /// Takes the first byte of the next token.
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn pass(&mut self, expected: u8) -> Option<()> {
        (self.next()? == expected).then_some(())
    }

    /// The JSON text of a key without escapes, and the colon after it.
    fn key(&mut self) -> Option<&'a str> {
        self.peek()?;
        let start = self.at;
        let is_plain = self.string()?;
        let key = &self.text[start..self.at];
        self.pass(b':')?;
        is_plain.then_some(key)
    }

    /// A value of any kind, nested as deep as a payload may be.
    #[inline(always)]
    fn value(&mut self) -> Option<Value<'a>> {
        self.peek()?;
        let Cursor {
            at: start, white, ..
        } = *self;
        let mut has_escapes = false;
        // A bit for each container around the cursor, the innermost lowest: it is an object.
        let mut objects = 0_u128;
        let mut depth = 0;
        loop {
            match self.peek()? {
                b'"' => has_escapes |= !self.string()?,
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    let is_object = open == b'{';
                    if depth == PAYLOAD_MAX_DEPTH as u32 {
                        return None;
                    }
                    if !matches!(self.peek()?, b'}' | b']') {
                        depth += 1;
                        objects = objects << 1 | u128::from(is_object);
                        if is_object {
                            self.key_in_value()?;
                        }
                        continue;
                    }
                    self.pass(if is_object { b'}' } else { b']' })?;
                }
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => return None,
            }
            // A value has ended, and perhaps its container.
            loop {
                if depth == 0 {
                    return Some(Value {
                        text: &self.text[start..self.at],
                        may_have_escapes: has_escapes,
                        may_need_compacting: self.white > white,
                    });
                }
                let is_object = objects & 1 == 1;
                match (self.next()?, is_object) {
                    (b',', true) => {
                        self.key_in_value()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => {
                        depth -= 1;
                        objects >>= 1;
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Any key, and the colon after it.
    fn key_in_value(&mut self) -> Option<()> {
        self.peek()?;
        self.string()?;
        self.pass(b':')
    }

    /// Moves past a string; returns whether it has no escapes.
    fn string(&mut self) -> Option<bool> {
        if self.byte()? != b'"' {
            return None;
        }
        self.at += 1;
        let mut is_plain = true;
        loop {
            self.at += plain_bytes(&self.text.as_bytes()[self.at..]);
            let byte = self.byte()?;
            self.at += 1;
            match byte {
                b'"' => return Some(is_plain),
                b'\\' => {
                    is_plain = false;
                    self.escape()?;
                }
                // A control character, which a string must not hold.
                _ => return None,
            }
        }
    }

    /// Moves past an escape, from the byte after its backslash.
    fn escape(&mut self) -> Option<()> {
        let kind = self.byte()?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                digits
                    .iter()
                    .all(|digit| digit.is_ascii_hexdigit())
                    .then_some(())
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<()> {
        if self.byte()? == b'-' {
            self.at += 1;
        }
        if self.byte()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += literal.len();
        rest.starts_with(literal.as_bytes()).then_some(())
    }
}

/// How many bytes come before the first that means something in a string: a quote, a backslash or a control
/// character.
fn plain_bytes(bytes: &[u8]) -> usize {
    let mut plain = 0;
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk() {
        let found = escapes(Eight::of(chunk));
        if found != 0 {
            return plain + found.trailing_zeros() as usize / 8;
        }
        plain += 8;
        rest = after;
    }
    let means = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    plain + rest.iter().position(means).unwrap_or(rest.len())
}
