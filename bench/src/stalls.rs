//! `make bench-stalls`: half of what the server can take, for minutes, and how long the slowest
//! requests wait. For a while another program holds a snapshot of the database, so that its
//! write-ahead log can only grow.

use std::fmt::Write;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use logagg::limits;
use rusqlite::{Connection, OpenFlags};

use crate::args::StallsArgs;
use crate::kind::Kind;
use crate::load::protocol::Protocol;
use crate::load::{self, Checks, LoadResult, Plan, Stop, Traffic};
use crate::report::{aligned, grouped};
use crate::results;
use crate::server::{file_sizes, Server, DATABASE};
use crate::setup::{check_room, version_of, Setup};

/// How long the greatest rate is measured.
const MEASURED: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(2);
/// The time between two looks at the size of the write-ahead log.
const SAMPLED_EVERY: Duration = Duration::from_millis(50);
/// How long the server may take, without load, to let go of its write-ahead log.
const SHRUNK_WITHIN: Duration = Duration::from_secs(10);
/// The upper bounds of the rows of the histogram, in microseconds.
const BOUNDS_US: [u64; 15] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 60_000_000,
];

/// A part of the run: its name, its share of the time, and whether a snapshot is held meanwhile.
const PHASES: [(&str, f64, bool); 3] = [
    ("alone", 0.4, false),
    ("snapshot held", 0.2, true),
    ("after it", 0.4, false),
];

/// What a phase showed.
struct Phase {
    name: &'static str,
    result: LoadResult,
    wal_max_bytes: u64,
    wal_end_bytes: u64,
}

/// Runs the phases; returns whether no request failed.
///
/// # Errors
/// The measurement could not be run.
pub fn run(args: &StallsArgs) -> io::Result<bool> {
    let setup = Setup::new()?;
    let binary = setup.server_binary(&args.server)?;
    let folder = setup.directory.join("server");
    let server = Server::start_logging(&binary, folder.clone(), &setup.cores, "debug")?;
    let batch = args.batch as usize;
    let mut traffic = Kind::SingleRandom.traffic(server.address, Protocol::Http, Some(batch));
    let mut plan = Plan {
        address: server.address,
        connections: args.connections,
        warm_up: WARM_UP,
        stop: Stop::After(MEASURED),
        pace: None,
        checks: Checks::StatusAndCounts,
    };
    let greatest = load::run(&plan, &mut traffic)?.request_rate();
    let rate = greatest / 2.0;
    let seconds = args.minutes * 60.0;
    check_room(&setup.directory, (seconds * rate * batch as f64) as u64)?;
    eprintln!("{} requests/s at most", grouped(greatest));
    plan.warm_up = Duration::ZERO;
    plan.pace = Some(Duration::from_secs_f64(1.0 / rate));

    let mut phases = Vec::new();
    for (name, share, is_held) in PHASES {
        eprintln!("{name} ...");
        plan.stop = Stop::After(Duration::from_secs_f64(seconds * share));
        let reader = is_held.then(|| snapshot(&folder)).transpose()?;
        let (result, wal_max_bytes) = watched(&folder, &plan, &mut traffic)?;
        drop(reader);
        phases.push(Phase {
            name,
            result,
            wal_max_bytes,
            wal_end_bytes: file_sizes(&folder).1,
        });
    }
    let at_rest = wal_at_rest(&folder);
    let mut table = format!(
        "{}\n{} requests/s of {} random ids over {} connections, half of the greatest rate; {} min\n\n",
        setup.cores.describe(),
        grouped(rate),
        args.batch,
        args.connections,
        args.minutes
    );
    describe(&phases, at_rest, &mut table);
    describe_slices(server.slices_us()?, &mut table);
    println!("{table}");
    server.stop()?;
    results::write(
        &args.results.path(),
        "make bench-stalls",
        &version_of(&binary)?,
        &table,
    )?;
    Ok(phases.iter().all(|phase| phase.result.errors == 0))
}

