//! Each line is stored once, whatever is killed, restarted, renamed, copied or truncated, and in whatever
//! order.
//!
//! `ROUNDS=200` tries other orders, `SHIP_SEED` one of them again, and `SHIP_STEPS` longer ones.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{symlink, FileExt};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::{append, events, Scene};
use crate::harness::{Server, TIMEOUT};
use crate::program::Running;
use crate::random::{number_from, Random};

/// Things that happen in a round.
const STEPS: u64 = 60;

#[test]
fn each_line_is_stored_once_through_all_that_happens() {
    let seed = number_from("SHIP_SEED", u64::from(std::process::id()));
    let rounds = number_from("ROUNDS", 1);
    let steps = number_from("SHIP_STEPS", STEPS);
    let mut lines = 0;
    let mut counts: BTreeMap<&'static str, u32> = BTreeMap::new();
    for seed in seed..seed + rounds {
        for (argument, is_link) in [("app.log", false), ("app.log", true), ("app.log*", false)] {
            println!("SHIP_SEED={seed} argument={argument} is_link={is_link}");
            let mut world = World::new(seed, argument, is_link);
            for _ in 0..steps {
                world.step();
            }
            world.end();
            lines += world.lines;
            for (what, count) in world.counts {
                *counts.entry(what).or_default() += count;
            }
        }
    }
    let count = |what| counts.get(what).copied().unwrap_or(0);
    println!(
        "FIGURE ship-exactly-once: `logagg ship` stored each of {lines} lines once through {} rotations, {} \
         truncations, {} kills of the server and {} of its own.",
        count("rotation"),
        count("truncation"),
        count("server"),
        count("shipper")
    );
}

/// A log file that is written and rotated, a server and a shipper that are killed.
struct World {
    scene: Scene,
    random: Random,
    server: Option<Server>,
    shipper: Option<Running>,
    /// What the writer has open, which need not be the log file any more, and how far it has written.
    file: File,
    at: u64,
    /// Whether the log file is a link to one with a number in its name.
    is_link: bool,
    /// Whether the last line has no line end yet.
    is_begun: bool,
    lines: u64,
    rotations: u32,
    copies: u32,
    counts: BTreeMap<&'static str, u32>,
}

