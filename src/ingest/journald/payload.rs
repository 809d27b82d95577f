//! An entry as a JSON object: its fields in order, those that come several times as an array.

use super::reader::fields;
use crate::api::json::write_string;
use crate::ingest::text::write_bytes;

/// Appends the payload of an entry. Fields whose names begin with `__` are journald's own, and stay out.
pub(super) fn write(entry: &[u8], out: &mut Vec<u8>) {
    let is_kept = |name: &&str| !name.starts_with("__");
    let kept = fields(entry).filter(|(name, _)| is_kept(name));
    // By name, and those of one name in order.
    let mut by_name: Vec<(&str, usize, &[u8])> = kept
        .enumerate()
        .map(|(place, (name, value))| (name, place, value))
        .collect();
    by_name.sort_unstable_by_key(|(name, place, _)| (*name, *place));
    let mut groups: Vec<&[(&str, usize, &[u8])]> = by_name.chunk_by(|a, b| a.0 == b.0).collect();
    groups.sort_unstable_by_key(|group| group[0].1);
    out.push(b'{');
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(group[0].0.as_bytes());
        out.extend_from_slice(b"\":");
        match group {
            [(_, _, value)] => write_value(value, out),
            several => {
                out.push(b'[');
                for (index, (_, _, value)) in several.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_value(value, out);
                }
                out.push(b']');
            }
        }
    }
    out.push(b'}');
}

fn write_value(value: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(value) {
        Ok(text) => write_string(out, text),
        Err(_) => write_bytes(value, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_in_order_and_repeated_ones_an_array() {
        let entry = b"__CURSOR=c\nB=1\nA=x\nB=\"2\"\nb=no\n\
            RAW\n\x02\0\0\0\0\0\0\0\xff\n\nTWO\n\x03\0\0\0\0\0\0\0a\nb\nB\n\x01\0\0\0\0\0\0\0\xfe\n";
        let mut out = Vec::new();
        write(entry, &mut out);
        let expected =
            r#"{"B":["1","\"2\"",{"base64":"/g=="}],"A":"x","RAW":{"base64":"/wo="},"TWO":"a\nb"}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut out = Vec::new();
        write(b"__CURSOR=c\n", &mut out);
        assert_eq!(out, b"{}");
    }
}
