//! The Journal Export Format: that what is found depends neither on how the bytes are cut nor on entries before, and
//! that it is all in the input.
//!
//! The first byte is the limit of an entry, the second the size of the pieces; the rest is the body.

use logagg::ingest::journald::reader::{fields, Found, ReadError, Reader};

/// What a body holds: entries as they came, or the length of one that is too large; and how it ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Content {
    entries: Vec<Result<Vec<u8>, u64>>,
    error: Option<ReadError>,
}

impl Content {
    /// Notes what was found; says whether there may be more.
    fn note(&mut self, found: Result<Found, ReadError>, reader: &Reader) -> bool {
        match found {
            Ok(Found::Nothing) => return false,
            Ok(Found::Entry) => self.entries.push(Ok(reader.entry().to_vec())),
            Ok(Found::TooLarge(bytes)) => self.entries.push(Err(bytes)),
            Err(error) => self.error = Some(error),
        }
        self.error.is_none()
    }
}

fn read<'b>(pieces: impl Iterator<Item = &'b [u8]>, limit: usize) -> Content {
    let mut reader = Reader::new(limit);
    let mut content = Content::default();
    for mut piece in pieces {
        loop {
            let found = reader.take(&mut piece);
            if !content.note(found, &reader) {
                break;
            }
        }
        if content.error.is_some() {
            return content;
        }
        assert!(piece.is_empty(), "all is taken");
    }
    let found = reader.finish();
    content.note(found, &reader);
    content
}

pub fn check(input: &[u8]) {
    let [limit, size, body @ ..] = input else {
        return;
    };
    let (limit, size) = (usize::from(*limit), usize::from(*size).max(1));
    let content = read(body.chunks(body.len().max(1)), limit);
    assert_eq!(read(body.chunks(size), limit), content);
    assert_eq!(read(body.chunks(1), limit), content);
    let mut total = 0;
    for entry in &content.entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(bytes) => {
                assert!(*bytes > limit as u64 && *bytes <= body.len() as u64);
                total += *bytes as usize;
                continue;
            }
        };
        assert!(!entry.is_empty() && entry.len() <= limit);
        total += entry.len();
        let held: usize = fields(entry)
            .map(|(name, value)| name.len() + 1 + value.len())
            .sum();
        assert!(held <= entry.len());
        for (name, _) in fields(entry) {
            let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            assert!(
                (1..=64).contains(&name.len()) && name.chars().all(legal),
                "{name}"
            );
        }
        // Alone it is the same entry.
        let alone = [&entry[..], b"\n"].concat();
        assert_eq!(
            read([&alone[..]].into_iter(), limit).entries,
            [Ok(entry.clone())]
        );
    }
    assert!(total <= body.len());
}
