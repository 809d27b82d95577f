//! What an answer promises when the power is cut: what was not synced is lost, torn or reordered.
//!
//! A real server under real publishers is recorded by a library underneath it: each write and each sync
//! of its files, with its answers in between. The record is then cut at random places, and for each place
//! one of the disks that a loss of power could leave is made and opened. `POWER_CUTS` makes it longer,
//! `POWER_SEED` repeats its choices.

mod check;
mod failed_sync;
mod promise;
mod session;
mod stop;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::disk::{Cut, Disk, Entry, File, Image};
use crate::harness::{Setup, TemporaryDirectory};
use crate::random::{number_from, Random};
use check::check;
use promise::{Promise, Rest};
use session::{record, record_with_trouble, Session, Size};

const SMALL: Size = Size {
    requests: 60,
    batches: 0,
};
/// More than one memtable of keys.
const LARGE: Size = Size {
    requests: 20,
    batches: 13,
};

/// What the cuts of one record have shown.
#[derive(Default)]
struct Report {
    /// Whether what was answered had to be there.
    promises: bool,
    cuts: u64,
    /// Cuts after which fewer events were there than had been committed.
    short: u64,
    /// By its first words, how often each complaint came, and the first of them whole.
    wrong: BTreeMap<String, (u64, String)>,
}

impl Report {
    /// Each cut has left what it had to. `key` is that of the figure.
    fn expect_whole(&self, key: &str) {
        let Report { cuts, short, .. } = self;
        assert!(*cuts > 0);
        assert!(self.wrong.is_empty(), "{key}: {:#?}", self.wrong);
        let lost = if self.promises {
            "no answered event missing".to_owned()
        } else {
            format!("the newest events missing behind {short} of them, never others")
        };
        println!(
            "FIGURE {key}: {cuts} cuts of the power: no database damaged, no key stored twice, {lost}"
        );
    }

    /// A test of the test: what was broken on purpose has been noticed, as what `complaint` begins with.
    fn expect_noticed(&self, key: &str, complaint: &str) {
        println!("{key}: {:#?}", self.wrong);
        let noticed: u64 = self.wrong.values().map(|(count, _)| count).sum();
        assert!(
            self.wrong.keys().any(|words| words.starts_with(complaint)),
            "it was not noticed"
        );
        println!(
            "FIGURE {key}: noticed behind {noticed} of {} cuts",
            self.cuts
        );
    }
}

/// Where the record is cut: anywhere, and more often where most can go wrong.
fn places(entries: &[Entry], promise: &Promise, cuts: u64, random: &mut Random) -> Vec<usize> {
    let answers = promise.positions();
    let among = |wanted: &dyn Fn(&Entry) -> bool| -> Vec<usize> {
        let found = entries.iter().enumerate();
        found
            .filter(|(_, entry)| wanted(entry))
            .map(|(at, _)| at)
            .collect()
    };
    let syncs = among(&|entry| matches!(entry, Entry::Sync(_)));
    let copied = |entry: &Entry| {
        matches!(
            entry,
            Entry::Write {
                file: File::Database,
                ..
            }
        )
    };
    let checkpoints = among(&copied);
    let names = among(&|entry| matches!(entry, Entry::Create(_) | Entry::Unlink(_)));
    let mut places: Vec<usize> = (0..cuts)
        .map(|_| {
            let one_of =
                |of: &[usize], random: &mut Random| of[random.below(of.len() as u64) as usize];
            match random.below(10) {
                0..=2 => random.below(entries.len() as u64) as usize,
                3 | 4 => one_of(&answers, random) + 1,
                5 | 6 => one_of(&syncs, random),
                7 | 8 => one_of(&checkpoints, random) + random.below(2) as usize,
                _ => one_of(&names, random) + random.below(8) as usize,
            }
        })
        .collect();
    places.sort_unstable();
    places
}

/// Cuts a record again and again. `promises` says whether what was answered must be there.
fn cut(session: &Session, promise: &Promise, cuts: u64, seed: u64, promises: bool) -> Report {
    let mut random = Random::new(seed);
    let places = places(&session.entries, promise, cuts, &mut random);
    cut_at(session, promise, places, seed, promises)
}

/// The same from `first` to the end of the record.
fn cut_behind(
    session: &Session,
    promise: &Promise,
    first: usize,
    cuts: u64,
    seed: u64,
    promises: bool,
) -> Report {
    let mut random = Random::new(seed);
    let length = (session.entries.len() + 1 - first) as u64;
    let place = |_| first + random.below(length) as usize;
    let mut places: Vec<usize> = (0..cuts).map(place).collect();
    places.sort_unstable();
    cut_at(session, promise, places, seed, promises)
}

fn cut_at(
    session: &Session,
    promise: &Promise,
    places: Vec<usize>,
    seed: u64,
    promises: bool,
) -> Report {
    let mut random = Random::new(seed);
    let with_kind = |place| (place, Cut::choose(&mut random));
    let places = places.into_iter().map(with_kind).collect();
    cut_with_kinds(session, promise, places, seed, promises)
}

