//! `stats`: what a server counts, once or as a view that follows it.

use std::io::{stdout, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;

use super::connect::client_of;
use crate::cli::failure::Failure;
use crate::cli::terminal::{cannot_write, grouped, print, print_answer, table, width};
use crate::client::{Backoff, Client, ClientArgs, Error, GiveUp, RetryDecision, ServerStats};
use crate::text::escaped;

/// Time between two requests.
const INTERVAL: Duration = Duration::from_secs(1);

/// Show a server's statistics; on a terminal as a live view, with rates
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Print once and end, also on a terminal
    #[arg(long)]
    once: bool,

    /// Print the server's answer as it is, once
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    client: ClientArgs,
}

/// Numbers with their names; those that only grow come first.
type Rows = [(&'static str, u64); 16];
const COUNTS: usize = 7;

fn numbers(stats: &ServerStats) -> Rows {
    [
        ("received", stats.received),
        ("unique_processed", stats.unique_processed),
        ("duplicate_dropped", stats.duplicate_dropped),
        ("conflicts", stats.conflicts),
        ("rejected", stats.rejected),
        ("batches", stats.batches),
        ("events_removed", stats.events_removed),
        ("topic_count", stats.topic_count),
        ("last_seq", stats.last_seq),
        ("first_seq", stats.first_seq),
        ("queue_size", stats.queue_size),
        ("queue_capacity", stats.queue_capacity),
        ("connections", stats.connections),
        ("subscribers", stats.subscribers),
        ("database_bytes", stats.database_bytes),
        ("wal_bytes", stats.wal_bytes),
    ]
}

/// Prints once, or shows the view until a signal comes.
pub(crate) fn run(arguments: StatsArgs) -> Result<(), Failure> {
    let is_live = stdout().is_terminal() && !arguments.once && !arguments.json;
    let give_up = match is_live {
        true => GiveUp::Never,
        false => GiveUp::After(Duration::ZERO),
    };
    let client = client_of(&arguments.client, give_up)?;
    if is_live {
        return follow(&client);
    }
    let text = match arguments.json {
        true => {
            let body = client.persist(|| client.get("/stats"))?;
            return print_answer(&body);
        }
        false => {
            let stats: ServerStats = client.persist(|| client.json("/stats"))?;
            once(&stats).into_bytes()
        }
    };
    print(&text)
}

/// The numbers as lines `name: value`.
fn once(stats: &ServerStats) -> String {
    let mut text = String::new();
    for (name, value) in numbers(stats) {
        text += &format!("{name}: {value}\n");
    }
    if let Some(id) = &stats.database_id {
        text += &format!("database_id: {}\n", escaped(id));
    }
    text += &format!("uptime_human: {}\n", escaped(&stats.uptime_human));
    text + &format!("version: {}\n", escaped(&stats.version))
}

/// Shows the view and renews it. A server that does not answer is shown as such.
fn follow(client: &Client) -> Result<(), Failure> {
    let mut view = View::default();
    let mut backoff = Backoff::new(client.give_up());
    loop {
        let now = Instant::now();
        let (lines, pause) = match fetch(client) {
            Ok((stats, health)) => {
                backoff.succeeded();
                let lines = view.lines(client, &stats, &health, now);
                view.before = Some((numbers(&stats), now));
                (lines, INTERVAL)
            }
            Err(error) => {
                view.before = None;
                let line = format!("{error}; trying again");
                match backoff.failed(error, now) {
                    RetryDecision::Pause(pause) => (vec![line], pause.min(INTERVAL)),
                    RetryDecision::Fail(error) => return Err(error.into()),
                }
            }
        };
        view.draw(&lines).map_err(cannot_write)?;
        client.interrupt().sleep(pause)?;
    }
}

/// The statistics, and the state in a word or with its reason.
fn fetch(client: &Client) -> Result<(ServerStats, String), Error> {
    #[derive(Deserialize)]
    struct Health {
        status: String,
        reason: Option<String>,
    }
    let stats = client.json("/stats")?;
    let body = match client.get("/health") {
        Err(Error::Refused(refusal)) if refusal.status == 503 => refusal.body,
        result => result?,
    };
    let health = match serde_json::from_slice(&body) {
        Ok(Health {
            status,
            reason: Some(reason),
        }) => format!("{status}: {reason}"),
        Ok(health) => health.status,
        Err(_) => "in an unknown state".to_owned(),
    };
    Ok((stats, escaped(&health).into_owned()))
}

/// What is on the terminal.
#[derive(Default)]
struct View {
    /// The numbers of the last request, and its time.
    before: Option<(Rows, Instant)>,
    /// Lines drawn.
    drawn: usize,
}

impl View {
    fn lines(
        &self,
        client: &Client,
        stats: &ServerStats,
        health: &str,
        now: Instant,
    ) -> Vec<String> {
        let rates = self.rates(&numbers(stats), now);
        let mut rows = vec![["", "", "PER SECOND"].map(str::to_owned)];
        for (number, (name, value)) in numbers(stats).into_iter().enumerate() {
            let rate = rates.get(number).copied().flatten();
            let rate = rate.map_or_else(String::new, |rate| format!("{rate:>10.0}"));
            rows.push([name.to_owned(), grouped(value), rate]);
        }
        let width = rows.iter().map(|row| row[1].len()).max().unwrap_or(0);
        for row in &mut rows {
            row[1] = format!("{:>width$}", row[1]);
        }
        let head = format!(
            "{}  version {}  up {}  {health}",
            client.address(),
            escaped(&stats.version),
            escaped(&stats.uptime_human)
        );
        let mut lines = vec![head, String::new()];
        lines.extend(table(&rows).lines().map(str::to_owned));
        lines
    }

    /// What the counts grew by in a second; nothing after a restart of the server.
    fn rates(&self, rows: &Rows, now: Instant) -> [Option<f64>; COUNTS] {
        let mut rates = [None; COUNTS];
        let Some((before, at)) = &self.before else {
            return rates;
        };
        let seconds = now.duration_since(*at).as_secs_f64();
        for (number, rate) in rates.iter_mut().enumerate() {
            let grown = rows[number].1.checked_sub(before[number].1);
            *rate = grown.map(|grown| grown as f64 / seconds.max(0.001));
        }
        rates
    }

    /// Draws over what was drawn before.
    fn draw(&mut self, lines: &[String]) -> std::io::Result<()> {
        let width = width();
        let mut text = match self.drawn {
            0 => String::new(),
            drawn => format!("\x1b[{drawn}A\x1b[J"),
        };
        for line in lines {
            text.extend(line.chars().take(width));
            text.push('\n');
        }
        self.drawn = lines.len();
        let mut out = stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_come_from_two_looks() {
        let now = Instant::now();
        let rows = |counts: [u64; COUNTS]| -> Rows {
            let mut rows = [("", 0); 16];
            for (row, count) in rows.iter_mut().zip(counts) {
                row.1 = count;
            }
            rows
        };
        let mut view = View::default();
        let later = rows([30, 20, 10, 0, 5, 7, 3]);
        assert_eq!(view.rates(&later, now), [None; COUNTS]);
        view.before = Some((rows([10, 10, 0, 0, 9, 7, 1]), now));
        let rates = view.rates(&later, now + Duration::from_secs(2));
        let expected = [
            Some(10.0),
            Some(5.0),
            Some(5.0),
            Some(0.0),
            None,
            Some(0.0),
            Some(1.0),
        ];
        assert_eq!(rates, expected);
    }
}
