//! One keep-alive connection of the generator: a request being written, or an answer being read.
//!
//! It never pipelines. In the usual case a request costs one `write` and an answer one `read`.

use std::cmp::Ordering;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::request::Template;
use super::response::{Malformed, Parse, ParsedResponse};

/// Room for what of an answer is looked at, and bytes that are read at once.
const ANSWER_BYTES: usize = 64 * 1024;
/// How long an answer to a greeting may take.
const GREETED_WITHIN: Duration = Duration::from_secs(10);

pub(super) struct Connection {
    stream: TcpStream,
    parse: Parse,
    /// Events in a request.
    events: u64,
    /// The request that this connection sends, patched in place before each sending.
    pub request: Vec<u8>,
    written: usize,
    answer: Box<[u8]>,
    filled: usize,
    /// The answer that is being read, once enough of it has come, and how many of its bytes have come.
    recognised: Option<(ParsedResponse, usize)>,
    /// When the request was due; `None` while none is under way.
    pub sent_at: Option<Instant>,
}

impl Connection {
    /// Connects, waits until the connection is open and has been greeted, then registers it under `token`.
    pub(super) fn open(
        address: SocketAddr,
        template: &Template,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Connection> {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        greet(&mut stream, template.parse, &template.greeting)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let request = template.request();
        Ok(Connection {
            stream,
            parse: template.parse,
            events: template.events(),
            written: request.len(),
            request,
            answer: vec![0; ANSWER_BYTES].into_boxed_slice(),
            filled: 0,
            recognised: None,
            sent_at: None,
        })
    }

    /// Sends `request` as it is now. Its latency counts from `due`.
    pub(super) fn send(&mut self, due: Instant) -> io::Result<()> {
        self.written = 0;
        self.filled = 0;
        self.recognised = None;
        self.sent_at = Some(due);
        self.write_on()
    }

    /// Writes what is left of the request, as far as the socket takes it.
    pub(super) fn write_on(&mut self) -> io::Result<()> {
        while self.written < self.request.len() {
            match self.stream.write(&self.request[self.written..]) {
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what has arrived; returns the answer once it is complete. Bytes that need not be looked at are dropped.
    ///
    /// A `read` that did not fill the buffer has emptied the socket, and whatever comes later is
    /// announced by a new readiness, so the `read` that would only say `WouldBlock` is saved.
    pub(super) fn read_on(&mut self) -> io::Result<Option<ParsedResponse>> {
        loop {
            let room = &mut self.answer[self.filled..];
            let bytes = match self.stream.read(room) {
                Ok(0) => return Err(closed()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let was_filled = bytes == room.len();
            if self.sent_at.is_none() || self.written < self.request.len() {
                return Err(unreadable("an answer before its request was complete"));
            }
            let answer = self.take(bytes)?;
            if answer.is_some() || !was_filled {
                return Ok(answer);
            }
        }
    }

    /// Takes `bytes` bytes that were read; returns the answer if they were its last.
    fn take(&mut self, bytes: usize) -> io::Result<Option<ParsedResponse>> {
        let (answer, come) = match self.recognised.take() {
            Some((answer, come)) => (answer, come + bytes),
            None => {
                self.filled += bytes;
                let buffer = &self.answer[..self.filled];
                match parsed(self.parse, buffer, self.events)? {
                    Some(answer) => (answer, buffer.len()),
                    None if self.filled < self.answer.len() => return Ok(None),
                    None => return Err(unreadable("an answer that is too long")),
                }
            }
        };
        if come >= answer.total_bytes {
            return match come == answer.total_bytes {
                true => Ok(Some(answer)),
                false => Err(unreadable("bytes after an answer")),
            };
        }
        self.filled = 0;
        self.recognised = Some((answer, come));
        Ok(None)
    }
}

/// Sends `parts` over a new connection, one when the one before has been answered, and returns the last
/// answer.
///
/// # Errors
/// Where the connection fails or an answer says that its part has failed.
pub fn exchange(address: SocketAddr, parse: Parse, parts: &[Vec<u8>]) -> io::Result<Vec<u8>> {
    greet(&mut std::net::TcpStream::connect(address)?, parse, parts)
}

fn greet(stream: &mut std::net::TcpStream, parse: Parse, parts: &[Vec<u8>]) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(GREETED_WITHIN))?;
    let mut answer = Vec::new();
    for part in parts {
        answer.clear();
        stream.write_all(part)?;
        loop {
            let mut chunk = [0; 4096];
            let bytes = stream.read(&mut chunk)?;
            if bytes == 0 {
                return Err(closed());
            }
            answer.extend_from_slice(&chunk[..bytes]);
            let Some(parsed) = parsed(parse, &answer, 0)? else {
                continue;
            };
            if let Some(text) = parsed.failure {
                return Err(io::Error::other(text));
            }
            match answer.len().cmp(&parsed.total_bytes) {
                Ordering::Less => {}
                Ordering::Equal => break,
                Ordering::Greater => return Err(unreadable("bytes after an answer")),
            }
        }
    }
    Ok(answer)
}

fn parsed(parse: Parse, buffer: &[u8], events: u64) -> io::Result<Option<ParsedResponse>> {
    parse(buffer, events).map_err(|Malformed| unreadable("an answer that is malformed"))
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the server")
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::super::events::{EventStream, IdOrder, Repeats};
    use super::super::{run, Checks, Plan, Stop, Traffic};
    use super::*;

    #[test]
    fn long_answers_and_those_without_a_body_are_read_to_their_end() {
        const REQUESTS: usize = 6;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let template = Template::get("/", "h:1");
        let asked = template.request().len();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            for number in 0..REQUESTS {
                stream.read_exact(&mut vec![0; asked]).expect("a request");
                let mut answer = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
                if number % 2 == 0 {
                    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec();
                    answer.resize(answer.len() + 1_000_000, b'x');
                }
                stream.write_all(&answer).expect("an answer");
            }
        });
        let plan = Plan {
            address,
            connections: 1,
            warm_up: Duration::ZERO,
            stop: Stop::Requests(REQUESTS as u64),
            pace: None,
            checks: Checks::Status,
        };
        let stream = EventStream::new(IdOrder::Ordered, Repeats::Never, 1, 1);
        let result = run(&plan, &mut Traffic { template, stream }).expect("it runs");
        server.join().expect("the server ends");
        assert_eq!(
            (result.answers, result.first_error),
            (REQUESTS as u64, None)
        );
    }
}
