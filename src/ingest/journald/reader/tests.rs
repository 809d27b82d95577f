//! The reader against a parser of whole bodies that was written on its own, and however the bytes are cut.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What a body holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Content {
    entries: Vec<Vec<(String, Vec<u8>)>>,
    too_large: Vec<u64>,
    error: Option<ReadError>,
}

fn owned(entry: &[u8]) -> Vec<(String, Vec<u8>)> {
    let fields = fields(entry);
    fields
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Reads a body that comes in these pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Content {
    let mut reader = Reader::new(limit);
    let mut content = Content::default();
    let mut note = |found, reader: &Reader| match found {
        Ok(Found::Nothing) => false,
        Ok(Found::Entry) => {
            content.entries.push(owned(reader.entry()));
            true
        }
        Ok(Found::TooLarge(bytes)) => {
            assert!(reader.entry().len() <= REJECTED_RECORD_BYTES);
            content.too_large.push(bytes);
            true
        }
        Err(error) => {
            content.error = Some(error);
            false
        }
    };
    for mut piece in pieces {
        loop {
            let found = reader.take(&mut piece);
            let is_broken = found.is_err();
            if !note(found, &reader) {
                if is_broken {
                    return content;
                }
                break;
            }
        }
        assert!(piece.is_empty());
    }
    note(reader.finish(), &reader);
    content
}

/// The same by position in the whole body.
fn model(body: &[u8], limit: usize) -> Content {
    let mut content = Content::default();
    let mut at = 0;
    let (mut begin, mut fields) = (0, Vec::new());
    let end_entry = |range: &[u8], fields: &mut Vec<_>, content: &mut Content| {
        let fields = std::mem::take(fields);
        match range.len() > limit {
            true => content.too_large.push(range.len() as u64),
            false if !range.is_empty() => content.entries.push(fields),
            false => {}
        }
    };
    while at < body.len() {
        let Some(length) = body[at..].iter().position(|byte| *byte == b'\n') else {
            content.error = Some(ReadError::CutShort);
            return content;
        };
        let line = &body[at..at + length];
        let after = at + length + 1;
        if line.is_empty() {
            end_entry(&body[begin..at], &mut fields, &mut content);
            (at, begin) = (after, after);
            continue;
        }
        let (name, value, next) = match line.iter().position(|byte| *byte == b'=') {
            Some(equals) => (&line[..equals], line[equals + 1..].to_vec(), after),
            None => match binary(&body[after..]) {
                Ok((value, taken)) => (line, value, after + taken),
                Err(error) => {
                    content.error = Some(error);
                    return content;
                }
            },
        };
        let text = String::from_utf8_lossy(name).into_owned();
        let legal = regex_lite::Regex::new("^[A-Z_][A-Z0-9_]{0,63}$").unwrap();
        if legal.is_match(&text) {
            fields.push((text, value));
        }
        at = next;
    }
    end_entry(&body[begin..], &mut fields, &mut content);
    content
}

/// A value with its size and its line feed at the front of `rest`, and how many bytes they take.
fn binary(rest: &[u8]) -> Result<(Vec<u8>, usize), ReadError> {
    let size: [u8; 8] = rest
        .get(..8)
        .ok_or(ReadError::CutShort)?
        .try_into()
        .unwrap();
    let size = u64::from_le_bytes(size);
    if size > 768 << 20 {
        return Err(ReadError::Size);
    }
    let end = 8 + size as usize;
    let value = rest.get(8..end).ok_or(ReadError::CutShort)?;
    match rest.get(end) {
        Some(b'\n') => Ok((value.to_vec(), end + 1)),
        Some(_) => Err(ReadError::FieldEnd),
        None => Err(ReadError::CutShort),
    }
}

fn binary_field(name: &str, value: &[u8]) -> Vec<u8> {
    let size = (value.len() as u64).to_le_bytes();
    [name.as_bytes(), b"\n", &size, value, b"\n"].concat()
}

/// Parts of bodies: mostly whole fields and empty lines, now and then something broken.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof!["[A-Z_][A-Z0-9_]{0,8}", "[a-z0-9=. ]{0,4}", "[A-Z]{60,70}"];
    prop_oneof![
        8 => (name.clone(), "[^\n]{0,12}").prop_map(|(name, value)| format!("{name}={value}\n").into_bytes()),
        4 => (name, vec(any::<u8>(), 0..20)).prop_map(|(name, value)| {
            binary_field(&name.replace('=', ""), &value)
        }),
        4 => Just(b"\n".to_vec()),
        1 => vec(any::<u8>(), 0..12),
    ]
}

