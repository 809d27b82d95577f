//! What becomes of the bytes of a connection and of datagrams, whatever they are.

use proptest::prelude::*;

use super::*;
use crate::event::{Peer, Protocol};
use crate::ingest::query::{IngestQuery, MadeIdentity};
use crate::ingest::records::{Defaults, Origin};

const LIMIT: usize = 100;

fn records() -> Records {
    let defaults = Defaults {
        protocol: Protocol::Gelf,
        topic: "gelf",
        identity: MadeIdentity::Auto,
    };
    let origin = Origin {
        peer: Peer::Unix,
        received_at: 1,
        query: IngestQuery::default(),
        max_events: 10,
        max_body_bytes: LIMIT,
    };
    Records::new(defaults, origin)
}

/// What came of them: payloads, and reasons with lengths and kept bytes.
type Made = (Vec<Vec<u8>>, Vec<(String, u64, Vec<u8>)>);

fn take(records: &mut Records, made: &mut Made) {
    let publication = records.take().publication;
    let events = publication.events.iter();
    made.0
        .extend(events.map(|event| event.payload.of(&publication.body).to_vec()));
    let rejected = publication.rejected.into_iter();
    made.1
        .extend(rejected.map(|record| (record.reason, record.bytes, record.record)));
}

fn received<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Made {
    let (mut decoder, mut records, mut made) = (Gelf::new(LIMIT), records(), Made::default());
    for mut piece in pieces {
        while !piece.is_empty() {
            decoder.receive(&mut piece, &mut records).unwrap();
            assert!(decoder.held_bytes() <= 2 * LIMIT.max(REJECTED_RECORD_BYTES));
            take(&mut records, &mut made);
        }
    }
    decoder.end(&mut records);
    assert_eq!((decoder.has_more(), decoder.held.len()), (false, 0));
    take(&mut records, &mut made);
    made
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-z]{0,40}".prop_map(|text| format!("{{\"short_message\":\"{text}\"}}").into_bytes()),
        1 => "[ \\n]{0,3}|\\{[^\0]{0,5}".prop_map(String::into_bytes),
        1 => (90..300_usize).prop_map(|length| vec![b'x'; length]),
        1 => prop::collection::vec(1..=255_u8, 0..20),
    ]
}

proptest! {
    #[test]
    fn where_a_stream_is_cut_does_not_matter(
        messages in prop::collection::vec(message(), 0..20),
        size in 1..200_usize,
        ends: bool,
    ) {
        let mut stream = messages.join(&0);
        stream.extend(ends.then_some(0));
        let made = received(stream.chunks(size));
        prop_assert_eq!(&made, &received([&stream[..]].into_iter()));
        let blank = |message: &&Vec<u8>| message.trim_ascii().is_empty();
        let count = messages.len() - messages.iter().filter(blank).count();
        prop_assert_eq!(made.0.len() + made.1.len(), count);
        for message in messages.iter().filter(|message| message.starts_with(b"{\"s") && message.len() <= LIMIT) {
            prop_assert!(made.0.contains(message));
        }
    }

    #[test]
    fn no_datagram_is_lost_without_a_trace(
        datagrams in prop::collection::vec(
            prop_oneof![
                message(),
                prop::collection::vec(any::<u8>(), 0..30).prop_map(|rest| [&b"\x1e\x0f"[..], &rest].concat()),
                prop::collection::vec(any::<u8>(), 0..30).prop_map(|rest| [&b"\x1f\x8b\x08\0"[..], &rest].concat()),
                prop::collection::vec(any::<u8>(), 0..30).prop_map(|rest| [&b"\x78\x9c"[..], &rest].concat()),
            ],
            0..20,
        ),
    ) {
        let (mut decoder, mut records, mut made) = (Gelf::new(LIMIT), records(), Made::default());
        for datagram in &datagrams {
            decoder.datagram(datagram, false, 0, &mut records);
            while decoder.has_more() {
                decoder.receive(&mut &[][..], &mut records).unwrap();
            }
            take(&mut records, &mut made);
        }
        decoder.end(&mut records);
        take(&mut records, &mut made);
        let blank = |datagram: &&Vec<u8>| datagram.trim_ascii().is_empty();
        let count = datagrams.len() - datagrams.iter().filter(blank).count();
        // Two chunks of equal heads would be one message.
        prop_assert!(made.0.len() + made.1.len() <= count);
        let chunks = datagrams.iter().filter(|datagram| is_chunk(datagram)).count();
        prop_assert!(made.0.len() + made.1.len() + chunks >= count);
    }
}
