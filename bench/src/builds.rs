//! Two builds of the server under the same loads, one round after the other: whether a change has made it slower.
//! Only the ratios mean something; they are printed and written nowhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::args::BuildsArgs;
use crate::contender::{Contender, Remote, Rounds};
use crate::load::protocol::Protocol;
use crate::load::{self, Checks};
use crate::process;
use crate::report::{Report, Row};
use crate::scenarios::{Scenario, Subject, SCENARIOS};
use crate::server::Server;
use crate::setup::{version_of, Setup};

/// The least part of the rate before that a build may have.
const TARGET: f64 = 0.97;

/// Runs the scenarios that have a server; returns whether they ran without errors. A target that is missed is no
/// error.
///
/// # Errors
/// The measurement could not be run.
pub fn run(args: &BuildsArgs) -> io::Result<bool> {
    let setup = Setup::new()?;
    let binaries = [setup.server_binary(&args.server)?, args.before.clone()];
    let mut report = Report {
        cores: setup.cores.describe(),
        rounds: args.rounds,
        seconds: args.seconds,
        ..Report::default()
    };
    for (what, path) in ["now", "before"].iter().zip(&binaries) {
        let megabytes = fs::metadata(path)?.len() as f64 / 1e6;
        let version = version_of(path)?;
        report
            .notes
            .push(format!("{what}: {version}, {megabytes:.2} MB"));
    }
    let is_wanted = |name: &str| {
        args.only.is_empty() || args.only.iter().any(|part| name.contains(part.as_str()))
    };
    for scenario in SCENARIOS.iter().filter(|scenario| is_wanted(scenario.name)) {
        eprintln!("{} ...", scenario.name);
        let rows = compare(&setup, &binaries, scenario, args)?;
        report.scenarios.extend(rows);
    }
    println!("{}", report.table());
    Ok(!report.has_errors())
}

/// One scenario on both builds; none if it has no server.
fn compare(
    setup: &Setup,
    binaries: &[PathBuf; 2],
    scenario: &Scenario,
    args: &BuildsArgs,
) -> io::Result<Option<Row>> {
    let mut builds = Vec::new();
    for (name, binary) in ["now", "before"].iter().zip(binaries) {
        // What others do in quiet turns must not slow this one down on the same core.
        let others: Vec<u32> = builds
            .iter()
            .map(|build: &Build| build.server.id())
            .collect();
        let folder = setup.directory.join(format!("{}-{name}", scenario.name));
        match process::while_stopped(&others, || Build::start(setup, binary, folder, scenario))? {
            Some(build) => builds.push(build),
            None => return Ok(None),
        }
    }
    let ids: Vec<u32> = builds.iter().map(|build| build.server.id()).collect();
    let duration = Duration::from_secs_f64(args.seconds);
    for round in 0..args.rounds as usize {
        // Each is first as often as it is second.
        for turn in [round % 2, 1 - round % 2] {
            let build = &mut builds[turn];
            process::while_stopped(&[ids[1 - turn]], || {
                build.contender.round(duration, &mut build.rounds)
            })?;
        }
    }
    let [now, before] = &builds[..] else {
        return Err(io::Error::other("there are two builds"));
    };
    let mut row = Row::new(scenario.name, "server".into(), &now.rounds);
    row.compare(
        "the build before".into(),
        Some(TARGET),
        &now.rounds,
        &before.rounds,
    );
    row.resident_kib = Some(now.server.resident_kib()?);
    for build in builds {
        build.server.stop_and_remove()?;
    }
    Ok(Some(row))
}

/// A build with a database of its own, and what it has reached.
struct Build {
    server: Server,
    contender: Contender,
    rounds: Rounds,
}

impl Build {
    fn start(
        setup: &Setup,
        binary: &Path,
        folder: PathBuf,
        scenario: &Scenario,
    ) -> io::Result<Option<Build>> {
        let Subject::Server {
            kind,
            connections,
            events_before,
        } = scenario.subject
        else {
            return Ok(None);
        };
        let server = Server::start(binary, folder, &setup.cores)?;
        let mut traffic = kind.traffic(server.address, Protocol::Http, None);
        if events_before > 0 {
            load::fill(server.address, Protocol::Http, &mut traffic, events_before)?;
        }
        let contender = Contender::Remote(Box::new(Remote {
            address: server.address,
            process: Some(server.id()),
            connections,
            traffic,
            checks: Checks::StatusAndCounts,
        }));
        let rounds = Rounds::default();
        Ok(Some(Build {
            server,
            contender,
            rounds,
        }))
    }
}
