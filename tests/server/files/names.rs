//! One file under several names has one server.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{refused, run};
use crate::harness::{event, seqs_of, Server, Setup};
use crate::report::skipped;

/// A mount of one file over another; it ends with this value.
struct Mount<'a>(&'a Path);

impl Mount<'_> {
    /// None if this may not be done here.
    fn bind<'a>(file: &Path, over: &'a Path) -> Option<Mount<'a>> {
        fs::write(over, "").unwrap();
        let mut mount = Command::new("mount");
        let done = mount.arg("--bind").arg(file).arg(over).status();
        done.is_ok_and(|status| status.success())
            .then_some(Mount(over))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        // Where it fails, the folder of the test stays.
        let _ = Command::new("umount").arg(self.0).status();
    }
}

fn start_refused(setup: &Setup, part: &str) {
    let (code, text) = setup.fail();
    assert_eq!(code, 1, "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(part), "{text}");
}

/// Nobody but its server has touched the database.
fn is_undisturbed(server: Server) {
    server.publish(&event("t", "2")).expect(200);
    assert_eq!(seqs_of(&server.json("/events")), [2, 1]);
    let setup = server.setup().clone();
    server.kill();
    let server = setup.start();
    assert_eq!(seqs_of(&server.json("/events")), [2, 1]);
    server.stop();
    let path = setup.database_path().to_str().unwrap();
    assert_eq!(run(["check", path]).code, Some(0));
}

#[test]
fn a_file_that_is_mounted_under_another_name_is_not_served_twice() {
    let server = Server::start(&[]);
    server.publish(&event("t", "1")).expect(200);
    let setup = server.setup().clone();
    let other = setup.directory().join("mounted.db");
    let Some(mount) = Mount::bind(setup.database_path(), &other) else {
        skipped("a file mounted under another name", "it takes root");
        return;
    };
    let in_use = "in use by another logagg, under another name";
    start_refused(&setup.clone().database(&other), in_use);
    let (name, copy) = (other.to_str().unwrap(), setup.directory().join("copy.db"));
    let copy = copy.to_str().unwrap();
    refused(&run(["convert", "--dedup", "constraint", name]), in_use);
    // What they would read lacks the newest events.
    refused(&run(["check", name]), in_use);
    refused(&run(["backup", "--from", name, "--to", copy]), in_use);
    refused(&run(["checkpoint", name]), in_use);
    // What is put in place under that name would be written over by the server.
    let database = setup.database_path().to_str().unwrap();
    let backup = ["backup", "--from", database, "--to", copy];
    assert_eq!(run(backup).code, Some(0));
    let restore = ["restore", "--from", copy, "--to", name, "--force"];
    refused(&run(restore), in_use);
    let backup = ["backup", "--from", copy, "--to", name, "--force"];
    refused(&run(backup), in_use);
    drop(mount);
    is_undisturbed(server);
}

#[test]
fn a_server_on_a_mounted_file_keeps_others_off_the_file() {
    let setup = Setup::new();
    setup.start().stop();
    let other = setup.directory().join("mounted.db");
    let Some(mount) = Mount::bind(setup.database_path(), &other) else {
        skipped("a server on a mounted file", "it takes root");
        return;
    };
    let server = setup.clone().database(&other).start();
    server.log().wait_for(1, "is mounted by itself");
    server.publish(&event("t", "1")).expect(200);
    start_refused(&setup, "in use by another logagg, under another name");
    server.publish(&event("t", "2")).expect(200);
    server.stop();
    drop(mount);
    let server = setup.start();
    assert_eq!(seqs_of(&server.json("/events")), [2, 1]);
    server.stop();
}

#[test]
fn a_file_with_several_hard_links_is_refused() {
    let server = Server::start(&[]);
    server.publish(&event("t", "1")).expect(200);
    let setup = server.setup().clone();
    let other = setup.directory().join("link.db");
    fs::hard_link(setup.database_path(), &other).unwrap();
    let (name, copy) = (other.to_str().unwrap(), setup.directory().join("copy.db"));
    let copy = copy.to_str().unwrap();
    start_refused(&setup.clone().database(&other), "2 names (hard links)");
    let convert = run(["convert", "--dedup", "constraint", name]);
    refused(&convert, "2 names (hard links)");
    let in_use = "in use by another logagg, under another name";
    refused(&run(["check", name]), in_use);
    refused(&run(["backup", "--from", name, "--to", copy]), in_use);
    server.stop();
    start_refused(&setup, "2 names (hard links)");
    fs::remove_file(&other).unwrap();
    is_undisturbed(setup.start());
}

/// Whoever removes the lock file, as with `rm events.db.*`, does not let a second server in.
#[test]
fn a_lock_file_that_has_been_removed_lets_nobody_in() {
    let server = Server::start(&[]);
    server.publish(&json!([event("t", "1")])).expect(200);
    let setup = server.setup().clone();
    let lock = setup.directory().join("events.db.lock");
    fs::remove_file(&lock).unwrap();
    start_refused(&setup, "in use by another logagg");
    is_undisturbed(server);
}
