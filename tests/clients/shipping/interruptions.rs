//! Each line is stored once, whatever is killed, restarted, renamed or truncated, and in whatever order.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::{append, events, lines, stop, wait_for_lines, Scene};
use crate::harness::Server;
use crate::program::Running;
use crate::random::{number_from, Random};
use crate::wait::wait_until;

/// Things that happen in the long test. SHIP_STEPS makes it longer.
const STEPS: u64 = 60;

#[test]
fn each_line_is_stored_once_through_all_that_happens() {
    let seed = number_from("SHIP_SEED", u64::from(std::process::id()));
    let steps = number_from("SHIP_STEPS", STEPS);
    println!("SHIP_SEED={seed}");
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
    }
    world.end();
    let World { lines, counts, .. } = world;
    println!(
        "FIGURE ship-exactly-once: `logagg ship` stored each of {lines} lines once through {} rotations, {} \
         truncations, {} kills of the server and {} of its own.",
        counts["rotation"], counts["truncation"], counts["server"], counts["shipper"]
    );
}

/// A log file that is written and rotated, a server and a shipper that are killed.
struct World {
    scene: Scene,
    random: Random,
    server: Option<Server>,
    shipper: Option<Running>,
    /// What the writer has open, which need not be the log file any more.
    file: File,
    /// Whether the last line has no line end yet.
    is_begun: bool,
    lines: u64,
    rotations: u32,
    counts: BTreeMap<&'static str, u32>,
}

impl World {
    fn new(seed: u64) -> World {
        let scene = Scene::new();
        let file = open(&scene);
        let mut world = World {
            server: Some(scene.setup.start()),
            shipper: None,
            scene,
            random: Random::new(seed),
            file,
            is_begun: false,
            lines: 0,
            rotations: 0,
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
        match self.random.below(12) {
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
            _ => self.write(),
        }
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
        self.file.write_all(text.as_bytes()).unwrap();
    }

    fn finish_line(&mut self) {
        if std::mem::take(&mut self.is_begun) {
            self.file.write_all(b"}\n").unwrap();
        }
    }

    /// Renames the log file. The writer may go on with it for a while.
    fn rotate(&mut self) {
        self.rotations += 1;
        let name = format!("app.log.{}", self.rotations);
        fs::rename(self.scene.log(), self.scene.folder.join(&name)).unwrap();
        if self.random.chance(2) {
            self.write();
        }
        self.finish_line();
        self.file = open(&self.scene);
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
        let name = format!("app.log.{}", self.rotations);
        fs::copy(self.scene.log(), self.scene.folder.join(&name)).unwrap();
        self.file.set_len(0).unwrap();
        self.write();
        self.finish_line();
        self.count("truncation");
        self.catch_up();
    }

    /// What is truncated without a copy is lost where it was not shipped before.
    fn truncate_what_was_shipped(&mut self) {
        self.finish_line();
        self.catch_up();
        self.file.set_len(0).unwrap();
        self.write();
        self.count("truncation");
    }

    /// Waits until all is stored. Who is not there is started.
    fn catch_up(&mut self) {
        let server = self.server.get_or_insert_with(|| self.scene.setup.start());
        self.shipper.get_or_insert_with(|| self.scene.follow(&[]));
        let lines = self.lines;
        wait_until("all lines", || {
            server.json("/stats")["unique_processed"] == lines
        });
    }

    fn end(&mut self) {
        self.finish_line();
        self.catch_up();
        drop(self.shipper.take());
        // All that could come again comes now.
        assert_eq!(self.scene.once(&[]).expect(0).sum("accepted"), 0);
        let server = self.server.take().expect("it was started");
        let mut seen = vec![0; self.lines as usize];
        for event in events(&server) {
            seen[number_of(&event["payload"])] += 1;
        }
        let wrong: Vec<usize> = (0..seen.len()).filter(|n| seen[*n] != 1).collect();
        assert!(wrong.is_empty(), "not stored once: {wrong:?}");
        let stats = server.json("/stats");
        assert_eq!(stats["conflicts"], 0, "{stats}");
    }
}

fn open(scene: &Scene) -> File {
    let mut options = OpenOptions::new();
    options.create(true).append(true).open(scene.log()).unwrap()
}

/// The number of a line.
fn number_of(payload: &Value) -> usize {
    match payload["line"].as_str() {
        None => payload["n"].as_u64().unwrap() as usize,
        Some(line) => line.rsplit(' ').next().unwrap().parse().unwrap(),
    }
}

/// While nothing can be stored lines wait in their files and not in memory.
#[test]
fn a_server_that_is_down_costs_no_memory() {
    const BYTES: usize = 40 * 1024 * 1024;
    let scene = Scene::new();
    let line = "x".repeat(1_000) + "\n";
    append(&scene.log(), line.repeat(BYTES / line.len()));
    let shipper = scene.follow(&[]);
    shipper.wait_for_word("trying again");
    let status = fs::read_to_string(format!("/proc/{}/status", shipper.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: usize = peak
        .unwrap()
        .trim()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(kib * 1024 < BYTES / 2, "{kib} KiB");
    // It is told to end, does at once, and nothing is lost.
    let output = stop(shipper);
    assert_eq!(output.sum("accepted"), 0);
    let server = scene.setup.start();
    let lines = (BYTES / line.len()) as u64;
    assert_eq!(scene.once(&[]).expect(0).sum("read"), lines);
    assert_eq!(server.json("/stats")["unique_processed"], lines);
}

#[test]
fn a_signal_still_ships_what_is_there() {
    let scene = Scene::new();
    let server = scene.setup.start();
    append(&scene.log(), "1\n");
    let shipper = scene.follow(&[]);
    wait_for_lines(&server, &["1"]);
    append(&scene.log(), "2\n3\n");
    let output = stop(shipper);
    assert_eq!(output.sum("accepted"), 3);
    assert_eq!(lines(&server), ["1", "2", "3"]);
    assert_eq!(scene.once(&[]).expect(0).sum("read"), 0);
}
