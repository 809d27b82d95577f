//! Text from elsewhere, made safe to show: nothing in it can move the cursor, colour the screen, forge a
//! line or hide what it says.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with its special characters written as JSON writes them (`\n`, `\u001b`), so that JSON stays
/// the JSON that it was.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_special(character) => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    // Writing to a `String` does not fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            _ => out.push(character),
        }
    }
    Cow::Owned(out)
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and the characters without a shape of
/// their own that change the direction of others or cannot be seen.
fn is_special(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::escaped;

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
}
