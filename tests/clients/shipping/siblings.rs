//! Files beside a log file: which of them it was, and which are others.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{age, append, copy_and_truncate, lines, stop, text, wait_for_lines, Scene};
use crate::wait::wait_until;

/// The text of the state beside the log file.
pub(super) fn state(scene: &Scene) -> String {
    let entries = fs::read_dir(scene.folder.path()).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let state = paths.find(|path| text(path).contains("/.app.log.ship-"));
    // It is replaced now and then.
    fs::read_to_string(state.expect("the state is beside the file")).unwrap_or_default()
}

#[test]
fn a_rotated_file_is_shipped_from_as_long_as_it_lies_there() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let (log, old) = (scene.log(), scene.folder.join("app.log.1"));
    let older = scene.folder.join("app.log.2");
    append(&log, "1\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    fs::rename(&log, &old).unwrap();
    append(&log, "2\n");
    wait_for_lines(&server, &["1", "2"]);
    age(&old);
    let is_done = |number| state(&scene).matches("\"is_done\":true").count() == number;
    wait_until("it to be done with", || is_done(1));
    append(&old, "late\n");
    wait_for_lines(&server, &["1", "2", "late"]);
    // Under its next name, and after a restart, too.
    age(&old);
    wait_until("it to be done with again", || is_done(1));
    fs::rename(&old, &older).unwrap();
    append(&older, "later\n");
    wait_for_lines(&server, &["1", "2", "late", "later"]);
    age(&older);
    wait_until("it to be done with at last", || is_done(1));
    stop(shipper);
    append(&older, "last\n");
    assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 1);
    age(&older);
    let shipper = scene.follow(&[]);
    wait_until("it to be done with in the end", || is_done(1));
    fs::remove_file(&older).unwrap();
    wait_until("it to be forgotten", || is_done(0));
    let output = stop(shipper);
    assert_eq!((output.sum("read"), output.stderr.as_str()), (0, ""));
    assert_eq!(lines(&server).len(), 5);
}

#[test]
fn another_log_that_is_called_alike_is_not_shipped() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let log = scene.log();
    append(&log, "1\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    append(&scene.folder.join("app-2.log"), "other\n");
    append(&scene.folder.join("app-20261130.log"), "other as well\n");
    append(&log, "2\n");
    wait_for_lines(&server, &["1", "2"]);
    fs::rename(&log, scene.folder.join("app.log.1")).unwrap();
    append(&log, "3\n");
    wait_for_lines(&server, &["1", "2", "3"]);
    stop(shipper);
    // While nobody looks nothing tells but the name.
    append(&scene.folder.join("app-3.log"), "one more\n");
    fs::rename(&log, scene.folder.join("app.log.2")).unwrap();
    append(&log, "4\n");
    let output = scene.once(&[]).expect(0);
    assert!(output.stderr.contains("app-3.log"), "{output:?}");
    wait_for_lines(&server, &["1", "2", "3", "4"]);
}

#[test]
fn rotated_files_with_the_number_before_the_extension_are_known_by_the_first() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let log = scene.log();
    append(&log, "1\n");
    scene.once(&[]).expect(0);
    for number in 1..=3 {
        fs::rename(&log, scene.folder.join(&format!("app-{number}.log"))).unwrap();
        append(&log, format!("{}\n", number + 1));
    }
    scene.once(&[]).expect(0);
    // Files that were made at once have no order.
    let mut found = lines(&server);
    found.sort();
    assert_eq!(found, ["1", "2", "3", "4"]);
}

