//! Compares what publishers were told with what is in the file and with what the server says.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::{json, Value};

use super::publisher::{is_own, Sent};
use crate::checking::check_beside;
use crate::harness::Server;
use crate::random::Random;

/// The file as another program sees it.
pub struct Database(Connection);

/// The row of counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counters {
    last_seq: u64,
    unique: u64,
    duplicates: u64,
    conflicts: u64,
}

impl Database {
    pub fn open(path: &Path) -> Database {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        Database(Connection::open_with_flags(path, flags).expect("anyone can read the file"))
    }

    fn number(&self, sql: &str) -> u64 {
        let number: i64 = self.0.query_row(sql, [], |row| row.get(0)).unwrap();
        number.try_into().unwrap()
    }

    pub fn rows_of(&self, topic: &str, event_id: &str) -> u64 {
        let sql = "SELECT count(*) FROM event_log WHERE topic = ?1 AND event_id = ?2";
        let count: i64 = self
            .0
            .query_row(sql, [topic, event_id], |row| row.get(0))
            .unwrap();
        count.try_into().unwrap()
    }

    fn counters(&self) -> Counters {
        let sql = "SELECT last_seq, unique_processed, duplicate_dropped, conflicts FROM counters";
        let read = |row: &rusqlite::Row| {
            let column = |at| row.get::<_, i64>(at).map(|number| number as u64);
            Ok(Counters {
                last_seq: column(0)?,
                unique: column(1)?,
                duplicates: column(2)?,
                conflicts: column(3)?,
            })
        };
        self.0.query_row(sql, [], read).unwrap()
    }

