//! A stream of syslog. The first byte says where it is cut into reads.

use logagg::event::payload_error;
use logagg::ingest::syslog::{
    parse, write_time, Frame, Framing, PayloadWriter, Place, Text, TooLong,
};
use logagg::limits::SYSLOG_MESSAGE_BYTES;

pub fn check(input: &[u8]) {
    let Some((cut, stream)) = input.split_first() else {
        return;
    };
    let whole = messages(&[stream]);
    let length = usize::from(*cut).clamp(1, stream.len().max(1));
    let pieces: Vec<&[u8]> = stream.chunks(length).collect();
    assert_eq!(
        messages(&pieces),
        whole,
        "where the stream is cut does not matter"
    );
    let bytes: usize = whole.iter().map(|(bytes, _)| bytes.len()).sum();
    assert!(bytes <= stream.len());
    let mut writer = PayloadWriter::default();
    for (bytes, truncated) in &whole {
        for place in [Place::Network, Place::Local] {
            let message = parse(bytes, place);
            let mut payload = Vec::new();
            writer.write(&message, Text::of(&message), *truncated, &mut payload);
            let payload = String::from_utf8(payload).expect("a payload is UTF-8");
            assert_eq!(payload_error(&payload), None, "{payload}");
            if let Some(text) = message.time.and_then(|time| write_time(time, 0, &())) {
                assert!(logagg::event::timestamp_is_valid(text.as_str().as_bytes()));
            }
        }
    }
}

/// The messages of a stream, and which of them were truncated. Ends where the stream cannot be read any further.
fn messages(pieces: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
    let mut framing = Framing::default();
    let mut found = Vec::new();
    let mut keep = |frame: Frame| {
        assert!(frame.bytes.len() <= SYSLOG_MESSAGE_BYTES && !frame.bytes.is_empty());
        found.push((frame.bytes.to_vec(), frame.truncated));
    };
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match framing.next(&mut rest, &mut keep) {
                Ok(true) => {}
                Ok(false) => break,
                Err(TooLong) => return found,
            }
        }
    }
    framing.end(keep);
    found
}
