//! Messages whose chunks come in any order, twice, or not at all; and the bounds. `tests/corpus/gelf.rs` has a model.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn chunk(id: u8, number: usize, count: usize, bytes: &[u8]) -> Vec<u8> {
    let mut chunk = vec![0x1e, 0x0f, 0, 0, 0, 0, 0, 0, 0, id];
    chunk.extend([number as u8, count as u8]);
    chunk.extend_from_slice(bytes);
    assert!(is_chunk(&chunk));
    chunk
}

fn add(chunks: &mut Chunks, chunk: &[u8], now_ms: u64) -> Result<Option<Vec<u8>>, &'static str> {
    chunks.add(Peer::Unix, chunk, now_ms)
}

proptest! {
    /// The chunks of several messages, mixed: each message that comes whole is given once, when its last chunk comes;
    /// each of the others gives one notice.
    #[test]
    fn a_message_is_whole_when_its_last_chunk_has_come(
        messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..300), 1..=128_usize), 1..5),
        missing in prop::collection::vec(any::<bool>(), 5),
        places in prop::collection::vec(any::<Index>(), 200),
    ) {
        let mut waiting = Vec::new();
        let mut expected = Vec::new();
        let mut given_up = 0;
        for (id, (bytes, size)) in messages.iter().enumerate() {
            let pieces: Vec<&[u8]> = bytes.chunks(bytes.len().div_ceil(*size)).collect();
            let count = pieces.len();
            let comes = if missing[id] { 0..count - 1 } else { 0..count };
            given_up += usize::from(missing[id] && count > 1);
            if !missing[id] {
                expected.push(bytes.clone());
            }
            waiting.extend(comes.map(|number| (id, number, chunk(id as u8, number, count, pieces[number]))));
        }
        let mut chunks = Chunks::default();
        let mut given = Vec::new();
        let mut places = places.iter().cycle();
        let mut repeats = waiting.len() / 3;
        while !waiting.is_empty() {
            let at = places.next().unwrap().index(waiting.len());
            let (id, _, bytes) = &waiting[at];
            let id = *id;
            given.extend(add(&mut chunks, bytes, 0).unwrap());
            // Another time, before its message is whole.
            let is_last = !missing[id] && waiting.iter().filter(|(other, ..)| *other == id).count() == 1;
            if repeats > 0 && !is_last {
                repeats -= 1;
                prop_assert_eq!(add(&mut chunks, bytes, 0), Ok(None));
            }
            waiting.swap_remove(at);
        }
        given.sort();
        expected.sort();
        prop_assert_eq!(given, expected);
        prop_assert_eq!(chunks.expire(GELF_CHUNKS_MS - 1), None);
        let told = std::iter::from_fn(|| chunks.expire(GELF_CHUNKS_MS)).count();
        prop_assert_eq!((told, chunks.held_bytes(), chunks.deadline()), (given_up, 0, None));
    }
}

#[test]
fn what_is_no_chunk_of_a_message_is_refused() {
    let mut chunks = Chunks::default();
    assert_eq!(add(&mut chunks, &chunk(1, 0, 2, b"a"), 0), Ok(None));
    for bad in [
        chunk(1, 1, 3, b"b"),
        chunk(1, 2, 2, b"b"),
        chunk(2, 0, 0, b"b"),
        chunk(2, 0, 129, b"b"),
        chunk(2, 0, 2, b"")[..11].to_vec(),
        b"\x1e\x0f".to_vec(),
    ] {
        assert!(add(&mut chunks, &bad, 0).is_err(), "{bad:?}");
    }
    // The same id of another peer is another message, and a chunk may be empty.
    let other = Peer::Ip([127, 0, 0, 1].into());
    assert_eq!(chunks.add(other, &chunk(1, 1, 2, b"x"), 1), Ok(None));
    assert_eq!(
        chunks.add(other, &chunk(1, 0, 2, b""), 1),
        Ok(Some(b"x".to_vec()))
    );
    assert_eq!(
        add(&mut chunks, &chunk(1, 1, 2, b"b"), 1),
        Ok(Some(b"ab".to_vec()))
    );
    assert_eq!(
        add(&mut chunks, &chunk(1, 0, 1, b"c"), 1),
        Ok(Some(b"c".to_vec()))
    );
    assert_eq!(chunks.held_bytes(), 0);
}

#[test]
fn those_that_are_open_have_a_bound_and_keep_their_place() {
    let mut chunks = Chunks::default();
    let with_id = |id: usize, number: usize| {
        let mut chunk = chunk(0, number, 2, b"x");
        chunk[2..6].copy_from_slice(&(id as u32).to_be_bytes());
        chunk
    };
    for id in 0..GELF_MESSAGES_OPEN {
        assert_eq!(add(&mut chunks, &with_id(id, 0), id as u64), Ok(None));
    }
    assert!(add(&mut chunks, &with_id(GELF_MESSAGES_OPEN, 0), 1_000).is_err());
    assert!(add(&mut chunks, &with_id(0, 1), 1_000).unwrap().is_some());
    assert_eq!(
        add(&mut chunks, &with_id(GELF_MESSAGES_OPEN, 0), 1_000),
        Ok(None)
    );
    assert_eq!(chunks.deadline(), Some(1 + GELF_CHUNKS_MS));
    let told = chunks.expire(1 + GELF_CHUNKS_MS).unwrap();
    assert_eq!((told.bytes, told.came, told.count), (b"x".to_vec(), 1, 2));
    assert_eq!(chunks.expire(1 + GELF_CHUNKS_MS), None);
}

#[test]
fn their_bytes_have_a_bound() {
    let mut chunks = Chunks::default();
    let bytes = vec![0; 60_000];
    let mut taken = 0;
    for id in 0..4 {
        for number in 1..128 {
            let result = add(&mut chunks, &chunk(id, number, 128, &bytes), 0);
            taken += usize::from(result.is_ok());
            assert!(chunks.held_bytes() <= GELF_CHUNKS_BYTES);
        }
    }
    assert_eq!(taken, GELF_CHUNKS_BYTES / bytes.len());
    // A message of one chunk needs no room.
    assert!(add(&mut chunks, &chunk(9, 0, 1, &bytes), 0)
        .unwrap()
        .is_some());
}
