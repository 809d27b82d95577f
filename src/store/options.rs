//! How a database is opened: what a commit waits for, how duplicates are found, how much is kept.

use std::path::PathBuf;

use crate::limits;

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the disk has confirmed it: survives power loss. SQLite's `synchronous=FULL`.
    Full,
    /// When the operating system has it: survives a crash of the process. `synchronous=NORMAL`.
    Normal,
}

/// How duplicates are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dedup {
    /// By a UNIQUE constraint in SQLite; `INSERT OR IGNORE` decides.
    Constraint,
    /// By the key index.
    Index,
}

impl Dedup {
    /// The name on the command line and in the table `meta`.
    pub fn name(self) -> &'static str {
        match self {
            Dedup::Constraint => "constraint",
            Dedup::Index => "index",
        }
    }
}

/// What makes searches fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchIndex {
    /// Summaries of blocks of events, with a filter over their words.
    #[default]
    Words,
    /// Nothing: each search goes through the events.
    Off,
}

impl SearchIndex {
    /// The name on the command line and in `/stats`.
    pub fn name(self) -> &'static str {
        match self {
            SearchIndex::Words => "words",
            SearchIndex::Off => "off",
        }
    }
}

/// How to open a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    pub path: PathBuf,
    pub durability: Durability,
    /// Which check the database must have; none takes it as it is, and gives a new one the index.
    pub dedup: Option<Dedup>,
    /// Bytes of the key index's filters that may be in memory.
    pub filter_memory_bytes: usize,
    /// Bits of a fingerprint: 128, except in tests that need collisions.
    pub fingerprint_bits: u32,
    /// Whether triggers that others make run: no, except in tests that make statements fail with them.
    pub triggers: bool,
    /// What is removed.
    pub retention: Retention,
    /// What makes searches fast.
    pub search_index: SearchIndex,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Microseconds.
    Age(i64),
    /// Bytes.
    Size(u64),
}

impl Limit {
    /// The units of ages, in microseconds, the smallest first.
    pub const AGES: [(&str, u64); 4] = [
        ("s", 1_000_000),
        ("m", 60_000_000),
        ("h", 3_600_000_000),
        ("d", 86_400_000_000),
    ];
    /// The units of sizes, in bytes, the smallest first.
    pub const SIZES: [(&str, u64); 2] = [("MB", 1_000_000), ("GB", 1_000_000_000)];
}

impl std::fmt::Display for Limit {
    /// As it is set: `7d`, `50GB`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (value, units) = match *self {
            Limit::Age(age) => (age as u64, &Self::AGES[..]),
            Limit::Size(bytes) => (bytes, &Self::SIZES[..]),
        };
        let is_whole = |unit: &&(&str, u64)| value.is_multiple_of(unit.1);
        match units.iter().rfind(is_whole) {
            Some((name, unit)) => write!(f, "{}{name}", value / unit),
            None => write!(f, "{value}"),
        }
    }
}

/// How many rejected records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectedLimit {
    Count(u64),
    Within(Limit),
}

impl Default for RejectedLimit {
    fn default() -> Self {
        RejectedLimit::Count(limits::REJECTED_KEPT_RECORDS)
    }
}

/// What is kept; none means all of it, for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Of events. A size is that of the pages that the whole database uses.
    pub events: Option<Limit>,
    /// Of keys. A size is that of the pages that the keys use.
    pub keys: Option<Limit>,
    /// Of records that could not become events.
    pub rejected: RejectedLimit,
}