/// Cuts at each of the places, which are in their order, with its kind.
fn cut_with_kinds(
    session: &Session,
    promise: &Promise,
    places: Vec<(usize, Cut)>,
    seed: u64,
    promises: bool,
) -> Report {
    let mut random = Random::new(seed);
    let mut report = Report {
        promises,
        ..Report::default()
    };
    let mut image = Image::default();
    let mut applied = 0;
    for (place, kind) in places {
        let place = place.min(session.entries.len());
        for entry in &session.entries[applied..place] {
            image.apply(entry);
        }
        applied = place;
        let folder = folder();
        image.write_to(folder.path(), kind, &mut random);
        let answered = promise.before(place);
        report.cuts += 1;
        match check(folder.path(), promise, if promises { answered } else { 0 }) {
            Ok(stored) => report.short += u64::from(stored < answered),
            Err(error) => {
                let words = error.split(':').next().unwrap_or_default().to_owned();
                let (total, before) = (session.entries.len(), before(&session.entries[..place]));
                let place = format!(
                    "seed {seed}, cut {kind:?} at {place} of {total}, after {before}: {error}"
                );
                report.wrong.entry(words).or_insert((0, place)).0 += 1;
            }
        }
    }
    report
}

/// The last things that were done to files, in words: with them a complaint can be understood when it does not come
/// again.
fn before(entries: &[Entry]) -> String {
    let mut words = Vec::new();
    for entry in entries.iter().rev() {
        let what = match entry {
            Entry::Write { file, offset, .. } => format!("write {file:?} at {offset}"),
            Entry::Truncate { file, length } => format!("truncate {file:?} to {length}"),
            Entry::Sent { .. } => continue,
            other => format!("{other:?}"),
        };
        words.push(what);
        if words.len() == 12 {
            break;
        }
    }
    words.reverse();
    words.join(", ")
}

/// Cuts that follow each first one, while the server starts and stops.
const SECOND_CUTS: u64 = 4;

/// Cuts the power, starts the real server on what is left, and cuts it again while that starts and stops.
fn cut_twice(flags: &[&str], cuts: u64) {
    let seed = seed();
    let session = record(flags, SMALL, seed);
    let promise = Promise::of(&session, Rest::Known);
    let mut random = Random::new(seed);
    let mut image = Image::default();
    let mut applied = 0;
    for place in places(&session.entries, &promise, cuts, &mut random) {
        let place = place.min(session.entries.len());
        for entry in &session.entries[applied..place] {
            image.apply(entry);
        }
        applied = place;
        let setup = Setup::new().flags(flags.iter().copied());
        let folder = setup.directory().path();
        image.write_to(folder, Cut::choose(&mut random), &mut random);
        let mut second = Image::of_files(folder);
        let disk = Disk::new();
        let server = disk.recorded(&setup, 0).start();
        let stored = server.json("/stats")["unique_processed"].as_u64();
        let promised = promise.before(place);
        assert!(stored >= Some(promised), "{stored:?} of {promised}");
        server.stop();
        assert_eq!(check(folder, &promise, promised).ok(), stored);

        let entries = disk.entries();
        let mut done = 0;
        let mut again: Vec<_> = (0..SECOND_CUTS)
            .map(|_| random.below(entries.len() as u64))
            .collect();
        again.sort_unstable();
        for place in again {
            for entry in &entries[done..place as usize] {
                second.apply(entry);
            }
            done = place as usize;
            let folder = self::folder();
            second.write_to(folder.path(), Cut::choose(&mut random), &mut random);
            check(folder.path(), &promise, promised).expect("the second cut costs nothing either");
        }
    }
    println!(
        "FIGURE power-again: {cuts} cuts of the power, and {} more while the server started on what they had \
         left: no database damaged, no key stored twice, no answered event missing",
        cuts * SECOND_CUTS
    );
}

/// A folder in memory where there is one: the disk that is tested is not the machine's.
fn folder() -> TemporaryDirectory {
    let memory = PathBuf::from("/dev/shm");
    TemporaryDirectory::new_in(if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    })
}

fn cuts(default: u64) -> u64 {
    number_from("POWER_CUTS", default)
}

fn seed() -> u64 {
    let seed = number_from("POWER_SEED", u64::from(std::process::id()));
    println!("POWER_SEED={seed}");
    seed
}

fn cut_with(key: &str, flags: &[&str], size: Size, cuts: u64, promises: bool) {
    let seed = seed();
    let session = record(flags, size, seed);
    let promise = Promise::of(&session, Rest::Known);
    let report = cut(&session, &promise, cuts, seed, promises);
    report.expect_whole(key);
}

#[test]
fn full_durability_loses_nothing_with_the_index() {
    let flags = ["--durability", "full", "--dedup", "index"];
    cut_with("power-index", &flags, SMALL, cuts(100), true);
}

#[test]
fn full_durability_loses_nothing_with_the_constraint() {
    let flags = ["--durability", "full", "--dedup", "constraint"];
    cut_with("power-constraint", &flags, SMALL, cuts(60), true);
}