    /// The events with a greater seq, as they were sent.
    fn events_after(&self, seq: u64) -> Vec<(u64, Value)> {
        let sql = "SELECT seq, topic, event_id, timestamp, source, payload FROM event_log
                   WHERE seq > ?1 ORDER BY seq";
        let mut statement = self.0.prepare(sql).unwrap();
        let read = |row: &rusqlite::Row| {
            let text = |at| row.get::<_, String>(at);
            let payload: Value = serde_json::from_str(&text(5)?).expect("a payload is JSON");
            let event = json!({
                "topic": text(1)?,
                "event_id": text(2)?,
                "timestamp": text(3)?,
                "source": text(4)?,
                "payload": payload,
            });
            Ok((row.get::<_, i64>(0)? as u64, event))
        };
        let rows = statement.query_map([seq as i64], read).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

/// A topic and an event id.
type Key = (String, String);

fn key(event: &Value) -> Key {
    let text = |name: &str| event[name].as_str().unwrap().to_owned();
    (text("topic"), text("event_id"))
}

/// All that is known to be stored, over all rounds.
#[derive(Default)]
pub struct Ledger {
    seqs: HashMap<Key, u64>,
    events: HashMap<u64, Value>,
    counters: Counters,
    shown: Shown,
}

/// What the rounds have shown.
#[derive(Clone, Copy, Default)]
pub struct Shown {
    /// Requests that were answered, and their events.
    pub answered: u64,
    pub events: u64,
    /// Requests without an answer that are stored whole, and those of which nothing is.
    pub whole: u64,
    pub missing: u64,
}

impl Ledger {
    pub fn shown(&self) -> Shown {
        self.shown
    }

    pub fn last_seq(&self) -> u64 {
        self.counters.last_seq
    }

    /// Checks a round's requests against the file.
    pub fn check(&mut self, sent: &[Sent], database: &Database) {
        self.check_structure(database);
        self.take_in(database);
        let mut answered = 0;
        let mut open = 0;
        let mut conflicts = 0;
        for request in sent {
            match &request.answered {
                Some(results) => {
                    answered += results.len() as u64;
                    conflicts += results
                        .iter()
                        .filter(|(status, _)| status == "conflict")
                        .count();
                    self.check_answered(&request.events, results);
                    self.shown.answered += 1;
                }
                None => open += request.events.len() as u64,
            }
        }
        self.check_unanswered(sent);
        let before = self.counters;
        let now = database.counters();
        let received = now.unique + now.duplicates - before.unique - before.duplicates;
        assert!(
            (answered..=answered + open).contains(&received),
            "{received} counted, {answered} answered, {open} not answered"
        );
        assert!(now.conflicts - before.conflicts >= conflicts as u64);
        self.counters = now;
        self.shown.events += answered;
    }

    fn check_structure(&self, database: &Database) {
        let checked: String = database
            .0
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(checked, "ok");
        let rows = database.number("SELECT count(*) FROM events");
        let sql = "SELECT count(*) FROM (SELECT DISTINCT topic, event_id FROM event_log)";
        assert_eq!(database.number(sql), rows, "a key is stored twice");
        let counters = database.counters();
        assert_eq!(counters.unique, rows, "{counters:?}");
        assert!(counters.conflicts <= counters.duplicates, "{counters:?}");
        let last = database.number("SELECT coalesce(max(seq), 0) FROM events");
        assert!(last <= counters.last_seq, "{counters:?}");
    }

    /// Learns what is new in the file. What was known must not come again.
    fn take_in(&mut self, database: &Database) {
        for (seq, event) in database.events_after(self.counters.last_seq) {
            let earlier = self.seqs.insert(key(&event), seq);
            assert_eq!(earlier, None, "{event} was stored before");
            self.events.insert(seq, event);
        }
        let rows = database.number("SELECT count(*) FROM events");
        assert_eq!(
            self.events.len() as u64,
            rows,
            "an event of an earlier round is gone"
        );
    }

    fn check_answered(&self, events: &[Value], results: &[(String, u64)]) {
        assert_eq!(events.len(), results.len());
        for (event, (status, seq)) in events.iter().zip(results) {
            let stored = self.events.get(seq);
            let stored = stored.unwrap_or_else(|| panic!("{status} {seq} is lost: {event}"));
            match status.as_str() {
                "accepted" | "duplicate" => assert_eq!(stored, event, "{status} {seq}"),
                "conflict" => {
                    assert_eq!(key(stored), key(event), "{status} {seq}");
                    assert_ne!(stored, event, "{status} {seq}");
                }
                other => panic!("{other} for {event}"),
            }
        }
    }

    /// Whole or not at all, and on one connection no later request without the earlier ones.
    fn check_unanswered(&mut self, sent: &[Sent]) {
        let mut missing: HashMap<&str, bool> = HashMap::new();
        for request in sent.iter().filter(|request| request.answered.is_none()) {
            let own: Vec<&Value> = request
                .events
                .iter()
                .filter(|event| is_own(event))
                .collect();
            let is_stored = |event: &&&Value| self.seqs.contains_key(&key(event));
            let stored = own.iter().filter(is_stored).count();
            assert!(
                stored == 0 || stored == own.len(),
                "{stored} of {} are stored",
                own.len()
            );
            let missing = missing.entry(&request.publisher).or_default();
            if stored > 0 {
                self.shown.whole += 1;
                assert!(!*missing, "an earlier request of the connection is missing");
                for event in &request.events {
                    assert!(self.seqs.contains_key(&key(event)), "{event} is missing");
                }
            } else if !own.is_empty() {
                self.shown.missing += 1;
                *missing = true;
            }
        }
    }

    /// Checks that the restarted server says what the file says.
    pub fn check_server(&self, server: &Server, random: &mut Random) {
        check_beside(server);
        let mut client = server.client();
        let stats = client.get("/stats").expect(200);
        let Counters {
            last_seq,
            unique,
            duplicates,
            conflicts,
        } = self.counters;
        for (name, expected) in [
            ("received", unique + duplicates),
            ("unique_processed", unique),
            ("duplicate_dropped", duplicates),
            ("conflicts", conflicts),
            ("last_seq", last_seq),
            ("queue_size", 0),
        ] {
            assert_eq!(stats[name], expected, "{name}");
        }
        let topics = client.get("/topics").expect(200);
        let counts = topics["topics"].as_array().unwrap().iter();
        let sum: u64 = counts.map(|topic| topic["events"].as_u64().unwrap()).sum();
        assert_eq!(sum, unique);
        let after = random.below(last_seq);
        let page = client
            .get(&format!("/events?after={after}&limit=50"))
            .expect(200);
        for event in page["events"].as_array().unwrap() {
            let stored = &self.events[&event["seq"].as_u64().unwrap()];
            for member in ["topic", "event_id", "timestamp", "source", "payload"] {
                assert_eq!(event[member], stored[member]);
            }
        }
    }
}
