//! Who waits for whom: publishers and `/health` beside searches that go through everything, without end.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::Client;
use super::corpus::ABSENT;

/// Rounds, half of which are beside searches, and requests in each.
const ROUNDS: u64 = 8;
const REQUESTS: u64 = 25;
const BATCH: u64 = 1_000;
/// Searches beside publishers, and beside `/health`.
pub const FEW: usize = 4;
pub const MANY: usize = 64;

/// Does `work` beside `searches` searches.
fn beside<T>(address: SocketAddr, searches: usize, work: impl FnOnce() -> T) -> io::Result<T> {
    let is_over = AtomicBool::new(false);
    scope(|scope| {
        for _ in 0..searches {
            let mut client = Client::connect(address)?;
            let is_over = &is_over;
            scope.spawn(move || {
                let first = format!("/events?q=*{ABSENT}*");
                let mut target = first.clone();
                while !is_over.load(Ordering::Relaxed) {
                    let Ok(page) = client.get(&target) else {
                        break;
                    };
                    let next = page.get("next").and_then(Value::as_str);
                    target = next.map_or_else(|| first.clone(), str::to_owned);
                }
            });
        }
        // All of them are at work then.
        sleep(Duration::from_millis(300));
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        Ok(done)
    })
}

/// Latencies of requests.
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn sum(&self) -> Duration {
        self.0.iter().sum()
    }

    /// The time that one in a hundred takes longer than.
    pub fn p99(&mut self) -> Duration {
        self.0.sort_unstable();
        let at = self.0.len() * 99 / 100;
        self.0.get(at).copied().unwrap_or_default()
    }
}

/// Publishes events from `first` on in turn without searches and beside [`FEW`].
///
/// # Errors
/// A request failed.
pub fn publish(address: SocketAddr, first: u64) -> io::Result<[Latencies; 2]> {
    let mut latencies = [Latencies(Vec::new()), Latencies(Vec::new())];
    let mut client = Client::connect(address)?;
    let mut number = first;
    // Numbers from `first` on are of the later half of a day.
    for round in 0..ROUNDS {
        let searches = (round % 2) as usize;
        let batches = beside(address, FEW * searches, || {
            let batch = |at: u64| {
                let from = number + at * BATCH;
                client.publish(from..from + BATCH, 2 * first)
            };
            (0..REQUESTS).map(batch).collect::<io::Result<Vec<_>>>()
        })?;
        latencies[searches].0.extend(batches?);
        number += REQUESTS * BATCH;
    }
    Ok(latencies)
}

/// Asks for `/health` beside [`MANY`] searches.
///
/// # Errors
/// A request failed.
pub fn health(address: SocketAddr) -> io::Result<Latencies> {
    let mut client = Client::connect(address)?;
    let latencies = beside(address, MANY, || {
        let ask = |_| {
            let begun = Instant::now();
            client.get("/health").map(|_| begun.elapsed())
        };
        (0..ROUNDS * REQUESTS).map(ask).collect::<io::Result<_>>()
    })?;
    Ok(Latencies(latencies?))
}
