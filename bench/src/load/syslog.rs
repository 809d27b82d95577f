//! syslog over TCP. Nothing is answered, so the server's own count of what it has stored is what is measured.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::request::TIMESTAMP;
use crate::server::statistic;

/// Bytes of a message.
pub const MESSAGE_BYTES: usize = 150;
/// Messages that are written at once.
const BATCH: u64 = 1_000;
/// How long the server may take to store what it has been sent.
const STORED_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at what it has stored.
const NAP: Duration = Duration::from_millis(5);

/// A server that takes syslog.
pub struct Target {
    pub http: SocketAddr,
    pub syslog: SocketAddr,
    pub connections: usize,
}

/// What was measured.
pub struct Measured {
    /// Messages that were stored while it was measured, and how long that was.
    pub stored: u64,
    pub elapsed: Duration,
    /// All that were sent, those of the warm-up included.
    pub sent: u64,
}

/// Messages of RFC 5424 with a line feed after each, no two of them equal.
pub fn messages(count: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..count {
        let start = format!("<165>1 {TIMESTAMP} web-1 shop 4711 - - order {number:08} ");
        let rest = "x".repeat(MESSAGE_BYTES - start.len());
        bytes.extend_from_slice(format!("{start}{rest}\n").as_bytes());
    }
    bytes
}

impl Target {
    /// Sends for this time, after the warm-up, as fast as the server reads, then waits until it has stored everything.
    ///
    /// # Errors
    /// A connection fails, or the server has not stored what it was sent.
    pub fn measure(&self, warm_up: Duration, duration: Duration) -> io::Result<Measured> {
        let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let before = self.stored()?;
        let (began, ended) = thread::scope(|scope| {
            let send = || send(self.syslog, &is_over, &sent);
            let senders: Vec<_> = (0..self.connections).map(|_| scope.spawn(send)).collect();
            let window = self.window(warm_up, duration);
            is_over.store(true, Ordering::Relaxed);
            for sender in senders {
                sender.join().expect("a sender does not panic")?;
            }
            window
        })?;
        let sent = sent.into_inner();
        let end = Instant::now();
        loop {
            match self.stored()? - before {
                stored if stored == sent => break,
                stored if stored > sent || end.elapsed() > STORED_WITHIN => {
                    let text = format!("{sent} messages were sent, and {stored} are stored");
                    return Err(io::Error::other(text));
                }
                _ => thread::sleep(NAP),
            }
        }
        Ok(Measured {
            stored: ended.0 - began.0,
            elapsed: ended.1 - began.1,
            sent,
        })
    }

    /// What is stored at the end of the warm-up and at the end of the time, and when that was known.
    fn window(
        &self,
        warm_up: Duration,
        duration: Duration,
    ) -> io::Result<((u64, Instant), (u64, Instant))> {
        let now = || io::Result::Ok((self.stored()?, Instant::now()));
        thread::sleep(warm_up);
        let began = now()?;
        thread::sleep(duration);
        Ok((began, now()?))
    }

    fn stored(&self) -> io::Result<u64> {
        statistic(self.http, "unique_processed")
    }
}

/// Sends over a connection of its own until it is over, and counts what it has sent.
fn send(address: SocketAddr, is_over: &AtomicBool, sent: &AtomicU64) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let batch = messages(BATCH);
    while !is_over.load(Ordering::Relaxed) {
        stream.write_all(&batch)?;
        sent.fetch_add(BATCH, Ordering::Relaxed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_long_as_was_promised_and_differ() {
        let messages = messages(100);
        let lines: std::collections::HashSet<&[u8]> = messages
            .strip_suffix(b"\n")
            .expect("a line feed ends the last")
            .split(|byte| *byte == b'\n')
            .collect();
        assert_eq!(lines.len(), 100);
        assert!(lines.iter().all(|line| line.len() == MESSAGE_BYTES));
    }
}
