//! The small tables and the definitions of all of them.

use rusqlite::{Connection, OptionalExtension};

use super::rules::name_problem;
use super::run::{Progress, Run};
use crate::limits::CHECK_LINES_PER_PART;
use crate::store::definitions::{interfering, read, wanted};
use crate::store::identity;
use crate::store::options::Dedup;
use crate::store::schema::{has_index_parts, ADDED_TABLES, SEARCH_TABLES};

/// SQLite's own check of its file.
pub(super) fn integrity(run: &mut Run) -> rusqlite::Result<()> {
    (run.progress)(Progress {
        step: "SQLite's integrity check",
        done: 0,
        total: 0,
    });
    let sql = format!("PRAGMA integrity_check({CHECK_LINES_PER_PART})");
    let mut statement = run.db.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line = row.get_ref(0)?.as_str()?;
        if line != "ok" {
            let what = named_tree(run.db, line)?.unwrap_or_default();
            run.problems.add("sqlite", format_args!("{what}{line}"));
        }
    }
    Ok(())
}

/// The name of the tree that SQLite finds damaged: it reports only on which page that begins, as in `Tree 5 page 12:
/// ...`.
fn named_tree(db: &Connection, line: &str) -> rusqlite::Result<Option<String>> {
    let root = line.split_once("Tree ").map(|(_, rest)| rest);
    let root = root.and_then(|rest| rest.split(' ').next()?.parse::<i64>().ok());
    let Some(root) = root else {
        return Ok(None);
    };
    let sql = "SELECT type || ' ' || name || iif(type = 'index', ' of the table ' || tbl_name, '') || ': ' \
               FROM sqlite_schema WHERE rootpage = ?1";
    db.query_row(sql, [root], |row| row.get(0)).optional()
}

/// What the definitions of the tables and indexes say.
pub(super) struct Schema {
    /// Names of what is missing or defined differently.
    damaged: Vec<String>,
    /// Whether the tables of rejected records are there and right.
    pub has_rejected: bool,
    /// Whether the tables of summaries are there and right.
    pub has_summaries: bool,
    pub is_damaged: bool,
    pub has_unused_parts: bool,
}

impl Schema {
    pub(super) fn is_right(&self, name: &str) -> bool {
        !self.damaged.iter().any(|damaged| damaged == name)
    }
}

/// Compares the definitions with those of a new database. What others have added is left alone unless it can
/// change a write.
pub(super) fn definitions(run: &mut Run, dedup: Dedup) -> rusqlite::Result<Schema> {
    let (all_wanted, found) = (wanted(dedup)?, read(run.db)?);
    let is_old = |name: &str| {
        let small = ["counters", "retention", "removed_times", "removed_keys"];
        run.version < 4 && ["segments", "topics"].contains(&name)
            || run.version < 5 && small.contains(&name)
            || run.version < 8 && ["meta", "subscriptions"].contains(&name)
    };
    let mut damaged = Vec::new();
    let mut has_rejected = true;
    let mut has_summaries = run.version >= 6;
    for (name, wanted) in &all_wanted {
        has_rejected &= found.get(name) == Some(wanted) || !ADDED_TABLES.contains(&&**name);
        let is_of_summaries = SEARCH_TABLES.contains(&&**name);
        has_summaries &= found.get(name) == Some(wanted) || !is_of_summaries;
        match found.get(name) {
            Some(found) if found == wanted => continue,
            Some(_) if is_old(name) => continue,
            // Made by the next program that opens the database for writing.
            None if ADDED_TABLES.contains(&&**name) => continue,
            None if is_of_summaries && run.version < 6 => continue,
            Some(_) => run
                .problems
                .add("schema", format_args!("{name} is defined differently")),
            None => run
                .problems
                .add("schema", format_args!("{name} is missing")),
        }
        damaged.push(name.clone());
    }
    for what in interfering(run.db, &found, &all_wanted)? {
        run.problems.add(
            "schema",
            format_args!("another program has added {what}; it can change what is stored"),
        );
    }
    Ok(Schema {
        is_damaged: !damaged.is_empty(),
        has_rejected,
        has_summaries,
        damaged,
        has_unused_parts: dedup == Dedup::Constraint && has_index_parts(run.db)?,
    })
}

