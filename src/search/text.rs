//! A string of JSON as it is between its quotes, and what it means: escapes are resolved while it is read, without
//! memory for the result.

/// What is between the quotes of a string, or the digits of a number.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    raw: &'a [u8],
    is_escaped: bool,
}

impl<'a> Text<'a> {
    /// A text without escapes.
    pub(super) fn plain(raw: &'a [u8]) -> Self {
        let is_escaped = false;
        Self { raw, is_escaped }
    }

    /// What is between the quotes of a string; `is_escaped` says whether it has a backslash.
    pub(super) fn new(raw: &'a [u8], is_escaped: bool) -> Self {
        Self { raw, is_escaped }
    }

    /// The text itself where it has no escapes.
    pub fn as_plain(self) -> Option<&'a [u8]> {
        (!self.is_escaped).then_some(self.raw)
    }

    /// What it means, as UTF-8. Half of a surrogate pair is written as if it were a character, in three bytes that are
    /// not UTF-8, so that no term has it.
    pub fn decode(self) -> Decoder<'a> {
        Decoder {
            rest: self.raw,
            is_escaped: self.is_escaped,
            character: [0; 4],
            pending: 0,
            pending_from: 0,
        }
    }

    /// The same from the position of a decoder of this text.
    pub(super) fn decode_from(self, mark: Mark) -> Decoder<'a> {
        Decoder {
            rest: self.raw.get(mark.at..).unwrap_or_default(),
            is_escaped: self.is_escaped,
            character: mark.character,
            pending: mark.pending,
            pending_from: mark.pending_from,
        }
    }

    /// Its raw length in bytes.
    pub(super) fn raw_len(self) -> usize {
        self.raw.len()
    }

    pub(super) fn equals(self, other: &[u8]) -> bool {
        match self.as_plain() {
            Some(raw) => raw == other,
            None => self.decode().eq(other.iter().copied()),
        }
    }

    pub(super) fn starts_with(self, prefix: &[u8]) -> bool {
        match self.as_plain() {
            Some(raw) => raw.starts_with(prefix),
            None => self.decode().take(prefix.len()).eq(prefix.iter().copied()),
        }
    }

    /// By the order of the bytes.
    pub(super) fn compare(self, other: &[u8]) -> std::cmp::Ordering {
        match self.as_plain() {
            Some(raw) => raw.cmp(other),
            None => self.decode().cmp(other.iter().copied()),
        }
    }
}

/// The position of a decoder, without its text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    at: usize,
    character: [u8; 4],
    pending_from: u8,
    pending: u8,
}

/// Resolves escapes as it goes. A malformed one is left as it is.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    is_escaped: bool,
    /// The last character that an escape meant, and which of its bytes come next.
    character: [u8; 4],
    pending_from: u8,
    pending: u8,
}

impl Decoder<'_> {
    /// Its position in its text.
    pub(super) fn mark(&self, text: Text) -> Mark {
        Mark {
            at: text.raw.len() - self.rest.len(),
            character: self.character,
            pending_from: self.pending_from,
            pending: self.pending,
        }
    }

    /// Fills as much of `out` as there is; returns how much that was. It is less than `out` only at the end.
    pub fn read(&mut self, out: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < out.len() {
            if self.pending == 0 {
                let room = &self.rest[..self.rest.len().min(out.len() - filled)];
                let run = match self.is_escaped {
                    true => memchr::memchr(b'\\', room).unwrap_or(room.len()),
                    false => room.len(),
                };
                out[filled..filled + run].copy_from_slice(&room[..run]);
                filled += run;
                self.rest = &self.rest[run..];
                if filled == out.len() {
                    break;
                }
            }
            let Some(byte) = self.next() else { break };
            out[filled] = byte;
            filled += 1;
        }
        filled
    }

    /// Takes the escape whose backslash has been taken; returns the first byte of what it means.
    fn resolve(&mut self) -> u8 {
        let Some((&kind, after)) = self.rest.split_first() else {
            return b'\\';
        };
        let byte = match kind {
            b'"' | b'\\' | b'/' => kind,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.resolve_unicode(after),
            _ => return b'\\',
        };
        self.rest = after;
        byte
    }

    fn resolve_unicode(&mut self, after: &[u8]) -> u8 {
        let Some(first) = hex(after) else {
            return b'\\';
        };
        self.skip(5);
        let mut code = first;
        if (0xd800..0xdc00).contains(&first) {
            let second = self.rest.strip_prefix(b"\\u").and_then(hex);
            if let Some(second @ 0xdc00..0xe000) = second {
                self.skip(6);
                code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            }
        }
        self.pending_from = 1;
        self.pending = match char::from_u32(code) {
            Some(character) => character.encode_utf8(&mut self.character).len() as u8 - 1,
            None => {
                let low = |shift: u32| 0x80 | (code >> shift & 0x3f) as u8;
                self.character = [0xe0 | (code >> 12) as u8, low(6), low(0), 0];
                2
            }
        };
        self.character[0]
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

impl Iterator for Decoder<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.pending > 0 {
            let byte = self.character[usize::from(self.pending_from)];
            self.pending_from += 1;
            self.pending -= 1;
            return Some(byte);
        }
        let (&byte, after) = self.rest.split_first()?;
        self.rest = after;
        match byte {
            b'\\' if self.is_escaped => Some(self.resolve()),
            _ => Some(byte),
        }
    }
}

