//! Lines of `key=value`, as Go's loggers and Heroku write them.

use super::cursor::Cursor;

/// Keys that hold the time, the preferred one first.
const KEYS: [&str; 5] = ["time", "timestamp", "ts", "t", "@timestamp"];

/// The value that tells the time of a line; none if it is not such a line or has none.
pub(super) fn time(line: &str) -> Option<&str> {
    let mut found = [None; KEYS.len()];
    let mut cursor = Cursor::new(line);
    // A pair begins the line, or it is text.
    while let Some((key, value)) = pair(&mut cursor) {
        if let Some(at) = KEYS.iter().position(|name| *name == key) {
            found[at] = found[at].or(Some(value));
        }
        if cursor.blanks() == 0 {
            break;
        }
    }
    found.into_iter().flatten().next()
}

/// A key and its value, without quotes.
fn pair<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a str, &'a str)> {
    let is_of_key = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@/".contains(&byte);
    let key = cursor.pass_while(is_of_key);
    if key.is_empty() || !cursor.eat(b'=') {
        return None;
    }
    let rest = cursor.rest();
    let (length, quotes) = match rest.strip_prefix('"') {
        Some(quoted) => (end_of_quoted(quoted)?, 1),
        None => (rest.find([' ', '\t']).unwrap_or(rest.len()), 0),
    };
    let value = &rest[quotes..quotes + length];
    *cursor = Cursor::new(&rest[length + 2 * quotes..]);
    Some((key, value))
}

/// Where the quotes end that are open at the beginning.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}
