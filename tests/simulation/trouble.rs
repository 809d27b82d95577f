//! Trouble with the database, all of it real: another program's lock, statements that fail within the
//! transaction, a table that is not there, a file that may not grow.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};

use rusqlite::Connection;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit, Signal};

use logagg::limits::{LOCKED_PAUSE_MS, RETRY_MS};

use crate::request::Wanted;
use crate::world::World;

/// Where a statement of a commit fails. `{}` is a small number.
const PLACES: [&str; 5] = [
    "BEFORE INSERT ON events WHEN new.seq % {} = 0",
    "AFTER INSERT ON events WHEN new.seq % {} = 0",
    "BEFORE INSERT ON topics",
    "BEFORE UPDATE ON counters",
    "AFTER UPDATE ON counters",
];

/// What is wrong at the moment, and how to end it.
enum Kind {
    /// Ended by dropping what holds it.
    Lock {
        _holder: Connection,
    },
    Limit {
        _limit: FileLimit,
    },
    /// Ended by dropping the trigger.
    Failure(Connection),
    /// Ended by bringing the table back, with these texts of the schema.
    Hidden(Connection, Vec<(String, String)>),
}

/// The trouble there is and has been. Turns are counted so that a refusal can be told from one that came
/// without a reason.
#[derive(Default)]
pub struct Trouble {
    now: Option<Kind>,
    has_been: bool,
    /// When the last one ended; from which turn on nobody may be refused for it, and from which on the
    /// server must call itself well.
    ended_at: u64,
    clear_from: Option<u64>,
    healthy_from: Option<u64>,
    refused_in: u64,
}

impl Trouble {
    /// Whether some may be the reason to refuse what came in that turn.
    pub fn was_there_in(&self, turn: u64) -> bool {
        self.has_been && self.clear_from.is_none_or(|from| turn < from)
    }

    /// Whether the server may have known of some in that turn.
    pub fn was_felt_in(&self, turn: u64) -> bool {
        self.has_been && self.healthy_from.is_none_or(|from| turn < from)
    }

    /// A turn is over.
    pub fn settle(&mut self, turn: u64, now_ms: u64) {
        if self.now.is_some() {
            return;
        }
        // The server has tried again to commit: what waits for a lock, and when all is quiet.
        if now_ms > self.ended_at + LOCKED_PAUSE_MS {
            self.clear_from.get_or_insert(turn + 1);
        }
        if now_ms > self.ended_at + RETRY_MS {
            self.healthy_from.get_or_insert(turn + 1);
        }
    }

    /// Whether this refusal is the first of its turn, and so tells of one more failed commit.
    pub fn count_refusal(&mut self, turn: u64) -> bool {
        std::mem::replace(&mut self.refused_in, turn) != turn
    }
}

/// No file may grow beyond this, for as long as the value lives. SQLite gets a real error of a real write.
struct FileLimit(Rlimit);

impl FileLimit {
    fn new(bytes: u64) -> FileLimit {
        static IGNORED: Once = Once::new();
        IGNORED.call_once(|| {
            // Without a handler the signal ends the process; with one the write fails.
            let flag = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(Signal::XFSZ.as_raw(), flag).expect("it can be handled");
        });
        let before = getrlimit(Resource::Fsize);
        let limited = Rlimit {
            current: Some(bytes),
            maximum: before.maximum,
        };
        setrlimit(Resource::Fsize, limited).expect("a limit may be lowered");
        FileLimit(before)
    }
}

impl Drop for FileLimit {
    fn drop(&mut self) {
        let _ = setrlimit(Resource::Fsize, self.0);
    }
}

fn change(path: &Path, sql: &str) -> Connection {
    let other = Connection::open(path).expect("it can be opened");
    other
        .execute_batch(sql)
        .expect("the server is in no transaction");
    other
}

