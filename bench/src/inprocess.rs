//! Loops that write the same events straight into SQLite, without a server: what the storage alone
//! allows at a given batch size, with the server's tables and its durability.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::{params, Connection};

use crate::kind::new_seed;
use crate::load::events::{EventStream, IdOrder, Repeats, ID_BYTES, TOPICS};
use crate::load::request::{payload, topic_name, PAYLOAD_BYTES, SOURCE, TIMESTAMP};
use crate::schema;

/// Rows in a transaction that fills a table before it is measured.
const FILL_BATCH: u64 = 100_000;

/// Which indexes `events` has, and so how a row is inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// None: the fastest that SQLite takes these rows. Nothing finds duplicates.
    AppendOnly,
    /// `(topic_id, seq)`, for reading a topic in order. Nothing finds duplicates.
    AppendWithTopicIndex,
    /// That, and `UNIQUE (topic_id, event_id)` with `INSERT OR IGNORE`: the plain way to drop
    /// duplicates.
    InsertOrIgnore,
}

/// What a loop does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    pub form: Form,
    pub order: IdOrder,
    /// Rows in a transaction.
    pub batch: u64,
    /// Rows in the table before the first measurement.
    pub rows_before: u64,
}

impl Loop {
    pub fn name(&self) -> String {
        let form = match self.form {
            Form::AppendOnly => "append only",
            Form::AppendWithTopicIndex => "append, topic index",
            Form::InsertOrIgnore => "INSERT OR IGNORE",
        };
        let order = match self.order {
            IdOrder::Ordered => "ordered",
            IdOrder::Random => "random",
        };
        let rows = match self.rows_before {
            0 => String::new(),
            rows => format!(", {rows} rows"),
        };
        format!("{form}, {order}, {} a commit{rows}", self.batch)
    }
}

/// A database that one loop goes on writing to. Its folder goes with it.
pub struct Table {
    connection: Connection,
    directory: PathBuf,
    batch: u64,
    stream: EventStream,
    payload: String,
}

impl Table {
    /// A new database in a new folder `directory`, with the rows that `what` wants to begin with.
    ///
    /// # Errors
    /// SQLite's and the file system's.
    pub fn create(what: Loop, directory: PathBuf) -> io::Result<Table> {
        fs::create_dir_all(&directory)?;
        let database = directory.join("events.db");
        let mut connection = Connection::open(database).map_err(io::Error::other)?;
        prepare(&mut connection, what.form).map_err(io::Error::other)?;
        let mut table = Table {
            connection,
            directory,
            batch: what.batch,
            stream: EventStream::new(what.order, Repeats::Never, TOPICS, new_seed()),
            payload: payload(PAYLOAD_BYTES),
        };
        table.fill(what.rows_before).map_err(io::Error::other)?;
        Ok(table)
    }

    /// Commits batches for about `duration` and returns the rows a second.
    ///
    /// # Errors
    /// SQLite's.
    pub fn measure(&mut self, duration: Duration) -> io::Result<f64> {
        let start = Instant::now();
        let mut rows = 0;
        while start.elapsed() < duration {
            rows += self.commit(self.batch).map_err(io::Error::other)?;
        }
        Ok(rows as f64 / start.elapsed().as_secs_f64())
    }

    /// Inserts rows fast by leaving durability and the small cache out, then restores both, so that
    /// the B-trees have the shape that ordinary inserts give them.
    fn fill(&mut self, rows: u64) -> rusqlite::Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let cache_before: i64 = self
            .connection
            .query_row("PRAGMA cache_size", [], |row| row.get(0))?;
        self.connection
            .execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -500000;")?;
        let mut left = rows;
        while left > 0 {
            left -= self.commit(left.min(FILL_BATCH))?;
        }
        self.connection.execute_batch(&format!(
            "PRAGMA cache_size = {cache_before}; PRAGMA synchronous = FULL; PRAGMA shrink_memory;"
        ))?;
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// Inserts `rows` rows in one transaction and returns how many were new: all of them.
    fn commit(&mut self, rows: u64) -> rusqlite::Result<u64> {
        let transaction = self.connection.transaction()?;
        let mut inserted = 0;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO events
                     (topic_id, event_id, timestamp, source, payload, processed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            let mut id = [0; ID_BYTES];
            for _ in 0..rows {
                let event = self.stream.next_event();
                self.stream.write_id(event, &mut id);
                let id = std::str::from_utf8(&id).expect("ids are ASCII");
                inserted += insert.execute(params![
                    self.stream.topic(event) as i64 + 1,
                    id,
                    TIMESTAMP,
                    SOURCE,
                    self.payload,
                    1_767_323_045_678_901_i64,
                ])? as u64;
            }
        }
        transaction.commit()?;
        Ok(inserted)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // The files lie in the build folder: a leftover harms nobody.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn prepare(connection: &mut Connection, form: Form) -> rusqlite::Result<()> {
    schema::create(connection)?;
    for topic in 0..TOPICS {
        connection.execute(
            "INSERT INTO topics (name) VALUES (?1)",
            [topic_name(topic, TOPICS)],
        )?;
    }
    if form != Form::AppendOnly {
        connection.execute_batch("CREATE INDEX events_by_topic ON events (topic_id, seq)")?;
    }
    if form == Form::InsertOrIgnore {
        connection
            .execute_batch("CREATE UNIQUE INDEX events_by_key ON events (topic_id, event_id)")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_stores_its_rows_in_each_form() {
        for (number, form) in [
            Form::AppendOnly,
            Form::AppendWithTopicIndex,
            Form::InsertOrIgnore,
        ]
        .into_iter()
        .enumerate()
        {
            let what = Loop {
                form,
                order: IdOrder::Random,
                batch: 64,
                rows_before: 1_000,
            };
            let name = format!("logagg-bench-{}-{number}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            let mut table = Table::create(what, directory.clone()).expect("a table");
            assert_eq!(table.commit(64).expect("a commit"), 64);
            let rows: i64 = table
                .connection
                .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
                .expect("a count");
            assert_eq!(rows, 1_064);
            let synchronous: i64 = table
                .connection
                .query_row("PRAGMA synchronous", [], |row| row.get(0))
                .expect("a pragma");
            assert_eq!(synchronous, 2, "durability is back after filling");
            drop(table);
            assert!(!directory.exists());
        }
    }
}
