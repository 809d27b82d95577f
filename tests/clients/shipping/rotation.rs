//! Files that are renamed, replaced, copied and truncated.

use std::fs;

use super::{age, append, copy_and_truncate, events, lines, stop, wait_for_lines, Scene};
use crate::wait::wait_until;

#[test]
fn a_file_that_is_renamed_is_read_to_its_end_and_then_the_new_one() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let (log, old) = (scene.log(), scene.folder.join("app.log.1"));
    // It is waited for.
    let shipper = scene.follow(&[]);
    shipper.wait_for_word("there is no such file yet");
    append(&log, "1\n");
    wait_for_lines(&server, &["1"]);
    append(&log, "2\n");
    fs::rename(&log, &old).unwrap();
    // A writer has it open still, also when the new one is there.
    append(&old, "3\n4");
    append(&log, "new\n");
    wait_for_lines(&server, &["1", "2", "3", "new"]);
    append(&old, " and the rest\nlast");
    wait_until("the rest", || lines(&server).len() == 5);
    // Nobody writes to it any more, so that what has no line end is a line.
    age(&old);
    wait_for_lines(&server, &["1", "2", "3", "new", "4 and the rest", "last"]);
    let output = stop(shipper);
    assert_eq!((output.sum("read"), output.sum("accepted")), (6, 6));
}

#[test]
fn rotations_while_nobody_looked_are_caught_up_with() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let log = scene.log();
    let numbered = |number: u32| scene.folder.join(&format!("app.log.{number}"));
    // Older files that nobody asked for.
    append(&numbered(7), "ancient\n");
    append(&log, "1\n");
    stop({
        let shipper = scene.follow(&[]);
        wait_for_lines(&server, &["1"]);
        shipper
    });
    append(&log, "2\n");
    for text in ["3\n", "4\n", "5\n"] {
        for number in (1..=2).rev().filter(|number| numbered(*number).exists()) {
            fs::rename(numbered(number), numbered(number + 1)).unwrap();
        }
        fs::rename(&log, numbered(1)).unwrap();
        append(&log, text);
    }
    // What is not named like a rotated file is left alone.
    append(&scene.folder.join("app.log.bak"), "other\n");
    assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 4);
    assert_eq!(lines(&server), ["1", "2", "3", "4", "5"]);
}

#[test]
fn a_file_that_was_deleted_while_it_was_read_is_read_to_its_end() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let log = scene.log();
    append(&log, "1\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    server.kill();
    // Nothing can be stored, and files come and go.
    append(&log, "2\n");
    fs::remove_file(&log).unwrap();
    append(&log, "3\n");
    let server = scene.setup.start();
    wait_for_lines(&server, &["1", "2", "3"]);
    stop(shipper);
}

#[test]
fn a_file_that_is_truncated_is_read_from_its_beginning() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let log = scene.log();
    append(&log, "one\ntwo\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["one", "two"]);
    // The same text is another line.
    fs::write(&log, "one\n").unwrap();
    wait_for_lines(&server, &["one", "two", "one"]);
    // Truncated and grown beyond what it was.
    fs::write(&log, "one more\ntwo more\n").unwrap();
    wait_for_lines(&server, &["one", "two", "one", "one more", "two more"]);
    stop(shipper);
    fs::write(&log, "").unwrap();
    append(&log, "1\n");
    assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 1);
    assert_eq!(events(&server).len(), 6);
    assert_eq!(server.json("/stats")["duplicate_dropped"], 0);
}

#[test]
fn what_a_copy_holds_beyond_what_was_read_is_shipped_from_it() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let (log, copy) = (scene.log(), scene.folder.join("app.log.1"));
    append(&log, "1\n2\n");
    scene.once(&[]).expect(0);
    append(&log, "3\n");
    copy_and_truncate(&log, &copy);
    append(&log, "4\n");
    scene.once(&[]).expect(0);
    wait_for_lines(&server, &["1", "2", "3", "4"]);
    // Once the copy has been read it counts no more.
    append(&log, "5\n");
    fs::remove_file(&copy).unwrap();
    copy_and_truncate(&log, &copy);
    append(&log, "6\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1", "2", "3", "4", "5", "6"]);
    append(&log, "7\n");
    wait_for_lines(&server, &["1", "2", "3", "4", "5", "6", "7"]);
    stop(shipper);
}
