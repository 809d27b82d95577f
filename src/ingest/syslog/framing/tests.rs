//! Streams, cut anywhere.

use proptest::prelude::*;

use super::*;

/// The messages that a stream brings in these pieces, with `~` after those that were truncated; and whether it was
/// given up.
fn messages(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
    let mut framing = Framing::default();
    let mut found = Vec::new();
    let mut take = |frame: Frame| {
        let end: &[u8] = if frame.truncated { b"~" } else { b"" };
        found.push([frame.bytes, end].concat());
    };
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match framing.next(&mut rest, &mut take) {
                Ok(true) => {}
                Ok(false) => break,
                Err(TooLong) => return (found, true),
            }
        }
        assert!(rest.is_empty());
        assert!(framing.held_bytes() <= 2 * SYSLOG_MESSAGE_BYTES);
    }
    framing.end(&mut take);
    (found, false)
}

fn texts(stream: &str) -> Vec<String> {
    let (found, is_given_up) = messages(&[stream.as_bytes()]);
    assert!(!is_given_up, "{stream}");
    found
        .into_iter()
        .map(|text| String::from_utf8(text).unwrap())
        .collect()
}

#[test]
fn lines_and_counted_messages_may_mix() {
    for (stream, expected) in [
        ("", &[][..]),
        ("<1>a\n<2>b\r\n", &["<1>a", "<2>b"]),
        (
            "4 <1>a5 <2>b\n<3>c\n4 <4>d",
            &["<1>a", "<2>b\n", "<3>c", "<4>d"],
        ),
        ("4 <1>a\n4 <2>b\n", &["<1>a", "<2>b"]),
        ("5 a\nb\nc<1>d\n", &["a\nb\nc", "<1>d"]),
        ("\n\r\n\n<1>a\n", &["<1>a"]),
        ("<1>no end", &["<1>no end"]),
        ("0 a\n", &["0 a"]),
        ("12a\n34\n", &["12a", "34"]),
        ("9 cut", &["cut~"]),
        ("9 ", &[]),
        ("9", &["9"]),
        ("\0\n", &["\0"]),
    ] {
        assert_eq!(texts(stream), expected, "{stream:?}");
    }
}

#[test]
fn a_count_with_too_many_digits_ends_it() {
    let (found, is_given_up) = messages(&[b"<1>a\n12345678 <1>b"]);
    assert_eq!((found, is_given_up), (vec![b"<1>a".to_vec()], true));
    assert!(messages(&[b"1234", b"567", b"8"]).1);
    assert!(!messages(&[b"1234567"]).1);
}

#[test]
fn what_is_too_long_is_discarded() {
    let max = SYSLOG_MESSAGE_BYTES;
    let long = vec![b'a'; 3 * max];
    for length in [max - 1, max, max + 1, 3 * max] {
        let text = &long[..length];
        let mut kept = text[..length.min(max)].to_vec();
        if length > max {
            kept.push(b'~');
        }
        let expected = vec![kept, b"<1>b".to_vec()];
        for end in ["\n", "\r\n"] {
            let stream = [text, end.as_bytes(), b"<1>b\n"].concat();
            let pieces: Vec<_> = stream.chunks(1_000).collect();
            assert!(messages(&[&stream]).0 == expected, "{length}");
            assert!(messages(&pieces).0 == expected, "{length}");
        }
        let stream = [format!("{length} ").as_bytes(), text, b"<1>b\n"].concat();
        let pieces: Vec<_> = stream.chunks(1_000).collect();
        assert!(messages(&[&stream]).0 == expected, "{length}");
        assert!(messages(&pieces).0 == expected, "{length}");
    }
}

proptest! {
    #[test]
    fn where_the_stream_is_cut_does_not_matter(
        stream in prop::collection::vec(prop::sample::select(&b"123 a\n\r\0<>"[..]), 0..80),
        cuts in prop::collection::vec(0..80usize, 0..9),
    ) {
        let whole = messages(&[&stream]);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(messages(&pieces), whole);
    }

    #[test]
    fn each_byte_is_accounted_for(
        frames in prop::collection::vec(("[a-z]{1,9}", any::<bool>()), 0..20),
    ) {
        let mut stream = String::new();
        let mut expected = Vec::new();
        for (text, is_counted) in &frames {
            if *is_counted {
                stream += &format!("{} {text}", text.len());
                expected.push(text.clone());
            } else {
                stream += &format!("{text}\n");
                expected.push(text.clone());
            }
        }
        prop_assert_eq!(texts(&stream), expected);
    }
}
