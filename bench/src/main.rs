//! The measurements that `make bench` and the other `bench-` targets run: the server beside nginx, SQLite alone,
//! Redis and PostgreSQL, on the same core in the same minutes, so that ratios mean something on any machine. Two more
//! sub-commands run the load generator alone, and write the figures of the tests into `docs/RELIABILITY.md`.
//!
//! Read `scenarios` for what is measured, `suite` for how, `load` for the generator; `peers`, `scale`,
//! `search`, `stalls`, `subscribers`, `overload` and `builds` are measurements of their own.

mod allocations;
mod args;
mod builds;
mod cleanup;
mod contender;
mod cores;
mod counting;
mod disk;
mod inprocess;
mod kind;
mod load;
mod nginx;
mod overload;
mod peers;
mod process;
mod programs;
mod provenance;
mod reliability;
mod report;
mod results;
mod scale;
mod scenarios;
mod schema;
mod search;
mod server;
mod setup;
mod stalls;
mod subscribers;
mod suite;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use args::{Args, Command, LoadArgs};
use cores::Cores;
use load::protocol::Protocol;
use load::{Checks, Plan, Stop};

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.command {
        Some(Command::Load(load)) => generate_load(load),
        Some(Command::Peers(args)) => peers::run(args),
        Some(Command::Scale(args)) => scale::run(args),
        Some(Command::Stalls(args)) => stalls::run(args),
        Some(Command::Subscribers(args)) => subscribers::run(args),
        Some(Command::Reliability(args)) => reliability::run(args),
        Some(Command::Overload(args)) => overload::run(args),
        Some(Command::Builds(args)) => builds::run(args),
        Some(Command::Search(args)) => search::run(args),
        None => suite::run(&args.suite),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("logagg-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the generator alone; returns whether it met no error.
fn generate_load(args: &LoadArgs) -> io::Result<bool> {
    let cores = Cores::claim()?;
    let address = server::address_of(&args.url)?;
    let batch = args.batch.map(|batch| batch as usize);
    let mut traffic = args.kind.traffic(address, Protocol::Http, batch);
    if args.fill > 0 {
        load::fill(address, Protocol::Http, &mut traffic, args.fill)?;
    }
    let plan = Plan {
        address,
        connections: args.connections,
        warm_up: Duration::from_secs(1),
        stop: Stop::After(Duration::from_secs_f64(args.seconds)),
        pace: None,
        checks: if args.constant {
            Checks::Status
        } else {
            Checks::StatusAndCounts
        },
    };
    let cpu_before = process::cpu_time(std::process::id())?;
    let (result, allocations) = load::run_counted(&plan, &mut traffic)?;
    let cpu = process::cpu_time(std::process::id())? - cpu_before;
    let micros = |quantile| result.latency.value_at_quantile(quantile) as f64 / 1e3;
    println!("{}", cores.describe());
    println!(
        "{} requests/s, {} events/s, {} connections, {} s",
        report::grouped(result.request_rate()),
        report::grouped(result.event_rate()),
        args.connections,
        args.seconds
    );
    println!(
        "latency us: p50 {:.0}, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}",
        micros(0.5),
        micros(0.9),
        micros(0.99),
        micros(0.999),
        result.latency.max() as f64 / 1e3
    );
    println!(
        "generator: {:.2} us of processor time and {:.4} allocations a request",
        cpu.as_secs_f64() * 1e6 / result.answers.max(1) as f64,
        allocations as f64 / result.answers.max(1) as f64
    );
    println!(
        "accepted {}, duplicates {}, errors {}{}",
        result.accepted,
        result.duplicates,
        result.errors,
        result
            .first_error
            .as_ref()
            .map_or_else(String::new, |error| format!(", the first: {error}"))
    );
    Ok(result.errors == 0)
}
