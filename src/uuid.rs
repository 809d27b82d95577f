//! UUIDs (RFC 9562 §5.4 and §5.7), as text in lower case.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::rand::{getrandom, GetRandomFlags};

/// Characters of one.
pub(crate) const LENGTH: usize = 36;

/// A new one of version 4, which is random.
///
/// # Errors
/// The system has no random bytes.
pub(crate) fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(text(bytes, 4))
}

/// A new one of version 7: it begins with a time in milliseconds, and the rest is random. So those that are
/// made later come later in the order of their texts. A time before 1970 counts as 1970.
///
/// # Errors
/// The system has no random bytes.
pub(crate) fn timed(now: SystemTime) -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom(&mut bytes[6..], GetRandomFlags::empty())?;
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    // The milliseconds have 48 bits, which are enough until the year 10889.
    bytes[..6].copy_from_slice(&since.as_millis().to_be_bytes()[10..]);
    Ok(text(bytes, 7))
}

/// Makes many UUIDs of version 7 with few calls of the system.
#[derive(Default)]
pub(crate) struct Uuids {
    random: Vec<u8>,
}

/// Random bytes in one of version 7.
const RANDOM_BYTES: usize = 10;
/// Random bytes that are asked for at a time: Linux gives up to 256 without being interrupted.
const RANDOM_AT_ONCE: usize = 256 / RANDOM_BYTES * RANDOM_BYTES;

impl Uuids {
    /// Appends a new one with this time, in milliseconds since the epoch.
    pub(crate) fn write(&mut self, unix_ms: i64, out: &mut Vec<u8>) {
        if self.random.len() < RANDOM_BYTES {
            self.random.resize(RANDOM_AT_ONCE, 0);
            let given = getrandom(&mut self.random[..], GetRandomFlags::empty());
            let given = given.expect("the database's id was made of the system's random bytes");
            self.random.truncate(given);
        }
        let mut bytes = [0; 16];
        let rest = self.random.len() - RANDOM_BYTES;
        bytes[6..].copy_from_slice(&self.random[rest..]);
        self.random.truncate(rest);
        bytes[..6].copy_from_slice(&unix_ms.max(0).to_be_bytes()[2..]);
        write(bytes, 7, |byte| out.push(byte));
    }
}

/// Sets the bits of version and variant.
fn text(bytes: [u8; 16], version: u8) -> String {
    let mut text = String::with_capacity(LENGTH);
    write(bytes, version, |byte| text.push(byte.into()));
    text
}

fn write(mut bytes: [u8; 16], version: u8, mut out: impl FnMut(u8)) {
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    for (at, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            out(b'-');
        }
        for digit in [byte >> 4, byte & 15] {
            out(b"0123456789abcdef"[usize::from(digit)]);
        }
    }
}

/// Whether a text is one of version 4.
pub(crate) fn is_random(text: &str) -> bool {
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_with_a_time_begins_with_it() {
        // The example of RFC 9562, A.6.
        let time = UNIX_EPOCH + Duration::from_millis(1_645_557_742_000);
        let [one, other] = [0, 1].map(|_| timed(time).unwrap());
        assert_ne!(one, other);
        for id in [&one, &other] {
            assert!(id.starts_with("017f22e2-79b0-7"), "{id}");
            let as_random = format!("{}4{}", &id[..14], &id[15..]);
            assert!(!is_random(id) && is_random(&as_random), "{id}");
        }
        assert!(timed(time + Duration::from_millis(1)).unwrap() > one.max(other));
        let early = timed(UNIX_EPOCH - Duration::from_secs(1)).unwrap();
        assert!(early.starts_with("00000000-0000-7"), "{early}");
    }

    #[test]
    fn many_are_as_one() {
        let mut uuids = Uuids::default();
        let made: std::collections::HashSet<String> = (0..1_000)
            .map(|_| {
                let mut out = Vec::new();
                uuids.write(1_645_557_742_000, &mut out);
                String::from_utf8(out).unwrap()
            })
            .collect();
        assert_eq!(made.len(), 1_000);
        for id in made {
            assert!(id.starts_with("017f22e2-79b0-7"), "{id}");
            assert!(is_random(&format!("{}4{}", &id[..14], &id[15..])), "{id}");
        }
    }

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