#[test]
fn a_copy_is_not_shipped_again() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let log = scene.log();
    append(&log, "1\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    fs::copy(&log, scene.folder.join("app.log-20261130")).unwrap();
    append(&log, "2\n");
    wait_for_lines(&server, &["1", "2"]);
    stop(shipper);
    // Of the same log, while nobody looks: as long as it and shorter.
    append(&log, "3\n");
    fs::copy(&log, scene.folder.join("app.log-20261201")).unwrap();
    append(&log, "4\n");
    fs::copy(&log, scene.folder.join("app.log-20261202")).unwrap();
    fs::rename(&log, scene.folder.join("app.log.1")).unwrap();
    append(&log, "5\n");
    let output = scene.once(&[]).expect(0);
    wait_for_lines(&server, &["1", "2", "3", "4", "5"]);
    assert_eq!(output.sum("read"), 3);
    // In place of the file itself.
    append(&log, "6\n");
    fs::copy(&log, scene.folder.join("app.log.0")).unwrap();
    fs::remove_file(&log).unwrap();
    append(&log, "7\n");
    let output = scene.once(&[]).expect(0);
    wait_for_lines(&server, &["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!((output.sum("read"), output.stderr.as_str()), (2, ""));
}

/// What was shipped between the copy and the truncation is not in the copy.
#[test]
fn a_copy_that_holds_less_than_was_shipped_is_not_shipped_again() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let log = scene.log();
    append(&log, "1\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    fs::copy(&log, scene.folder.join("app.log.1")).unwrap();
    append(&log, "2\n");
    wait_for_lines(&server, &["1", "2"]);
    fs::write(&log, "3\n4\n5\n").unwrap();
    wait_for_lines(&server, &["1", "2", "3", "4", "5"]);
    stop(shipper);
    fs::copy(&log, scene.folder.join("app.log.0")).unwrap();
    append(&log, "6\n");
    scene.once(&[]).expect(0);
    fs::write(&log, "7\n8\n9\n10\n11\n").unwrap();
    assert_eq!(scene.once(&[]).expect(0).sum("read"), 5);
    assert_eq!(lines(&server).len(), 11);
}

#[test]
fn each_copy_is_read_that_was_made_while_nobody_looked() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let log = scene.log();
    append(&log, "1\n");
    scene.once(&[]).expect(0);
    for number in 1..=3 {
        append(&log, format!("end of {number}\n"));
        copy_and_truncate(
            &log,
            &scene.folder.join(&format!("app.log-2026010{number}")),
        );
        append(&log, format!("begin of {}\n", number + 1));
    }
    scene.once(&[]).expect(0);
    let expected = [
        "1",
        "end of 1",
        "begin of 2",
        "end of 2",
        "begin of 3",
        "end of 3",
        "begin of 4",
    ];
    wait_for_lines(&server, &expected);
}

/// As Kubernetes has it: a link to a file that is rotated in its own folder, and compressed later.
#[test]
fn a_file_that_a_link_leads_to_is_rotated_in_its_folder() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let pod = scene.folder.join("pods/default_web/web");
    fs::create_dir_all(&pod).unwrap();
    let file = pod.join("0.log");
    append(&file, "1\n");
    // Another run of the container.
    append(&pod.join("1.log"), "other\n");
    symlink("pods/default_web/web/0.log", scene.log()).unwrap();
    let rotate = |number: u32| {
        let old = pod.join(format!("0.log.20261130-01020{number}"));
        fs::rename(&file, &old).unwrap();
        old
    };
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    append(&file, "2\n");
    rotate(1);
    append(&file, "3\n");
    wait_for_lines(&server, &["1", "2", "3"]);
    stop(shipper);
    append(&file, "4\n");
    rotate(2);
    append(&file, "5\n");
    rotate(3);
    append(&file, "6\n");
    gzip(&pod.join("0.log.20261130-010201"));
    let output = scene.once(&[]).expect(0);
    assert_eq!(output.stderr, "");
    wait_for_lines(&server, &["1", "2", "3", "4", "5", "6"]);
}

fn gzip(path: &Path) {
    let status = Command::new("gzip").arg(path).status();
    assert!(status.expect("gzip is there").success());
}

