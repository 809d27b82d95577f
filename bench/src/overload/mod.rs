//! `make bench-overload`: publishers that behave, while thousands of clients do not. Measures how much of their rate
//! the publishers keep, how much memory the server takes, and whether it releases all of it afterwards.

mod crowd;
mod habits;
mod table;

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use self::crowd::Crowd;
use self::habits::Habit;
use crate::args::OverloadArgs;
use crate::kind::Kind;
use crate::load::protocol::Protocol;
use crate::load::{self, Checks, LoadResult, Plan, Stop, Traffic};
use crate::process;
use crate::results;
use crate::server::Server;
use crate::setup::{check_room, version_of, Setup};

/// Descriptors of this program and of the server for other things than the crowd.
const DESCRIPTORS_KEPT: usize = 250;
/// How long a crowd may take to gather, and the server to be rid of it.
const GATHERED_WITHIN: Duration = Duration::from_secs(60);
/// How long a crowd is there before anything is measured: the slow have been sent away once and have come
/// back, and those that wait for memory have been refused once.
const SETTLES: Duration = Duration::from_secs(12);
const WARM_UP: Duration = Duration::from_secs(1);
/// Requests a second that no machine here takes: for the room on the disk.
const GREATEST_RATE: f64 = 100_000.0;

/// The events of a page that is as large as pages get, and the text of each.
const LARGE_EVENTS: usize = 1_000;
const LARGE_TEXT_BYTES: usize = 4_200;

/// One kind of trouble.
struct Trouble {
    name: String,
    members: Vec<Habit>,
    settles: Duration,
    /// The share of their rate that the publishers are to keep.
    target: Option<f64>,
}

/// The results of one kind of trouble.
struct Finding {
    name: String,
    target: Option<f64>,
    members: usize,
    /// The least that were connected when a round began and ended.
    connected: usize,
    alone: Vec<LoadResult>,
    within: Vec<LoadResult>,
    peak_kib: u64,
    /// Open in the server before the crowd, with it, and when it had left: of the last round.
    descriptors: [usize; 3],
    /// Of the crowd: sent away, answered, answered 503.
    counts: [usize; 3],
}

/// Measures each kind of trouble; returns whether the targets are met and no publisher met an error.
///
/// # Errors
/// The measurement could not be run.
pub fn run(args: &OverloadArgs) -> io::Result<bool> {
    let allowed = raise_file_limit()?;
    let setup = Setup::new()?;
    let binary = setup.server_binary(&args.server)?;
    let (troubles, note) = troubles(args, allowed);
    let phases = troubles.len() * (2 * args.rounds as usize + 1);
    let seconds = phases as f64 * (args.seconds + WARM_UP.as_secs_f64());
    check_room(&setup.directory, (seconds * GREATEST_RATE) as u64)?;
    let folder = setup.directory.join("server");
    let limit = allowed.to_string();
    let flags = ["--max-connections", &limit, "--log-duplicates", "off"];
    let server = Server::start_with(&binary, folder, &setup.cores, &flags)?;
    let at_rest = server.descriptors()?;
    store_large_events(server.address)?;

    let mut traffic = Kind::SingleRandom.traffic(server.address, Protocol::Http, None);
    let plan = Plan {
        address: server.address,
        connections: args.publishers,
        warm_up: WARM_UP,
        stop: Stop::After(Duration::from_secs_f64(args.seconds)),
        pace: None,
        checks: Checks::StatusAndCounts,
    };
    let mut findings = Vec::new();
    for trouble in troubles {
        eprintln!("{} ...", trouble.name);
        let finding = measure(&server, at_rest, &trouble, &plan, &mut traffic, args.rounds);
        findings.push(finding?);
    }
    let mut text = format!(
        "{}\n{} publishers of one random id each, as fast as they are answered; {} rounds of {} s, \
         alternating with none of the others\n",
        setup.cores.describe(),
        args.publishers,
        args.rounds,
        args.seconds
    );
    let is_met = table::describe(&findings, &note, &mut text);
    println!("{text}");
    for line in table::figures(&findings) {
        println!("{line}");
    }
    server.stop()?;
    if args.only.is_none() {
        let version = version_of(&binary)?;
        results::write(&args.results.path(), "make bench-overload", &version, &text)?;
    }
    Ok(is_met)
}

