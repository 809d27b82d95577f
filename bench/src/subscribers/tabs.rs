//! Tabs of the dashboard as clients: each asks what the page asks while events come faster than it follows them. Then
//! it shows the newest of each second, the health and the counts beside them, and now and then how long commits take,
//! which values there are, and the histogram.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::server::READY_WITHIN;

/// What a tab asks in each round.
const ASKED: [&str; 3] = [
    "/health",
    "/stats",
    "/events?since=1h&time=received&limit=50",
];
/// What it asks in one of this many rounds.
const SELDOM: (u32, &str) = (5, "/metrics");
/// What it asks at intervals of [`FRESH_AFTER`], or of [`FRESH_SHARE`] times as long as the answers took.
const FRESH: [&str; 2] = [
    "/fields?since=1h&time=received",
    "/histogram?since=1h&time=received&buckets=120",
];
const FRESH_AFTER: Duration = Duration::from_secs(3);
const FRESH_SHARE: u32 = 20;
/// From one round to the next.
const ROUND: Duration = Duration::from_secs(1);
const NAP: Duration = Duration::from_millis(5);

/// Tabs that are open.
pub struct Tabs {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<io::Result<u64>>>,
}

impl Tabs {
    /// Opens `number` of them, whose rounds begin at different moments of a second.
    pub fn open(address: SocketAddr, number: u32) -> Tabs {
        let is_over = Arc::new(AtomicBool::new(false));
        let open = |tab| {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || look(address, ROUND / number * tab, &is_over))
        };
        let threads = (0..number).map(open).collect();
        Tabs { is_over, threads }
    }

    /// Closes them and says how many answers they had.
    ///
    /// # Errors
    /// A request had no answer, or one other than 200.
    pub fn close(self) -> io::Result<u64> {
        self.is_over.store(true, Ordering::Relaxed);
        let answers = self.threads.into_iter().map(|thread| {
            let answers = thread.join();
            answers.expect("a tab does not panic")
        });
        answers.sum()
    }
}

fn look(address: SocketAddr, first: Duration, is_over: &AtomicBool) -> io::Result<u64> {
    let mut next = Instant::now() + first;
    let mut fresh_at = next;
    let mut answers = 0;
    for round in 0_u32.. {
        while Instant::now() < next {
            thread::sleep(NAP);
            if is_over.load(Ordering::Relaxed) {
                return Ok(answers);
            }
        }
        answers += ask(address, &ASKED)?;
        if round % SELDOM.0 == 0 {
            answers += ask(address, &[SELDOM.1])?;
        }
        let begun = Instant::now();
        if begun >= fresh_at {
            answers += ask(address, &FRESH)?;
            let took = begun.elapsed();
            fresh_at = Instant::now() + FRESH_AFTER.max(took * FRESH_SHARE);
        }
        next += ROUND;
    }
    Ok(answers)
}

/// Asks for these, and says how many they were.
fn ask(address: SocketAddr, paths: &[&str]) -> io::Result<u64> {
    for path in paths {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(READY_WITHIN))?;
        // As browsers do.
        let fields = "Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: close";
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(io::Error::other(format!("{path} is not answered with 200")));
        }
    }
    Ok(paths.len() as u64)
}
