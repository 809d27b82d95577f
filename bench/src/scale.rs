//! `make bench-scale`: fills a database with random ids, and looks at each mark what it takes by then.
//! The database and what was measured stay, so that a later run goes on where this one ended.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::args::ScaleArgs;
use crate::kind::{Kind, BATCH};
use crate::load::protocol::Protocol;
use crate::load::{self, new_latency, Checks, LoadResult, Plan, Stop};
use crate::report::{aligned, grouped, megabytes};
use crate::results;
use crate::server::Server;
use crate::setup::{check_room, version_of, Setup};

/// Events at which the database is looked at.
const MARKS: [u64; 4] = [1_000_000, 10_000_000, 30_000_000, 100_000_000];
const CONNECTIONS: usize = 4;
/// Events between two savings of the state.
const SEGMENT_EVENTS: u64 = 1_000_000;
/// Events that are stored before the server is killed.
const KILLED_BEHIND_EVENTS: u64 = 100_000;
/// The share of the first decade's rate that the last one is to have.
const TARGET: f64 = 0.7;
const STATE: &str = "state.json";

/// What stays beside the database.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    decades: Vec<Decade>,
    /// Of the decade that is being filled.
    filling: Filling,
}

/// What has been measured so far of a decade.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Filling {
    events: u64,
    seconds: f64,
    /// Nanoseconds, and how many requests took that long.
    latency: Vec<(u64, u64)>,
}

/// From one mark to the next, and the server at its end.
#[derive(Debug, Serialize, Deserialize)]
struct Decade {
    from: u64,
    to: u64,
    events_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    resident_kib: u64,
    database_bytes: u64,
    ready_after_stop_ms: f64,
    ready_after_kill_ms: f64,
}

/// The server being filled.
struct Scale<'a> {
    setup: &'a Setup,
    binary: PathBuf,
    folder: PathBuf,
    state: State,
    server: Server,
    /// Events in the database.
    stored: u64,
}

/// Fills; returns whether no event was lost and no request failed.
///
/// # Errors
/// The disk is too small, or an event was lost.
pub fn run(args: &ScaleArgs) -> io::Result<bool> {
    let setup = Setup::new()?;
    let folder = args.folder.clone();
    let folder = folder.unwrap_or_else(|| setup.build_folder.join("bench-scale"));
    if args.fresh && folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let state = load_state(&folder)?;
    let done = state.decades.last().map_or(0, |decade| decade.to) + state.filling.events;
    check_room(&folder, args.up_to.saturating_sub(done))?;
    let binary = setup.server_binary(&args.server)?;
    let server = Server::start(&binary, folder.clone(), &setup.cores)?;
    let stored = server.statistic("unique_processed")?;
    if stored < done {
        let folder = folder.display();
        return Err(io::Error::other(format!(
            "{folder} has {stored} events and a state of {done}; use --fresh to start again"
        )));
    }
    let mut scale = Scale {
        setup: &setup,
        binary,
        folder,
        state,
        server,
        stored,
    };
    for mark in marks(args.up_to) {
        let from = scale.state.decades.last().map_or(0, |decade| decade.to);
        if from < mark {
            scale = scale.fill(from, mark)?;
        }
    }
    let Scale {
        binary,
        state,
        server,
        ..
    } = scale;
    server.stop()?;
    let table = format!("{}\n{}", setup.cores.describe(), table(&state.decades));
    println!("{table}");
    results::write(
        &args.results.path(),
        "make bench-scale",
        &version_of(&binary)?,
        &table,
    )?;
    Ok(true)
}

/// Those up to `up_to`, which is the last.
fn marks(up_to: u64) -> Vec<u64> {
    let below = MARKS.into_iter().filter(|mark| *mark < up_to);
    below.chain([up_to]).collect()
}