/// The identity, which a database has from when a program that knows of it has opened it.
pub(super) fn history(run: &mut Run, counters: &Counters) -> rusqlite::Result<()> {
    use rusqlite::Error::{IntegralValueOutOfRange, InvalidColumnType, QueryReturnedNoRows};
    let fault = match identity::recorded(run.db) {
        Ok(identity) => identity.and_then(|identity| identity.fault(counters.last_seq)),
        Err(
            error @ (InvalidColumnType(..) | IntegralValueOutOfRange(..) | QueryReturnedNoRows),
        ) => Some(format!("the identity cannot be read: {error}")),
        Err(error) => return Err(error),
    };
    if let Some(fault) = fault {
        run.problems.add("meta", fault);
    }
    Ok(())
}

/// The row of the table `counters`.
pub(super) struct Counters {
    pub last_seq: u64,
    pub unique_processed: u64,
    pub topics_mark: u64,
}

/// Reads the counters and compares them with each other.
pub(super) fn counters(run: &mut Run) -> rusqlite::Result<Counters> {
    let names = [
        "last_seq",
        "unique_processed",
        "duplicate_dropped",
        "conflicts",
        "topics_mark",
    ];
    let sql = format!("SELECT {} FROM counters", names.join(", "));
    let values = run.db.query_row(&sql, [], |row| {
        let mut values = [0_i64; 5];
        for (at, value) in values.iter_mut().enumerate() {
            *value = row.get(at)?;
        }
        Ok(values)
    })?;
    for (name, value) in names.iter().zip(values) {
        if value < 0 {
            run.problems
                .add("counters", format_args!("{name} is {value}"));
        }
    }
    let [last_seq, unique_processed, duplicate_dropped, conflicts, topics_mark] =
        values.map(|value| value.max(0) as u64);
    if conflicts > duplicate_dropped {
        run.problems.add(
            "counters",
            format_args!(
                "conflicts is {conflicts}, more than duplicate_dropped, {duplicate_dropped}"
            ),
        );
    }
    if topics_mark > last_seq {
        run.problems.add(
            "counters",
            format_args!("topics_mark is {topics_mark}, more than last_seq, {last_seq}"),
        );
    }
    Ok(Counters {
        last_seq,
        unique_processed,
        topics_mark,
    })
}

/// Compares the named subscriptions with the counters.
pub(super) fn subscriptions(run: &mut Run, counters: &Counters) -> rusqlite::Result<()> {
    let hold = if run.version < 7 { "0" } else { "hold" };
    let sql = format!("SELECT name, after, {hold} FROM subscriptions");
    let mut statement = run.db.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name = row.get_ref(0)?.as_bytes()?;
        let shown = String::from_utf8_lossy(name);
        if let Some(what) = name_problem(name) {
            run.problems.add(
                "subscriptions",
                format_args!("the name of {shown:?} {what}"),
            );
        }
        let after = row.get::<_, i64>(1)?;
        let last_seq = counters.last_seq;
        if !(0..=last_seq as i64).contains(&after) {
            run.problems.add(
                "subscriptions",
                format_args!("{shown:?} is after seq {after}, and last_seq is {last_seq}"),
            );
        }
        let hold = row.get::<_, i64>(2)?;
        if !(0..=1).contains(&hold) {
            run.problems.add(
                "subscriptions",
                format_args!("{shown:?} has {hold} for hold, which is 0 or 1"),
            );
        }
    }
    Ok(())
}

/// Compares the index of the topics' names, which says their order, with the table.
pub(super) fn order_of_topics(run: &mut Run, topics: &Topics) -> rusqlite::Result<()> {
    let sql = "SELECT id, name FROM topics INDEXED BY sqlite_autoindex_topics_1 ORDER BY name";
    let mut statement = run.db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut seen = vec![false; topics.len()];
    let mut last: Option<Vec<u8>> = None;
    let mut is_right = true;
    while let Some(row) = rows.next()? {
        let place = row.get::<_, i64>(0)? - 1;
        let place = usize::try_from(place).ok().and_then(|at| seen.get_mut(at));
        is_right &= place.is_some_and(|seen| !std::mem::replace(seen, true));
        let name = row.get_ref(1)?.as_bytes()?.to_vec();
        is_right &= last.is_none_or(|last| last < name);
        last = Some(name);
    }
    if !is_right || seen.contains(&false) {
        let what = "the index of the names does not hold each topic once, in order";
        run.problems.add("topics", what);
    }
    Ok(())
}