/// The kinds of trouble that were asked for, and a note where the file limit reduced one.
fn troubles(args: &OverloadArgs, allowed: usize) -> (Vec<Trouble>, String) {
    let others = args.slow + args.deaf + args.publishers + DESCRIPTORS_KEPT;
    let idle = args.idle.min(allowed.saturating_sub(others));
    let note = if idle < args.idle {
        format!("note: the file limit of {allowed} allows {idle} idle connections\n")
    } else {
        String::new()
    };
    let of = |habit: Habit, count: usize| std::iter::repeat_n(habit, count);
    let [in_head, in_body] = habits::slow();
    let crowd = of(Habit::Idle, idle)
        .chain(of(in_head, args.slow - args.slow / 2))
        .chain(of(in_body, args.slow / 2))
        .chain(of(habits::deaf(), args.deaf));
    let mut troubles = vec![Trouble {
        name: format!("{idle} idle, {} slow, {} deaf", args.slow, args.deaf),
        members: crowd.collect(),
        settles: SETTLES,
        target: Some(0.8),
    }];
    for (name, bomb) in habits::bombs() {
        troubles.push(Trouble {
            name: format!("{} bombs, {name}", args.bombers),
            members: of(bomb, args.bombers).collect(),
            settles: WARM_UP,
            target: None,
        });
    }
    troubles.push(Trouble {
        name: format!("{} bodies of 16 MiB", args.large),
        members: of(habits::large_body(), args.large).collect(),
        settles: WARM_UP,
        target: None,
    });
    if let Some(only) = &args.only {
        troubles.retain(|trouble| trouble.name.contains(only));
    }
    (troubles, note)
}

fn measure(
    server: &Server,
    at_rest: usize,
    trouble: &Trouble,
    plan: &Plan,
    traffic: &mut Traffic,
    rounds: u32,
) -> io::Result<Finding> {
    let mut finding = Finding {
        name: trouble.name.clone(),
        target: trouble.target,
        members: trouble.members.len(),
        connected: usize::MAX,
        alone: vec![load::run(plan, traffic)?],
        within: Vec::new(),
        peak_kib: 0,
        descriptors: [0; 3],
        counts: [0; 3],
    };
    for _ in 0..rounds {
        process::forget_peak(server.id())?;
        let before = descriptors_at_rest(server, at_rest)?;
        let crowd = Crowd::gather(server.address, trouble.members.clone())?;
        let came = crowd.wait_for(trouble.members.len(), GATHERED_WITHIN);
        thread::sleep(trouble.settles);
        finding.within.push(load::run(plan, traffic)?);
        // Some are always on their way back.
        let stayed = crowd.wait_for(came, WARM_UP);
        for (sum, count) in finding.counts.iter_mut().zip(crowd.tally.counts()) {
            *sum += count;
        }
        finding.connected = finding.connected.min(came).min(stayed);
        let with = server.descriptors()?;
        crowd.leave()?;
        let after = descriptors_at_rest(server, at_rest)?;
        finding.descriptors = [before, with, after];
        finding.peak_kib = finding.peak_kib.max(process::peak_kib(server.id())?);
        finding.alone.push(load::run(plan, traffic)?);
    }
    Ok(finding)
}

/// Descriptors of the server when it has had time to close what has left.
fn descriptors_at_rest(server: &Server, expected: usize) -> io::Result<usize> {
    let asked = Instant::now();
    loop {
        let open = server.descriptors()?;
        if open <= expected || asked.elapsed() > GATHERED_WITHIN {
            return Ok(open);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Raises the file limit of this process, and so of the server, as far as it may be raised.
fn raise_file_limit() -> io::Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )?;
    let most = limit.maximum.unwrap_or(u64::MAX).min(1_000_000);
    Ok(most as usize)
}

/// Stores what makes the first page as large as pages get.
fn store_large_events(address: SocketAddr) -> io::Result<()> {
    let text = "x".repeat(LARGE_TEXT_BYTES);
    let mut body = String::from("[");
    for number in 0..LARGE_EVENTS {
        let comma = if number > 0 { "," } else { "" };
        body.push_str(comma);
        body.push_str(&habits::event("bench.page", number, &text));
    }
    body.push(']');
    let request = habits::request("identity", body.as_bytes());
    load::exchange(address, load::response::parse_http, &[request.to_vec()])?;
    Ok(())
}