/// Renames the table of events, and says how the schema spoke of it.
fn hide(other: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = other.prepare("SELECT name, sql FROM sqlite_schema WHERE sql NOT NULL")?;
    let texts = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let texts = texts.collect::<rusqlite::Result<_>>()?;
    other.execute_batch("ALTER TABLE events RENAME TO hidden_events")?;
    Ok(texts)
}

/// Renaming writes the texts of the schema anew, and the check wants them as they were.
fn bring_back(other: &Connection, texts: &[(String, String)]) -> rusqlite::Result<()> {
    other.execute_batch(
        "ALTER TABLE hidden_events RENAME TO events; PRAGMA writable_schema = ON; BEGIN IMMEDIATE",
    )?;
    for (name, text) in texts {
        other.execute(
            "UPDATE sqlite_schema SET sql = ?2 WHERE name = ?1",
            (name, text),
        )?;
    }
    let version: i64 = other.query_row("PRAGMA schema_version", [], |row| row.get(0))?;
    other.execute_batch(&format!("PRAGMA schema_version = {}; COMMIT", version + 1))
}

impl World {
    /// Trouble may begin or end.
    pub fn trouble(&mut self) {
        if self.trouble.now.is_some() {
            if self.random.chance(4) {
                self.end_trouble();
            }
        } else if self.setup.trouble_in > 0 && self.random.chance(self.setup.trouble_in) {
            self.begin_trouble();
        }
    }

    fn begin_trouble(&mut self) {
        let path = self.setup.store.path.clone();
        let (kind, name) = match self.random.below(6) {
            0..=1 => {
                let holder = change(&path, "BEGIN IMMEDIATE");
                (Kind::Lock { _holder: holder }, "a locked database")
            }
            2..=3 => {
                let place = PLACES[self.random.below(PLACES.len() as u64) as usize];
                let place = place.replace("{}", &(1 + self.random.below(9)).to_string());
                let way = ["ABORT", "FAIL", "ROLLBACK"][self.random.below(3) as usize];
                let raise = format!("SELECT RAISE({way}, 'on purpose')");
                let trigger = format!("CREATE TRIGGER failure {place} BEGIN {raise}; END");
                (
                    Kind::Failure(change(&path, &trigger)),
                    "a failing statement",
                )
            }
            4 => {
                self.database.table = "hidden_events";
                let other = change(&path, "");
                let texts = hide(&other).expect("the server is in no transaction");
                (Kind::Hidden(other, texts), "an unreadable table")
            }
            _ => {
                let log = fs::metadata(format!("{}-wal", path.display()));
                let bytes = log.map_or(0, |log| log.len()) + self.random.below(40_000);
                self.database.look_away();
                self.database.is_shy = true;
                let limit = FileLimit::new(bytes);
                (Kind::Limit { _limit: limit }, "a disk without room")
            }
        };
        self.trace.mark(name);
        self.trouble.now = Some(kind);
        self.trouble.has_been = true;
        self.trouble.clear_from = None;
        self.trouble.healthy_from = None;
    }

    pub fn end_trouble(&mut self) {
        let Some(kind) = self.trouble.now.take() else {
            return;
        };
        self.trace.note("trouble ends", 0, 0);
        match kind {
            Kind::Limit { .. } => {}
            Kind::Failure(other) => {
                let ended = other.execute_batch("DROP TRIGGER failure");
                ended.expect("the server is in no transaction");
            }
            Kind::Hidden(other, texts) => {
                bring_back(&other, &texts).expect("the server is in no transaction");
                self.database.table = "events";
            }
            Kind::Lock { .. } => {
                let waits = self.links.iter().flat_map(|link| &link.asked).any(|asked| {
                    let is_publication = matches!(asked.wanted, Wanted::Publish(_));
                    is_publication && asked.complete_in.is_some() && asked.status.is_none()
                });
                if waits {
                    self.trace.mark("a lock that was waited for");
                }
            }
        }
        self.trouble.ended_at = self.now.mono_ms;
    }
}
