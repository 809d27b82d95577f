//! Files that begin with a byte order mark, and files in UTF-16.

use std::fs;

use rustix::process::Signal;
use serde_json::{json, Value};

use super::{append, events, lines, stop, wait_for_lines, Scene};

type Encode = fn(&str) -> Vec<u8>;

const ENCODINGS: [(&[u8], Encode); 3] = [
    (b"\xef\xbb\xbf", |text| text.as_bytes().to_vec()),
    (b"\xff\xfe", |text| {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }),
    (b"\xfe\xff", |text| {
        text.encode_utf16().flat_map(u16::to_be_bytes).collect()
    }),
];

#[test]
fn a_byte_order_mark_is_no_text() {
    for (mark, encode) in ENCODINGS {
        let scene = Scene::new();
        let server = scene.setup.start();
        append(&scene.log(), mark);
        let output = scene.once(&[]).expect(0);
        assert_eq!((output.sum("read"), output.stderr.as_str()), (0, ""));
        let text = "{\"n\":1,\"text\":\"ä日😀\",\"time\":\"2026-01-02T03:04:05Z\"}\r\n\
                    2026-01-02 03:04:06 +0100 \u{a0a}\n\
                    \n\
                    no end 😀";
        append(&scene.log(), encode(text));
        assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 4);
        let found = events(&server);
        let payloads: Vec<&Value> = found.iter().map(|event| &event["payload"]).collect();
        let object = json!({"n": 1, "text": "ä日😀", "time": "2026-01-02T03:04:05Z"});
        assert_eq!(
            payloads,
            [
                &object,
                &json!({"line": "2026-01-02 03:04:06 +0100 \u{a0a}"}),
                &json!({"line": ""}),
                &json!({"line": "no end 😀"}),
            ]
        );
        assert_eq!(found[0]["timestamp"], "2026-01-02T03:04:05Z");
        assert_eq!(found[1]["timestamp"], "2026-01-02 03:04:06+01:00");
        assert_eq!(scene.once(&[]).expect(0).sum("read"), 0);
    }
}

/// The file grows by a few bytes, within marks and characters, and shippers are killed.
#[test]
fn files_that_grow_within_a_character_are_shipped_once() {
    for (mark, encode) in ENCODINGS {
        let scene = Scene::new();
        let server = scene.setup.start();
        let texts: Vec<String> = (0..40).map(|n| format!("{n} ä日😀\u{a00}")).collect();
        let text: String = texts.iter().flat_map(|line| [line, "\n"]).collect();
        let bytes = [mark, &encode(&text)].concat();
        let expected: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut shipper = scene.follow(&[]);
        let mut written = 0;
        for (step, piece) in [1, 2, 3, 31, 2, 64, 7].iter().cycle().enumerate() {
            let next = bytes.len().min(written + piece);
            append(&scene.log(), &bytes[written..next]);
            written = next;
            let ends = |bytes: &[u8]| bytes == encode("\n");
            let width = encode("\n").len();
            let written_text = &bytes[mark.len().min(written)..written];
            let whole = written_text
                .chunks_exact(width)
                .filter(|unit| ends(unit))
                .count();
            if step % 7 == 0 && whole > 0 {
                wait_for_lines(&server, &expected[..whole]);
                shipper.signal(Signal::KILL);
                assert_eq!(shipper.wait().code, None);
                shipper = scene.follow(&[]);
            }
            if written == bytes.len() {
                break;
            }
        }
        wait_for_lines(&server, &expected);
        stop(shipper);
        // Without its state each line has the id that it had.
        for entry in fs::read_dir(scene.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path != scene.log() {
                fs::remove_file(path).unwrap();
            }
        }
        let output = scene.once(&[]).expect(0);
        let sums = (output.sum("read"), output.sum("duplicates"));
        assert_eq!(sums, (40, 40));
        assert_eq!(lines(&server), expected);
    }
}

#[test]
fn what_is_broken_in_utf_16_becomes_replacement_characters() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(&scene.log(), b"\xff\xfea\0\x3d\xd8b\0\n\0\0\xde\n\0c");
    assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 3);
    assert_eq!(lines(&server), ["a\u{fffd}b", "\u{fffd}", "\u{fffd}"]);
}

/// What is before the end is not shipped, and what comes after it is read as what it is.
#[test]
fn from_the_end_of_a_file_in_utf_16() {
    for (mark, encode) in ENCODINGS {
        let scene = Scene::new();
        let server = scene.setup.start();
        append(&scene.log(), [mark, &encode("old\u{a0a}\nbegun ")].concat());
        let shipper = scene.follow(&["--from-end"]);
        super::wait_until("the state to be written", || {
            fs::read_dir(scene.folder.path()).unwrap().any(|entry| {
                let text = fs::read_to_string(entry.unwrap().path());
                text.is_ok_and(|text| text.contains("\"offset\""))
            })
        });
        append(&scene.log(), encode("and ended\nnew\n"));
        wait_for_lines(&server, &["begun and ended", "new"]);
        stop(shipper);
    }
}

/// The NULs of a file that is allocated before it is written.
#[test]
fn lines_in_utf_16_that_grow_into_a_preallocated_file() {
    for (mark, encode) in &ENCODINGS[1..] {
        let scene = Scene::new();
        let server = scene.setup.start();
        let mut bytes = [mark, &encode("one\ntwo\nthree\n")[..]].concat();
        let length = bytes.len();
        bytes.resize(300_000, 0);
        fs::write(scene.log(), &bytes).unwrap();
        let shipper = scene.follow(&[]);
        wait_for_lines(&server, &["one", "two", "three"]);
        let file = fs::File::options().write(true).open(scene.log()).unwrap();
        let next = encode("日four\n");
        std::os::unix::fs::FileExt::write_all_at(&file, &next, length as u64).unwrap();
        wait_for_lines(&server, &["one", "two", "three", "日four"]);
        // What follows a hole is whole.
        std::os::unix::fs::FileExt::write_all_at(&file, &encode("five\n"), 250_000).unwrap();
        wait_for_lines(&server, &["one", "two", "three", "日four", "five"]);
        stop(shipper);
    }
}
