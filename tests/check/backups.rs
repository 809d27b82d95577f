//! `logagg backup` and `logagg restore` on databases that no server is busy with: what is copied, what is
//! refused, and what is left when they are killed or the disk is full.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use logagg::store::{Dedup, Store};

use crate::databases::{fill, options, program, run, Database, Said, PROGRAM, SMALL};

/// Kills of either command.
const KILLS: u32 = 5;

/// The command `backup` or `restore` with these flags.
fn command(verb: &str, from: &Path, to: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg(verb).arg("--from").arg(from);
    command.arg("--to").arg(to).args(flags);
    command
}

fn done(verb: &str, from: &Path, to: &Path, flags: &[&str]) -> Said {
    let said = run(&mut command(verb, from, to, flags));
    assert_eq!((said.code, said.error.as_str()), (0, ""), "{verb}");
    said
}

fn refused(said: &Said, sentence: &str) {
    assert_eq!((said.code, said.output.as_str()), (1, ""), "{}", said.error);
    assert_eq!(said.error.lines().count(), 1, "{}", said.error);
    assert!(said.error.contains(sentence), "{}", said.error);
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A database to copy to: no file yet, in a folder of its own.
fn nowhere() -> Database {
    Database::new()
}

#[test]
fn a_copy_holds_what_the_database_holds_and_is_one_file() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        let database = Database::small(dedup);
        let content = database.content();
        let copy = nowhere();
        let said = done("backup", &database.path, &copy.path, &[]);
        let sentence = format!("copied and checked {SMALL} events: ");
        assert!(said.output.starts_with(&sentence), "{}", said.output);
        assert_eq!(copy.files(), ["events.db"]);
        assert_eq!(database.files(), ["events.db"]);
        assert_eq!(copy.content(), content);
        copy.is_clean();

        let folder = nowhere();
        let mut restored = folder.path.clone();
        restored.set_file_name("new/folders/events.db");
        done("restore", &copy.path, &restored, &[]);
        let mut store = Store::open(&options(&restored, Some(dedup))).unwrap();
        assert_eq!(store.counters().unique_processed, SMALL);
        fill(&mut store, 0..SMALL);
        assert_eq!(store.counters().unique_processed, SMALL);
        fill(&mut store, SMALL..SMALL + 10);
        assert_eq!(store.counters().unique_processed, SMALL + 10);
        store.close().unwrap();
        let said = program(&["check", restored.to_str().unwrap()]);
        assert_eq!(said.code, 0, "{}", said.output);
    }
}

#[test]
fn what_a_server_left_in_its_log_is_copied() {
    let database = Database::new();
    let mut store = Store::open(&options(&database.path, None)).unwrap();
    fill(&mut store, 0..1_000);
    let killed = nowhere();
    for suffix in ["", "-wal"] {
        fs::copy(beside(&database.path, suffix), beside(&killed.path, suffix)).unwrap();
    }
    for from in [&database, &killed] {
        let copy = nowhere();
        let said = done("backup", &from.path, &copy.path, &[]);
        assert!(said.output.contains(" 1000 events"), "{}", said.output);
        assert_eq!(copy.files(), ["events.db"]);
        assert!(copy.is_clean().output.contains("events: 1000\n"));
        // A live database can be restored from, too.
        let restored = nowhere();
        done("restore", &from.path, &restored.path, &[]);
        assert!(restored.is_clean().output.contains("events: 1000\n"));
    }
    store.close().unwrap();
}

#[test]
fn a_database_without_events_is_copied() {
    for dedup in [Dedup::Index, Dedup::Constraint] {
        let database = Database::new();
        let store = Store::open(&options(&database.path, Some(dedup))).unwrap();
        store.close().unwrap();
        let copy = nowhere();
        done("backup", &database.path, &copy.path, &["--unverified"]);
        assert_eq!(copy.dedup(), dedup.name());
        assert!(copy.is_clean().output.contains("events: 0\n"));
    }
}

#[test]
fn the_copy_is_as_private_as_what_it_is_made_from_or_replaces() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let database = Database::tiny(Dedup::Index);
    fs::set_permissions(&database.path, fs::Permissions::from_mode(0o640)).unwrap();
    let copy = nowhere();
    done("backup", &database.path, &copy.path, &[]);
    assert_eq!(mode(&copy.path), 0o640);
    fs::set_permissions(&copy.path, fs::Permissions::from_mode(0o604)).unwrap();
    done("backup", &database.path, &copy.path, &["--force"]);
    assert_eq!(mode(&copy.path), 0o604);
}

