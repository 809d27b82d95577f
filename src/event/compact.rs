//! The text of a payload: white space between its tokens is removed, its nesting is bounded, all else stays as it was
//! sent.

use crate::limits::PAYLOAD_MAX_DEPTH;

/// The payload is nested deeper than [`PAYLOAD_MAX_DEPTH`] levels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooDeep;

/// Checks the nesting of `text`, and appends it to `out` without its white space between tokens if it
/// has any. True where something was appended; otherwise `text` can be kept as it is and `out` is
/// unchanged. `text` must be one JSON value by the grammar of RFC 8259.
///
/// Two cheap scans, which the compiler turns into vector instructions, spare most payloads the walk
/// over their tokens.
#[inline]
pub(crate) fn compact(text: &str, out: &mut Vec<u8>) -> Result<bool, TooDeep> {
    let bytes = text.as_bytes();
    let white = bytes
        .iter()
        .fold(false, |found, &byte| found | (byte <= b' '));
    // Each level takes two bytes.
    let may_be_deep = bytes.len() > 2 * PAYLOAD_MAX_DEPTH
        && bytes
            .iter()
            .filter(|&&byte| matches!(byte, b'{' | b'['))
            .count()
            > PAYLOAD_MAX_DEPTH;
    if !white && !may_be_deep {
        return Ok(false);
    }
    let out_start = out.len();
    let result = walk(bytes, out);
    if result.is_err() {
        out.truncate(out_start);
    }
    result
}

/// Walks over the tokens once. `kept` is where the run of bytes starts that has not been copied yet;
/// up to the first white space between tokens nothing is copied.
fn walk(bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, TooDeep> {
    let mut depth = 0;
    let mut changed = false;
    let mut kept = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            b' ' | b'\t' | b'\n' | b'\r' => {
                out.extend_from_slice(&bytes[kept..at]);
                at += 1;
                kept = at;
                changed = true;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > PAYLOAD_MAX_DEPTH {
                    return Err(TooDeep);
                }
                at += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            _ => at += 1,
        }
    }
    if changed {
        out.extend_from_slice(&bytes[kept..]);
    }
    Ok(changed)
}

/// The offset after the string that starts with the quote at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        // The byte after a backslash is never the end of the string.
        at += 2;
    }
    bytes.len()
}
