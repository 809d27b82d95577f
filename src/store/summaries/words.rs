//! The words of texts, as hashes. A word is a run of word characters: ASCII letters and digits, `_`, and all
//! characters beyond ASCII. ASCII letters count in lower case.

/// What a byte is in a word: itself, ASCII letters in lower case; 0 where it is in none.
static WORD_BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        if byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii() {
            bytes[at] = byte.to_ascii_lowercase();
        }
        at += 1;
    }
    bytes
};

/// FNV-1a's numbers: cheap for a few bytes, and its weak upper bits are mixed at the end of a word.
const BASIS: u64 = 0xCBF2_9CE4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01B3;

/// Spreads all bits over all bits (the end of MurmurHash3). Never 0.
fn mix(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    (hash ^ (hash >> 33)).max(1)
}

/// The hash of a whole text as it is, for the set of sources.
pub(crate) fn hash_text(text: &[u8]) -> u64 {
    let hash = text.iter().fold(BASIS, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    });
    mix(hash)
}

/// A number as its value: its digits without zeros at either end, and the power of ten that they are multiplied with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    is_negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Value {
    /// Of the text of a number. Numbers that are equal have equal values, unless their exponents have very many digits.
    pub(crate) fn of(number: &[u8]) -> Self {
        let is_negative = number.first() == Some(&b'-');
        let is_exponent = |byte: &u8| matches!(byte, b'e' | b'E');
        let mantissa_len = number.iter().position(is_exponent);
        let (mantissa, rest) = number.split_at(mantissa_len.unwrap_or(number.len()));
        let point = mantissa.iter().position(|byte| *byte == b'.');
        let fraction = point.map_or(0, |point| mantissa.len() - point - 1);
        let all = mantissa.iter().filter(|byte| byte.is_ascii_digit());
        let mut digits: Vec<u8> = all.copied().skip_while(|digit| *digit == b'0').collect();
        let len = digits.len();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let zeros = (len - digits.len()) as i64;
        let exponent = rest.iter().filter(|byte| byte.is_ascii_digit());
        let exponent = exponent.fold(0_i64, |sum, digit| {
            (sum * 10 + i64::from(digit - b'0')).min(1 << 50)
        });
        let exponent = if rest.contains(&b'-') {
            -exponent
        } else {
            exponent
        };
        let is_zero = digits.is_empty();
        Self {
            is_negative: is_negative && !is_zero,
            exponent: if is_zero {
                0
            } else {
                exponent + zeros - fraction as i64
            },
            digits,
        }
    }

    /// The word that a number of this value has which is not written as digits alone.
    pub(crate) fn hash(&self) -> u64 {
        let exponent = self.exponent.to_be_bytes();
        let sign = [b'.', u8::from(self.is_negative)];
        let bytes = sign.iter().chain(&self.digits).chain(&exponent);
        let hash = bytes.fold(BASIS, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
        });
        mix(hash)
    }

    /// How a number of this value is written as digits alone; none if it is no integer. An error if more than
    /// `zeros_max` zeros would have to be written out.
    pub(crate) fn digits(&self, zeros_max: usize) -> Result<Option<Vec<u8>>, ()> {
        let Ok(zeros) = usize::try_from(self.exponent) else {
            return Ok(None);
        };
        if zeros > zeros_max {
            return Err(());
        }
        let mut digits = self.digits.clone();
        digits.resize(digits.len() + zeros, b'0');
        if digits.is_empty() {
            digits.push(b'0');
        }
        Ok(Some(digits))
    }
}

/// Which ends of a text are those of its first and last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub begin: bool,
    pub end: bool,
}

impl Ends {
    pub(crate) const CLOSED: Ends = Ends {
        begin: true,
        end: true,
    };
}

/// Hands the hash of each word of a text to `take`.
#[inline]
pub(crate) fn words_of(text: &[u8], take: impl FnMut(u64)) {
    closed_words(text, Ends::CLOSED, take);
}

/// Hands the hashes of those words to `take` that are whole words wherever the text is found: not those at an end where
/// a word may continue.
#[inline]
pub(crate) fn closed_words(text: &[u8], ends: Ends, mut take: impl FnMut(u64)) {
    let mut hash = BASIS;
    let mut is_open = !ends.begin;
    let mut is_in_word = false;
    for byte in text {
        let byte = WORD_BYTES[usize::from(*byte)];
        if byte != 0 {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
            is_in_word = true;
            continue;
        }
        if is_in_word {
            if !is_open {
                take(mix(hash));
            }
            hash = BASIS;
            is_in_word = false;
        }
        is_open = false;
    }
    if is_in_word && !is_open && ends.end {
        take(mix(hash));
    }
}

