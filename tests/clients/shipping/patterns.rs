//! Patterns that `ship` watches itself: files that appear, are rotated within the pattern, and go.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use rustix::process::Signal;

use super::{age, append, copy_and_truncate, lines, stop, text, wait_for_lines, Scene};
use crate::harness::Server;
use crate::program::{run_at, Output};
use crate::wait::wait_until;

fn wait_for_set(server: &Server, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let mut found = Vec::new();
    wait_until(&format!("the lines {expected:?}"), || {
        found = lines(server);
        found.sort();
        found.len() >= expected.len()
    });
    assert_eq!(found, expected);
}

/// All is stored, and nothing comes twice, not even to be dropped.
fn assert_whole(server: &Server, output: &Output, expected: &[&str]) {
    wait_for_set(server, expected);
    let stats = server.json("/stats");
    assert_eq!(stats["duplicate_dropped"], 0, "{output:?} {stats}");
}

#[test]
fn files_that_appear_later_are_shipped_from_their_beginning() {
    let scene = Scene::matching("logs/*.log");
    let server = scene.setup.start();
    let file = |name: &str| scene.folder.join(&format!("logs/{name}"));
    let shipper = scene.follow(&["--from-end"]);
    shipper.wait_for_word("no file matches");
    fs::create_dir(scene.folder.join("logs")).unwrap();
    append(&file("a.log"), "a1\n");
    wait_for_lines(&server, &["a1"]);
    append(&file("b.log"), "b1\n");
    append(&file("c.txt"), "no match\n");
    wait_for_lines(&server, &["a1", "b1"]);
    append(&file("a.log"), "a2\n");
    wait_for_lines(&server, &["a1", "b1", "a2"]);
    let output = stop(shipper);
    assert_eq!(
        output.stderr.matches("no file matches").count(),
        1,
        "{output:?}"
    );
    // While nobody looks.
    append(&file("d.log"), "d1\n");
    append(&file("b.log"), "b2\n");
    let output = scene.once(&["--from-end"]).expect(0);
    assert_whole(&server, &output, &["a1", "b1", "a2", "b2", "d1"]);
}

#[test]
fn files_that_are_there_at_first_are_begun_at_their_ends_if_that_is_asked_for() {
    let scene = Scene::matching("app*");
    let server = scene.setup.start();
    append(&scene.folder.join("app.log.1"), "older\n");
    append(&scene.log(), "old\n");
    let shipper = scene.follow(&["--from-end"]);
    let has_state = || fs::read_dir(scene.folder.path()).unwrap().count() >= 4;
    wait_until("the states", has_state);
    append(&scene.folder.join("app2.log"), "new\n");
    wait_for_lines(&server, &["new"]);
    append(&scene.log(), "1\n");
    wait_for_lines(&server, &["new", "1"]);
    shipper.signal(Signal::KILL);
    shipper.wait();
    scene.once(&["--from-end"]).expect(0);
    wait_for_set(&server, &["new", "1"]);
}