#[test]
fn full_durability_loses_nothing_while_segments_are_written() {
    let flags = ["--durability", "full", "--dedup", "index"];
    cut_with("power-segments", &flags, LARGE, cuts(6), true);
}

/// Retention removes events along with the commits and, without a sync, in between.
#[test]
fn full_durability_loses_nothing_while_events_are_removed() {
    let size = Size {
        requests: 30,
        batches: 1,
    };
    for (key, dedup) in [
        ("power-retention-index", "index"),
        ("power-retention-constraint", "constraint"),
    ] {
        let flags = [
            "--durability",
            "full",
            "--dedup",
            dedup,
            "--retain-events",
            "1MB",
        ];
        cut_with(key, &flags, size, cuts(30), true);
    }
}

#[test]
#[ignore = "takes minutes: make torture"]
fn full_durability_loses_nothing_while_segments_are_merged() {
    let size = Size {
        requests: 20,
        batches: 52,
    };
    let flags = ["--durability", "full", "--dedup", "index"];
    cut_with("power-merges", &flags, size, cuts(20).min(20), true);
}

#[test]
fn full_durability_loses_nothing_when_power_fails_again_at_the_start() {
    cut_twice(&["--durability", "full"], cuts(64) / 8);
}

/// A folder that the server makes is as durable as what is in it.
#[test]
fn a_new_folder_is_synced_into_the_one_above() {
    let disk = Disk::new();
    let outside = TemporaryDirectory::new();
    let database = outside.join("new").join("events.db");
    let setup = Setup::new().database(database);
    let server = disk.recorded(&setup, 0).start();
    server.stop();
    assert!(disk.entries().contains(&Entry::Sync(File::Parent)));
}

#[test]
fn normal_durability_loses_only_the_newest() {
    let flags = ["--durability", "normal", "--dedup", "index"];
    cut_with("power-normal", &flags, SMALL, cuts(60), false);
}

fn cut_with_trouble(key: &str, flags: &[&str], cuts: u64, promises: bool) {
    let seed = seed();
    let session = record_with_trouble(flags, 120, seed);
    let failed = |entry: &&Entry| matches!(entry, Entry::SyncFailed(_));
    let failures = session.entries.iter().filter(failed).count();
    println!("{failures} syncs failed");
    let promise = Promise::of(&session, Rest::MayBeRefused);
    let report = cut(&session, &promise, cuts, seed, promises);
    report.expect_whole(key);
}

#[test]
fn failed_syncs_cost_nothing_that_was_answered_with_the_index() {
    let flags = ["--durability", "full", "--dedup", "index"];
    cut_with_trouble("failed-syncs-index", &flags, cuts(80), true);
}

#[test]
fn failed_syncs_cost_nothing_that_was_answered_with_the_constraint() {
    let flags = ["--durability", "full", "--dedup", "constraint"];
    cut_with_trouble("failed-syncs-constraint", &flags, cuts(40), true);
}

#[test]
fn failed_syncs_do_no_damage_with_normal_durability() {
    let flags = ["--durability", "normal"];
    cut_with_trouble("failed-syncs-normal", &flags, cuts(40), false);
}

/// A server that is broken on purpose loses what it answered, and the same check says so.
#[test]
fn a_disk_that_only_says_it_has_synced_is_noticed() {
    let seed = seed();
    let mut session = record(&["--durability", "full"], SMALL, seed);
    let promise = Promise::of(&session, Rest::Known);
    let is_log = |entry: &Entry| *entry == Entry::Sync(File::Log);
    session.entries.retain(|entry| !is_log(entry));
    let report = cut(&session, &promise, cuts(40), seed, true);
    report.expect_noticed("broken-log-sync", "lost");
}

#[test]
fn a_database_that_is_not_synced_is_noticed() {
    let seed = seed();
    let mut session = record(&["--durability", "full"], SMALL, seed);
    let promise = Promise::of(&session, Rest::Known);
    let is_database = |entry: &Entry| *entry == Entry::Sync(File::Database);
    session.entries.retain(|entry| !is_database(entry));
    let report = cut(&session, &promise, cuts(40), seed, true);
    report.expect_noticed("broken-database-sync", "");
}

#[test]
fn an_answer_before_the_commit_is_noticed() {
    let seed = seed();
    let session = record(&["--durability", "full"], SMALL, seed);
    let promise = Promise::of(&session, Rest::Known).answered_before_the_commit();
    let report = cut(&session, &promise, cuts(40), seed, true);
    report.expect_noticed("broken-order", "lost");
}

/// Without syncs of commits, some of the cuts must have cost something; else the cuts are no cuts.
#[test]
fn normal_durability_does_lose_the_newest() {
    let seed = seed();
    let session = record(&["--durability", "normal"], SMALL, seed);
    let promise = Promise::of(&session, Rest::Known);
    let report = cut(&session, &promise, cuts(40), seed, true);
    report.expect_noticed("broken-durability", "lost");
}
