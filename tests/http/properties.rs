//! Whatever bytes come, what the HTTP machine makes of them depends neither on how they were cut on
//! their way nor on when the application answers.

use super::machine::{chunked, get, post, run, run_late, LIMIT};
use proptest::prelude::*;

/// Requests of every kind, some of which end the connection.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let one = prop_oneof![
        6 => Just(get("")),
        2 => Just(format!("\r\n{}", get("A: b\r\n"))),
        2 => Just("HEAD /head HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        4 => "[a-z\r\n]{0,40}".prop_map(|b| post(&format!("Content-Length: {}\r\n", b.len()), &b)),
        4 => prop::collection::vec("[a-z\r\n]{1,20}", 0..5).prop_map(|parts| {
            let chunks = parts.iter().map(|part| format!("{:x};e\r\n{part}\r\n", part.len()));
            chunked(&(chunks.collect::<String>() + "0\r\nT: t\r\n\r\n"))
        }),
        3 => "[a-z\r\n]{0,40}".prop_map(|b| in_pieces(&format!("Content-Length: {}\r\n\r\n{b}", b.len()))),
        3 => prop::collection::vec("[a-z\r\n]{1,20}", 0..5).prop_map(|parts| {
            let chunks = parts.iter().map(|part| format!("{:x}\r\n{part}\r\n", part.len()));
            in_pieces(&format!("Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunks.collect::<String>()))
        }),
        1 => Just(in_pieces("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx")),
        1 => Just("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd".to_owned()),
        1 => Just(get("Connection: close\r\n")),
        1 => Just(post("Content-Length: 2000\r\n", "x")),
        1 => Just(chunked("zz\r\n")),
        1 => Just(get("X : y\r\n")),
        1 => Just("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned()),
    ];
    prop::collection::vec(one, 1..8).prop_map(|all| all.concat().into_bytes())
}

/// A request whose body is taken in pieces.
fn in_pieces(rest: &str) -> String {
    format!("POST /pieces HTTP/1.1\r\nHost: h\r\n{rest}")
}

fn pieces<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
    at.sort_unstable();
    let starts = std::iter::once(0).chain(at.iter().copied());
    let ends = at.iter().copied().chain([bytes.len()]);
    starts
        .zip(ends)
        .map(|(start, end)| &bytes[start..end])
        .collect()
}

proptest! {
    #[test]
    fn it_does_not_matter_how_bytes_are_cut(
        bytes in requests(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        prop_assert_eq!(run([&bytes[..]], true), run(pieces(&bytes, &cuts), true));
    }

    #[test]
    fn it_does_not_matter_when_the_application_answers(
        bytes in requests(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        prop_assert_eq!(run([&bytes[..]], true), run_late(pieces(&bytes, &cuts), true));
    }

    /// By a count of its own: all bytes that are not data, less 16 for each chunk and two for each byte of
    /// data, never below nothing, and at most 16 KiB.
    #[test]
    fn framing_is_bounded_by_data(
        chunks in prop::collection::vec((1_usize..60, 0_usize..12, 0_usize..2_500), 1..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let (mut body, mut data, mut over, mut is_over) = (String::new(), 0, 0, false);
        for (size, zeros, extension) in chunks {
            if data + size > LIMIT {
                break;
            }
            let name = ";".repeat(usize::from(extension > 0)) + &"e".repeat(extension);
            let chunk = format!("{}{size:x}{name}\r\n{}\r\n", "0".repeat(zeros), "d".repeat(size));
            over = (over + chunk.len() - size).saturating_sub(16 + 2 * size);
            is_over |= over > 16_384;
            data += size;
            body += &chunk;
        }
        body += "0\r\n\r\n";
        let bytes = chunked(&body).into_bytes();
        let seen = run(pieces(&bytes, &cuts), true);
        if is_over {
            prop_assert_eq!((seen.requests.len(), &seen.refused[..]), (0, &[400][..]));
        } else {
            prop_assert_eq!((seen.requests[0].1.len(), seen.refused.len()), (data, 0));
        }
    }

    #[test]
    fn damaged_bytes_neither_panic_nor_depend_on_the_cut(
        bytes in requests(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes = bytes;
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert_eq!(run([&bytes[..]], true), run(pieces(&bytes, &cuts), true));
    }
}