#[test]
fn files_that_are_rotated_within_the_pattern_are_shipped_once() {
    let scene = Scene::matching("app*");
    let server = scene.setup.start();
    let (log, named) = (scene.log(), |name: &str| scene.folder.join(name));
    append(&named("app.log.2"), "1\n");
    append(&named("app.log.1"), "2\n");
    append(&log, "3\n");
    let rotate = |next: &str| {
        for number in (1..6).rev() {
            let old = named(&format!("app.log.{number}"));
            let _ = fs::rename(old, named(&format!("app.log.{}", number + 1)));
        }
        fs::rename(&log, named("app.log.1")).unwrap();
        append(&log, next);
    };
    let shipper = scene.follow(&[]);
    wait_for_set(&server, &["1", "2", "3"]);
    rotate("4\n");
    wait_for_set(&server, &["1", "2", "3", "4"]);
    shipper.signal(Signal::KILL);
    shipper.wait();
    // While nobody looks, and more than once.
    append(&log, "5\n");
    rotate("6\n");
    rotate("7\n");
    fs::rename(named("app.log.1"), named("app.log-20261130")).unwrap();
    let shipper = scene.follow(&[]);
    let expected = ["1", "2", "3", "4", "5", "6", "7"];
    wait_for_set(&server, &expected);
    append(&named("app.log-20261130"), "late\n");
    let expected = [&expected[..], &["late"]].concat();
    wait_for_set(&server, &expected);
    fs::copy(&log, named("app.log-20261201")).unwrap();
    append(&log, "8\n");
    let expected = [&expected[..], &["8"]].concat();
    wait_for_set(&server, &expected);
    stop(shipper);
    // What a kill made come again is dropped.
    let output = scene.once(&[]).expect(0);
    assert_eq!(output.sum("read"), 0, "{output:?}");
    wait_for_set(&server, &expected);
}

#[test]
fn copies_and_dated_files_within_the_pattern_are_shipped_once() {
    for copy in ["app.log.1", "app-20261130.log", "app-1.log"] {
        let pattern = if copy == "app.log.1" { "app*" } else { "*.log" };
        let scene = Scene::matching(pattern);
        let server = scene.setup.start();
        let (log, copy) = (scene.log(), scene.folder.join(copy));
        append(&log, "1\n");
        let shipper = scene.follow(&[]);
        wait_for_lines(&server, &["1"]);
        append(&log, "2\n");
        copy_and_truncate(&log, &copy);
        append(&log, "3\n");
        wait_for_set(&server, &["1", "2", "3"]);
        // The copy lies there for some looks.
        for number in 0..2 {
            append(&scene.folder.join(&format!("other{number}.log")), "");
            append(&scene.folder.join("app0.log"), format!("more {number}\n"));
            wait_until("another look", || lines(&server).len() == 4 + number);
        }
        stop(shipper);
        let output = scene.once(&[]).expect(0);
        let expected = ["1", "2", "3", "more 0", "more 1"];
        assert_whole(&server, &output, &expected);
        // The same by a rename, while nobody looks.
        append(&log, "4\n");
        fs::remove_file(&copy).unwrap();
        fs::rename(&log, &copy).unwrap();
        append(&log, "5\n");
        let output = scene.once(&[]).expect(0);
        assert_whole(&server, &output, &[&expected[..], &["4", "5"]].concat());
    }
}

#[test]
fn another_log_that_is_called_as_a_rotated_one_is_shipped() {
    let scene = Scene::matching("*.log");
    let server = scene.setup.start();
    append(&scene.folder.join("app-2.log"), "other 1\n");
    append(&scene.log(), "1\n");
    let output = scene.once(&[]).expect(0);
    assert_whole(&server, &output, &["1", "other 1"]);
    let shipper = scene.follow(&[]);
    append(&scene.folder.join("app-3.log"), "one more\n");
    append(&scene.folder.join("app-2.log"), "other 2\n");
    let expected = ["1", "other 1", "other 2", "one more"];
    wait_for_set(&server, &expected);
    assert_whole(&server, &stop(shipper), &expected);
}