/// How long the server's own work, checkpoints and idle shares of segments, has held the loop.
fn describe_slices(mut slices: Vec<u64>, text: &mut String) {
    slices.sort_unstable();
    let at = |share: f64| {
        slices
            .get(((slices.len() as f64 - 1.0) * share) as usize)
            .copied()
    };
    let (Some(median), Some(longest)) = (at(0.5), at(1.0)) else {
        let _ = writeln!(text, "no slice of idle work took a millisecond");
        return;
    };
    let verdict = |is_met: bool| if is_met { "met" } else { "MISSED" };
    let _ = writeln!(
        text,
        "{} slices of a millisecond and more: median {} us, <= 5,000 {}; longest {} us, <= 25,000 {}",
        slices.len(),
        grouped(median as f64),
        verdict(median <= 5_000),
        grouped(longest as f64),
        verdict(longest <= 25_000),
    );
    let mut from = 0;
    for bound in BOUNDS_US.into_iter().filter(|bound| *bound >= 2_000) {
        let to = slices.partition_point(|slice| *slice <= bound);
        if to > from {
            let _ = writeln!(
                text,
                "  up to {:>9} us: {}",
                grouped(bound as f64),
                to - from
            );
        }
        from = to;
    }
}

/// Opens the database as any other program may, and holds what it sees now.
fn snapshot(folder: &Path) -> io::Result<Connection> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let reader = Connection::open_with_flags(folder.join(DATABASE), flags)?;
        reader.execute_batch("BEGIN; SELECT last_seq FROM counters;")?;
        Ok(reader)
    };
    open().map_err(|error: rusqlite::Error| io::Error::other(error))
}

/// Runs the load and returns the greatest size of the write-ahead log meanwhile.
fn watched(folder: &Path, plan: &Plan, traffic: &mut Traffic) -> io::Result<(LoadResult, u64)> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut greatest = 0;
            while !is_over.load(Ordering::Relaxed) {
                greatest = file_sizes(folder).1.max(greatest);
                thread::sleep(SAMPLED_EVERY);
            }
            greatest
        });
        let result = load::run(plan, traffic);
        is_over.store(true, Ordering::Relaxed);
        let greatest = watcher
            .join()
            .expect("reading a file's size does not panic");
        Ok((result?, greatest))
    })
}

/// Bytes of the write-ahead log when the server has had time to shrink it.
fn wal_at_rest(folder: &Path) -> u64 {
    let asked = Instant::now();
    loop {
        let bytes = file_sizes(folder).1;
        if bytes <= limits::WAL_KEPT_BYTES as u64 || asked.elapsed() > SHRUNK_WITHIN {
            return bytes;
        }
        thread::sleep(SAMPLED_EVERY);
    }
}

fn describe(phases: &[Phase], at_rest: u64, text: &mut String) {
    let mut lines = vec![
        ["latency us", "p50", "p90", "p99", "p99.9", "p99.99", "max"]
            .map(String::from)
            .to_vec(),
    ];
    lines[0].extend(["WAL max MB", "at the end"].map(String::from));
    for phase in phases {
        let latency = &phase.result.latency;
        let mut cells = vec![phase.name.to_owned()];
        let quantiles = [0.5, 0.9, 0.99, 0.999, 0.9999, 1.0];
        cells.extend(quantiles.map(|at| grouped(latency.value_at_quantile(at) as f64 / 1e3)));
        let sizes = [phase.wal_max_bytes, phase.wal_end_bytes];
        cells.extend(sizes.map(|bytes| format!("{:.1}", bytes as f64 / 1e6)));
        lines.push(cells);
    }
    text.push_str(&aligned(&lines, &[0]));

    let mut lines = vec![vec!["requests up to".to_owned()]];
    lines[0].extend(phases.iter().map(|phase| phase.name.to_owned()));
    let mut below = 0;
    for bound in BOUNDS_US.map(|micros| micros * 1_000) {
        let mut cells = vec![format!("{} us", grouped(bound as f64 / 1e3))];
        let count = |phase: &Phase| phase.result.latency.count_between(below + 1, bound);
        cells.extend(phases.iter().map(|phase| grouped(count(phase) as f64)));
        lines.push(cells);
        below = bound;
    }
    let _ = write!(text, "\n{}\n", aligned(&lines, &[0]));
    let kept = limits::WAL_KEPT_BYTES as u64;
    let verdict = if at_rest <= kept { "met" } else { "MISSED" };
    let _ = writeln!(
        text,
        "WAL at rest: {:.1} MB, <= {:.1} {verdict}",
        at_rest as f64 / 1e6,
        kept as f64 / 1e6
    );
    for phase in phases {
        if let Some(error) = &phase.result.first_error {
            let errors = phase.result.errors;
            let _ = writeln!(
                text,
                "! {}: {errors} errors, the first: {error}",
                phase.name
            );
        }
    }
}
