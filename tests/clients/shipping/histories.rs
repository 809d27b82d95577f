//! A server that has another database than the one that the lines went to.

use std::fs;
use std::path::Path;

use super::{append, events, stop, text, wait_for_lines, Scene};
use crate::program::{command, Output, Running};

const NOTICE: &str = "the server has another database now, ";

/// Has the server's database copied, or what was copied put back.
fn copy(scene: &Scene, verb: &str) {
    let database = scene.setup.database_path();
    let there = scene.folder.join("copy.db");
    let (from, to): (&Path, &Path) = match verb {
        "backup" => (database, &there),
        _ => (&there, database),
    };
    let mut command = command(&[verb, "--force", "--from", text(from), "--to", text(to)]);
    Running::spawn(&mut command).finish().expect(0);
}

fn line(number: u32) -> String {
    format!("2026-01-02T03:04:05Z {number}\n")
}

/// The state that the notice names.
fn named_state(output: &Output) -> &str {
    let (_, rest) = output.stderr.split_once("without its state ").unwrap();
    rest.split_once(" the file is").unwrap().0
}

#[test]
fn lines_that_a_restored_database_lacks_are_told_of_and_can_be_shipped_again() {
    let scene = Scene::new();
    let server = scene.setup.start();
    for number in 0..3 {
        append(&scene.log(), line(number));
    }
    assert_eq!(scene.once(&[]).expect(0).stderr, "");
    copy(&scene, "backup");
    append(&scene.log(), line(3));
    assert_eq!(scene.once(&[]).expect(0).stderr, "");
    server.stop();
    copy(&scene, "restore");
    let server = scene.setup.start();
    let output = scene.once(&[]).expect(0);
    assert!(output.stderr.contains(NOTICE), "{output:?}");
    assert_eq!(output.sum("read"), 0);
    // Once.
    let again = scene.once(&[]).expect(0);
    assert_eq!(again.stderr, "");
    fs::remove_file(named_state(&output)).unwrap();
    let output = scene.once(&[]).expect(0);
    assert_eq!(output.stderr, "");
    assert_eq!(
        ["accepted", "duplicates"].map(|sum| output.sum(sum)),
        [1, 3]
    );
    assert!(!output.stdout.contains("another content"), "{output:?}");
    assert_eq!(events(&server).len(), 4);
}

#[test]
fn a_shipper_that_runs_notices_it_when_the_server_is_back() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(&scene.log(), line(0));
    let shipper = scene.follow(&["--give-up-after", "never"]);
    let shown = |number| line(number).trim_end().to_owned();
    wait_for_lines(&server, &[&shown(0)]);
    copy(&scene, "backup");
    append(&scene.log(), line(1));
    wait_for_lines(&server, &[&shown(0), &shown(1)]);
    server.stop();
    append(&scene.log(), line(2));
    shipper.wait_for_word("trying again");
    copy(&scene, "restore");
    let server = scene.setup.start();
    wait_for_lines(&server, &[&shown(0), &shown(2)]);
    shipper.wait_for_word(NOTICE);
    append(&scene.log(), line(3));
    wait_for_lines(&server, &[&shown(0), &shown(2), &shown(3)]);
    let output = stop(shipper);
    assert_eq!(output.stderr.matches(NOTICE).count(), 1, "{output:?}");
}
