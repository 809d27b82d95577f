//! What the server promised, and when: the answers as they went to the sockets, and the rows that the
//! finished run has. Events are numbered in the order of their commits, so of any moment it is enough to
//! say how many there must be.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::session::Session;
use crate::disk::Entry;

/// An event as it is stored: topic, event id, timestamp, source, payload.
pub type Row = [String; 5];

/// What there may be after the events that were answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Events of the finished run, with counts that were answered.
    Known,
    /// Also what was refused: a crash that follows the refusal at once may bring it back whole.
    MayBeRefused,
}

/// What a cut of the record is compared with.
pub struct Promise {
    pub rest: Rest,
    /// All events of the whole run; the first has seq 1.
    pub rows: Vec<Row>,
    /// `(unique, duplicates)` as the answers add up, one after the other.
    pub counts: HashSet<(u64, u64)>,
    /// By the position in the record of the answer's first byte: events answered as accepted up to there.
    answers: Vec<(usize, u64)>,
}

impl Promise {
    pub fn of(session: &Session, rest: Rest) -> Promise {
        let mut counts = HashSet::from([(0, 0)]);
        let mut answers = Vec::new();
        let (mut unique, mut duplicates) = (0, 0);
        for (position, body) in bodies(&session.entries) {
            let (Some(accepted), Some(repeated)) =
                (body["accepted"].as_u64(), body["duplicates"].as_u64())
            else {
                continue;
            };
            unique += accepted;
            duplicates += repeated;
            counts.insert((unique, duplicates));
            answers.push((position, unique));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = Connection::open_with_flags(&session.database, flags).unwrap();
        let rows = rows(&database).unwrap().with_removed(session);
        let count = rows.len() as u64;
        assert!(unique <= count, "the run itself lost {unique} - {count}");
        assert!(unique == count || rest == Rest::MayBeRefused);
        Promise {
            rest,
            rows,
            counts,
            answers,
        }
    }

    /// The number of events that were answered before this position of the record.
    pub fn before(&self, position: usize) -> u64 {
        let count = self.answers.partition_point(|(at, _)| *at < position);
        count.checked_sub(1).map_or(0, |last| self.answers[last].1)
    }

    /// The positions of the answers.
    pub fn positions(&self) -> Vec<usize> {
        self.answers.iter().map(|(at, _)| *at).collect()
    }

    /// The same answers, each given before what the server did since the answer before it: a server that
    /// answers first and commits then.
    pub fn answered_before_the_commit(mut self) -> Promise {
        for at in (1..self.answers.len()).rev() {
            self.answers[at].0 = self.answers[at - 1].0 + 1;
        }
        self
    }
}

/// The JSON bodies of the answers, with the position of each one's first byte.
fn bodies(entries: &[Entry]) -> Vec<(usize, Value)> {
    let mut bodies = Vec::new();
    let mut open: HashMap<u64, (usize, Vec<u8>)> = HashMap::new();
    for (position, entry) in entries.iter().enumerate() {
        let Entry::Sent { socket, bytes } = entry else {
            continue;
        };
        let (begun, text) = open.entry(*socket).or_default();
        if text.is_empty() {
            *begun = position;
        }
        text.extend_from_slice(bytes);
        let head_end = text.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(head_end) = head_end.map(|at| at + 4) else {
            continue;
        };
        let head = std::str::from_utf8(&text[..head_end]).expect("a head is ASCII");
        let length = head
            .split("\r\n")
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map(|(_, length)| length.parse::<usize>().expect("it is a number"))
            .expect("answers to publishers have a length");
        if text.len() >= head_end + length {
            assert_eq!(text.len(), head_end + length, "publishers do not pipeline");
            let body = serde_json::from_slice(&text[head_end..]).expect("the body is JSON");
            bodies.push((*begun, body));
            open.remove(socket);
        }
    }
    bodies.sort_by_key(|(position, _)| *position);
    bodies
}

/// The events that are there.
#[derive(PartialEq, Eq)]
pub struct Stored {
    /// How many retention has removed in front of them.
    pub removed: u64,
    pub rows: Vec<Row>,
}

impl Stored {
    /// The greatest seq.
    pub fn last_seq(&self) -> u64 {
        self.removed + self.rows.len() as u64
    }

    /// All events that there have been.
    fn with_removed(self, session: &Session) -> Vec<Row> {
        let removed = (1..=self.removed).map(|seq| session.accepted[&seq].clone());
        removed.chain(self.rows).collect()
    }
}

/// All events in the order of their seqs, which have no gaps and begin with 1 or after what has been
/// removed.
pub fn rows(database: &Connection) -> Result<Stored, String> {
    let explain = |error: rusqlite::Error| format!("the events cannot be read: {error}");
    let sql = "SELECT seq, topics.name, event_id, timestamp, source, payload
               FROM events JOIN topics ON topics.id = events.topic_id ORDER BY seq";
    let mut statement = database.prepare(sql).map_err(explain)?;
    let mut found = statement.query([]).map_err(explain)?;
    let horizon = "SELECT events_horizon FROM retention";
    let horizon: i64 = database
        .query_row(horizon, [], |row| row.get(0))
        .map_err(explain)?;
    let removed = horizon as u64;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(explain)? {
        let seq: i64 = row.get(0).map_err(explain)?;
        let expected = horizon + rows.len() as i64 + 1;
        if seq != expected {
            return Err(format!("seq {seq} stands where {expected} should"));
        }
        let mut texts = Row::default();
        for (at, text) in texts.iter_mut().enumerate() {
            *text = row.get(at + 1).map_err(explain)?;
        }
        rows.push(texts);
    }
    Ok(Stored { removed, rows })
}