proptest! {
    #[test]
    fn a_body_reads_the_same_however_it_is_cut(
        parts in vec(part(), 0..20),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
        limit in 20_usize..120,
    ) {
        let body = parts.concat();
        let expected = model(&body, limit);
        prop_assert_eq!(&read([&body[..]], limit), &expected);
        prop_assert_eq!(&read(body.chunks(1), limit), &expected);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]);
        prop_assert_eq!(&read(pieces, limit), &expected);
    }
}

#[test]
fn text_and_binary_fields_and_empty_lines() {
    let message = binary_field("MESSAGE", b"one\ntwo\n\n");
    let body = [
        b"\n\n__CURSOR=s=1\nA=\n",
        &message[..],
        b"A=x=y\n\n\n\nB=1\n",
    ]
    .concat();
    let content = read([&body[..]], 1000);
    let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_owned());
    let first = [
        field("__CURSOR", "s=1"),
        field("A", ""),
        field("MESSAGE", "one\ntwo\n\n"),
        field("A", "x=y"),
    ];
    assert_eq!(content.entries, [&first[..], &[field("B", "1")]]);
    assert_eq!((content.too_large, content.error), (vec![], None));
}

#[test]
fn the_greatest_size_is_768_mib() {
    for (size, error) in [
        (768_u64 << 20, ReadError::CutShort),
        ((768 << 20) + 1, ReadError::Size),
    ] {
        let body = [b"A=1\n\nB\n", &size.to_le_bytes()[..]].concat();
        let content = read([&body[..]], 1000);
        assert_eq!((content.entries.len(), content.error), (1, Some(error)));
    }
}

#[test]
fn a_large_entry_is_passed_over_in_bounded_memory() {
    let mut reader = Reader::new(1 << 20);
    let mut start = &b"A=1\nCOREDUMP\n\x00\x00\x00\x08\x00\x00\x00\x00"[..];
    assert_eq!(reader.take(&mut start), Ok(Found::Nothing));
    for _ in 0..(128 << 20) / 65_536 {
        assert_eq!(reader.take(&mut &[7; 65_536][..]), Ok(Found::Nothing));
        assert!(reader.held_bytes() <= 3 << 20);
    }
    assert!(reader.held_bytes() <= 2 * REJECTED_RECORD_BYTES);
    let mut end = &b"\n\nB=2\n\n"[..];
    assert_eq!(reader.take(&mut end), Ok(Found::TooLarge((128 << 20) + 22)));
    assert!(reader.entry().starts_with(b"A=1\nCOREDUMP\n"));
    assert_eq!(reader.entry().len(), REJECTED_RECORD_BYTES);
    assert_eq!(reader.take(&mut end), Ok(Found::Entry));
    assert_eq!(reader.entry(), b"B=2\n");
}

#[test]
fn an_entry_with_too_many_fields_is_passed_over() {
    let body = [
        "A=\n".repeat(JOURNAL_FIELDS_MAX),
        "\n".into(),
        "A=\n".repeat(JOURNAL_FIELDS_MAX + 1),
    ];
    let content = read([body.concat().as_bytes()], 1 << 20);
    assert_eq!(content.entries.len(), 1);
    assert_eq!(content.too_large, [3 * (JOURNAL_FIELDS_MAX as u64 + 1)]);
}
