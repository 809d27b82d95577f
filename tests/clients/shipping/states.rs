//! Where what is remembered is kept, and by whom.

use std::fs;
use std::path::PathBuf;

use super::{append, lines, stop, text, wait_for_lines, Scene};
use crate::program::{run_at, Running};

/// The names in a folder, sorted.
fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_log_may_have_the_longest_name_that_there_is() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let state = scene.folder.join("state");
    // Two that differ only where the state's name has no room for them, and characters of several bytes.
    let long = [
        "x".repeat(255),
        "x".repeat(254) + "y",
        "é".repeat(127) + "e",
    ];
    for (number, name) in long.iter().enumerate() {
        let log = scene.folder.join(name);
        append(&log, format!("{number}\n"));
        for flags in [&["--once"][..], &["--once", "--state", text(&state)]] {
            let arguments = scene.arguments(text(&log), flags);
            run_at(&scene.url, &arguments, b"").expect(0);
            let output = run_at(&scene.url, &arguments, b"").expect(0);
            assert_eq!(output.sum("read"), 0);
        }
    }
    // The line is the same for both states.
    assert_eq!(lines(&server), ["0", "1", "2"]);
    assert_eq!(names(&state).len(), 3);
}

#[test]
fn a_state_has_one_shipper() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(&scene.log(), "1\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    for flags in [&[][..], &["--once"]] {
        let log = scene.log();
        let arguments = scene.arguments(text(&log), flags);
        let output = run_at(&scene.url, &arguments, b"").expect(1);
        let sentence = "another shipper uses it";
        assert!(output.stderr.contains(sentence), "{output:?}");
    }
    append(&scene.log(), "2\n");
    wait_for_lines(&server, &["1", "2"]);
    // It is held through many writings, and nothing is left of it after a kill.
    drop(shipper);
    append(&scene.log(), "3\n");
    scene.once(&[]).expect(0);
    assert_eq!(lines(&server), ["1", "2", "3"]);
    let found = names(scene.folder.path());
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn of_shippers_that_start_at_once_one_runs() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(&scene.log(), "1\n2\n3\n");
    for _ in 0..5 {
        let log = scene.log();
        let arguments = scene.arguments(text(&log), &[]);
        let mut running: Vec<Running> = (0..4)
            .map(|_| Running::start_at(&scene.url, &arguments))
            .collect();
        // Each but one ends by itself.
        crate::wait::wait_until("all but one to end", || {
            let has_ended = |shipper: &&Running| shipper.stderr().contains("another shipper");
            running.iter().filter(has_ended).count() == 3
        });
        let last = running
            .iter()
            .position(|shipper| shipper.stderr().is_empty());
        let shipper = running.remove(last.unwrap());
        wait_for_lines(&server, &["1", "2", "3"]);
        stop(shipper);
        for ended in running {
            ended.wait().expect(1);
        }
        for name in names(scene.folder.path()) {
            if name.contains(".ship-") {
                fs::remove_file(scene.folder.join(&name)).unwrap();
            }
        }
    }
    let stats = server.json("/stats");
    assert_eq!(stats["unique_processed"], 3);
}

#[test]
fn a_file_that_is_named_twice_is_refused_whatever_the_names() {
    let scene = Scene::new();
    let log = scene.log();
    append(&log, "1\n");
    let again: PathBuf = scene.folder.join("./app.log");
    let mut arguments = scene.arguments(text(&log), &["--once"]);
    arguments.push(text(&again));
    let output = run_at(&scene.url, &arguments, b"").expect(2);
    assert!(output.stderr.contains("named twice"), "{output:?}");
}
