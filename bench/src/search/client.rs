//! Requests to the server on one connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::corpus::{event, write_json};

const BATCH: u64 = 1_000;
const TIMEOUT: Duration = Duration::from_secs(120);

/// A connection.
pub struct Client {
    stream: TcpStream,
    address: SocketAddr,
    received: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Client {
            stream,
            address,
            received: Vec::new(),
        })
    }

    /// Publishes a range of numbers of the events; says how long the server took for them.
    pub fn publish(&mut self, numbers: std::ops::Range<u64>, all: u64) -> io::Result<Duration> {
        let mut took = Duration::ZERO;
        for first in numbers.clone().step_by(BATCH as usize) {
            let mut body = String::from("[");
            for number in first..numbers.end.min(first + BATCH) {
                if number > first {
                    body.push(',');
                }
                write_json(&event(number, all), &mut body);
            }
            body.push(']');
            let head = format!(
                "POST /publish HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                self.address,
                body.len()
            );
            let request = [head.as_bytes(), body.as_bytes()].concat();
            let begun = Instant::now();
            self.stream.write_all(&request)?;
            self.answer()?;
            took += begun.elapsed();
        }
        Ok(took)
    }

    /// The answer to a `GET`.
    pub fn get(&mut self, target: &str) -> io::Result<Value> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.stream.write_all(head.as_bytes())?;
        let body = self.answer()?;
        serde_json::from_slice(&body).map_err(io::Error::other)
    }

    /// The body of the next answer, which has a length and is a 200.
    fn answer(&mut self) -> io::Result<Vec<u8>> {
        let head_len = loop {
            if let Some(at) = memchr::memmem::find(&self.received, b"\r\n\r\n") {
                break at + 4;
            }
            self.receive()?;
        };
        let head = String::from_utf8_lossy(&self.received[..head_len]).to_ascii_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
            .ok_or_else(|| io::Error::other(format!("no length: {head}")))?;
        while self.received.len() < head_len + length {
            self.receive()?;
        }
        let rest = self.received.split_off(head_len + length);
        let answer = std::mem::replace(&mut self.received, rest);
        let body = answer[head_len..].to_vec();
        if !head.starts_with("http/1.1 200") {
            let body = String::from_utf8_lossy(&body);
            return Err(io::Error::other(format!("{head}{body}")));
        }
        Ok(body)
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => {
                self.received.extend_from_slice(&buffer[..len]);
                Ok(())
            }
        }
    }

    /// Walks through all pages of `target`: how many matched, and how long that took.
    pub fn walk(&mut self, target: &str) -> io::Result<(u64, Duration)> {
        let (mut next, mut matched) = (target.to_owned(), 0);
        let begun = Instant::now();
        loop {
            let page = self.get(&next)?;
            let count = page.get("matched").or(page.get("count"));
            matched += count.and_then(Value::as_u64).unwrap_or(0);
            match page.get("next").and_then(Value::as_str) {
                Some(more) => next = more.to_owned(),
                None => return Ok((matched, begun.elapsed())),
            }
        }
    }
}
