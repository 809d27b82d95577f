//! The identity of a record: what tells its retry from another record.

use std::collections::HashMap;
use std::hash::BuildHasher;

use sha2::{Digest, Sha256};

use crate::limits::NAME_MAX_BYTES;

/// Appends an identity that a record brought. One that is too long for an event id, or has control characters,
/// becomes `sha256:` and a hash. False, with nothing appended, where it is empty.
pub(crate) fn write_given(identity: &str, out: &mut Vec<u8>) -> bool {
    let is_control = |byte: u8| byte < 0x20 || byte == 0x7f;
    if identity.len() > NAME_MAX_BYTES || identity.bytes().any(is_control) {
        out.extend_from_slice(b"sha256:");
        write_hex(&Sha256::digest(identity.as_bytes()), out);
    } else {
        out.extend_from_slice(identity.as_bytes());
    }
    !identity.is_empty()
}

/// Hashes that a request has given to its records, so that equal records in one request stay several events.
#[derive(Default)]
pub(crate) struct Hashes {
    /// By hash and topic: a record keeps its identity wherever its equals of other topics go.
    counts: HashMap<([u8; 16], u64), u32>,
}

impl Hashes {
    /// A new request begins.
    pub(crate) fn clear(&mut self) {
        self.counts.clear();
    }

    /// Appends the identity of a record by its content: `h-` and 32 digits, `.2` after them for the second equal
    /// record of the request, `.3` for the third.
    pub(crate) fn write(&mut self, topic: &[u8], parts: [&[u8]; 3], out: &mut Vec<u8>) {
        let hash = write_hash(parts, out);
        let topic = self.counts.hasher().hash_one(topic);
        let count = self.counts.entry((hash, topic)).or_insert(0);
        *count += 1;
        if *count > 1 {
            out.push(b'.');
            crate::http::write_number(out, *count);
        }
    }
}

/// Appends `h-` and 32 digits of the hash of a timestamp, a source and a payload, and returns its bytes.
pub(crate) fn write_hash([timestamp, source, payload]: [&[u8]; 3], out: &mut Vec<u8>) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(timestamp);
    hasher.update(b"\n");
    hasher.update(source);
    hasher.update(b"\n");
    hasher.update(payload);
    let digest = hasher.finalize();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    out.extend_from_slice(b"h-");
    write_hex(&hash, out);
    hash
}

fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(b"0123456789abcdef"[usize::from(digit)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(identity: &str) -> String {
        let mut out = Vec::new();
        assert_eq!(write_given(identity, &mut out), !identity.is_empty());
        String::from_utf8(out).expect("it is UTF-8")
    }

    #[test]
    fn what_is_no_event_id_becomes_a_hash() {
        assert_eq!(given("a"), "a");
        assert_eq!(given(""), "");
        assert_eq!(given(&"a".repeat(255)), "a".repeat(255));
        // sha256sum of 256 letters a, and of "a\n".
        let long = "sha256:02d7160d77e18c6447be80c2e355c7ed4388545271702c50253b0914c65ce5fe";
        assert_eq!(given(&"a".repeat(256)), long);
        let line = "sha256:87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7";
        assert_eq!(given("a\n"), line);
    }

    #[test]
    fn equal_records_of_a_request_are_numbered() {
        let mut hashes = Hashes::default();
        let mut write_in = |topic: &str, parts: [&str; 3]| {
            let mut out = Vec::new();
            hashes.write(topic.as_bytes(), parts.map(str::as_bytes), &mut out);
            String::from_utf8(out).expect("it is ASCII")
        };
        let other = write_in("other", ["t", "s", "{}"]);
        let mut write = |parts| write_in("topic", parts);
        // printf 't\ns\n{}' | sha256sum
        let first = write(["t", "s", "{}"]);
        assert_eq!(first, "h-fd5172e95c77f14dce17b20977a7325b");
        assert_eq!(first, other);
        assert_eq!(write(["t", "s", "{}"]), format!("{first}.2"));
        assert_ne!(write(["t", "s", "[]"]), first);
        assert_eq!(write(["t", "s", "{}"]), format!("{first}.3"));
    }
}
