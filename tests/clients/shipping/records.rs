//! `--multiline`: several lines that are one record.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use super::{append, events, lines, stop, wait_for_lines, Scene};

const TRACE: &str = "2026-11-30 01:02:03 +0100 ERROR it failed\n\
                     java.lang.IllegalStateException: no\n\
                     \tat com.example.App.run(App.java:42)\n\
                     Caused by: java.io.IOException: closed\n\
                     \t... 2 more";

#[test]
fn a_stack_trace_is_one_event_with_the_line_before_it() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let rest = "{\"n\":1}\n2026-11-30 01:02:04 last";
    append(&scene.log(), format!("first\n{TRACE}\n{rest}"));
    let output = scene.once(&["--multiline", "auto"]).expect(0);
    assert_eq!((output.sum("read"), output.sum("accepted")), (4, 4));
    let last = "2026-11-30 01:02:04 last";
    assert_eq!(lines(&server), ["first", TRACE, "{\"n\":1}", last]);
    let found = events(&server);
    assert_eq!(found[1]["timestamp"], "2026-11-30 01:02:03+01:00");
    assert_eq!(
        scene.once(&["--multiline", "auto"]).expect(0).sum("read"),
        0
    );
}

#[test]
fn a_pattern_tells_where_records_begin() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(&scene.log(), b"\xff\xfe");
    let text = "{\n  \"a\": 1.50,\r\n  \"b\": [\"ä\"]\n}\n{\"c\":2}\n";
    let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    append(&scene.log(), text);
    scene.once(&["--multiline", r"^\{"]).expect(0);
    let payloads: Vec<Value> = events(&server)
        .iter()
        .map(|event| event["payload"].clone())
        .collect();
    let expected = serde_json::json!([{"a": 1.50, "b": ["ä"]}, {"c": 2}]);
    assert_eq!(Value::from(payloads), expected);
    for wrong in ["", "(", "["] {
        let output = scene.once(&["--multiline", wrong]).expect(2);
        assert!(output.stderr.contains("--multiline"), "{output:?}");
    }
}

/// The last record is not held for ever; what comes later begins another.
#[test]
fn a_record_ends_where_nobody_has_written_for_a_while() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let shipper = scene.follow(&["--multiline", "^[0-9]"]);
    append(&scene.log(), "1 a\n  b\n");
    wait_for_lines(&server, &["1 a\n  b"]);
    append(&scene.log(), "  late\n");
    wait_for_lines(&server, &["1 a\n  b", "  late"]);
    // A line that is begun holds nothing up, and is a line of its own.
    append(&scene.log(), "2 c\nbegun");
    wait_for_lines(&server, &["1 a\n  b", "  late", "2 c"]);
    append(&scene.log(), " and ended\n3 d\n");
    let expected = ["1 a\n  b", "  late", "2 c", "begun and ended", "3 d"];
    wait_for_lines(&server, &expected);
    assert_eq!(stop(shipper).sum("duplicates"), 0);
}

/// What is published again after a kill is the same record, also where its end was only that nobody wrote.
#[test]
fn a_record_that_was_perhaps_published_stays_the_same() {
    let scene = Scene::new();
    append(&scene.log(), "1 a\n  b\n");
    let flags = ["--multiline", "^[0-9]", "--give-up-after", "0"];
    // All is announced, and there is no server.
    scene.once(&flags).expect(1);
    append(&scene.log(), "  late\n2 c\n");
    let server = scene.setup.start();
    scene.once(&flags).expect(0);
    assert_eq!(lines(&server), ["1 a\n  b", "  late", "2 c"]);
    assert_eq!(server.json("/stats")["conflicts"], 0);
}

/// Shippers are killed within records of many sizes, and begin again with and without what they remembered.
#[test]
fn records_are_stored_once_through_kills() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let mut expected = Vec::new();
    let mut text = String::new();
    for number in 0..400 {
        let count = [0, 1, 2, 30, 999][number % 5];
        let more = |line| format!("\n  line {line} of {number}{}", "x".repeat(number % 50));
        let record = format!(
            "{number} begins{}",
            (0..count).map(more).collect::<String>()
        );
        text += &record;
        text += "\n";
        expected.push(record);
    }
    assert!(text.len() > 3 << 20, "{}", text.len());
    let flags = ["--multiline", "^[0-9]+ begins"];
    let mut at = 0;
    while at < text.len() {
        let shipper = scene.follow(&flags);
        // It ends within a record or not; what has been written by then is not shipped before the kill, or is.
        for piece in [1_000, 300_000, 77, 150_001] {
            let next = text.len().min(at + piece);
            append(&scene.log(), &text[at..next]);
            at = next;
            let before = lines_stored(&server);
            super::wait_until("something to be shipped", || {
                at == text.len() || piece < 100_000 || lines_stored(&server) > before
            });
        }
        shipper.signal(Signal::KILL);
        assert_eq!(shipper.wait().code, None);
    }
    scene.once(&flags).expect(0);
    // On a slow machine a record may have ended in a pause between two pieces.
    let stored = lines(&server);
    assert!(stored.len() >= expected.len());
    assert_eq!(stored.join("\n"), expected.join("\n"));
    for entry in fs::read_dir(scene.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path != scene.log() {
            fs::remove_file(path).unwrap();
        }
    }
    let output = scene.once(&flags).expect(0);
    let sums = (output.sum("accepted"), output.sum("duplicates"));
    assert_eq!(sums, (0, 400));
    assert_eq!(lines(&server), stored);
}

fn lines_stored(server: &crate::harness::Server) -> u64 {
    server.json("/stats")["unique_processed"].as_u64().unwrap()
}

/// A record that has no end is cut, always at the same place.
#[test]
fn records_are_bounded() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let short = format!("begin\n{}", "x\n".repeat(2_500));
    let long = format!("begin\n{}", format!("{}\n", "y".repeat(99_999)).repeat(5));
    let longest = format!("begin\n{}\nlast\n", "z".repeat(1_100_000));
    append(&scene.log(), [short, long, longest].concat());
    scene.once(&["--multiline", "^begin"]).expect(0);
    let found = lines(&server);
    let counts: Vec<usize> = found.iter().map(|text| text.split('\n').count()).collect();
    assert_eq!(counts, [1_000, 1_000, 501, 3, 2, 1, 1, 1, 1, 1]);
    let total: usize = found.iter().map(|text| text.len() + 1).sum();
    let length = fs::metadata(scene.log()).unwrap().len() as usize;
    // A piece that goes on has no line end.
    assert_eq!(total, length + 1);
}
