//! The same searches by others: SQLite's FTS5, through the `sqlite3` that is installed (the one in the server has no
//! FTS5), and `grep` and `rg` on the events as lines.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::corpus::{event, write_json};
use crate::cores::Cores;
use crate::programs::find;

/// Writes the events as lines of JSON.
pub fn write_lines(folder: &Path, events: u64) -> io::Result<PathBuf> {
    let path = folder.join("events.ndjson");
    let mut file = BufWriter::new(File::create(&path)?);
    let mut line = String::new();
    for number in 0..events {
        line.clear();
        write_json(&event(number, events), &mut line);
        line.push('\n');
        file.write_all(line.as_bytes())?;
    }
    file.flush()?;
    Ok(path)
}

/// How long a search with a program took, and what it found; `None` where it is not installed.
pub fn search_lines(
    cores: &Cores,
    program: &str,
    arguments: &[&str],
    lines: &Path,
) -> io::Result<Option<(u64, Duration)>> {
    let Some(program) = find(program, &[]) else {
        return Ok(None);
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(lines).stderr(Stdio::null());
    let mut best: Option<(u64, Duration)> = None;
    for _ in 0..3 {
        let begun = Instant::now();
        let output = cores.on_measured(|| command.output())??;
        let took = begun.elapsed();
        let found = String::from_utf8_lossy(&output.stdout).trim().parse();
        let found = found.unwrap_or(0);
        best = Some(best.map_or((found, took), |best| (found, took.min(best.1))));
    }
    Ok(best)
}

/// What FTS5 takes.
pub struct Fts {
    program: PathBuf,
    database: PathBuf,
    pub events_per_second: f64,
    pub bytes_per_event: f64,
}

/// Makes an index of the events with FTS5, of the kind that is cheapest: without the texts, and without the places of
/// words. `None` where there is no `sqlite3` with FTS5.
pub fn make_fts(folder: &Path, cores: &Cores, events: u64) -> io::Result<Option<Fts>> {
    let Some(program) = find("sqlite3", &[]) else {
        return Ok(None);
    };
    let database = folder.join("fts.db");
    let script = folder.join("fts.sql");
    {
        let mut file = BufWriter::new(File::create(&script)?);
        file.write_all(
            b"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;\n\
              CREATE VIRTUAL TABLE words USING fts5(x, content='', detail=none);\nBEGIN;\n",
        )?;
        for number in 0..events {
            let of = event(number, events);
            let text = format!("{} {} {} {}", of.topic, of.id, of.source, of.payload);
            writeln!(
                file,
                "INSERT INTO words(rowid, x) VALUES ({number}, '{}');",
                text.replace('\'', "''")
            )?;
            if number % 1_000 == 999 {
                file.write_all(b"COMMIT; BEGIN;\n")?;
            }
        }
        file.write_all(b"COMMIT;\n")?;
        file.flush()?;
    }
    let mut command = Command::new(&program);
    command
        .arg(&database)
        .stdin(File::open(&script)?)
        .stdout(Stdio::null());
    let begun = Instant::now();
    let output = cores.on_measured(|| command.output())??;
    let took = begun.elapsed();
    fs::remove_file(&script)?;
    if !output.status.success() {
        return Ok(None);
    }
    Ok(Some(Fts {
        events_per_second: events as f64 / took.as_secs_f64(),
        bytes_per_event: fs::metadata(&database)?.len() as f64 / events as f64,
        program,
        database,
    }))
}

impl Fts {
    /// How many events have a word, and how long that took, the start of the program taken off.
    pub fn search(&self, cores: &Cores, word: &str) -> io::Result<(u64, Duration)> {
        let (_, start) = self.run(cores, "SELECT 0")?;
        let sql = format!("SELECT count(*) FROM words WHERE words MATCH '{word}'");
        let (found, took) = self.run(cores, &sql)?;
        Ok((
            found,
            took.saturating_sub(start).max(Duration::from_micros(1)),
        ))
    }

    fn run(&self, cores: &Cores, sql: &str) -> io::Result<(u64, Duration)> {
        let mut best = (0, Duration::MAX);
        for _ in 0..5 {
            let mut command = Command::new(&self.program);
            command.arg(&self.database).arg(sql);
            let begun = Instant::now();
            let output = cores.on_measured(|| command.output())??;
            let found = String::from_utf8_lossy(&output.stdout).trim().parse();
            best = (found.unwrap_or(0), best.1.min(begun.elapsed()));
        }
        Ok(best)
    }
}
