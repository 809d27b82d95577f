//! What stands at the end of a file and may still change: a line without its end, and NULs where no data has
//! arrived yet.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use logagg::limits::SHIP_QUIET_MS;

use super::{append, lines, stop, wait_for_lines, Scene};
use crate::wait::wait_until;

/// Writes at a place of the log file, as one who does not append.
fn write_at(scene: &Scene, text: &[u8], at: u64) {
    let file = File::options().write(true).open(scene.log()).unwrap();
    file.write_all_at(text, at).unwrap();
}

/// The state beside the log file.
fn state(scene: &Scene) -> PathBuf {
    let entries = fs::read_dir(scene.folder.path()).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let state = paths.find(|path| super::text(path).contains("/.app.log.ship-"));
    state.expect("the state is beside the file")
}

#[test]
fn with_once_the_last_line_counts_without_its_end() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(&scene.log(), "a\nb");
    let output = scene.once(&[]).expect(0);
    assert_eq!((output.sum("read"), output.sum("accepted")), (2, 2));
    assert_eq!(output.stderr, "");
    assert_eq!(scene.once(&[]).expect(0).sum("read"), 0);
    // What comes later is a line of its own.
    append(&scene.log(), "c\n");
    assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 1);
    assert_eq!(lines(&server), ["a", "b", "c"]);
}

/// Its end may come later. That is no line of its own, and the ids are those of a file that was read whole.
#[test]
fn the_end_of_a_line_that_counted_without_it_is_no_empty_line() {
    for end in ["\n", "\r\n"] {
        let scene = Scene::new();
        let server = scene.setup.start();
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|line| format!("2026-01-02T03:04:05Z {line}"));
        append(&scene.log(), format!("{a}{end}{b}"));
        assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 2);
        append(&scene.log(), end);
        let output = scene.once(&[]).expect(0);
        assert_eq!((output.sum("read"), output.stderr.as_str()), (0, ""));
        append(&scene.log(), &c);
        assert_eq!(
            scene.once(&["--multiline", "auto"]).expect(0).sum("read"),
            1
        );
        append(&scene.log(), format!("{end}{end}{d}{end}"));
        // The second end is that of an empty line.
        assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 2);
        let expected = [&a, &b, &c, "", &d];
        assert_eq!(lines(&server), expected);
        fs::remove_file(state(&scene)).unwrap();
        let output = scene.once(&[]).expect(0);
        assert_eq!((output.sum("accepted"), output.sum("duplicates")), (0, 5));
    }
}

/// A line that was cut once is cut at the same place when it is read again.
#[test]
fn a_line_without_its_end_that_was_perhaps_published_stays_the_same_line() {
    let scene = Scene::new();
    append(
        &scene.log(),
        "2026-01-02T03:04:05Z a\n2026-01-02T03:04:05Z b",
    );
    scene.once(&["--give-up-after", "0"]).expect(1);
    append(&scene.log(), "c\nd\n");
    let server = scene.setup.start();
    let shipper = scene.follow(&[]);
    let expected = ["2026-01-02T03:04:05Z a", "2026-01-02T03:04:05Z b", "c", "d"];
    wait_for_lines(&server, &expected);
    assert_eq!(stop(shipper).sum("duplicates"), 0);
}

#[test]
fn without_once_a_line_without_its_end_waits_and_is_named_at_the_end() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(&scene.log(), "a\nbegun");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["a"]);
    let output = stop(shipper);
    assert!(output.stderr.contains("5 bytes"), "{output:?}");
    let shipper = scene.follow(&[]);
    append(&scene.log(), " and ended\n");
    wait_for_lines(&server, &["a", "begun and ended"]);
    assert_eq!(stop(shipper).stderr, "");
}

#[test]
fn lines_that_grow_into_a_preallocated_file_are_shipped_once() {
    for is_sparse in [true, false] {
        let scene = Scene::new();
        let server = scene.setup.start();
        match is_sparse {
            true => File::create(scene.log()).unwrap().set_len(2 << 20).unwrap(),
            false => fs::write(scene.log(), vec![0; 2 << 20]).unwrap(),
        }
        let shipper = scene.follow(&[]);
        let mut expected = Vec::new();
        let mut at = 0;
        for number in 1..=5 {
            // A line may be written in two pieces.
            let line = format!("line {number}\n");
            let (head, tail) = line.as_bytes().split_at(3);
            write_at(&scene, head, at);
            wait_until("a look at the half line", || {
                lines(&server).len() == expected.len()
            });
            write_at(&scene, tail, at + 3);
            at += line.len() as u64;
            expected.push(line.trim_end().to_owned());
            wait_until("the line", || lines(&server).len() == expected.len());
            assert_eq!(lines(&server), expected);
        }
        assert_eq!(stop(shipper).sum("duplicates"), 0);
        let output = scene.once(&[]).expect(0);
        assert_eq!(output.sum("read"), 0);
        assert!(output.stderr.contains("NUL"), "{output:?}");
        // The last line needs no end there either.
        write_at(&scene, b"last", at);
        assert_eq!(scene.once(&[]).expect(0).sum("read"), 1);
        File::options()
            .write(true)
            .open(scene.log())
            .unwrap()
            .set_len(at + 4)
            .unwrap();
        let output = scene.once(&[]).expect(0);
        assert_eq!((output.sum("read"), output.stderr.as_str()), (0, ""));
        assert_eq!(lines(&server).last().unwrap(), "last");
    }
}

