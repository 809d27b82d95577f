//! `make bench-subscribers`: what subscribers cost the publishers, and what they get.

mod readers;
mod tabs;

use std::fmt::Write;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::args::SubscribersArgs;
use crate::kind::Kind;
use crate::load::protocol::Protocol;
use crate::load::{self, Checks, LoadResult, Plan, Stop};
use crate::report::{aligned, grouped};
use crate::results;
use crate::server::{Server, DATABASE};
use crate::setup::{version_of, Setup};
use readers::Readers;
use tabs::Tabs;

const WARM_UP: Duration = Duration::from_millis(500);
/// Events that are there before anybody subscribes, and that a replay begins with.
const STORED: u64 = 1_000_000;
const FOLLOWED: &str = "";
const REPLAYED: &str = "?after=0";

/// Subscribers, how many of them replay from the first event, and the share of the publishers' rate that
/// must be left.
const COMPANIES: [(usize, usize, f64); 2] = [(10, 0, 0.9), (1_000, 100, 0.7)];
/// Tabs in which the dashboard is open, and the share of the publishers' rate that must be left.
const TABS: (u32, f64) = (5, 0.95);
/// Times the seconds of a round: what is looked for is smaller than the noise of a short one.
const TABS_ROUND: f64 = 2.0;
/// Subscribers to whom batches are delivered.
const AUDIENCES: [usize; 4] = [1, 10, 100, 1_000];
/// Those who listen while latencies are measured.
const LISTENERS: usize = 10;

struct Bench<'a> {
    args: &'a SubscribersArgs,
    server: Server,
    text: String,
    is_right: bool,
}

/// Measures; returns whether no request failed and nobody was cut off.
///
/// # Errors
/// The measurement could not be run.
pub fn run(args: &SubscribersArgs) -> io::Result<bool> {
    let setup = Setup::new()?;
    let binary = setup.server_binary(&args.server)?;
    let folder = setup.directory.join("server");
    let server = Server::start(&binary, folder.clone(), &setup.cores)?;
    let mut bench = Bench {
        args,
        server,
        text: format!(
            "{}; the subscribers are read there too\n\n",
            setup.cores.describe()
        ),
        is_right: true,
    };
    let mut traffic = Kind::BatchRandom.traffic(bench.server.address, Protocol::Http, None);
    load::fill(bench.server.address, Protocol::Http, &mut traffic, STORED)?;
    bench.replay(&folder.join(DATABASE))?;
    bench.latency()?;
    bench.companies()?;
    bench.tabs()?;
    bench.audiences()?;
    println!("{}", bench.text);
    bench.server.stop()?;
    results::write(
        &args.results.path(),
        "make bench-subscribers",
        &version_of(&binary)?,
        &bench.text,
    )?;
    Ok(bench.is_right)
}

fn verdict(is_met: bool) -> &'static str {
    if is_met {
        "met"
    } else {
        "MISSED"
    }
}