/// Hands the hashes of the words of each string and number in a payload to `take`, and those of the values of numbers
/// that are not written as digits alone: a search for a value does not know how it is written. Names of members,
/// `true`, `false` and `null` have none. `text` is memory for strings with escapes.
///
/// Goes through the text once and without a stack, so depth costs nothing. What is not JSON gives arbitrary words.
pub(crate) fn payload_words(payload: &[u8], text: &mut Vec<u8>, mut take: impl FnMut(u64)) {
    let mut rest = payload;
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'"' => {
                let (string, has_escapes, remaining) = split_string(after);
                rest = remaining;
                let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
                if next == Some(&b':') {
                    continue;
                }
                if has_escapes {
                    text.clear();
                    unescape(string, text);
                    words_of(text, &mut take);
                } else {
                    words_of(string, &mut take);
                }
            }
            b'-' | b'0'..=b'9' => {
                let is_of_number =
                    |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                let end = rest.iter().position(|byte| !is_of_number(byte));
                let (number, remaining) = rest.split_at(end.unwrap_or(rest.len()));
                words_of(number, &mut take);
                if number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
                    take(Value::of(number).hash());
                }
                rest = remaining;
            }
            _ => rest = after,
        }
    }
}

/// The content of a string that begins here, whether it has escapes, and what comes after its quote.
fn split_string(text: &[u8]) -> (&[u8], bool, &[u8]) {
    let mut has_escapes = false;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return (&text[..at], has_escapes, &text[at + 1..]),
            b'\\' => {
                has_escapes = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
    (text, has_escapes, &[])
}

/// Writes what a string means. Half of a surrogate pair becomes a NUL, which ends a word: so a filter has the words
/// beside it, whether they are looked for as words or not.
fn unescape(mut string: &[u8], text: &mut Vec<u8>) {
    while let Some((byte, after)) = string.split_first() {
        string = after;
        if *byte != b'\\' {
            text.push(*byte);
            continue;
        }
        let Some((escape, after)) = string.split_first() else {
            return;
        };
        string = after;
        match escape {
            b'b' | b'f' | b'n' | b'r' | b't' => text.push(b' '),
            b'u' => {
                let (character, remaining) = split_character(string);
                string = remaining;
                let mut bytes = [0; 4];
                text.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
            }
            other => text.push(*other),
        }
    }
}

/// The character after `\u`, which may be two halves; and what comes after it.
fn split_character(text: &[u8]) -> (char, &[u8]) {
    let Some((unit, rest)) = split_unit(text) else {
        return ('\0', text);
    };
    if let Some(character) = char::from_u32(unit) {
        return (character, rest);
    }
    let low = rest.strip_prefix(b"\\u").and_then(split_unit);
    match low {
        Some((low @ 0xDC00..=0xDFFF, remaining)) if unit < 0xDC00 => {
            let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            (char::from_u32(code).unwrap_or('\0'), remaining)
        }
        _ => ('\0', rest),
    }
}

fn split_unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let unit = digits.iter().try_fold(0, |unit, digit| {
        Some(unit * 16 + char::from(*digit).to_digit(16)?)
    })?;
    Some((unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(words: &[&str]) -> Vec<u64> {
        words
            .iter()
            .map(|word| {
                let mut found = Vec::new();
                words_of(word.as_bytes(), |hash| found.push(hash));
                assert_eq!(found.len(), 1, "{word} is one word");
                found[0]
            })
            .collect()
    }

    fn closed(text: &str, begin: bool, end: bool) -> Vec<u64> {
        let mut found = Vec::new();
        closed_words(text.as_bytes(), Ends { begin, end }, |hash| {
            found.push(hash)
        });
        found
    }

    fn of_payload(payload: &str) -> Vec<u64> {
        let mut found = Vec::new();
        payload_words(payload.as_bytes(), &mut Vec::new(), |hash| found.push(hash));
        found
    }

    #[test]
    fn words_are_runs_of_word_characters_in_lower_case() {
        let text = "GET /api/v1: Größe_9,-x\u{7f}y";
        assert_eq!(
            closed(text, true, true),
            hashes(&["get", "api", "v1", "größe_9", "x", "y"])
        );
        assert_eq!(hashes(&["ABC"]), hashes(&["abc"]));
        assert_ne!(hashes(&["Ä"]), hashes(&["ä"]));
        assert!(closed("", true, true).is_empty());
        assert!(closed(" -. ", true, true).is_empty());
    }

    #[test]
    fn a_word_that_may_go_on_is_left_out() {
        let abc = "a b-c";
        assert_eq!(closed(abc, true, true), hashes(&["a", "b", "c"]));
        assert_eq!(closed(abc, false, true), hashes(&["b", "c"]));
        assert_eq!(closed(abc, true, false), hashes(&["a", "b"]));
        assert_eq!(closed(abc, false, false), hashes(&["b"]));
        for (begin, end) in [(false, true), (true, false), (false, false)] {
            assert!(closed("word", begin, end).is_empty());
        }
        // A word ends at what is not a word character.
        assert_eq!(closed(" a b ", false, false), hashes(&["a", "b"]));
    }

    #[test]
    fn a_payload_has_the_words_of_its_strings_and_numbers() {
        let payload =
            r#"{"name":"A b","n":-12.5e+10,"t":true,"l":[null,"c",{"deep":["d"]},7] , "x" : "e"}"#;
        let mut expected = hashes(&["a", "b", "12", "5e", "10", "c", "d", "7", "e"]);
        expected.insert(5, Value::of(b"-125e9").hash());
        assert_eq!(of_payload(payload), expected);
        assert_eq!(of_payload(r#"{"a\"b":"c"}"#), hashes(&["c"]));
        assert_eq!(of_payload(r#"{"a":"b\"c\\"}"#), hashes(&["b", "c"]));
        assert!(of_payload("{}").is_empty());
    }

    #[test]
    fn equal_numbers_have_one_value() {
        for equal in [
            &[
                "0.10",
                "0.1",
                "1e-1",
                "10E-2",
                "0.001e+2",
                "1e-0000000000000000000000000001",
            ][..],
            &["0", "-0", "0.0", "-0e5", "0e99999999999999999999"],
            &["100", "1e2", "100.00", "0.1e3"],
            &["-12.5", "-125e-1"],
        ] {
            let values = equal.iter().map(|number| Value::of(number.as_bytes()));
            let values: Vec<Value> = values.collect();
            assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
        }
        for (one, other) in [("1", "-1"), ("1", "10"), ("12", "1.2"), ("1e400", "1e399")] {
            let hash = |number: &str| Value::of(number.as_bytes()).hash();
            assert_ne!(hash(one), hash(other));
        }
        let digits = |number: &str| Value::of(number.as_bytes()).digits(9);
        assert_eq!(digits("-1.20e3"), Ok(Some(b"1200".to_vec())));
        assert_eq!(digits("0.0"), Ok(Some(b"0".to_vec())));
        assert_eq!(digits("1.5"), Ok(None));
        assert_eq!(digits("1e10"), Err(()));
    }

    #[test]
    fn escapes_are_resolved() {
        let payload =
            r#"["a\nb","\u0041\u00e4","\ud83d\ude00x","y\ud83dz","q\/r","\ude00","\ud83d\u0041"]"#;
        assert_eq!(
            of_payload(payload),
            hashes(&["a", "b", "aä", "😀x", "y", "z", "q", "r", "a"])
        );
    }

    #[test]
    fn nothing_panics_on_what_is_no_json() {
        for broken in [
            "\"",
            "\"\\",
            "\"\\u",
            "\"\\u12",
            "\"\\ud800\\u",
            "\\",
            "-",
            "1e",
            "\"a",
            "[[[[",
            "\"\\x\"",
        ] {
            of_payload(broken);
            let bytes: Vec<u8> = broken.bytes().chain([0xFF, 0xC3]).collect();
            payload_words(&bytes, &mut Vec::new(), |_| {});
        }
    }

    #[test]
    fn hashes_differ_and_are_not_zero() {
        let mut seen = std::collections::HashSet::new();
        for number in 0..100_000 {
            let hash = hashes(&[&format!("w{number}")])[0];
            assert!(hash != 0 && seen.insert(hash));
        }
        assert_ne!(hash_text(b"Web-1"), hash_text(b"web-1"));
    }
}
