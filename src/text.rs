//! Text from elsewhere, made safe to show in the log and on a terminal: nothing in it can move the cursor,
//! colour the screen, forge a line, reorder what is shown or hide what it says.
//!
//! Owns which characters those are, and the one form in which they are written; and how far two words are apart.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// `text` with its special characters written as JSON writes them (`\n`, `\u001b`), so that JSON stays
/// the JSON that it was.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_special(character) {
            write!(out, "{}", Escape(character)).expect("a String takes every write");
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// Eight bytes of a text as one number, to look at all of them at once.
#[derive(Clone, Copy)]
pub(crate) struct Eight(u64);

impl Eight {
    const ONES: u64 = u64::from_le_bytes([1; 8]);

    pub(crate) fn of(bytes: &[u8; 8]) -> Self {
        Self(u64::from_le_bytes(*bytes))
    }

    /// Whether `test` returns anything but 0 for some bytes of `text`. The last eight may overlap those before; where
    /// there are fewer, letters are added.
    pub(crate) fn any_in(text: &[u8], test: impl Fn(Self) -> u64) -> bool {
        let Some(last) = text.last_chunk() else {
            let mut padded = [b'x'; 8];
            padded[..text.len()].copy_from_slice(text);
            return test(Self::of(&padded)) != 0;
        };
        let (blocks, _) = text.as_chunks();
        let found = blocks
            .iter()
            .fold(0, |found, block| found | test(Self::of(block)));
        found | test(Self::of(last)) != 0
    }

    /// The same bytes, in each of which the bits of `mask` are turned over.
    pub(crate) fn xor(self, mask: u8) -> Self {
        Self(self.0 ^ (u64::from(mask) * Self::ONES))
    }

    /// Not zero where a byte is less than `n`, which is at most 128. The lowest bit that is set is the highest of the
    /// first of them.
    pub(crate) fn less_than(self, n: u8) -> u64 {
        // Such a byte borrows from its highest bit; so may bytes above it, but only then.
        self.0.wrapping_sub(u64::from(n) * Self::ONES) & !self.0 & (0x80 * Self::ONES)
    }
}

/// Bytes that `text` takes between the quotes of a JSON string, where only what has to be escaped is
/// (RFC 8259 §7).
pub(crate) fn json_len(text: &str) -> usize {
    let of = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => "\\u0000".len(),
        _ => 1,
    };
    text.bytes().map(of).sum()
}

/// One character as JSON escapes it, whether it has to be escaped or not.
pub(crate) struct Escape(pub char);

impl fmt::Display for Escape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            '\n' => f.write_str("\\n"),
            '\r' => f.write_str("\\r"),
            '\t' => f.write_str("\\t"),
            character => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    write!(f, "\\u{unit:04x}")?;
                }
                Ok(())
            }
        }
    }
}

/// Control characters (C0, DEL, C1), line and paragraph separators, what changes the direction of other
/// characters, and what cannot be seen: Unicode's `Default_Ignorable_Code_Point` but for the variation
/// selectors, which emoji and ideographs need.
pub(crate) fn is_special(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e00ff}'
                | '\u{e01f0}'..='\u{e0fff}'
        )
}

/// How many characters have to be added, removed, replaced or swapped with their neighbour to make one
/// word of the other (the restricted Damerau-Levenshtein distance).
pub(crate) fn changes(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 0..from.len() {
        let mut row = vec![i + 1];
        for j in 0..to.len() {
            let replaced = last[j] + usize::from(from[i] != to[j]);
            let mut fewest = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from[i] == to[j - 1] && from[i - 1] == to[j] {
                fewest = fewest.min(before[j - 1] + 1);
            }
            row.push(fewest);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drives_a_terminal_is_escaped() {
        for (text, shown) in [
            ("plain äöü 日本 🦀", "plain äöü 日本 🦀"),
            ("\u{1b}[2Jgone", "\\u001b[2Jgone"),
            ("\u{9b}31m", "\\u009b31m"),
            ("a\nb\r\tc\u{7f}", "a\\nb\\r\\tc\\u007f"),
            ("\u{202e}txt.exe", "\\u202etxt.exe"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }

    /// Unicode's `Bidi_Control`, and samples of what has no shape of its own.
    #[test]
    fn what_reorders_or_hides_text_is_escaped() {
        let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        let hidden = "\u{ad}\u{34f}\u{115f}\u{180e}\u{200b}\u{200c}\u{200d}\u{2060}\u{3164}\u{feff}\u{ffa0}\u{e0001}";
        for character in bidi.chars().chain(hidden.chars()) {
            assert!(is_special(character), "{:x}", u32::from(character));
        }
        // What people write stays: emoji with a selector, combining marks, Hebrew and Arabic letters.
        assert_eq!(
            escaped("❤\u{fe0f} e\u{301} שלום سلام \u{10ffff}"),
            "❤\u{fe0f} e\u{301} שלום سلام \u{10ffff}"
        );
    }

    #[test]
    fn an_escape_is_one_of_json() {
        for code in 0..=u32::from(char::MAX) {
            let Some(character) = char::from_u32(code).filter(|c| is_special(*c)) else {
                continue;
            };
            let json = format!("\"{}\"", Escape(character));
            assert!(json.is_ascii());
            let read: String = serde_json::from_str(&json).unwrap();
            assert_eq!(read, character.to_string());
        }
    }
}
