//! The tables that a fleet shares, as the statements that make them.

use std::fmt::Write;

use crate::limits::{STORE_PARTITIONS, STORE_PARTITION_EVENTS};

/// The version of the tables. A greater one was written by a newer program.
pub(crate) const VERSION: i32 = 1;
/// Partitions of the table of keys.
const KEY_PARTITIONS: u32 = 16;

/// An engine that needs its own form of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Citus,
    Cockroach,
    Yugabyte,
}

const HEAD: &str = r#"CREATE SCHEMA logagg;
CREATE TABLE logagg.meta (
  one smallint PRIMARY KEY CHECK (one = 1), version int NOT NULL, store_id uuid NOT NULL,
  created_at timestamptz NOT NULL);
CREATE TABLE logagg.head (
  one smallint PRIMARY KEY CHECK (one = 1));
CREATE TABLE logagg.nodes (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, database_id uuid NOT NULL, life int NOT NULL, name text NOT NULL,
  first_seen timestamptz NOT NULL, UNIQUE (database_id, life));
CREATE TABLE logagg.topics (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE "C" NOT NULL UNIQUE);
"#;

const KEYS: &str = r#"CREATE TABLE logagg.keys (
  event_id text COLLATE "C" NOT NULL, topic_id int NOT NULL, batch bigint NOT NULL, idx int NOT NULL,
  content bytea NOT NULL,
  PRIMARY KEY (event_id, topic_id))"#;

const BATCHES: &str = r#"CREATE TABLE logagg.batches (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, node int, after bigint, upto bigint, mark bytea,
  first_seq bigint UNIQUE, events int NOT NULL, stored int NOT NULL, duplicates int NOT NULL, conflicts int NOT NULL,
  committed_at timestamptz NOT NULL, UNIQUE (node, after), CHECK ((stored = 0) = (first_seq IS NULL)));
"#;

const EVENTS: &str = r#"CREATE TABLE logagg.events (
  seq bigint PRIMARY KEY, topic_id int NOT NULL, event_id text COLLATE "C" NOT NULL, timestamp text NOT NULL,
  source text NOT NULL, payload text NOT NULL, processed_at timestamptz NOT NULL)"#;

const REST: &str = r#"CREATE INDEX events_topic ON logagg.events (topic_id, seq);
CREATE TABLE logagg.gaps (
  node int NOT NULL, from_seq bigint NOT NULL, to_seq bigint NOT NULL, at timestamptz NOT NULL,
  PRIMARY KEY (node, from_seq));
CREATE TABLE logagg.subscriptions (
  name text COLLATE "C" PRIMARY KEY, after bigint NOT NULL, updated_at timestamptz NOT NULL);
CREATE VIEW logagg.event_log AS
  SELECT e.seq, t.name AS topic, e.event_id, e.timestamp, e.source, e.payload, e.processed_at
  FROM logagg.events e JOIN logagg.topics t ON t.id = e.topic_id;
CREATE VIEW logagg.node_positions AS
  SELECT n.database_id, n.life, n.name, coalesce(p.upto, 0) AS position, p.committed_at
  FROM logagg.nodes n LEFT JOIN LATERAL (
    SELECT b.upto, b.committed_at FROM logagg.batches b WHERE b.node = n.id ORDER BY b.after DESC LIMIT 1) p ON true;
"#;

const CITUS: &str = "SELECT create_reference_table('logagg.topics');
SELECT create_distributed_table('logagg.keys', 'event_id');
SELECT create_distributed_table('logagg.events', 'seq');
";

/// The statements that make all tables, and the rows that are there from the start.
pub(crate) fn statements(dialect: Dialect) -> String {
    let mut sql = HEAD.to_owned() + KEYS;
    let is_partitioned = dialect != Dialect::Cockroach;
    if is_partitioned {
        sql.push_str(" PARTITION BY HASH (event_id)");
    }
    sql.push_str(";\n");
    for part in 0..KEY_PARTITIONS * u32::from(is_partitioned) {
        write(
            &mut sql,
            format_args!(
                "CREATE TABLE logagg.keys_{part} PARTITION OF logagg.keys \
                 FOR VALUES WITH (MODULUS {KEY_PARTITIONS}, REMAINDER {part});\n"
            ),
        );
    }
    sql.push_str(BATCHES);
    sql.push_str(EVENTS);
    if is_partitioned {
        sql.push_str(" PARTITION BY RANGE (seq)");
    }
    sql.push_str(";\n");
    for number in 0..STORE_PARTITIONS * u64::from(is_partitioned) {
        let (from, to) = partition_bounds(number);
        write(
            &mut sql,
            format_args!(
                "CREATE TABLE logagg.events_{number} PARTITION OF logagg.events FOR VALUES FROM ({from}) TO ({to});\n"
            ),
        );
    }
    if is_partitioned {
        sql.push_str("CREATE TABLE logagg.events_default PARTITION OF logagg.events DEFAULT;\n");
    }
    sql.push_str(REST);
    sql.push_str("INSERT INTO logagg.head VALUES (1);\n");
    write(
        &mut sql,
        format_args!("INSERT INTO logagg.meta VALUES (1, {VERSION}, gen_random_uuid(), now());\n"),
    );
    adapted(sql, dialect)
}

/// The statements in the form of an engine.
fn adapted(sql: String, dialect: Dialect) -> String {
    match dialect {
        Dialect::Postgres => sql,
        Dialect::Citus => sql + CITUS,
        // Its indexes are hashed by default; seqs are read in order.
        Dialect::Yugabyte => sql
            .replace(
                "PRIMARY KEY (event_id, topic_id)",
                "PRIMARY KEY (event_id HASH, topic_id ASC)",
            )
            .replace(
                "seq bigint PRIMARY KEY, topic_id",
                "seq bigint, PRIMARY KEY (seq ASC), topic_id",
            )
            .replace("first_seq bigint UNIQUE", "first_seq bigint")
            .replace("UNIQUE (node, after), ", "")
            .replace(
                "CREATE TABLE logagg.events (",
                "CREATE UNIQUE INDEX batches_first_seq ON logagg.batches (first_seq ASC);\n\
                 CREATE UNIQUE INDEX batches_chain ON logagg.batches (node HASH, after ASC);\n\
                 CREATE TABLE logagg.events (",
            )
            .replace(
                "ON logagg.events (topic_id, seq)",
                "ON logagg.events (topic_id HASH, seq ASC)",
            ),
        Dialect::Cockroach => sql.replace(" COLLATE \"C\"", "").replace(
            "seq bigint PRIMARY KEY, topic_id",
            "seq bigint PRIMARY KEY USING HASH, topic_id",
        ),
    }
}

/// The first seq of a partition, and that of the next.
pub(crate) fn partition_bounds(number: u64) -> (u64, u64) {
    let from = number * STORE_PARTITION_EVENTS;
    (from, from + STORE_PARTITION_EVENTS)
}

fn write(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes all text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_gets_what_it_can_do() {
        let of = statements;
        assert!(of(Dialect::Postgres).contains("keys_15 PARTITION OF"));
        assert!(of(Dialect::Postgres).contains("events_19 PARTITION OF"));
        assert!(of(Dialect::Postgres).contains("FROM (950000000) TO (1000000000)"));
        assert!(of(Dialect::Citus).ends_with(CITUS));
        let cockroach = of(Dialect::Cockroach);
        assert!(!cockroach.contains("PARTITION") && !cockroach.contains("COLLATE"));
        assert!(of(Dialect::Yugabyte).contains("event_id HASH"));
    }
}
