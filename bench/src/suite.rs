//! Runs scenarios: starts the servers of each, alternates the rounds of the contenders, and adds the results to the
//! report.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::allocations;
use crate::args::SuiteArgs;
use crate::contender::{Contender, Remote, Rounds};
use crate::cores::Cores;
use crate::disk;
use crate::inprocess::{Loop, Table};
use crate::kind::Kind;
use crate::load::protocol::Protocol;
use crate::load::syslog::Target;
use crate::load::{self, Checks};
use crate::nginx::Nginx;
use crate::process;
use crate::programs;
use crate::report::{AtRest, Report, Row};
use crate::results;
use crate::scenarios::{Against, Baseline, Scenario, Subject, SCENARIOS};
use crate::server::{self, Server};
use crate::setup::{version_of, Setup};

/// Runs the scenarios; returns whether they ran without errors. A missed target is no error.
///
/// # Errors
/// A scenario could not be run.
pub fn run(args: &SuiteArgs) -> io::Result<bool> {
    let setup = Setup::new()?;
    let source = match &args.server_url {
        Some(url) => Source::Running(server::address_of(url)?),
        None => Source::Binary(setup.server_binary(&args.server)?),
    };
    let mut report = Report {
        cores: setup.cores.describe(),
        rounds: args.rounds,
        seconds: args.seconds,
        ..Report::default()
    };
    let nginx = match programs::find("nginx", &[]) {
        Some(program) => {
            let folder = setup.directory.join("nginx");
            Some(Nginx::start(&program, folder, &setup.cores)?)
        }
        None => {
            let note = "NO NGINX HERE: install the package nginx-light for the comparisons with it";
            report.notes.push(note.into());
            None
        }
    };
    let suite = Suite {
        source,
        cores: setup.cores,
        directory: setup.directory.clone(),
        rounds: args.rounds,
        duration: Duration::from_secs_f64(args.seconds),
        nginx,
    };
    let is_wanted = |name: &str| {
        args.only.is_empty() || args.only.iter().any(|part| name.contains(part.as_str()))
    };
    report.server = suite.at_rest()?;
    if is_wanted("allocations") {
        eprintln!("allocations ...");
        let directory = &suite.directory;
        report.allocations = suite
            .cores
            .on_measured(|| allocations::count(directory))??;
    }
    if let (Source::Binary(binary), true) = (&suite.source, is_wanted("disk")) {
        eprintln!("disk ...");
        report.disk = disk::count(binary, &suite.directory, &suite.cores)?;
    }
    for scenario in SCENARIOS.iter().filter(|scenario| is_wanted(scenario.name)) {
        eprintln!("{} ...", scenario.name);
        suite.run(scenario, &mut report)?;
    }
    if let Some(nginx) = suite.nginx {
        nginx.stop()?;
    }
    let table = report.table();
    println!("{table}");
    let json = args.json.clone();
    let json = json.unwrap_or_else(|| setup.build_folder.join("bench.json"));
    report.write_json(&json)?;
    println!("JSON: {}", json.display());
    if let (Source::Binary(binary), true) = (&suite.source, args.only.is_empty()) {
        results::write(
            &args.results.path(),
            "make bench",
            &version_of(binary)?,
            &table,
        )?;
    }
    Ok(!report.has_errors())
}

/// The server under test.
enum Source {
    /// Started from this binary for each scenario, on an empty database.
    Binary(PathBuf),
    /// One that runs already.
    Running(SocketAddr),
}

/// What all scenarios share.
struct Suite {
    source: Source,
    cores: Cores,
    directory: PathBuf,
    rounds: u32,
    duration: Duration,
    nginx: Option<Nginx>,
}

/// The subject's server while a scenario runs.
struct Tested {
    address: SocketAddr,
    started: Option<Server>,
}

