//! Databases to check, made through the store, and what the program says of them.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use logagg::event::{EventSpans, Publication, Span};
use logagg::limits::{MEMTABLE_ENTRIES, MERGE_WIDTH};
use logagg::store::{Dedup, Durability, OpenOptions, Retention, SearchIndex, Store};
use rusqlite::types::Value;
use rusqlite::Connection;

use crate::directory::TemporaryDirectory;

/// Events of a tiny database, without a segment.
pub const TINY: u64 = 2_004;
/// Events of a small database: two segments and some after them.
pub const SMALL: u64 = 2 * MEMTABLE_ENTRIES as u64 + 1_700;
/// Events of a large one: one segment of level 1 and one of level 0.
pub const LARGE: u64 = ((MERGE_WIDTH + 1) * MEMTABLE_ENTRIES) as u64 + 100;
const EVENTS_PER_COMMIT: u64 = 10_000;
const TOPICS: u64 = 7;

fn append(body: &mut Vec<u8>, text: &str) -> Span {
    let start = body.len() as u32;
    body.extend_from_slice(text.as_bytes());
    Span {
        start,
        len: text.len() as u32,
    }
}

/// The events with these numbers; each number is another key.
pub fn publication(numbers: impl Iterator<Item = u64>) -> Publication {
    let mut publication = Publication::default();
    let body = &mut publication.body;
    for number in numbers {
        let event = EventSpans {
            topic: append(body, &format!("topic-{}", number % TOPICS)),
            event_id: append(body, &format!("event-{number}")),
            timestamp: append(body, "2026-01-02"),
            source: append(body, "test"),
            payload: append(body, "{}"),
        };
        publication.events.push(event);
    }
    publication
}

pub fn options(path: &Path, dedup: Option<Dedup>) -> OpenOptions {
    OpenOptions {
        path: path.to_owned(),
        durability: Durability::Normal,
        dedup,
        filter_memory_bytes: 1 << 28,
        fingerprint_bits: 128,
        triggers: false,
        retention: Retention::default(),
        search_index: SearchIndex::default(),
    }
}

/// Stores events and does all idle work.
pub fn fill(store: &mut Store, numbers: std::ops::Range<u64>) {
    let mut outcomes = Vec::new();
    let mut from = numbers.start;
    while from < numbers.end {
        let to = numbers.end.min(from + EVENTS_PER_COMMIT);
        let batch = publication(from..to);
        store
            .commit([&batch].into_iter(), 1_767_323_045_678_901, &mut outcomes)
            .expect("the events can be stored");
        from = to;
    }
    while store.idle_work(true).expect("the store can work") {}
}

/// A database of its own for one test.
pub struct Database {
    directory: TemporaryDirectory,
    pub path: PathBuf,
}

impl Database {
    pub fn new() -> Database {
        let directory = TemporaryDirectory::new();
        Database {
            path: directory.join("events.db"),
            directory,
        }
    }

    /// A database with `events` events.
    pub fn filled(dedup: Dedup, events: u64) -> Database {
        let database = Database::new();
        let mut store = Store::open(&options(&database.path, Some(dedup))).expect("it is new");
        fill(&mut store, 0..events);
        // Some duplicates, and with them other counters.
        fill(&mut store, 100..200);
        store.close().expect("the store can be closed");
        database
    }

    /// A copy of a database with [`SMALL`] events.
    pub fn small(dedup: Dedup) -> Database {
        static KINDS: [OnceLock<Database>; 2] = [OnceLock::new(), OnceLock::new()];
        Database::copy(&KINDS, dedup, SMALL)
    }

    /// A copy of a database with [`TINY`] events.
    pub fn tiny(dedup: Dedup) -> Database {
        static KINDS: [OnceLock<Database>; 2] = [OnceLock::new(), OnceLock::new()];
        Database::copy(&KINDS, dedup, TINY)
    }

    fn copy(kinds: &[OnceLock<Database>; 2], dedup: Dedup, events: u64) -> Database {
        let original = kinds[usize::from(dedup == Dedup::Index)]
            .get_or_init(|| Database::filled(dedup, events));
        let copy = Database::new();
        fs::copy(&original.path, &copy.path).expect("there is room for a copy");
        copy
    }

    /// The names of the files in its folder.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).expect("the folder can be read");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let name = entry.expect("the folder can be read").file_name();
            name.into_string().expect("the names are ours")
        };
        entries.map(name).collect()
    }

    pub fn sql(&self) -> Connection {
        Connection::open(&self.path).expect("the database can be opened")
    }

    /// Changes the database behind the program's back.
    pub fn damage(&self, sql: &str) {
        self.sql().execute_batch(sql).expect("the SQL is right");
    }

    pub fn number(&self, sql: &str) -> i64 {
        self.sql()
            .query_row(sql, [], |row| row.get(0))
            .expect("the SQL is right")
    }

    /// A hash of all events, topics and counters.
    pub fn content(&self) -> u64 {
        let db = self.sql();
        let mut hasher = DefaultHasher::new();
        for sql in [
            "SELECT * FROM events ORDER BY seq",
            "SELECT * FROM topics ORDER BY id",
            "SELECT * FROM counters",
        ] {
            let mut statement = db.prepare(sql).expect("the SQL is right");
            let columns = statement.column_count();
            let mut rows = statement.query([]).expect("it can be read");
            while let Some(row) = rows.next().expect("it can be read") {
                for column in 0..columns {
                    match row.get(column).expect("any value will do") {
                        Value::Integer(number) => number.hash(&mut hasher),
                        Value::Text(text) => text.hash(&mut hasher),
                        other => panic!("no such value was stored: {other:?}"),
                    }
                }
            }
        }
        hasher.finish()
    }

    pub fn dedup(&self) -> String {
        self.sql()
            .query_row("SELECT value FROM meta WHERE name = 'dedup'", [], |row| {
                row.get(0)
            })
            .expect("it is recorded")
    }

    /// Runs `logagg check` with these flags.
    pub fn check(&self, flags: &[&str]) -> Said {
        run(Command::new(PROGRAM)
            .arg("check")
            .args(flags)
            .arg(&self.path))
    }

    pub fn is_clean(&self) -> Said {
        let said = self.check(&[]);
        assert_eq!((said.code, said.error.as_str()), (0, ""), "{}", said.output);
        assert!(!said.output.contains("problem:"), "{}", said.output);
        said
    }

    /// The check says that the database is damaged, with these among its problems.
    pub fn has_problems(&self, problems: &[&str]) {
        let said = self.check(&["--quick"]);
        assert_eq!(said.code, 1, "{problems:?}:\n{}", said.output);
        assert!(said.error.contains("is damaged"), "{}", said.error);
        for problem in problems {
            let is_named = said
                .output
                .lines()
                .any(|line| line.starts_with("problem: ") && line.contains(problem));
            assert!(is_named, "{problem} is not in:\n{}", said.output);
        }
    }

    /// The command that converts this database.
    pub fn conversion(&self, to: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["convert", "--dedup", to]).arg(&self.path);
        command
    }

    pub fn convert(&self, to: &str) -> Said {
        run(&mut self.conversion(to))
    }
}

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_logagg");

/// How a run of the program ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub output: String,
    pub error: String,
}

pub fn run(command: &mut Command) -> Said {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the program can be started");
    let text = |bytes| String::from_utf8(bytes).expect("what it says is UTF-8");
    Said {
        code: output.status.code().expect("no signal was sent"),
        output: text(output.stdout),
        error: text(output.stderr),
    }
}

pub fn program(arguments: &[&str]) -> Said {
    run(Command::new(PROGRAM).args(arguments))
}
