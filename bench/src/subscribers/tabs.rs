//! Tabs of the dashboard as clients: each asks every second what the page asks while events come faster
//! than it follows them.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::server::get;

/// What a tab asks in a round.
const ASKED: [&str; 5] = [
    "/health",
    "/stats",
    "/metrics",
    "/topics",
    "/events?limit=100",
];
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
    let mut answers = 0;
    while !is_over.load(Ordering::Relaxed) {
        if Instant::now() < next {
            thread::sleep(NAP);
            continue;
        }
        for path in ASKED {
            if !get(address, path)?.starts_with(b"HTTP/1.1 200 ") {
                return Err(io::Error::other(format!("{path} is not answered with 200")));
            }
            answers += 1;
        }
        next += ROUND;
    }
    Ok(answers)
}
