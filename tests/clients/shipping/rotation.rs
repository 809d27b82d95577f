//! Files that are renamed, replaced, copied and truncated.

use std::fs;

use rustix::process::Signal;

use super::siblings::state;
use super::{age, append, copy_and_truncate, events, lines, stop, wait_for_lines, Scene};
use crate::harness::Server;
use crate::program::Running;
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

/// What comes to pass between two looks: the shipper is stopped meanwhile.
fn meanwhile(shipper: &Running, happens: impl FnOnce()) {
    shipper.signal(Signal::STOP);
    let stat = format!("/proc/{}/stat", shipper.pid());
    wait_until("the shipper to stop", || {
        fs::read_to_string(&stat).unwrap().contains(") T ")
    });
    happens();
    shipper.signal(Signal::CONT);
}

#[test]
fn copies_are_read_that_were_made_between_two_looks() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let log = scene.log();
    let copy = |number: u32| scene.folder.join(&format!("app.log.{number}"));
    append(&log, "1\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    let mut expected: Vec<String> = vec!["1".to_owned()];
    let mut line = 1;
    let mut write = |expected: &mut Vec<String>| {
        line += 1;
        append(&log, format!("{line}\n"));
        expected.push(line.to_string());
    };
    for round in 0..3 {
        // Truncated twice, and the second time nothing of it has been read.
        meanwhile(&shipper, || {
            for number in 1..=3 {
                write(&mut expected);
                copy_and_truncate(&log, &copy(10 * round + number));
            }
            write(&mut expected);
        });
        wait_for_lines_in_any_order(&server, &expected);
        // From now on it is empty.
        meanwhile(&shipper, || copy_and_truncate(&log, &copy(10 * round + 4)));
        let state_of_empty = || state(&scene).contains("\"offset\":0,");
        wait_until("a look at the empty file", state_of_empty);
        meanwhile(&shipper, || {
            for number in 5..=6 {
                write(&mut expected);
                copy_and_truncate(&log, &copy(10 * round + number));
            }
            write(&mut expected);
        });
        wait_for_lines_in_any_order(&server, &expected);
    }
    stop(shipper);
    assert_eq!(scene.once(&[]).expect(0).sum("read"), 0);
    wait_for_lines_in_any_order(&server, &expected);
}

#[test]
fn a_copy_of_a_file_that_was_truncated_and_then_renamed_is_not_read_from_its_beginning() {
    for is_killed in [false, true] {
        let scene = Scene::new();
        let server = scene.setup.start();
        let log = scene.log();
        append(&log, "1\n2\n");
        let mut shipper = scene.follow(&[]);
        wait_for_lines(&server, &["1", "2"]);
        let change = || {
            append(&log, "3\n");
            copy_and_truncate(&log, &scene.folder.join("app.log.2"));
            append(&log, "4\n");
            fs::rename(&log, scene.folder.join("app.log.1")).unwrap();
            append(&log, "5\n");
            fs::copy(&log, scene.folder.join("app.log-20261130")).unwrap();
        };
        if is_killed {
            stop(shipper);
            change();
            shipper = scene.follow(&[]);
        } else {
            meanwhile(&shipper, change);
        }
        wait_for_lines(&server, &["1", "2", "3", "4", "5"]);
        assert_eq!(stop(shipper).sum("duplicates"), 0);
        assert_eq!(scene.once(&[]).expect(0).sum("read"), 0);
        assert_eq!(lines(&server).len(), 5);
    }
}

/// The bytes before the mark are the same in another file, which is longer than the copy.
#[test]
fn a_copy_is_told_from_a_file_with_lines_that_end_alike() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let log = scene.log();
    let line = |number: u32| format!("{number} {}", "x".repeat(2_000));
    append(&log, line(1) + "\n");
    let shipper = scene.follow(&[]);
    wait_until("the first line", || lines(&server).len() == 1);
    meanwhile(&shipper, || {
        append(&log, line(2) + "\n");
        copy_and_truncate(&log, &scene.folder.join("app.log.2"));
        append(&log, [line(3), line(4), line(5), String::new()].join("\n"));
        copy_and_truncate(&log, &scene.folder.join("app.log.1"));
        append(&log, "6\n");
    });
    let mut expected: Vec<String> = (1..=5).map(line).collect();
    expected.push("6".to_owned());
    wait_for_lines_in_any_order(&server, &expected);
    assert_eq!(stop(shipper).sum("duplicates"), 0);
}

/// Between a look at what lies beside a file and its first line the file can be truncated: then the copy is
/// read after it.
fn wait_for_lines_in_any_order(server: &Server, expected: &[String]) {
    wait_until("the lines", || lines(server).len() >= expected.len());
    let [mut found, mut expected] = [lines(server), expected.to_vec()];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