/// The number that four hexadecimal digits make.
fn hex(text: &[u8]) -> Option<u32> {
    let digits = text.first_chunk::<4>()?;
    digits.iter().try_fold(0, |number, digit| {
        Some(number * 16 + char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(raw: &str) -> Vec<u8> {
        Text::new(raw.as_bytes(), true).decode().collect()
    }

    #[test]
    fn escapes_mean_what_json_says() {
        for (raw, meant) in [
            (r"", ""),
            (r"plain ä", "plain ä"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u0041\u00e4\u20AC", "Aä€"),
            (r"x\ud83d\ude00y", "x😀y"),
            (r"\\u0041", "\\u0041"),
        ] {
            assert_eq!(decoded(raw), meant.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn half_of_a_pair_is_a_character_that_is_no_utf_8() {
        assert_eq!(decoded(r"a\ud800b"), b"a\xed\xa0\x80b");
        assert_eq!(decoded(r"\udfff"), b"\xed\xbf\xbf");
        assert_eq!(
            decoded(r"\ud800\ud83d\ude00"),
            "\u{1f600}"
                .bytes()
                .fold(b"\xed\xa0\x80".to_vec(), |mut all, byte| {
                    all.push(byte);
                    all
                },)
        );
    }

    #[test]
    fn what_is_broken_stays_as_it_is() {
        for raw in [r"\", r"a\", r"\x", r"\u", r"\u12", r"\u12g4"] {
            assert_eq!(decoded(raw), raw.as_bytes());
        }
        assert_eq!(decoded(r"\ud800\u12"), b"\xed\xa0\x80\\u12");
    }

    proptest! {
        #[test]
        fn strings_are_decoded_as_by_serde_json(
            text in "\\PC{0,40}|[\\\\\"/\n\t\u{1}aä😀]{0,30}",
            size in 1..9_usize,
        ) {
            let written = serde_json::to_string(&text).unwrap();
            let raw = &written[1..written.len() - 1];
            prop_assert_eq!(decoded(raw), text.as_bytes());
            let ascii: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(decoded(&ascii), text.as_bytes());
            for raw in [raw, &ascii] {
                let mut decoder = Text::new(raw.as_bytes(), true).decode();
                let (mut all, mut piece) = (Vec::new(), vec![0; size]);
                loop {
                    let read = decoder.read(&mut piece);
                    all.extend_from_slice(&piece[..read]);
                    if read < size {
                        break;
                    }
                }
                prop_assert_eq!(&all[..], text.as_bytes());
                let same = Text::new(raw.as_bytes(), true);
                prop_assert!(same.equals(text.as_bytes()));
                prop_assert!(same.starts_with(&text.as_bytes()[..text.len() / 2]));
                let longer = format!("{text}x");
                prop_assert!(!same.starts_with(longer.as_bytes()));
                prop_assert_eq!(same.compare(b"M"), text.as_bytes().cmp(b"M"));
            }
        }

        #[test]
        fn nothing_panics(
            raw in proptest::collection::vec(prop_oneof![Just(b'\\'), Just(b'u'), any::<u8>()], 0..40),
        ) {
            let mut out = [0; 256];
            let read = Text::new(&raw, true).decode().read(&mut out);
            let all: Vec<u8> = Text::new(&raw, true).decode().collect();
            prop_assert_eq!(&out[..read], &all[..]);
        }
    }
}