#[test]
fn what_is_no_database_of_ours_is_neither_copied_nor_changed() {
    let cases: [(&[u8], &str); 2] = [
        (b"", "it is empty"),
        (&[b'x'; 5_000], "it is not an SQLite database"),
    ];
    let target = Database::tiny(Dedup::Index);
    let content = target.content();
    let both = |from: &Path, sentence: &str| {
        for verb in ["backup", "restore"] {
            let said = run(&mut command(verb, from, &target.path, &["--force"]));
            refused(&said, sentence);
            assert!(!beside(&target.path, ".partial").exists());
        }
    };
    for (bytes, sentence) in cases {
        let database = nowhere();
        fs::write(&database.path, bytes).unwrap();
        both(&database.path, sentence);
        assert_eq!(fs::read(&database.path).unwrap(), bytes);
    }
    let other = nowhere();
    other.damage("CREATE TABLE t(x)");
    both(&other.path, "another program");
    let newer = Database::tiny(Dedup::Index);
    newer.damage("PRAGMA user_version = 99");
    both(&newer.path, "newer version");
    let missing = nowhere();
    both(&missing.path, "No such file");
    both(missing.path.parent().unwrap(), "it is a folder");
    assert_eq!(target.content(), content);
}

#[test]
fn a_damaged_database_is_copied_only_unverified() {
    let database = Database::tiny(Dedup::Index);
    database.damage("DELETE FROM events WHERE seq = 77");
    for verb in ["backup", "restore"] {
        let target = nowhere();
        let said = run(&mut command(verb, &database.path, &target.path, &[]));
        refused(&said, "the database is damaged: ");
        assert!(!target.path.exists() && !beside(&target.path, ".partial").exists());
        let said = done(verb, &database.path, &target.path, &["--unverified"]);
        assert!(
            said.output.contains(" bytes, unchecked: "),
            "{}",
            said.output
        );
        assert_eq!(target.content(), database.content());
    }
}

#[test]
fn what_is_there_is_replaced_only_by_force() {
    let new = Database::tiny(Dedup::Index);
    for verb in ["backup", "restore"] {
        let old = Database::small(Dedup::Constraint);
        let content = old.content();
        let said = run(&mut command(verb, &new.path, &old.path, &[]));
        refused(&said, "is there already; --force replaces it");
        assert_eq!(old.content(), content);
        done(verb, &new.path, &old.path, &["--force"]);
        assert_eq!(old.content(), new.content());
    }
    // A link's target is replaced, and not the link.
    let old = Database::small(Dedup::Constraint);
    let link = old.path.with_file_name("link.db");
    symlink(&old.path, &link).unwrap();
    done("backup", &new.path, &link, &["--force"]);
    assert!(link.is_symlink());
    assert_eq!(old.content(), new.content());
}

/// The log of the database that is replaced must not be taken for the log of the copy.
#[test]
fn a_log_that_was_left_behind_goes_with_its_database() {
    let new = Database::tiny(Dedup::Index);
    for verb in ["backup", "restore"] {
        for has_database in [true, false] {
            let other = Database::new();
            let mut store = Store::open(&options(&other.path, None)).unwrap();
            fill(&mut store, 5_000..6_000);
            let old = nowhere();
            for suffix in ["", "-wal", "-shm"] {
                fs::copy(beside(&other.path, suffix), beside(&old.path, suffix)).unwrap();
            }
            drop(store);
            if !has_database {
                fs::remove_file(&old.path).unwrap();
            }
            let said = run(&mut command(verb, &new.path, &old.path, &[]));
            refused(&said, "is there already; --force replaces it");
            done(verb, &new.path, &old.path, &["--force"]);
            assert!(!beside(&old.path, "-wal").exists() && !beside(&old.path, "-shm").exists());
            assert_eq!(old.content(), new.content());
            old.is_clean();
        }
    }
}

#[test]
fn a_database_that_is_open_in_a_server_is_not_replaced() {
    let new = Database::tiny(Dedup::Index);
    let old = Database::new();
    let mut store = Store::open(&options(&old.path, None)).unwrap();
    fill(&mut store, 0..10);
    for verb in ["backup", "restore"] {
        let said = run(&mut command(verb, &new.path, &old.path, &["--force"]));
        refused(&said, "in use by another logagg");
        // Under another name, too.
        let link = old.path.with_file_name(format!("{verb}.db"));
        symlink(&old.path, &link).unwrap();
        let said = run(&mut command(verb, &new.path, &link, &["--force"]));
        refused(&said, "in use by another logagg");
    }
    let said = run(&mut command("backup", &old.path, &old.path, &["--force"]));
    refused(&said, "they are the same file");
    store.close().unwrap();
    assert_eq!(old.number("SELECT count(*) FROM events"), 10);
}

