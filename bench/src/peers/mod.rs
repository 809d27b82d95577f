//! `make bench-peers`: the same events beside Redis and PostgreSQL, each told to have them on disk
//! before it answers, in the same minutes on the same core.

mod postgres;
mod redis;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::args::PeersArgs;
use crate::contender::{Contender, Remote, Rounds};
use crate::kind::Kind;
use crate::load::protocol::Protocol;
use crate::load::{self, Checks};
use crate::process::{self, Process};
use crate::report::{Report, Row};
use crate::results;
use crate::server::Server;
use crate::setup::{version_of, Setup};

/// How long a peer may take before it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How the sentence begins for somebody who lacks a program; the package's name follows.
const NOT_INSTALLED: &str = "not installed; the package is";

/// What each of them is sent, and how many times Redis's rate is expected of us.
struct Load {
    name: &'static str,
    kind: Kind,
    connections: usize,
    /// Events stored before the first round.
    events_before: u64,
    target: f64,
}

const LOADS: [Load; 4] = [
    Load {
        name: "single-random",
        kind: Kind::SingleRandom,
        connections: 64,
        events_before: 0,
        target: 2.0,
    },
    Load {
        name: "batch-random",
        kind: Kind::BatchRandom,
        connections: 4,
        events_before: 0,
        target: 3.0,
    },
    Load {
        name: "same-again",
        kind: Kind::Same,
        connections: 64,
        events_before: 0,
        target: 0.8,
    },
    Load {
        name: "half-far",
        kind: Kind::HalfFar,
        connections: 4,
        events_before: 200_000,
        target: 1.7,
    },
];

/// A running program of others.
pub struct Peer {
    name: &'static str,
    version: String,
    process: Process,
    /// Whether `process` alone does the work, so that its processor time is all that it takes.
    is_one_process: bool,
    address: SocketAddr,
    protocol: Protocol,
}

impl Peer {
    /// Tries until `ready` succeeds.
    fn wait_until(&mut self, ready: impl Fn(SocketAddr) -> io::Result<()>) -> io::Result<()> {
        let started = Instant::now();
        while let Err(error) = ready(self.address) {
            self.process.check_running()?;
            if started.elapsed() > READY_WITHIN {
                return Err(error);
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// Runs the loads; returns whether they ran without errors.
///
/// # Errors
/// The measurement could not be run.
pub fn run(args: &PeersArgs) -> io::Result<bool> {
    let setup = Setup::new()?;
    let binary = setup.server_binary(&args.server)?;
    let mut report = Report {
        cores: setup.cores.describe(),
        rounds: args.rounds,
        seconds: args.seconds,
        ..Report::default()
    };
    type Start = fn(PathBuf, &crate::cores::Cores) -> io::Result<Peer>;
    let starts: [(&str, Start); 2] = [("Redis", redis::start), ("PostgreSQL", postgres::start)];
    let mut peers = Vec::new();
    for (name, start) in starts {
        match start(setup.directory.join(name), &setup.cores) {
            Ok(peer) => {
                report.notes.push(format!("{name}: {}", peer.version));
                peers.push(peer);
            }
            Err(error) => {
                let note = format!("{name} IS LEFT OUT: {error}");
                eprintln!("{note}");
                report.notes.push(note);
            }
        }
    }
    let server = Server::start(&binary, setup.directory.join("server"), &setup.cores)?;
    for load in &LOADS {
        eprintln!("{} ...", load.name);
        let row = run_load(load, &server, &peers, args)?;
        report.scenarios.push(row);
    }
    server.stop()?;
    for peer in peers {
        peer.process.stop()?;
    }
    let table = report.table();
    println!("{table}");
    report.write_json(&setup.build_folder.join("bench-peers.json"))?;
    results::write(
        &args.results.path(),
        "make bench-peers",
        &version_of(&binary)?,
        &table,
    )?;
    Ok(!report.has_errors())
}

fn run_load(load: &Load, server: &Server, peers: &[Peer], args: &PeersArgs) -> io::Result<Row> {
    let contender = |address, process, protocol| {
        Contender::Remote(Box::new(Remote {
            address,
            process,
            connections: load.connections,
            traffic: load.kind.traffic(address, protocol, None),
            checks: Checks::StatusAndCounts,
        }))
    };
    let mut contenders = vec![contender(server.address, Some(server.id()), Protocol::Http)];
    let of_peer = |peer: &Peer| {
        let process = peer.is_one_process.then(|| peer.process.id());
        contender(peer.address, process, peer.protocol)
    };
    contenders.extend(peers.iter().map(of_peer));
    let ids: Vec<u32> = [server.id()]
        .into_iter()
        .chain(peers.iter().map(|peer| peer.process.id()))
        .collect();
    let others = |own: usize| -> Vec<u32> {
        let all = ids.iter().enumerate();
        all.filter(|(number, _)| *number != own)
            .map(|(_, id)| *id)
            .collect()
    };
    let mut rounds: Vec<Rounds> = contenders.iter().map(|_| Rounds::default()).collect();

    let protocols = [Protocol::Http]
        .into_iter()
        .chain(peers.iter().map(|peer| peer.protocol));
    for ((number, contender), protocol) in contenders.iter_mut().enumerate().zip(protocols) {
        if let (Contender::Remote(remote), events @ 1..) = (contender, load.events_before) {
            process::while_stopped(&others(number), || {
                load::fill(remote.address, protocol, &mut remote.traffic, events)
            })?;
        }
    }
    let duration = Duration::from_secs_f64(args.seconds);
    for _ in 0..args.rounds {
        for (number, contender) in contenders.iter_mut().enumerate() {
            process::while_stopped(&others(number), || {
                contender.round(duration, &mut rounds[number])
            })?;
        }
    }

    let mut row = Row::new(load.name, "server".into(), &rounds[0]);
    for (peer, theirs) in peers.iter().zip(&rounds[1..]) {
        let target = (peer.name == "Redis").then_some(load.target);
        row.compare(peer.name.into(), target, &rounds[0], theirs);
    }
    row.resident_kib = Some(server.resident_kib()?);
    Ok(row)
}

/// An address of this machine that was free a moment ago, for programs that cannot choose one.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cores::Cores;
    use crate::load::{Plan, Stop};

    /// Sends batches of which half are repeats to a peer, where it is installed.
    fn events_are_counted(start: impl Fn(PathBuf, &Cores) -> io::Result<Peer>, name: &str) {
        let folder = format!("logagg-bench-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let cores = Cores::unpinned();
        let peer = match start(folder.clone(), &cores) {
            Ok(peer) => peer,
            Err(error) if error.to_string().starts_with(NOT_INSTALLED) => return,
            Err(error) => panic!("{error}"),
        };
        let mut traffic = Kind::HalfNear.traffic(peer.address, peer.protocol, Some(10));
        let plan = Plan {
            address: peer.address,
            connections: 1,
            warm_up: Duration::ZERO,
            stop: Stop::Requests(20),
            pace: None,
            checks: Checks::StatusAndCounts,
        };
        let result = load::run(&plan, &mut traffic).expect("the load is sent");
        assert_eq!(result.first_error, None);
        assert_eq!((result.accepted, result.duplicates), (100, 100));
        peer.process.stop().expect("it ends as it should");
        std::fs::remove_dir_all(folder).expect("the folder is there");
    }

    #[test]
    fn redis_stores_each_event_once() {
        events_are_counted(redis::start, "redis");
    }

    #[test]
    fn postgresql_stores_each_event_once() {
        events_are_counted(postgres::start, "postgresql");
    }
}