/// A baseline, what runs it, and what it has measured so far.
type Opponent = (&'static Baseline, Contender, Rounds);

impl Suite {
    /// Measures the server at rest.
    fn at_rest(&self) -> io::Result<Option<AtRest>> {
        let Source::Binary(binary) = &self.source else {
            return Ok(None);
        };
        let server = Server::start(binary, self.directory.join("at-rest"), &self.cores)?;
        let at_rest = AtRest {
            binary_bytes: fs::metadata(binary)?.len(),
            ready_ms: server.ready_after.as_secs_f64() * 1e3,
            resident_kib: server.resident_kib()?,
        };
        server.stop_and_remove()?;
        Ok(Some(at_rest))
    }

    /// Runs one scenario and adds its row to the report; failing requests are in the row.
    fn run(&self, scenario: &Scenario, report: &mut Report) -> io::Result<()> {
        let row = match scenario.subject {
            Subject::Loop(what) => self.run_loop(scenario, what)?,
            Subject::Server {
                kind,
                connections,
                events_before,
            } => {
                let tested = self.start_server(scenario.name)?;
                let mut ours = self.under_load(&tested, kind, connections);
                if let (Contender::Remote(remote), 1..) = (&mut ours, events_before) {
                    let (address, traffic) = (remote.address, &mut remote.traffic);
                    load::fill(address, Protocol::Http, traffic, events_before)?;
                }
                self.run_server(scenario, tested, ours, connections)?
            }
            Subject::Syslog { connections } => {
                let Source::Binary(binary) = &self.source else {
                    let note = "NO SYSLOG: it needs a server that is started here";
                    report.notes.push(note.into());
                    return Ok(());
                };
                let (tested, ours) = self.start_syslog(binary, scenario.name, connections)?;
                self.run_server(scenario, tested, ours, connections)?
            }
        };
        report.scenarios.push(row);
        Ok(())
    }

    fn run_loop(&self, scenario: &Scenario, what: Loop) -> io::Result<Row> {
        let mut contender = self.in_process(what, scenario.name)?;
        let mut rounds = Rounds::default();
        for _ in 0..self.rounds {
            contender.round(self.duration, &mut rounds)?;
        }
        Ok(Row::new(scenario.name, what.name(), &rounds))
    }

    /// Alternates rounds of the server under test with rounds of each of its baselines.
    fn run_server(
        &self,
        scenario: &Scenario,
        tested: Tested,
        mut ours: Contender,
        connections: usize,
    ) -> io::Result<Row> {
        let (mut baselines, other) = self.baselines(scenario, &tested, connections)?;
        let id_of =
            |server: &Option<Server>| -> Vec<u32> { server.iter().map(Server::id).collect() };
        let (own_id, other_id) = (id_of(&tested.started), id_of(&other));
        let mut own_rounds = Rounds::default();
        for _ in 0..self.rounds {
            // The idle work of one server must not slow the other down on the same core.
            process::while_stopped(&other_id, || ours.round(self.duration, &mut own_rounds))?;
            for (baseline, contender, rounds) in &mut baselines {
                let stopped: &[u32] = match baseline.against {
                    Against::SameServer(_) => &[],
                    _ => &own_id,
                };
                process::while_stopped(stopped, || contender.round(self.duration, rounds))?;
            }
        }

        let mut row = Row::new(scenario.name, "server".into(), &own_rounds);
        for (baseline, _, rounds) in &baselines {
            row.compare(
                name_of(&baseline.against),
                Some(baseline.target),
                &own_rounds,
                rounds,
            );
        }
        if let Some(server) = &tested.started {
            row.resident_kib = Some(server.resident_kib()?);
        }
        for server in tested.started.into_iter().chain(other) {
            if let Err(error) = server.stop_and_remove() {
                row.errors += 1;
                row.first_error.get_or_insert_with(|| error.to_string());
            }
        }
        Ok(row)
    }

    /// A contender for each baseline of a scenario, and the second server where one of them needs it. Without
    /// nginx, the baselines that need it are left out.
    fn baselines(
        &self,
        scenario: &Scenario,
        tested: &Tested,
        connections: usize,
    ) -> io::Result<(Vec<Opponent>, Option<Server>)> {
        let mut baselines = Vec::new();
        let mut other = None;
        for (number, baseline) in scenario.baselines.iter().enumerate() {
            let name = format!("{}-{number}", scenario.name);
            let contender = match baseline.against {
                Against::Nginx => match self.nginx(&scenario.subject, connections) {
                    Some(nginx) => nginx,
                    None => continue,
                },
                Against::Loop(what) => self.in_process(what, &name)?,
                Against::NginxThenLoop(what) => match self.nginx(&scenario.subject, connections) {
                    Some(nginx) => {
                        Contender::Serial(Box::new([nginx, self.in_process(what, &name)?]))
                    }
                    None => continue,
                },
                Against::SameServer(kind) => self.under_load(tested, kind, connections),
                Against::OtherServer(kind) => {
                    let started = self.start_server(&name)?;
                    let contender = self.under_load(&started, kind, connections);
                    other = started.started;
                    contender
                }
            };
            baselines.push((baseline, contender, Rounds::default()));
        }
        Ok((baselines, other))
    }

    /// nginx under the requests of a scenario, where there is nginx.
    fn nginx(&self, subject: &Subject, connections: usize) -> Option<Contender> {
        let (Some(nginx), Subject::Server { kind, .. }) = (&self.nginx, subject) else {
            return None;
        };
        Some(Contender::Remote(Box::new(Remote {
            address: nginx.address,
            process: Some(nginx.id()),
            connections,
            traffic: kind.traffic(nginx.address, Protocol::Http, None),
            checks: Checks::Status,
        })))
    }

    fn start_server(&self, name: &str) -> io::Result<Tested> {
        match &self.source {
            Source::Running(address) => Ok(Tested {
                address: *address,
                started: None,
            }),
            Source::Binary(binary) => {
                let server = Server::start(binary, self.directory.join(name), &self.cores)?;
                Ok(Tested {
                    address: server.address,
                    started: Some(server),
                })
            }
        }
    }

    /// A server that takes syslog, and the connections that send it.
    fn start_syslog(
        &self,
        binary: &Path,
        name: &str,
        connections: usize,
    ) -> io::Result<(Tested, Contender)> {
        let flags = ["--syslog", "tcp:127.0.0.1:0"];
        let server = Server::start_with(binary, self.directory.join(name), &self.cores, &flags)?;
        let target = Target {
            http: server.address,
            syslog: server.syslog_address()?,
            connections,
        };
        let process = server.id();
        let tested = Tested {
            address: server.address,
            started: Some(server),
        };
        Ok((tested, Contender::Syslog { target, process }))
    }

    fn under_load(&self, tested: &Tested, kind: Kind, connections: usize) -> Contender {
        Contender::Remote(Box::new(Remote {
            address: tested.address,
            process: tested.started.as_ref().map(Server::id),
            connections,
            traffic: kind.traffic(tested.address, Protocol::Http, None),
            checks: Checks::StatusAndCounts,
        }))
    }

    fn in_process(&self, what: Loop, name: &str) -> io::Result<Contender> {
        let directory = self.directory.join(format!("loop-{name}"));
        let table = self
            .cores
            .on_measured(|| Table::create(what, directory))??;
        Ok(Contender::Loop {
            table: Box::new(table),
            cores: self.cores,
        })
    }
}

fn name_of(against: &Against) -> String {
    match against {
        Against::Nginx => "nginx, constant answer".into(),
        Against::Loop(what) => what.name(),
        Against::NginxThenLoop(what) => format!("nginx, then {}", what.name()),
        Against::SameServer(kind) => format!("same server, {kind:?}"),
        Against::OtherServer(kind) => format!("server, {kind:?}"),
    }
}
