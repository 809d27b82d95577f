//! `store retain`: removes old events by dropping their partitions, and old keys in slices.

use std::io::{stderr, Write};
use std::time::Duration;

use clap::Args;

use crate::cli::client::connect::interrupt;
use crate::cli::client::engine::ToArgs;
use crate::cli::failure::Failure;
use crate::client::engine::{prepare, Engine, EngineError};
use crate::client::time;
use crate::limits::{STORE_KEYS_AT_ONCE, STORE_PARTITIONS_AHEAD};
use crate::postgres::schema::partition_bounds;
use crate::postgres::Answer;

/// Remove old events and keys from a store
///
/// Drops the partitions of events whose newest event is older than the age, and makes partitions ahead for what is
/// to come. Keys stay, so an event that comes again is still a duplicate, unless --keys is given. Run it from time to
/// time.
#[derive(Debug, Args)]
pub(super) struct RetainArgs {
    #[command(flatten)]
    to: ToArgs,

    /// Age beyond which events are removed, as in 30d
    #[arg(long, value_name = "AGE", value_parser = time)]
    events: Duration,

    /// Age beyond which the keys of removed events are removed; at least that of the events
    #[arg(long, value_name = "AGE", value_parser = time)]
    keys: Option<Duration>,
}

pub(super) fn run(arguments: &RetainArgs) -> Result<(), Failure> {
    let url = arguments.to.engine()?;
    if arguments.keys.is_some_and(|keys| keys < arguments.events) {
        let sentence = "--keys must not be less than --events: the key of a stored event is known";
        return Err(Failure::Setting(sentence.to_owned()));
    }
    let interrupt = interrupt()?;
    let retain = || -> Result<String, EngineError> {
        let mut engine = Engine::connect(&url, &interrupt)?;
        prepare(&mut engine)?;
        let partitions = drop_partitions(&mut engine, arguments.events)?;
        make_partitions(&mut engine)?;
        let keys = match arguments.keys {
            None => 0,
            Some(age) => delete_keys(&mut engine, age)?,
        };
        engine.close();
        Ok(format!(
            "{partitions} partitions of events and {keys} keys removed"
        ))
    };
    match retain() {
        Ok(sentence) => {
            // If it cannot be printed, it is done nevertheless.
            let _ = writeln!(stderr(), "logagg: {sentence}");
            Ok(())
        }
        Err(EngineError::Stopped(stop)) => Err(stop.into()),
        Err(error) => Err(Failure::Failed(format!("the store at {url}: {error}"))),
    }
}

/// Begins a transaction that excludes appending.
const LOCK_HEAD: &str =
    "BEGIN; SET LOCAL lock_timeout = '15s'; SELECT one FROM logagg.head FOR UPDATE";

/// A partition of the table of events; the one for all other seqs has no number.
struct Partition {
    name: String,
    number: Option<u64>,
}

