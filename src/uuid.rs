//! Random UUIDs (RFC 9562 §5.4), as text in lower case.

use std::fmt::Write;
use std::io;

use rustix::rand::{getrandom, GetRandomFlags};

/// Characters of one.
pub const LENGTH: usize = 36;

/// A new one.
///
/// # Errors
/// The system has no random bytes.
pub fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(LENGTH);
    for (at, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        write!(text, "{byte:02x}").expect("a String takes every write");
    }
    Ok(text)
}

/// Whether a text is one of these.
pub fn is_random(text: &str) -> bool {
    text.len() == LENGTH
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'4',
            19 => b"89ab".contains(&byte),
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_another_and_is_known_for_one() {
        let [one, other] = [0, 1].map(|_| random().unwrap());
        assert_ne!(one, other);
        assert!(is_random(&one) && is_random(&other), "{one} {other}");
        for wrong in [
            "",
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "6BA7B810-9DAD-41D1-80B4-00C04FD430C8",
            "6ba7b8109dad41d180b400c04fd430c8",
            "6ba7b810-9dad-41d1-c0b4-00c04fd430c8",
            "6ba7b810-9dad-41d1-80b4-00c04fd430c8 ",
        ] {
            assert!(!is_random(wrong), "{wrong}");
        }
        assert!(is_random("6ba7b810-9dad-41d1-80b4-00c04fd430c8"));
    }
}
