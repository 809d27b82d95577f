//! Statistics of the whole store. They cost the same however many batches and events there are: what has been added up
//! once is kept, and only what came after it is read.

use std::collections::BTreeMap;

use super::rows::{seq_param, Head, HEAD};
use crate::api::topics::{begin_text, write_counts};
use crate::http::Response;
use crate::limits::{FRONT_COUNT_SEQS, STATS_TOPICS_MAX};
use crate::postgres::statement::Statement;
use crate::postgres::{Answer, Param, Row};

/// What has become of all events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub received: u64,
    pub stored: u64,
    pub duplicates: u64,
    pub conflicts: u64,
}

impl Totals {
    fn read(row: &Row, from: usize) -> Option<Totals> {
        Some(Totals {
            received: row.value(from)?,
            stored: row.value(from + 1)?,
            duplicates: row.value(from + 2)?,
            conflicts: row.value(from + 3)?,
        })
    }

    fn plus(self, other: Totals) -> Totals {
        Totals {
            received: self.received + other.received,
            stored: self.stored + other.stored,
            duplicates: self.duplicates + other.duplicates,
            conflicts: self.conflicts + other.conflicts,
        }
    }
}

/// Batches after the base, and those of them that nobody can commit any more with a smaller id. Ids are drawn a moment
/// before they are committed, and no transaction lasts for an hour.
const SUMS: &str = "WITH new AS (SELECT * FROM logagg.batches WHERE id > $1), \
    settled AS (SELECT max(id) AS id FROM new WHERE committed_at < now() - interval '1 hour') \
    SELECT coalesce(sum(events), 0), coalesce(sum(stored), 0), coalesce(sum(duplicates), 0), \
    coalesce(sum(conflicts), 0), \
    coalesce(sum(events) FILTER (WHERE new.id <= s.id), 0), coalesce(sum(stored) FILTER (WHERE new.id <= s.id), 0), \
    coalesce(sum(duplicates) FILTER (WHERE new.id <= s.id), 0), \
    coalesce(sum(conflicts) FILTER (WHERE new.id <= s.id), 0), max(s.id) FROM new, settled s";

/// A new disk at an old address is a new node, so only the newest commit at each address counts.
const NODES: &str =
    "SELECT name, min(extract(epoch FROM now() - committed_at)) FROM logagg.node_positions \
    WHERE committed_at IS NOT NULL GROUP BY name ORDER BY name";

const SIZE: &str = "SELECT pg_database_size(current_database())";

/// What is asked for statistics, given the id up to which batches have been added up.
pub(super) fn statements(base: i64) -> Vec<Statement> {
    vec![
        HEAD.into(),
        Statement::new(SUMS, vec![Param::bigint(base)]),
        "SELECT count(*) FROM logagg.topics".into(),
        Statement::new(
            "SELECT name FROM logagg.topics ORDER BY name LIMIT $1",
            vec![Param::bigint(STATS_TOPICS_MAX as i64)],
        ),
        SIZE.into(),
        NODES.into(),
    ]
}

/// What is known of the whole store.
#[derive(Debug, Default)]
pub(super) struct StoreStats {
    /// The id up to which batches have been added up, and their sums.
    pub base: i64,
    base_totals: Totals,
    pub totals: Totals,
    pub topic_count: usize,
    pub topics: Vec<String>,
    pub database_bytes: u64,
    /// Of each node the seconds since its last commit.
    pub nodes: Vec<(String, f64)>,
    pub head: Head,
    /// When it was read, in `mono_ms`.
    pub read_at: Option<u64>,
}

impl StoreStats {
    /// Takes the answers to [`statements`]. Those of another base than the own one are not added to it. None, and
    /// nothing is taken, if one of them is something else.
    pub(super) fn take(&mut self, base: i64, answers: &[Answer], now: u64) -> Option<()> {
        let [head, sums, count, names, size, nodes] = answers else {
            return None;
        };
        let head = Head::read(head.rows())?;
        let sums = sums.rows().first()?;
        let (all, settled) = (Totals::read(sums, 0)?, Totals::read(sums, 4)?);
        let settled_id: Option<i64> = sums.maybe(8)?;
        let number = |answer: &Answer| answer.rows().first()?.value::<u64>(0);
        let (topic_count, database_bytes) = (number(count)?, number(size)?);
        let text = |row: &Row| row.text(0).map(str::to_owned);
        let topics = names.rows().iter().map(text).collect::<Option<_>>()?;
        let lag = |row: &Row| Some((row.text(0)?.to_owned(), row.value(1)?));
        let nodes = nodes.rows().iter().map(lag).collect::<Option<_>>()?;
        if base == self.base {
            self.totals = self.base_totals.plus(all);
            if let Some(id) = settled_id {
                self.base_totals = self.base_totals.plus(settled);
                self.base = id;
            }
        }
        self.head = head;
        self.topic_count = topic_count as usize;
        self.database_bytes = database_bytes;
        (self.topics, self.nodes) = (topics, nodes);
        self.read_at = Some(now);
        Some(())
    }
}

/// Counts the events of each topic for a part of the seqs after one.
pub(super) fn count_topics(after: u64) -> Statement {
    let sql = "SELECT t.name, count(*), max(e.seq), (extract(epoch FROM max(e.processed_at)) * 1000000)::int8 \
               FROM logagg.events e JOIN logagg.topics t ON t.id = e.topic_id \
               WHERE e.seq > $1 AND e.seq <= $2 GROUP BY t.name";
    let params = vec![seq_param(after), seq_param(after + FRONT_COUNT_SEQS)];
    Statement::new(sql, params)
}

/// The counts of topics so far: events, the last seq and the last time.
#[derive(Debug, Default)]
pub(super) struct TopicCounts {
    /// Events up to this seq have been counted.
    pub through: u64,
    /// The oldest event when they were counted.
    first: u64,
    topics: BTreeMap<String, (u64, u64, i64)>,
}

impl TopicCounts {
    /// Takes the answers to [`count_topics`] after `after`. Says whether all events have been counted; none, and
    /// nothing is taken, if a row is something else.
    pub(super) fn take(&mut self, after: u64, head: Head, rows: &[Row]) -> Option<bool> {
        // Another past of the store, or retention has removed events.
        if self.through > 0 && (head.last < self.through || head.first != self.first) {
            *self = TopicCounts::default();
            return Some(false);
        }
        // A count that came twice.
        if after != self.through {
            return Some(false);
        }
        let counts = |row: &Row| {
            let name = row.text(0)?.to_owned();
            Some((name, row.value(1)?, row.value(2)?, row.value(3)?))
        };
        let counted: Vec<(String, u64, u64, i64)> =
            rows.iter().map(counts).collect::<Option<_>>()?;
        self.first = head.first;
        let mut last = head.last.min(after + FRONT_COUNT_SEQS);
        for (name, events, seq, at) in counted {
            let known = self.topics.entry(name).or_default();
            *known = (known.0 + events, known.1.max(seq), known.2.max(at));
            last = last.max(seq);
        }
        self.through = last;
        Some(self.through >= head.last)
    }

    /// The answer with all of them.
    pub(super) fn answer(&self) -> Response {
        let mut body = begin_text(self.topics.len()).into_bytes();
        for (at, (name, counts)) in self.topics.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            write_counts(&mut body, name, *counts);
        }
        body.extend_from_slice(b"]}");
        Response::json(200, body)
    }
}