impl Bench<'_> {
    fn publish(
        &mut self,
        kind: Kind,
        connections: usize,
        pace: Option<f64>,
    ) -> io::Result<LoadResult> {
        self.publish_for(self.args.seconds, kind, connections, pace)
    }

    fn publish_for(
        &mut self,
        seconds: f64,
        kind: Kind,
        connections: usize,
        pace: Option<f64>,
    ) -> io::Result<LoadResult> {
        let mut traffic = kind.traffic(self.server.address, Protocol::Http, None);
        let plan = Plan {
            address: self.server.address,
            connections,
            warm_up: WARM_UP,
            stop: Stop::After(Duration::from_secs_f64(seconds)),
            pace: pace.map(|rate| Duration::from_secs_f64(1.0 / rate)),
            checks: Checks::StatusAndCounts,
        };
        let result = load::run(&plan, &mut traffic)?;
        if let Some(error) = &result.first_error {
            self.is_right = false;
            let _ = writeln!(self.text, "! {} errors, the first: {error}", result.errors);
        }
        Ok(result)
    }

    /// One reader gets everything that is stored; beside it a program that reads the same rows.
    fn replay(&mut self, database: &std::path::Path) -> io::Result<()> {
        let (mut served, mut read) = (0.0_f64, 0.0_f64);
        for _ in 0..self.args.rounds {
            let readers = Readers::start(self.server.address, &["?follow=false"])?;
            while !readers.is_done() {
                sleep(Duration::from_millis(1));
            }
            let delivered = readers.stop()?;
            if delivered.events < STORED {
                self.is_right = false;
                let _ = writeln!(self.text, "! only {} events came", delivered.events);
            }
            served = served.max(delivered.events as f64 / delivered.elapsed.as_secs_f64());
            let begun = Instant::now();
            let rows = read_rows(database).map_err(io::Error::other)?;
            read = read.max(rows as f64 / begun.elapsed().as_secs_f64());
        }
        let ratio = served / read;
        let _ = writeln!(
            self.text,
            "replay of {} events to one reader: {} events/s, {ratio:.2} of reading the rows in process \
             ({}/s), >= 0.50 {}",
            grouped(STORED as f64),
            grouped(served),
            grouped(read),
            verdict(ratio >= 0.5)
        );
        Ok(())
    }

    /// Single events at half of the rate that is possible, to a few listeners.
    fn latency(&mut self) -> io::Result<()> {
        let greatest = self.publish(Kind::SingleRandom, 64, None)?.request_rate();
        let readers = Readers::start(self.server.address, &[FOLLOWED; LISTENERS])?;
        let result = self.publish(Kind::SingleRandom, 64, Some(greatest / 2.0))?;
        let delivered = readers.stop()?;
        let micros = |quantile| delivered.latency.value_at_quantile(quantile) as f64 / 1e3;
        let _ = writeln!(
            self.text,
            "from before the commit to the delivery, {LISTENERS} subscribers, {} events/s: median {} us, \
             < 2,000 {}; p99 {} us",
            grouped(result.request_rate()),
            grouped(micros(0.5)),
            verdict(micros(0.5) < 2_000.0),
            grouped(micros(0.99))
        );
        Ok(())
    }

    /// The publishers' rate alone and in company, by turns.
    fn companies(&mut self) -> io::Result<()> {
        let mut lines = vec![[
            "subscribers",
            "replaying",
            "events/s published",
            "of alone",
            "wanted",
            "",
            "delivered/s",
        ]
        .map(String::from)
        .to_vec()];
        for (subscribers, replaying, wanted) in COMPANIES {
            let mut queries = vec![FOLLOWED; subscribers - replaying];
            queries.extend(vec![REPLAYED; replaying]);
            let (mut ratios, mut rates, mut delivered_rate) = (Vec::new(), Vec::new(), 0.0);
            for _ in 0..self.args.rounds {
                let alone = self.publish(Kind::SingleRandom, 64, None)?.request_rate();
                let readers = Readers::start(self.server.address, &queries)?;
                let rate = self.publish(Kind::SingleRandom, 64, None)?.request_rate();
                let delivered = readers.stop()?;
                if delivered.ended > 0 {
                    self.is_right = false;
                    let _ = writeln!(self.text, "! {} streams were cut off", delivered.ended);
                }
                delivered_rate = delivered.events as f64 / delivered.elapsed.as_secs_f64();
                ratios.push(rate / alone);
                rates.push(rate);
            }
            ratios.sort_by(f64::total_cmp);
            rates.sort_by(f64::total_cmp);
            let ratio = ratios[ratios.len() / 2];
            lines.push(vec![
                grouped(subscribers as f64),
                grouped(replaying as f64),
                grouped(rates[rates.len() / 2]),
                format!("{ratio:.2}"),
                format!(">= {wanted:.2}"),
                verdict(ratio >= wanted).into(),
                grouped(delivered_rate),
            ]);
        }
        let _ = writeln!(self.text, "\n{}", aligned(&lines, &[]));
        Ok(())
    }

    /// The publishers' rate alone and with the dashboard open, by turns.
    fn tabs(&mut self) -> io::Result<()> {
        let (number, wanted) = TABS;
        let seconds = self.args.seconds * TABS_ROUND;
        let mut ratios = Vec::new();
        let mut answers = 0;
        for _ in 0..self.args.rounds {
            let alone = self.publish_for(seconds, Kind::SingleRandom, 64, None)?;
            let tabs = Tabs::open(self.server.address, number);
            let watched = self.publish_for(seconds, Kind::SingleRandom, 64, None)?;
            answers += tabs.close()?;
            ratios.push(watched.request_rate() / alone.request_rate());
        }
        ratios.sort_by(f64::total_cmp);
        let ratio = ratios[ratios.len() / 2];
        let _ = writeln!(
            self.text,
            "the dashboard open in {number} tabs, {answers} answers to them: publishers keep {ratio:.3} of \
             their rate, >= {wanted:.2} {}\n",
            verdict(ratio >= wanted)
        );
        Ok(())
    }

    /// Batches as fast as they are taken, to more and more subscribers.
    fn audiences(&mut self) -> io::Result<()> {
        let mut lines = vec![["subscribers", "events/s published", "delivered/s"]
            .map(String::from)
            .to_vec()];
        for subscribers in AUDIENCES {
            let readers = Readers::start(self.server.address, &vec![FOLLOWED; subscribers])?;
            let published = self.publish(Kind::BatchRandom, 4, None)?;
            let during = readers.count();
            let seconds = (published.elapsed + WARM_UP).as_secs_f64();
            readers.stop()?;
            lines.push(vec![
                grouped(subscribers as f64),
                grouped(published.rate()),
                grouped(during as f64 / seconds),
            ]);
        }
        let _ = write!(self.text, "{}", aligned(&lines, &[]));
        Ok(())
    }
}

/// Reads all members of all events and says how many these were.
fn read_rows(database: &std::path::Path) -> rusqlite::Result<u64> {
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql =
        "SELECT seq, topic_id, event_id, timestamp, source, payload, processed_at FROM events";
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        for column in 2..6 {
            bytes += row.get_ref(column)?.as_bytes()?.len();
        }
        bytes += row.get::<_, i64>(6)? as usize & 1;
        count += 1;
    }
    Ok(std::hint::black_box((count, bytes)).0)
}