#[test]
fn a_file_that_is_gone_is_forgotten_and_shipped_when_it_is_made_again() {
    let scene = Scene::matching("*.log");
    let server = scene.setup.start();
    let (log, keeper) = (scene.log(), scene.folder.join("keeper.log"));
    let states = || {
        let names = fs::read_dir(scene.folder.path()).unwrap();
        let names = names.map(|name| name.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().contains(".ship-"))
            .count()
    };
    append(&keeper, "0\n");
    append(&log, "1\n");
    let shipper = scene.follow(&[]);
    wait_for_set(&server, &["0", "1"]);
    wait_until("three states", || states() == 3);
    append(&log, "2\nend");
    age(&log);
    fs::remove_file(&log).unwrap();
    wait_until("it to be forgotten", || states() == 2);
    wait_for_set(&server, &["0", "1", "2", "end"]);
    append(&log, "3\n");
    wait_for_set(&server, &["0", "1", "2", "3", "end"]);
    // Under a name that no rotation gives.
    append(&log, "4\n");
    fs::rename(&log, scene.folder.join("renamed.log")).unwrap();
    append(&scene.folder.join("renamed.log"), "5\n");
    let expected = ["0", "1", "2", "3", "4", "5", "end"];
    wait_for_set(&server, &expected);
    wait_until("it to have its own state", || states() == 4);
    stop(shipper);
    let output = scene.once(&[]).expect(0);
    assert_whole(&server, &output, &expected);
}

#[test]
fn what_is_no_log_is_passed_over_and_a_file_with_two_names_is_shipped_once() {
    let scene = Scene::matching("*");
    let server = scene.setup.start();
    let named = |name: &str| scene.folder.join(name);
    append(&named("a.log"), "1\n");
    append(&named("b.log.gz"), "compressed\n");
    append(&named(".hidden"), "hidden\n");
    fs::create_dir(named("folder")).unwrap();
    fs::hard_link(named("a.log"), named("hard.log")).unwrap();
    symlink("a.log", named("link.log")).unwrap();
    symlink("nowhere", named("dangling.log")).unwrap();
    let _socket = UnixListener::bind(named("socket")).unwrap();
    let made = Command::new("mkfifo").arg(named("fifo")).status().unwrap();
    assert!(made.success());
    // In the folder itself, with the states beside the files and a name besides the pattern.
    let (pattern, file) = (named("*"), named("a.log"));
    let mut arguments = scene.arguments(text(&pattern), &["--once"]);
    arguments.push(text(&file));
    for read in [1, 0] {
        let output = run_at(&scene.url, &arguments, b"").expect(0);
        assert_eq!(output.sum("read"), read, "{output:?}");
        assert_eq!(output.stderr.matches("compressed").count(), 1, "{output:?}");
    }
    wait_for_lines(&server, &["1"]);
    let state = scene.folder.join("*");
    let folder = text(scene.folder.path());
    let arguments = scene.arguments(text(&state), &["--once", "--state", folder]);
    run_at(&scene.url, &arguments, b"").expect(0);
    run_at(&scene.url, &arguments, b"").expect(0);
    assert_eq!(lines(&server), ["1"]);
}

#[test]
fn folders_may_have_wildcards() {
    let scene = Scene::matching("*/[ab].log");
    let server = scene.setup.start();
    let shipper = scene.follow(&[]);
    for (number, folder) in ["one", "two"].into_iter().enumerate() {
        let folder = scene.folder.join(folder);
        fs::create_dir(&folder).unwrap();
        append(&folder.join("a.log"), format!("{number}\n"));
        append(&folder.join("c.log"), "no match\n");
    }
    wait_for_set(&server, &["0", "1"]);
    assert_whole(&server, &stop(shipper), &["0", "1"]);
}

#[test]
fn patterns_without_matches_and_wrong_ones_are_told() {
    let scene = Scene::matching("*.log");
    let _server = scene.setup.start();
    let output = scene.once(&[]).expect(1);
    assert!(output.stderr.contains("no file matches"), "{output:?}");
    for wrong in ["[a.log", "a***", "**/a.log"] {
        let arguments = scene.arguments(wrong, &["--once"]);
        let output = run_at(&scene.url, &arguments, b"").expect(2);
        assert!(output.stderr.contains("is not a pattern"), "{output:?}");
    }
    // A file that is called so is no pattern.
    let literal = scene.folder.join("[a.log");
    append(&literal, "1\n");
    let arguments = scene.arguments(text(&literal), &["--once"]);
    assert_eq!(run_at(&scene.url, &arguments, b"").expect(0).sum("read"), 1);
}