#[test]
fn places_that_cannot_be_written() {
    let database = Database::tiny(Dedup::Index);
    let refuse = |to: &Path, sentence: &str| {
        let said = run(&mut command("backup", &database.path, to, &["--force"]));
        refused(&said, sentence);
    };
    refuse(Path::new("/dev/full"), "/dev/full is not a file");
    refuse(database.path.parent().unwrap(), "is not a file");
    refuse(
        Path::new("/proc/copy.db"),
        "/proc/copy.db.partial cannot be made",
    );
    refuse(
        &database.path.with_file_name("no/copy.db"),
        "the folder of ",
    );
    refuse(&database.path.join("copy.db"), "Not a directory");
}

/// A limit on the size of files stands for a disk that is full: in either case a write fails.
#[test]
fn a_disk_that_is_full_leaves_the_target_as_it_was() {
    let database = Database::small(Dedup::Index);
    for verb in ["backup", "restore"] {
        let target = Database::tiny(Dedup::Index);
        let content = target.content();
        let mut shell = Command::new("/bin/sh");
        let script = "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\"";
        shell.arg("-c").arg(script).arg(PROGRAM);
        shell
            .arg(verb)
            .arg("--force")
            .arg("--from")
            .arg(&database.path);
        let said = run(shell.arg("--to").arg(&target.path));
        refused(&said, "disk I/O error");
        assert!(!beside(&target.path, ".partial").exists());
        assert_eq!(target.content(), content);
        target.is_clean();
    }
}

#[test]
fn two_copies_into_one_file_do_not_mix() {
    let one = Database::small(Dedup::Index);
    let other = Database::small(Dedup::Constraint);
    let target = nowhere();
    let spawn = |from: &Database| {
        command("backup", &from.path, &target.path, &["--force"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be started")
    };
    let mut children = [spawn(&one), spawn(&other), spawn(&one), spawn(&other)];
    let successes = children
        .iter_mut()
        .filter_map(|child| child.wait().ok())
        .filter(|status| status.success())
        .count();
    assert!(successes > 0);
    target.is_clean();
    assert_eq!(target.content(), one.content());
}

#[test]
fn wherever_a_backup_is_killed_the_target_is_the_old_one_or_the_new_one() {
    is_killed("backup");
}

#[test]
fn wherever_a_restoration_is_killed_the_target_is_the_old_one_or_the_new_one() {
    is_killed("restore");
}

fn is_killed(verb: &str) {
    let old = Database::tiny(Dedup::Constraint);
    let new = Database::small(Dedup::Index);
    let contents = [old.content(), new.content()];
    let begun = Instant::now();
    done(verb, &new.path, &nowhere().path, &[]);
    let whole = begun.elapsed();
    for kill in 0..KILLS {
        let moment = whole * kill / KILLS;
        let target = Database::tiny(Dedup::Constraint);
        let mut replacing = command(verb, &new.path, &target.path, &["--force"]);
        killed_after(&mut replacing, moment);
        assert!(contents.contains(&target.content()), "{verb} {kill}");
        target.is_clean();
        let fresh = nowhere();
        killed_after(&mut command(verb, &new.path, &fresh.path, &[]), moment);
        if fresh.path.exists() {
            assert_eq!(fresh.content(), contents[1], "{verb} {kill}");
            fresh.is_clean();
        }
        // What was left behind is in nobody's way.
        done(verb, &new.path, &fresh.path, &["--force"]);
        assert_eq!(fresh.content(), contents[1]);
        assert!(!beside(&fresh.path, ".partial").exists());
    }
}

fn killed_after(command: &mut Command, moment: Duration) {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started");
    thread::sleep(moment);
    // It may have come to its end already.
    let _ = child.kill();
    child.wait().expect("the child is ours");
}

#[test]
fn wrong_arguments_end_with_2() {
    for arguments in [
        &["backup"][..],
        &["backup", "--from", "x"],
        &["backup", "--to", "x"],
        &["restore", "--from", "x"],
        &["restore", "x", "y"],
        &["backup", "--from", "x", "--to", "y", "--quick"],
    ] {
        assert_eq!(program(arguments).code, 2, "{arguments:?}");
    }
}
