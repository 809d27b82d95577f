//! Subscribers as clients: a thread that keeps many streams open, counts what comes and asks the clock.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use memchr::memchr_iter;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::load::new_latency;

const NAP: Duration = Duration::from_millis(20);
const BUFFER_BYTES: usize = 256 * 1024;
const MINUTE_US: u64 = 60_000_000;

/// What the streams brought.
pub struct Delivered {
    pub events: u64,
    /// Streams that the server has ended.
    pub ended: usize,
    pub elapsed: Duration,
    /// Nanoseconds from an event's `processed_at`, which is before its commit, to its delivery; of the last
    /// event of each read.
    pub latency: Histogram<u64>,
}

/// Streams that are being read.
pub struct Readers {
    is_over: Arc<AtomicBool>,
    counted: Arc<AtomicU64>,
    thread: JoinHandle<io::Result<Delivered>>,
}

impl Readers {
    /// Opens a stream for each of `queries`, as one event a line without chunks, and reads them.
    ///
    /// # Errors
    /// One cannot be opened.
    pub fn start(address: SocketAddr, queries: &[&str]) -> io::Result<Readers> {
        let mut streams = Vec::with_capacity(queries.len());
        for query in queries {
            let mut stream = std::net::TcpStream::connect(address)?;
            // Towards HTTP/1.0 there are no chunks, so that lines are events.
            let request =
                format!("GET /subscribe{query} HTTP/1.0\r\nAccept: application/x-ndjson\r\n\r\n");
            stream.write_all(request.as_bytes())?;
            let mut head = [0; 1];
            // The first byte of the answer says that the stream has begun.
            stream.read_exact(&mut head)?;
            stream.set_nonblocking(true)?;
            streams.push(TcpStream::from_std(stream));
        }
        let (is_over, counted) = (Arc::default(), Arc::default());
        let (over, count) = (Arc::clone(&is_over), Arc::clone(&counted));
        let thread = thread::spawn(move || read(streams, &over, &count));
        Ok(Readers {
            is_over,
            counted,
            thread,
        })
    }

    /// Events that have come so far.
    pub fn count(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    /// Whether the server has ended all streams, or reading has failed.
    pub fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// Leaves the streams.
    ///
    /// # Errors
    /// Reading has failed.
    pub fn stop(self) -> io::Result<Delivered> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("reading does not panic")
    }
}

fn read(
    mut streams: Vec<TcpStream>,
    is_over: &AtomicBool,
    counted: &AtomicU64,
) -> io::Result<Delivered> {
    let mut poll = Poll::new()?;
    for (at, stream) in streams.iter_mut().enumerate() {
        poll.registry()
            .register(stream, Token(at), Interest::READABLE)?;
    }
    let started = Instant::now();
    let mut delivered = Delivered {
        events: 0,
        ended: 0,
        elapsed: Duration::ZERO,
        latency: new_latency(),
    };
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut events = Events::with_capacity(1024);
    // The head of an answer has lines too; their number is known.
    let mut head_lines = vec![HEAD_LINES; streams.len()];
    while !is_over.load(Ordering::Relaxed) && delivered.ended < streams.len() {
        poll.poll(&mut events, Some(NAP))?;
        for event in &events {
            let at = event.token().0;
            loop {
                match streams[at].read(&mut buffer) {
                    Ok(0) => {
                        delivered.ended += 1;
                        break;
                    }
                    Ok(length) => {
                        let lines = memchr_iter(b'\n', &buffer[..length]).count() as u64;
                        let of_head = lines.min(head_lines[at]);
                        head_lines[at] -= of_head;
                        delivered.events += lines - of_head;
                        if let Some(age) = age_of_last(&buffer[..length]) {
                            delivered.latency.saturating_record(age);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        counted.store(delivered.events, Ordering::Relaxed);
    }
    delivered.elapsed = started.elapsed();
    Ok(delivered)
}

/// Status line, Server, Date, Content-Type, two fields against caches and buffers, Connection, empty line.
const HEAD_LINES: u64 = 8;

/// Nanoseconds since the `processed_at` of the last whole event, as far as a minute's clock tells.
fn age_of_last(bytes: &[u8]) -> Option<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let text = bytes.strip_suffix(b"Z\"}\n")?;
    // The seconds of a minute with six decimals: `05.678901`.
    let seconds = text.last_chunk::<9>()?;
    let digits = |from: usize, to: usize| {
        seconds[from..to]
            .iter()
            .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    };
    let stored = digits(0, 2) * 1_000_000 + digits(3, 9);
    let now = now.as_micros() as u64 % MINUTE_US;
    Some((now + MINUTE_US - stored) % MINUTE_US * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_that_of_the_last_event() {
        assert_eq!(
            age_of_last(b"{\"processed_at\":\"2026-01-02T03:04:05.6789"),
            None
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let micros = now.as_micros() as u64 % MINUTE_US;
        let text = format!(
            "x\n{{\"processed_at\":\"2026-01-02T03:04:{:02}.{:06}Z\"}}\n",
            micros / 1_000_000,
            micros % 1_000_000
        );
        let age = age_of_last(text.as_bytes()).expect("a whole event");
        assert!(age < 30_000_000_000, "{age}");
    }
}
