//! What `make bench` runs: the server, nginx and SQLite alone on the same core in the same minutes,
//! so that ratios mean something on any machine. It also has the load generator as a sub-command.
//!
//! Read `scenarios` for what is measured, `suite` for how, `load` for the generator.
#![deny(unsafe_code)]

mod args;
mod contender;
mod cores;
mod counting;
mod inprocess;
mod kind;
mod load;
mod nginx;
mod process;
mod report;
mod scenarios;
mod schema;
mod server;
mod suite;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use args::{Args, Command, LoadArgs};
use cores::Cores;
use load::{Checks, Plan, Stop};
use nginx::Nginx;
use report::Report;
use scenarios::SCENARIOS;
use suite::{Source, Suite};

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.command {
        Some(Command::Load(load)) => generate_load(load),
        None => run_suite(&args),
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

/// Runs the scenarios; gives whether they ran without errors. A target that is missed is no error.
fn run_suite(args: &Args) -> io::Result<bool> {
    let build_folder = build_folder()?;
    let source = match (&args.server_url, &args.server) {
        (Some(url), _) => Source::Running(address_of(url)?),
        (None, Some(binary)) => Source::Binary(binary.clone()),
        (None, None) => Source::Binary(server::build(&build_folder)?),
    };
    let directory = build_folder.join(format!("bench-{}", std::process::id()));
    let cores = Cores::claim()?;
    let mut report = Report {
        cores: cores.describe(),
        rounds: args.rounds,
        seconds: args.seconds,
        ..Report::default()
    };
    let nginx = match Nginx::find() {
        Some(program) => Some(Nginx::start(&program, directory.join("nginx"), &cores)?),
        None => {
            report
                .notes
                .push("NO NGINX HERE: install it to get the comparisons with it".into());
            None
        }
    };
    let suite = Suite {
        source,
        cores,
        directory,
        rounds: args.rounds,
        duration: Duration::from_secs_f64(args.seconds),
        nginx,
    };
    report.server = suite.at_rest()?;
    for scenario in SCENARIOS {
        if args.only.is_empty()
            || args
                .only
                .iter()
                .any(|name| scenario.name.contains(name.as_str()))
        {
            eprintln!("{} ...", scenario.name);
            suite.run(scenario, &mut report)?;
        }
    }
    if let Some(nginx) = suite.nginx {
        nginx.stop()?;
    }
    fs::remove_dir_all(&suite.directory)?;
    println!("{}", report.table());
    let json = args
        .json
        .clone()
        .unwrap_or_else(|| build_folder.join("bench.json"));
    report.write_json(&json)?;
    println!("JSON: {}", json.display());
    Ok(!report.has_errors())
}

/// Runs the generator alone; gives whether it met no error.
fn generate_load(args: &LoadArgs) -> io::Result<bool> {
    let cores = Cores::claim()?;
    let address = address_of(&args.url)?;
    let mut traffic = args
        .kind
        .traffic(address, args.batch.map(|batch| batch as usize));
    if args.fill > 0 {
        load::fill(address, &mut traffic, args.fill)?;
    }
    let plan = Plan {
        address,
        connections: args.connections,
        warm_up: Duration::from_secs(1),
        stop: Stop::After(Duration::from_secs_f64(args.seconds)),
        checks: if args.constant {
            Checks::Status
        } else {
            Checks::StatusAndCounts
        },
    };
    let cpu_before = process::cpu_time(std::process::id())?;
    let outcome = load::run(&plan, &mut traffic)?;
    let cpu = process::cpu_time(std::process::id())? - cpu_before;
    let micros = |quantile| outcome.latency.value_at_quantile(quantile) as f64 / 1e3;
    println!("{}", cores.describe());
    println!(
        "{} requests/s, {} events/s, {} connections, {} s",
        report::grouped(outcome.request_rate()),
        report::grouped(outcome.events as f64 / outcome.elapsed.as_secs_f64()),
        args.connections,
        args.seconds
    );
    println!(
        "latency us: p50 {:.0}, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}",
        micros(0.5),
        micros(0.9),
        micros(0.99),
        micros(0.999),
        outcome.latency.max() as f64 / 1e3
    );
    println!(
        "generator: {:.2} us of processor time and {:.4} allocations a request",
        cpu.as_secs_f64() * 1e6 / outcome.answers.max(1) as f64,
        outcome.allocations as f64 / outcome.answers.max(1) as f64
    );
    println!(
        "accepted {}, duplicates {}, errors {}{}",
        outcome.accepted,
        outcome.duplicates,
        outcome.errors,
        outcome
            .first_error
            .as_ref()
            .map_or_else(String::new, |error| format!(", the first: {error}"))
    );
    Ok(outcome.errors == 0)
}

/// The folder that this program was built into: on a real disk, and not under version control.
fn build_folder() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().and_then(|profile| profile.parent());
    folder
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other("this program lies in no build folder"))
}

fn address_of(url: &str) -> io::Result<std::net::SocketAddr> {
    server::listening_address(&format!("{url}/")).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{url} is not http://HOST:PORT"),
        )
    })
}