impl World {
    fn new(seed: u64, argument: &'static str, is_link: bool) -> World {
        let scene = Scene::matching(argument);
        if is_link {
            symlink("file-0.log", scene.log()).unwrap();
        }
        let file = open(&scene);
        let mut world = World {
            server: Some(scene.setup.start()),
            shipper: None,
            scene,
            random: Random::new(seed),
            file,
            at: 0,
            is_link,
            is_begun: false,
            lines: 0,
            rotations: 0,
            copies: 0,
            counts: BTreeMap::new(),
        };
        // What the log file was before it was followed is nobody's business.
        world.write();
        world.finish_line();
        world.catch_up();
        world
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn step(&mut self) {
        match self.random.below(16) {
            0 => self.rotate(),
            1 => self.copy_and_truncate(),
            2 => self.truncate_what_was_shipped(),
            3 | 4 => {
                if let Some(shipper) = self.shipper.take() {
                    shipper.signal(Signal::KILL);
                    assert_eq!(shipper.wait().code, None);
                    self.count("shipper");
                }
            }
            5 => {
                if let Some(server) = self.server.take() {
                    server.kill();
                    self.count("server");
                }
            }
            6 => thread::sleep(Duration::from_millis(self.random.below(300))),
            7 if self.server.is_none() => self.server = Some(self.scene.setup.start()),
            8 if self.shipper.is_none() => self.shipper = Some(self.scene.follow(&[])),
            9 => self.copy(),
            10 => {
                // What is there before text is.
                let length = self.at + self.random.below(100_000);
                if length > self.file.metadata().unwrap().len() {
                    self.file.set_len(length).unwrap();
                }
            }
            11 => {
                let other = format!("app-{}.log", self.random.below(5));
                append(&self.scene.folder.join(&other), "another log\n");
            }
            12 if self.is_link => self.switch(),
            _ => self.write(),
        }
    }

    fn push(&mut self, text: &[u8]) {
        self.file.write_all_at(text, self.at).unwrap();
        self.at += text.len() as u64;
    }

    /// The file that the log file is.
    fn place(&self) -> PathBuf {
        fs::canonicalize(self.scene.log()).unwrap()
    }

    /// Opens the log file to write to it from its end on.
    fn open(&mut self) {
        self.file = open(&self.scene);
        self.at = self.file.metadata().unwrap().len();
    }

    /// Leads the link to another file. The writer may go on with the old one for a while.
    fn switch(&mut self) {
        self.rotations += 1;
        let (target, new) = (
            format!("file-{}.log", self.rotations),
            self.scene.folder.join("new"),
        );
        append(&self.scene.folder.join(&target), "");
        symlink(&target, &new).unwrap();
        if self.random.chance(2) {
            self.write();
        }
        fs::rename(&new, self.scene.log()).unwrap();
        if self.random.chance(2) {
            self.write();
        }
        self.finish_line();
        self.open();
        self.count("rotation");
    }

    /// A copy that somebody makes of what is there. Of nothing there is no telling what it is a copy of, and
    /// of a line that it cuts whether the rest was read before the file was truncated.
    fn copy(&mut self) {
        self.finish_line();
        let place = self.place();
        if self.at == 0 {
            return;
        }
        self.copies += 1;
        let mut copy = place.clone().into_os_string();
        copy.push(format!("-{}", 20_260_000 + self.copies));
        fs::copy(&place, copy).unwrap();
        self.count("copy");
    }

    /// Writes lines, perhaps the last one in two pieces.
    fn write(&mut self) {
        let count = match self.random.below(4) {
            0 => 3_000,
            _ => 1 + self.random.below(20),
        };
        let mut text = String::new();
        if std::mem::take(&mut self.is_begun) {
            text += "}\n";
        }
        for _ in 0..count {
            let n = self.lines;
            self.lines += 1;
            text += &match self.random.below(4) {
                0 => format!("{{\"n\":{n},\"time\":\"2026-01-02T03:04:05Z\"}}\n"),
                1 => format!("2026-01-02 03:04:05,678 line {n}\n"),
                _ => format!("line {n}\n"),
            };
        }
        if self.random.chance(3) {
            text += &format!("{{\"n\":{}", self.lines);
            self.lines += 1;
            self.is_begun = true;
        }
        self.push(text.as_bytes());
    }

    fn finish_line(&mut self) {
        if std::mem::take(&mut self.is_begun) {
            self.push(b"}\n");
        }
    }

    /// Renames the log file. The writer may go on with it for a while.
    fn rotate(&mut self) {
        self.rotations += 1;
        let place = self.place();
        let mut name = place.clone().into_os_string();
        name.push(format!(".{}", self.rotations));
        fs::rename(&place, name).unwrap();
        if self.random.chance(2) {
            self.write();
        }
        self.finish_line();
        if self.random.chance(2) {
            self.file.set_len(self.at).unwrap();
        }
        self.open();
        self.count("rotation");
    }

    fn copy_and_truncate(&mut self) {
        // A file of which nothing has been read cannot be known again in its copy.
        self.write();
        self.finish_line();
        self.catch_up();
        self.write();
        self.finish_line();
        self.rotations += 1;
        let place = self.place();
        let mut copy = place.clone().into_os_string();
        copy.push(format!(".{}", self.rotations));
        fs::copy(&place, copy).unwrap();
        self.truncate();
        self.write();
        self.finish_line();
        self.catch_up();
    }

    /// What is truncated without a copy is lost where it was not shipped before.
    fn truncate_what_was_shipped(&mut self) {
        self.finish_line();
        self.catch_up();
        self.truncate();
        self.write();
    }

    /// A writer that does not append goes on where it was.
    fn truncate(&mut self) {
        self.file.set_len(0).unwrap();
        if self.random.chance(2) {
            self.at = 0;
        }
        self.count("truncation");
    }

    /// Waits until all is stored. Who is not there is started.
    fn catch_up(&mut self) {
        let server = self.server.get_or_insert_with(|| self.scene.setup.start());
        self.shipper.get_or_insert_with(|| self.scene.follow(&[]));
        let lines = self.lines;
        let stored = || server.json("/stats")["unique_processed"] == lines;
        let begun = Instant::now();
        while !stored() && begun.elapsed() < TIMEOUT {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(stored(), "{}", self.described());
    }

    /// What is stored, what is not, and what there is, for a message.
    fn described(&self) -> String {
        let mut seen = vec![0; self.lines as usize];
        for event in self.server.iter().flat_map(events) {
            seen[number_of(&event["payload"])] += 1;
        }
        let wrong: Vec<_> = (0..seen.len()).filter(|n| seen[*n] != 1).collect();
        let mut files = Vec::new();
        for entry in fs::read_dir(self.scene.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap_or_default();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = String::from_utf8_lossy(&bytes);
            let ends = (text.lines().next(), text.lines().last());
            files.push(match name.contains(".ship-") {
                true => format!("{name}: {text}"),
                false => format!("{name}: {} bytes, {ends:?}", bytes.len()),
            });
        }
        let said = self.shipper.as_ref().map(Running::stderr);
        format!("not stored once: {wrong:?}\n{}\n{said:?}", files.join("\n"))
    }

    fn end(&mut self) {
        self.finish_line();
        self.catch_up();
        drop(self.shipper.take());
        // All that could come again comes now.
        let output = self.scene.once(&[]).expect(0);
        if output.sum("accepted") > 0 {
            let found = events(self.server.as_ref().unwrap());
            panic!("more comes: {output:?} {:?}", &found[found.len() - 3..]);
        }
        let server = self.server.as_ref().expect("it was started");
        let mut seen = vec![0; self.lines as usize];
        for event in events(server) {
            seen[number_of(&event["payload"])] += 1;
        }
        assert!(seen.iter().all(|count| *count == 1), "{}", self.described());
        let stats = server.json("/stats");
        assert_eq!(stats["conflicts"], 0, "{stats}");
    }
}

fn open(scene: &Scene) -> File {
    let mut options = OpenOptions::new();
    options.create(true).write(true).open(scene.log()).unwrap()
}

/// The number of a line.
fn number_of(payload: &Value) -> usize {
    match payload["line"].as_str() {
        None => payload["n"].as_u64().unwrap() as usize,
        Some(line) => line.rsplit(' ').next().unwrap().parse().unwrap(),
    }
}
