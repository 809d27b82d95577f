//! What happened in a run: the last of it for a failure, a digest to compare runs, and counts.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Notes that a failure shows.
const SHOWN: usize = 60;

/// The seed and the step that is under way.
static SEED: AtomicU64 = AtomicU64::new(0);
static STEP: AtomicU64 = AtomicU64::new(0);

/// How to see again what is happening now.
fn replay() -> String {
    let (seed, step) = (SEED.load(Ordering::Relaxed), STEP.load(Ordering::Relaxed));
    format!("seed {seed} step {step}: SEED={seed} cargo test --test simulation -- --nocapture")
}

/// Ends the program when a step takes minutes, as one that turns in a circle does.
pub fn watch() {
    thread::spawn(|| loop {
        let before = replay();
        thread::sleep(Duration::from_secs(120));
        if replay() == before {
            eprintln!("no end of {before}");
            std::process::abort();
        }
    });
}

/// A note: what, who, how much.
type Note = (&'static str, usize, u64);

pub struct Trace {
    is_verbose: bool,
    digest: u64,
    last: VecDeque<Note>,
    pub tally: Tally,
}

impl Trace {
    pub fn new(seed: u64, is_verbose: bool) -> Trace {
        SEED.store(seed, Ordering::Relaxed);
        Trace {
            is_verbose,
            digest: seed,
            last: VecDeque::with_capacity(SHOWN),
            tally: Tally::default(),
        }
    }

    /// A step begins.
    pub fn step(&mut self, step: u64, mono_ms: u64) {
        STEP.store(step, Ordering::Relaxed);
        self.tally.steps += 1;
        self.note("turn at ms", step as usize, mono_ms);
    }

    pub fn note(&mut self, what: &'static str, who: usize, how_much: u64) {
        for number in [what.len() as u64, who as u64, how_much] {
            self.digest = (self.digest ^ number).wrapping_mul(0x0100_0000_01b3);
            self.digest ^= self.digest >> 29;
        }
        if self.is_verbose {
            println!("{who:>6} {what} {how_much}");
        }
        if self.last.len() == SHOWN {
            self.last.pop_front();
        }
        self.last.push_back((what, who, how_much));
    }

    /// Counts something worth to have happened.
    pub fn mark(&mut self, what: &'static str) {
        *self.tally.marks.entry(what).or_default() += 1;
        if self.is_verbose {
            println!("       — {what}");
        }
    }

    /// The counts, when the run is over.
    pub fn finish(&mut self) -> Tally {
        self.tally.digest = self.digest;
        std::mem::take(&mut self.tally)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for (what, who, how_much) in &self.last {
            eprintln!("{who:>6} {what} {how_much}");
        }
        eprintln!("{}", replay());
    }
}

/// Counts of one run or of many.
#[derive(Default)]
pub struct Tally {
    pub digest: u64,
    pub steps: u64,
    pub requests: u64,
    pub failed_commits: u64,
    pub crashes: u64,
    pub events: u64,
    pub marks: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.steps += other.steps;
        self.requests += other.requests;
        self.failed_commits += other.failed_commits;
        self.crashes += other.crashes;
        self.events += other.events;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} steps, {} requests, {} events stored, {} failed commits, {} crashes",
            self.steps, self.requests, self.events, self.failed_commits, self.crashes
        )
    }
}
