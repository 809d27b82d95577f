//! Runs scenarios: starts what each of them needs, alternates the rounds of the contenders, and
//! puts the results into the report.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::contender::{Contender, Http, Rounds};
use crate::cores::Cores;
use crate::inprocess::{Loop, Table};
use crate::kind::Kind;
use crate::load::{self, Checks};
use crate::nginx::Nginx;
use crate::process;
use crate::report::{AtRest, Report, Row};
use crate::scenarios::{Against, Scenario, Subject};
use crate::server::Server;

/// Where the server under test comes from.
pub enum Source {
    /// Started from this binary for each scenario, on an empty database.
    Binary(PathBuf),
    /// One that runs already.
    Running(SocketAddr),
}

/// What all scenarios share.
pub struct Suite {
    pub source: Source,
    pub cores: Cores,
    /// A folder on a real disk for databases and logs.
    pub directory: PathBuf,
    pub rounds: u32,
    pub duration: Duration,
    pub nginx: Option<Nginx>,
}

/// The subject's server while a scenario runs.
struct Tested {
    address: SocketAddr,
    started: Option<Server>,
}

impl Suite {
    /// Measures the server at rest.
    ///
    /// # Errors
    /// Where it does not start or end as it should.
    pub fn at_rest(&self) -> io::Result<Option<AtRest>> {
        let Source::Binary(binary) = &self.source else {
            return Ok(None);
        };
        let server = Server::start(binary, self.directory.join("at-rest"), &self.cores)?;
        let at_rest = AtRest {
            binary_bytes: fs::metadata(binary)?.len(),
            ready_ms: server.ready_after.as_secs_f64() * 1e3,
            resident_kib: server.resident_kib()?,
        };
        server.stop()?;
        Ok(Some(at_rest))
    }

    /// Runs one scenario and adds its row to the report.
    ///
    /// # Errors
    /// Where it cannot be run; failing requests are in the row.
    pub fn run(&self, scenario: &Scenario, report: &mut Report) -> io::Result<()> {
        let row = match scenario.subject {
            Subject::Loop(what) => self.run_loop(scenario, what)?,
            Subject::Server {
                kind,
                connections,
                events_before,
            } => {
                let tested = self.start_server(scenario)?;
                let mut ours = self.under_load(&tested, kind, connections);
                if let (Contender::Http(http), 1..) = (&mut ours, events_before) {
                    load::fill(http.address, &mut http.traffic, events_before)?;
                }
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

    fn run_server(
        &self,
        scenario: &Scenario,
        tested: Tested,
        mut ours: Contender,
        connections: usize,
    ) -> io::Result<Row> {
        let mut baselines = Vec::new();
        for (number, baseline) in scenario.baselines.iter().enumerate() {
            let contender = match baseline.against {
                Against::Nginx => match (&self.nginx, &scenario.subject) {
                    (Some(nginx), Subject::Server { kind, .. }) => {
                        Contender::Http(Box::new(Http {
                            address: nginx.address,
                            process: Some(nginx.id()),
                            connections,
                            traffic: kind.traffic(nginx.address, None),
                            checks: Checks::Status,
                        }))
                    }
                    _ => continue,
                },
                Against::Loop(what) => {
                    self.in_process(what, &format!("{}-{number}", scenario.name))?
                }
                Against::SameServer(kind) => self.under_load(&tested, kind, connections),
            };
            baselines.push((baseline, contender, Rounds::default()));
        }

        let mut own_rounds = Rounds::default();
        for _ in 0..self.rounds {
            ours.round(self.duration, &mut own_rounds)?;
            for (baseline, contender, rounds) in &mut baselines {
                match (&tested.started, &baseline.against) {
                    // The server's idle work must not slow its opponent down on the same core.
                    (Some(server), Against::Nginx | Against::Loop(_)) => {
                        process::while_stopped(server.id(), || {
                            contender.round(self.duration, rounds)
                        })??;
                    }
                    _ => contender.round(self.duration, rounds)?,
                }
            }
        }

        let mut row = Row::new(scenario.name, "server".into(), &own_rounds);
        for (baseline, _, rounds) in &baselines {
            row.compare(
                name_of(&baseline.against),
                baseline.target,
                &own_rounds,
                rounds,
            );
        }
        if let Some(server) = tested.started {
            row.resident_kib = Some(server.resident_kib()?);
            if let Err(error) = server.stop() {
                row.errors += 1;
                row.first_error.get_or_insert_with(|| error.to_string());
            }
        }
        Ok(row)
    }

    fn start_server(&self, scenario: &Scenario) -> io::Result<Tested> {
        match &self.source {
            Source::Running(address) => Ok(Tested {
                address: *address,
                started: None,
            }),
            Source::Binary(binary) => {
                let server =
                    Server::start(binary, self.directory.join(scenario.name), &self.cores)?;
                Ok(Tested {
                    address: server.address,
                    started: Some(server),
                })
            }
        }
    }

    fn under_load(&self, tested: &Tested, kind: Kind, connections: usize) -> Contender {
        Contender::Http(Box::new(Http {
            address: tested.address,
            process: tested.started.as_ref().map(Server::id),
            connections,
            traffic: kind.traffic(tested.address, None),
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
        Against::SameServer(kind) => format!("same server, {kind:?}"),
    }
}