/// Compares the counters with the number of events.
pub(super) fn compare_counters(run: &mut Run, counters: &Counters, events: u64) {
    let unique = counters.unique_processed;
    let removed = run.horizons.removed;
    if unique == events + removed {
        return;
    }
    if removed == 0 {
        run.problems.add(
            "counters",
            format_args!("unique_processed is {unique}, but there are {events} events"),
        );
    } else {
        run.problems.add(
            "counters",
            format_args!(
                "unique_processed is {unique}, but there are {events} events and {removed} were removed"
            ),
        );
    }
}

/// A row of the table `topics`, and what the events say of it.
struct Topic {
    events: u64,
    last_seq: u64,
    last_processed_at: i64,
    /// Events with a seq up to `last_seq`.
    counted: u64,
    /// Events after `last_seq` and up to the mark.
    missed: u64,
    has_events: bool,
    /// The event with `last_seq` is of this topic and was processed then.
    is_last_right: bool,
}

/// The table `topics`.
pub(super) struct Topics {
    mark: u64,
    /// By id, less one.
    rows: Vec<Topic>,
}

impl Topics {
    pub(super) fn read(run: &mut Run, counters: &Counters) -> rusqlite::Result<Self> {
        let sql = "SELECT id, events, last_seq, last_processed_at, name FROM topics ORDER BY id";
        let mut statement = run.db.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut topics = Self {
            mark: counters.topics_mark,
            rows: Vec::new(),
        };
        while let Some(row) = rows.next()? {
            let (id, events, last_seq) = (row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?);
            let expected = topics.rows.len() as i64 + 1;
            if id != expected {
                run.problems.add(
                    "topics",
                    format_args!("the topic with id {expected} is missing"),
                );
                // A far too large id would otherwise cost memory for all below it.
                if id < expected || id > expected + i64::from(u16::MAX) {
                    break;
                }
                topics.rows.resize_with(id as usize - 1, Topic::missing);
            }
            if events < 0 || last_seq < 0 || last_seq > counters.last_seq as i64 {
                run.problems.add(
                    "topics",
                    format_args!("topic {id} has events {events}, last_seq {last_seq}"),
                );
            }
            if let Some(what) = name_problem(row.get_ref(4)?.as_bytes()?) {
                run.problems
                    .add("topics", format_args!("the name of topic {id} {what}"));
            }
            topics.rows.push(Topic {
                events: i64::max(events, 0) as u64,
                last_seq: i64::max(last_seq, 0) as u64,
                last_processed_at: row.get(3)?,
                ..Topic::missing()
            });
        }
        Ok(topics)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Counts an event; returns whether there is such a topic.
    pub(super) fn count(&mut self, id: i64, seq: u64, processed_at: i64) -> bool {
        let Some(topic) = usize::try_from(id - 1)
            .ok()
            .and_then(|at| self.rows.get_mut(at))
        else {
            return false;
        };
        topic.has_events = true;
        if seq <= topic.last_seq {
            topic.counted += 1;
        } else if seq <= self.mark {
            topic.missed += 1;
        }
        if seq == topic.last_seq {
            topic.is_last_right = processed_at == topic.last_processed_at;
        }
        true
    }

    /// Compares the rows with the events, once all of them are counted.
    pub(super) fn judge(&self, run: &mut Run) {
        let horizon = run.horizons.events;
        let mut problem = |what: std::fmt::Arguments| run.problems.add("topics", what);
        for (at, topic) in self.rows.iter().enumerate() {
            let id = at + 1;
            let is_removed = topic.last_seq > 0 && topic.last_seq <= horizon;
            let Topic {
                events,
                last_seq,
                counted,
                missed,
                ..
            } = topic;
            if counted != events {
                problem(format_args!(
                    "topic {id} has events {events}, but there are {counted} up to seq {last_seq}"
                ));
            }
            if *missed > 0 {
                problem(format_args!(
                    "topic {id} counts up to seq {last_seq} and misses {missed} events up to topics_mark, {}",
                    self.mark
                ));
            }
            if *last_seq > 0 && !topic.is_last_right && !is_removed {
                problem(format_args!(
                    "topic {id} has last_seq {last_seq} and last_processed_at {}, which no event of it has",
                    topic.last_processed_at
                ));
            }
            if !topic.has_events && !is_removed {
                problem(format_args!("topic {id} has no event"));
            }
        }
    }
}

impl Topic {
    fn missing() -> Self {
        Self {
            events: 0,
            last_seq: 0,
            last_processed_at: 0,
            counted: 0,
            missed: 0,
            has_events: false,
            is_last_right: false,
        }
    }
}
