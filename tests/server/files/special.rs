//! What is not an ordinary file is refused and never waited for.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{mknodat, FileType, Mode, CWD};

use super::{refused, run};
use crate::harness::{event, Setup};

fn make_fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

/// Each command that opens a database refuses this one with a sentence that holds `part`.
fn refused_by_all(path: &Path, part: &str) {
    let setup = Setup::new();
    let (code, text) = setup.clone().database(path).fail();
    assert_eq!((code, text.lines().count()), (1, 1), "{text}");
    assert!(text.contains(part), "{text}");
    let name = path.to_str().unwrap();
    let copy = setup.directory().join("copy.db");
    let copy = copy.to_str().unwrap();
    refused(&run(["check", name]), part);
    refused(&run(["convert", "--dedup", "index", name]), part);
    refused(&run(["backup", "--from", name, "--to", copy]), part);
    refused(&run(["restore", "--from", name, "--to", copy]), part);
    refused(&run(["checkpoint", name]), "");
    assert!(!Path::new(copy).exists());
}

#[test]
fn a_database_that_is_not_an_ordinary_file() {
    let setup = Setup::new();
    let path = setup.directory().join("special.db");
    make_fifo(&path);
    refused_by_all(&path, "it is a FIFO");
    fs::remove_file(&path).unwrap();

    let socket = UnixListener::bind(&path).unwrap();
    refused_by_all(&path, "it is a socket");
    drop(socket);
    fs::remove_file(&path).unwrap();

    fs::create_dir(&path).unwrap();
    refused_by_all(&path, "it is a folder");
    refused_by_all(Path::new("/dev/zero"), "it is a device");
}

#[test]
fn a_link_to_a_fifo_is_no_database_either() {
    let setup = Setup::new();
    make_fifo(&setup.directory().join("fifo"));
    let link = setup.directory().join("link.db");
    std::os::unix::fs::symlink("fifo", &link).unwrap();
    refused_by_all(&link, "it is a FIFO");
}

/// What SQLite and the lock open beside the database.
#[test]
fn a_companion_that_is_not_an_ordinary_file() {
    for (suffix, kind) in [
        ("-wal", "a FIFO"),
        ("-shm", "a FIFO"),
        ("-journal", "a FIFO"),
        (".lock", "a FIFO"),
        ("-wal", "a folder"),
    ] {
        let setup = Setup::new();
        let server = setup.start();
        server.publish(&event("t", "1")).expect(200);
        server.stop();
        let companion = setup.directory().join(&format!("events.db{suffix}"));
        // The lock's file stays when a server ends.
        let _ = fs::remove_file(&companion);
        match kind {
            "a FIFO" => make_fifo(&companion),
            _ => fs::create_dir(&companion).unwrap(),
        }
        let part = format!("events.db{suffix} is {kind}, not a file");
        refused_by_all(setup.database_path(), &part);
        let _ = fs::remove_file(&companion).or_else(|_| fs::remove_dir(&companion));
        let server = setup.start();
        assert_eq!(server.json("/stats")["unique_processed"], 1);
    }
}

/// Where a copy is to go.
#[test]
fn a_target_that_is_not_an_ordinary_file() {
    let setup = Setup::new();
    setup.start().stop();
    let from = setup.database_path().to_str().unwrap();
    for suffix in ["", ".lock", ".partial"] {
        let to = setup.directory().join("copy.db");
        let special = setup.directory().join(&format!("copy.db{suffix}"));
        make_fifo(&special);
        let to = to.to_str().unwrap();
        refused(&run(["backup", "--from", from, "--to", to, "--force"]), "");
        refused(&run(["restore", "--from", from, "--to", to, "--force"]), "");
        fs::remove_file(special).unwrap();
    }
}