#[test]
fn files_that_a_link_led_to_while_nobody_looked_are_shipped() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let day = |number: u32| scene.folder.join(&format!("day-2026-11-{number:02}.log"));
    let link_to = |path: &PathBuf| {
        let new = scene.folder.join("new");
        symlink(path, &new).unwrap();
        fs::rename(&new, scene.log()).unwrap();
    };
    append(&day(1), "before\n");
    append(&day(2), "1\n");
    link_to(&day(2));
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    append(&day(3), "3\n");
    append(&day(2), "2\n");
    link_to(&day(3));
    wait_for_lines(&server, &["1", "2", "3"]);
    stop(shipper);
    append(&day(3), "4\n");
    append(&day(4), "5\n");
    link_to(&day(4));
    append(&day(5), "6\n");
    link_to(&day(5));
    append(&day(6), "after\n");
    scene.once(&[]).expect(0);
    wait_for_lines(&server, &["1", "2", "3", "4", "5", "6"]);
}

#[test]
fn a_file_that_was_compressed_before_it_was_read_is_named() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let (log, old) = (scene.log(), scene.folder.join("app.log.1"));
    append(&log, "1\n");
    scene.once(&[]).expect(0);
    // All of it had been read.
    fs::rename(&log, &old).unwrap();
    gzip(&old);
    append(&log, "2\n");
    assert_eq!(scene.once(&[]).expect(0).stderr, "");
    append(&log, "lost\n");
    fs::remove_file(scene.folder.join("app.log.1.gz")).unwrap();
    fs::rename(&log, &old).unwrap();
    gzip(&old);
    append(&log, "3\n");
    let output = scene.once(&[]).expect(0);
    assert!(output.stderr.contains("compressed"), "{output:?}");
    assert_eq!(scene.once(&[]).expect(0).stderr, "");
    assert_eq!(lines(&server), ["1", "2", "3"]);
}

/// A folder on a file system that does not tell when files were made.
struct Ramfs(PathBuf);

impl Ramfs {
    fn mount(path: PathBuf) -> Option<Ramfs> {
        fs::create_dir(&path).unwrap();
        let mut command = Command::new("mount");
        let status = command.args(["-t", "ramfs", "ramfs"]).arg(&path).output();
        let is_mounted = status.is_ok_and(|output| output.status.success());
        is_mounted.then_some(Ramfs(path))
    }
}

impl Drop for Ramfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn nothing_is_lost_where_births_are_not_told() {
    let scene = Scene::new();
    let Some(folder) = Ramfs::mount(scene.folder.join("ramfs")) else {
        let _ = writeln!(io::stderr(), "SKIPPED ship on ramfs: mounting takes root");
        return;
    };
    let server = scene.setup.start();
    let log = folder.0.join("app.log");
    let named = |name: &str| folder.0.join(name);
    let once = || {
        let arguments = scene.arguments(text(&log), &["--once"]);
        crate::program::run_at(&scene.url, &arguments, b"").expect(0)
    };
    append(&named("app.log.7"), "ancient\n");
    append(&log, "1\n");
    once();
    // Rotated twice, and a log that is called alike.
    append(&named("app-2.log"), "other\n");
    append(&log, "2\n");
    fs::rename(&log, named("app.log.2")).unwrap();
    append(&log, "3\n");
    fs::rename(&log, named("app.log.1")).unwrap();
    append(&log, "4\n");
    once();
    wait_for_lines(&server, &["1", "2", "3", "4"]);
    append(&log, "5\n");
    copy_and_truncate(&log, &named("app.log.0"));
    append(&log, "6\n");
    once();
    wait_for_lines(&server, &["1", "2", "3", "4", "5", "6"]);
    fs::copy(&log, named("app.log-20261130")).unwrap();
    fs::rename(&log, named("app.log.3")).unwrap();
    append(&log, "7\n");
    once();
    wait_for_lines(&server, &["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(server.json("/stats")["duplicate_dropped"], 0);
}