impl Scale<'_> {
    /// Fills up to `mark`, and looks at the server there.
    fn fill(mut self, from: u64, mark: u64) -> io::Result<Self> {
        while self.stored < mark {
            let result = self.store(SEGMENT_EVENTS.min(mark - self.stored))?;
            let rate = result.rate();
            self.state.filling.add(&result);
            self.save_state()?;
            eprintln!(
                "{} of {} events, {}/s",
                grouped(self.stored as f64),
                grouped(mark as f64),
                grouped(rate)
            );
        }
        let resident_kib = self.server.resident_kib()?;
        self = self.restarted(Server::stop)?;
        let ready_after_stop = self.server.ready_after;
        self.store(KILLED_BEHIND_EVENTS)?;
        self = self.restarted(|server| {
            server.kill();
            Ok(())
        })?;
        let filling = std::mem::take(&mut self.state.filling);
        let latency = filling.histogram();
        let micros = |nanoseconds: u64| nanoseconds as f64 / 1e3;
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        self.state.decades.push(Decade {
            from,
            to: mark,
            events_per_second: filling.events as f64 / filling.seconds,
            p50_us: micros(latency.value_at_quantile(0.5)),
            p99_us: micros(latency.value_at_quantile(0.99)),
            max_us: micros(latency.max()),
            resident_kib,
            database_bytes: self.server.file_sizes().0,
            ready_after_stop_ms: milliseconds(ready_after_stop),
            ready_after_kill_ms: milliseconds(self.server.ready_after),
        });
        self.save_state()?;
        Ok(self)
    }

    /// Stores at least `events` new events.
    fn store(&mut self, events: u64) -> io::Result<LoadResult> {
        let address = self.server.address;
        let mut traffic = Kind::BatchRandom.traffic(address, Protocol::Http, None);
        let plan = Plan {
            address,
            connections: CONNECTIONS,
            warm_up: Duration::ZERO,
            stop: Stop::Requests(events.div_ceil(BATCH as u64)),
            pace: None,
            checks: Checks::StatusAndCounts,
        };
        let result = load::run(&plan, &mut traffic)?;
        match &result.first_error {
            Some(error) => return Err(io::Error::other(format!("filling: {error}"))),
            None => self.stored += result.accepted,
        }
        Ok(result)
    }

    /// Ends the server, starts it again and makes sure that it has every event.
    fn restarted(self, end: impl FnOnce(Server) -> io::Result<()>) -> io::Result<Self> {
        end(self.server)?;
        let server = Server::start(&self.binary, self.folder.clone(), &self.setup.cores)?;
        let found = server.statistic("unique_processed")?;
        if found != self.stored {
            return Err(io::Error::other(format!(
                "{} events were accepted, and {found} are there after a restart",
                self.stored
            )));
        }
        Ok(Self { server, ..self })
    }

    /// Writes the state so that it is either the old or the new one.
    fn save_state(&self) -> io::Result<()> {
        let new = self.folder.join("state.new");
        fs::write(&new, serde_json::to_string_pretty(&self.state)?)?;
        fs::rename(new, self.folder.join(STATE))
    }
}

impl Filling {
    fn add(&mut self, result: &LoadResult) {
        let mut latency = self.histogram();
        latency += &result.latency;
        self.events += result.events;
        self.seconds += result.elapsed.as_secs_f64();
        let recorded = latency.iter_recorded();
        self.latency = recorded
            .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
            .collect();
    }

    fn histogram(&self) -> Histogram<u64> {
        let mut latency = new_latency();
        for (nanoseconds, requests) in &self.latency {
            latency.saturating_record_n(*nanoseconds, *requests);
        }
        latency
    }
}

fn load_state(folder: &Path) -> io::Result<State> {
    match fs::read(folder.join(STATE)) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
        Err(error) => Err(error),
    }
}

fn table(decades: &[Decade]) -> String {
    let titles = [
        "events",
        "rate/s",
        "of the first",
        "p50 us",
        "p99 us",
        "max us",
        "RSS MB",
        "database MB",
        "bytes/event",
        "ready ms after a stop",
        "after kill -9",
    ];
    let mut lines = vec![titles.map(String::from).to_vec()];
    let share = |decade: &Decade| {
        let first = decades.first().map_or(1.0, |first| first.events_per_second);
        decade.events_per_second / first
    };
    for decade in decades {
        lines.push(vec![
            format!(
                "{} to {}",
                grouped(decade.from as f64),
                grouped(decade.to as f64)
            ),
            grouped(decade.events_per_second),
            format!("{:.2}", share(decade)),
            grouped(decade.p50_us),
            grouped(decade.p99_us),
            grouped(decade.max_us),
            format!("{:.1}", megabytes(decade.resident_kib)),
            grouped(decade.database_bytes as f64 / 1e6),
            format!("{:.0}", decade.database_bytes as f64 / decade.to as f64),
            format!("{:.1}", decade.ready_after_stop_ms),
            format!("{:.1}", decade.ready_after_kill_ms),
        ]);
    }
    let last = decades.last().map_or(1.0, share);
    let verdict = if last >= TARGET { "met" } else { "MISSED" };
    format!(
        "random ids, batches of {BATCH} on {CONNECTIONS} connections\n\n{}\n\
         the last of the first: {last:.2}, >= {TARGET:.2} {verdict}\n",
        aligned(&lines, &[0])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mark_is_where_filling_ends() {
        assert_eq!(marks(100_000_000), MARKS);
        assert_eq!(marks(10_000_000), MARKS[..2]);
        assert_eq!(marks(2_500_000), [1_000_000, 2_500_000]);
        assert_eq!(marks(1_000), [1_000]);
    }

    #[test]
    fn latencies_survive_being_saved() {
        let mut filling = Filling::default();
        let mut latency = new_latency();
        latency.saturating_record_n(2_000_000, 99);
        latency.saturating_record(70_000_000);
        for round in 1..=2 {
            let mut merged = filling.histogram();
            merged += &latency;
            let recorded = merged.iter_recorded();
            filling.latency = recorded
                .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
                .collect();
            let again = filling.histogram();
            assert_eq!((again.len(), again.max()), (100 * round, latency.max()));
        }
    }
}
