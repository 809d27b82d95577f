//! Files that were compressed before they were seen, and those that were read before.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{age, append, lines, stop, wait_for_lines, Scene};
use crate::wait::wait_until;

fn gzip(path: &Path) {
    let status = Command::new("gzip").arg(path).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_file_that_was_compressed_before_it_was_seen_is_named_once() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let (log, named) = (scene.log(), |name: &str| scene.folder.join(name));
    // What was there before is no part of the log.
    append(&named("app.log.9"), "ancient\n");
    gzip(&named("app.log.9"));
    append(&log, "1\n");
    assert_eq!(scene.once(&[]).expect(0).stderr, "");
    // Two rotations while nobody looks, each with the compression of the file before.
    fs::rename(&log, named("app.log.1")).unwrap();
    gzip(&named("app.log.1"));
    append(&log, "never read\n");
    fs::rename(named("app.log.1.gz"), named("app.log.2.gz")).unwrap();
    fs::rename(&log, named("app.log.1")).unwrap();
    gzip(&named("app.log.1"));
    append(&log, "2\n");
    let output = scene.once(&[]).expect(0);
    let path = named("app.log.1.gz").display().to_string();
    assert_eq!(output.stderr.matches(&path).count(), 1, "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    // Under its next name it is the same.
    fs::rename(named("app.log.2.gz"), named("app.log.3.gz")).unwrap();
    fs::rename(named("app.log.1.gz"), named("app.log.2.gz")).unwrap();
    append(&log, "3\n");
    assert_eq!(scene.once(&[]).expect(0).stderr, "");
    assert_eq!(lines(&server), ["1", "2", "3"]);
}

/// A shipper that runs reads a file to its end whatever becomes of its name.
#[test]
fn a_file_that_is_compressed_while_it_is_followed_is_not_named() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let (log, named) = (scene.log(), |name: &str| scene.folder.join(name));
    append(&log, "1\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    append(&log, "2\n");
    fs::rename(&log, named("app.log.1")).unwrap();
    append(&log, "3\n");
    wait_for_lines(&server, &["1", "2", "3"]);
    age(&named("app.log.1"));
    gzip(&named("app.log.1"));
    fs::rename(&log, named("app.log.0")).unwrap();
    gzip(&named("app.log.0"));
    append(&log, "4\n");
    wait_for_lines(&server, &["1", "2", "3", "4"]);
    // Another look at the folder.
    append(&named("other"), "never read\n");
    gzip(&named("other"));
    fs::rename(named("other.gz"), named("app.log.5.gz")).unwrap();
    wait_until("the one that was never read", || {
        shipper.stderr().contains("app.log.5.gz")
    });
    append(&log, "5\n");
    wait_for_lines(&server, &["1", "2", "3", "4", "5"]);
    let output = stop(shipper);
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
}

/// What was read to its end before it went is nothing to complain of.
#[test]
fn a_rotated_file_that_was_read_and_is_gone_is_not_named() {
    for has_it_compressed in [false, true] {
        let scene = Scene::new();
        let server = scene.setup.start();
        let (log, old) = (scene.log(), scene.folder.join("app.log.1"));
        append(&log, "1\n");
        let shipper = scene.follow(&[]);
        wait_for_lines(&server, &["1"]);
        append(&log, "2\n");
        fs::rename(&log, &old).unwrap();
        append(&log, "3\n");
        wait_for_lines(&server, &["1", "2", "3"]);
        assert_eq!(stop(shipper).stderr, "");
        if has_it_compressed {
            // Of this form nothing tells the length.
            fs::rename(&old, scene.folder.join("app.log.1.xz")).unwrap();
        } else {
            fs::remove_file(&old).unwrap();
        }
        append(&log, "4\n");
        let output = scene.once(&[]).expect(0);
        assert_eq!(output.stderr, "", "{output:?}");
        assert_eq!(lines(&server), ["1", "2", "3", "4"]);
    }
}