#[test]
fn zeros_that_become_text_are_no_truncation() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(&scene.log(), b"one\n\0\0\0\0\0\0\0\0");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["one"]);
    write_at(&scene, b"two\nthr", 4);
    wait_for_lines(&server, &["one", "two"]);
    append(&scene.log(), b"\0\0\0\0");
    write_at(&scene, b"thre", 8);
    write_at(&scene, b"e\n", 12);
    wait_for_lines(&server, &["one", "two", "three"]);
    let output = stop(shipper);
    assert_eq!((output.sum("read"), output.sum("duplicates")), (3, 0));
}

/// The pages of a file may arrive in any order: NULs with text after them are no hole before they have stood a while.
#[test]
fn text_that_arrives_after_later_text_is_no_truncation() {
    for _ in 0..10 {
        let scene = Scene::new();
        let server = scene.setup.start();
        append(&scene.log(), "one\ntwo\nthr");
        let shipper = scene.follow(&[]);
        wait_for_lines(&server, &["one", "two"]);
        let begun = Instant::now();
        write_at(&scene, b"n\nsix\n", 34);
        // The line before them is shipped after the file was looked at.
        write_at(&scene, b"ee\n", 11);
        wait_for_lines(&server, &["one", "two", "three"]);
        write_at(&scene, b"four.......five\nseve", 14);
        // On a machine that is too busy the NULs have stood for a while: again.
        if begun.elapsed() < Duration::from_millis(SHIP_QUIET_MS) {
            let text = fs::read_to_string(scene.log()).unwrap();
            wait_for_lines(&server, &text.lines().collect::<Vec<_>>());
            let output = stop(shipper);
            assert_eq!((output.sum("read"), output.sum("duplicates")), (6, 0));
            return;
        }
    }
}

/// They are one after they have stood a while, and many of them wait together.
#[test]
fn nuls_that_stay_between_lines_hold_up_nothing_for_long() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let shipper = scene.follow(&[]);
    let lines: Vec<String> = (0..300).map(|n| format!("line {n}")).collect();
    append(&scene.log(), lines.join("\n\0\0\0\0") + "\n");
    wait_for_lines(
        &server,
        &lines.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    assert_eq!(stop(shipper).sum("duplicates"), 0);
}

#[test]
fn bytes_beside_a_finished_hole_are_kept() {
    const READ: usize = 256 * 1024;
    for length in [1, 7, READ - 8, READ - 7, READ - 6, READ, 3 << 20] {
        let scene = Scene::new();
        let server = scene.setup.start();
        let hole = vec![0; length];
        append(
            &scene.log(),
            [b"before\n", &hole[..], b"after\n", &hole, b"end\npart"].concat(),
        );
        if length > READ {
            // A line that is cut by a hole is not lost either.
            append(&scene.log(), [&hole[..], b"rest\n"].concat());
        } else {
            append(&scene.log(), "\nrest\n");
        }
        scene.once(&[]).expect(0);
        let expected = ["before", "after", "end", "part", "rest"];
        assert_eq!(lines(&server), expected, "{length}");
    }
}

/// A state of a version that passed over NULs at the end of a file.
#[test]
fn an_old_state_that_stands_after_nuls_goes_back_before_them() {
    for has_grown in [false, true] {
        let scene = Scene::new();
        let server = scene.setup.start();
        append(&scene.log(), "one\n");
        scene.once(&[]).expect(0);
        append(&scene.log(), vec![0; 4_092]);
        let path = state(&scene);
        let text = fs::read_to_string(&path).unwrap();
        let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
        let entry = &state["files"][0];
        let chain = entry["mark"]["chain"].clone();
        let old = serde_json::json!({
            "version": 1,
            "files": [{
                "identity": entry["identity"],
                "generation": 0,
                "mark": {
                    "offset": 4096,
                    "part": 0,
                    "chain": chain,
                    // Of 1,024 zeros.
                    "tail": {"length": 1024, "hash": "5f70bf18a086007016e948b04aed3b82"},
                },
                "pending": null,
            }],
        });
        state.clone_from(&old);
        fs::write(&path, state.to_string()).unwrap();
        if has_grown {
            write_at(&scene, b"two\n", 4);
        }
        let shipper = scene.follow(&[]);
        if !has_grown {
            write_at(&scene, b"two\n", 4);
        }
        wait_for_lines(&server, &["one", "two"]);
        assert_eq!(stop(shipper).sum("read"), 1);
    }
}

/// A line end that was cut between its two bytes is one line end.
#[test]
fn a_line_end_of_two_bytes_may_be_cut_between_them() {
    for (name, encode) in ENCODINGS {
        println!("{name}");
        let scene = Scene::new();
        let server = scene.setup.start();
        append(&scene.log(), encode("\u{feff}a\r\nb\r"));
        assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 2);
        assert_eq!(lines(&server), ["a", "b"]);
        append(&scene.log(), encode("\n"));
        let output = scene.once(&[]).expect(0);
        assert_eq!((output.sum("read"), output.stderr.as_str()), (0, ""));
        append(&scene.log(), encode("c\r\n\r\nd\r"));
        assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 3);
        append(&scene.log(), encode("e\r\n"));
        assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 1);
        assert_eq!(lines(&server), ["a", "b", "c", "", "d", "e"]);
    }
}

type Encode = fn(&str) -> Vec<u8>;

const ENCODINGS: [(&str, Encode); 2] = [
    ("UTF-8", |text| text.as_bytes().to_vec()),
    ("UTF-16", |text| {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }),
];