fn partitions(engine: &mut Engine) -> Result<Vec<Partition>, EngineError> {
    let sql = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
               WHERE i.inhparent = 'logagg.events'::regclass";
    let answer = engine.query(sql)?;
    let names = answer.rows().iter().filter_map(|row| row.text(0));
    let mut partitions: Vec<Partition> = names
        .filter(|name| name.strip_prefix("events_").is_some_and(is_word))
        .map(|name| Partition {
            name: name.to_owned(),
            number: name.trim_start_matches("events_").parse().ok(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.number.unwrap_or(u64::MAX));
    Ok(partitions)
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn number(answer: &Answer) -> Option<u64> {
    answer.rows().first()?.value(0)
}

/// The seq that the next event gets.
fn next_seq(engine: &mut Engine) -> Result<u64, EngineError> {
    let sql = "SELECT first_seq + events FROM logagg.batches WHERE first_seq IS NOT NULL \
               ORDER BY first_seq DESC LIMIT 1";
    Ok(number(&engine.query(sql)?).unwrap_or(1))
}

fn drop_partitions(engine: &mut Engine, age: Duration) -> Result<u64, EngineError> {
    let age = format!("interval '{} milliseconds'", age.as_millis());
    let mut dropped = 0;
    for Partition { name, number } in partitions(engine)? {
        let is_old = format!("SELECT (max(processed_at) < now() - {age})::int FROM logagg.{name}");
        let is_old = |engine: &mut Engine| -> Result<bool, EngineError> {
            Ok(self::number(&engine.query(&is_old)?) == Some(1))
        };
        if !is_old(engine)? {
            continue;
        }
        // Appending is excluded while it is checked once more. Readers of the table are waited for.
        engine.query(LOCK_HEAD)?;
        if !is_old(engine)? {
            engine.query("ROLLBACK")?;
            continue;
        }
        let next = next_seq(engine)?;
        let sql = match number {
            None => format!("DELETE FROM logagg.{name}"),
            Some(number) => {
                let gone = format!(
                    "ALTER TABLE logagg.events DETACH PARTITION logagg.{name}; \
                     DROP TABLE logagg.{name}"
                );
                // Pending writes to it still go there.
                match next < partition_bounds(number).1 {
                    true => format!("{gone}; {}", attached(number)),
                    false => gone,
                }
            }
        };
        engine.query(&format!("{sql}; COMMIT"))?;
        dropped += 1;
    }
    Ok(dropped)
}

/// The statements that make a partition: as a table of its own first, which locks less.
fn attached(number: u64) -> String {
    let (from, to) = partition_bounds(number);
    format!(
        "CREATE TABLE logagg.events_{number} (LIKE logagg.events INCLUDING ALL); \
         ALTER TABLE logagg.events ATTACH PARTITION logagg.events_{number} FOR VALUES FROM ({from}) TO ({to})"
    )
}

/// Makes the next partitions ahead, where they are missing.
fn make_partitions(engine: &mut Engine) -> Result<(), EngineError> {
    let there: Vec<u64> = partitions(engine)?
        .iter()
        .filter_map(|one| one.number)
        .collect();
    let next = next_seq(engine)? / partition_bounds(0).1;
    for number in (next..=next + STORE_PARTITIONS_AHEAD).filter(|number| !there.contains(number)) {
        let sql = format!(
            "BEGIN; SET LOCAL lock_timeout = '15s'; {}; COMMIT",
            attached(number)
        );
        match engine.query(&sql) {
            // The default partition has events of it already.
            Err(EngineError::Refused(error)) if error.code == "23514" => {
                engine.query("ROLLBACK")?;
            }
            done => drop(done?),
        }
    }
    Ok(())
}

/// Deletes keys of batches that are older, and whose events are gone.
fn delete_keys(engine: &mut Engine, age: Duration) -> Result<u64, EngineError> {
    let oldest = number(&engine.query("SELECT seq FROM logagg.events ORDER BY seq LIMIT 1")?);
    let oldest = match oldest {
        Some(seq) => seq,
        None => next_seq(engine)?,
    };
    let sql = format!(
        "SELECT max(id) FROM logagg.batches WHERE committed_at < now() - interval '{} milliseconds' \
         AND first_seq + events <= {oldest}",
        age.as_millis()
    );
    let Some(last) = number(&engine.query(&sql)?) else {
        return Ok(0);
    };
    // Batches get their ids before they are committed, so an older one may have a greater id: its events are there.
    let kept = format!("SELECT min(id) FROM logagg.batches WHERE first_seq + events > {oldest}");
    let last = number(&engine.query(&kept)?).map_or(last, |kept| last.min(kept.saturating_sub(1)));
    let mut deleted = 0;
    loop {
        let sql = format!(
            "WITH old AS (SELECT event_id, topic_id FROM logagg.keys WHERE batch <= {last} \
             LIMIT {STORE_KEYS_AT_ONCE}), \
             gone AS (DELETE FROM logagg.keys k USING old \
             WHERE k.event_id = old.event_id AND k.topic_id = old.topic_id RETURNING 1) SELECT count(*) FROM gone"
        );
        match number(&engine.query(&sql)?) {
            Some(count) if count > 0 => deleted += count,
            _ => return Ok(deleted),
        }
    }
}
