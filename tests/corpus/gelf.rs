//! Chunks of GELF: they give what a plain model of them gives, which keeps everything that came.

use std::collections::BTreeMap;

use logagg::event::Peer;
use logagg::ingest::gelf::chunks::{is_chunk, Chunks};
use logagg::limits::{GELF_CHUNKS_MAX, GELF_CHUNKS_MS};

/// A message of the model: its key, when it began, and what has come.
struct Message {
    key: (bool, u8),
    began: u64,
    count: usize,
    pieces: BTreeMap<usize, Vec<u8>>,
}

impl Message {
    fn bytes(&self) -> Vec<u8> {
        self.pieces.values().flatten().copied().collect()
    }
}

/// The input is a row of steps of five bytes: milliseconds that pass, peer and id, number, count, and how many
/// bytes the chunk has. Now and then the head is cut.
pub fn check(input: &[u8]) {
    let mut chunks = Chunks::default();
    let mut model: Vec<Message> = Vec::new();
    let mut now = 0;
    for (step, bytes) in input.chunks_exact(5).enumerate() {
        let [pause, key, number, count, length] = *bytes else {
            unreachable!("five bytes a step");
        };
        now += u64::from(pause) * 20;
        if pause % 4 == 0 {
            expire(&mut chunks, &mut model, now);
        }
        let (peer, id) = (key & 1 == 1, key >> 1);
        let content = vec![step as u8; usize::from(length)];
        let mut chunk = vec![0x1e, 0x0f, 0, 0, 0, id, 0, 0, 0, 0, number, count];
        chunk.extend_from_slice(&content);
        if length == 255 {
            chunk.truncate(usize::from(number) % 12);
        }
        let is_whole_head = chunk.len() >= 12;
        assert!(is_chunk(&chunk) || chunk.len() < 2);
        let address = if peer {
            Peer::Unix
        } else {
            Peer::Ip([10, 0, 0, 1].into())
        };
        let result = chunks.add(address, &chunk, now);
        let (number, count) = (usize::from(number), usize::from(count));
        let is_legal = is_whole_head && (1..=GELF_CHUNKS_MAX).contains(&count) && number < count;
        let expected = if is_legal {
            add(&mut model, (peer, id), now, (number, count, content))
        } else {
            Err(())
        };
        assert_eq!(result.map_err(|_| ()), expected);
        let next = model.first().map(|message| message.began + GELF_CHUNKS_MS);
        assert_eq!(chunks.deadline(), next);
    }
    expire(&mut chunks, &mut model, u64::MAX);
    assert_eq!((chunks.held_bytes(), model.len()), (0, 0));
}

fn add(
    model: &mut Vec<Message>,
    key: (bool, u8),
    now: u64,
    (number, count, content): (usize, usize, Vec<u8>),
) -> Result<Option<Vec<u8>>, ()> {
    let known = model.iter().position(|message| message.key == key);
    let at = known.unwrap_or(model.len());
    if known.is_none() {
        model.push(Message {
            key,
            began: now,
            count,
            pieces: BTreeMap::new(),
        });
    }
    let message = &mut model[at];
    if message.count != count {
        return Err(());
    }
    message.pieces.entry(number).or_insert(content);
    if message.pieces.len() < count {
        return Ok(None);
    }
    Ok(Some(model.remove(at).bytes()))
}

fn expire(chunks: &mut Chunks, model: &mut Vec<Message>, now: u64) {
    while let Some(told) = chunks.expire(now) {
        let message = model.remove(0);
        assert!(message.began.saturating_add(GELF_CHUNKS_MS) <= now);
        assert_eq!(
            (told.came, told.count),
            (message.pieces.len(), message.count)
        );
        assert_eq!(told.bytes, message.bytes());
    }
    assert!(model
        .iter()
        .all(|message| message.began + GELF_CHUNKS_MS > now));
}
