//! One keep-alive connection of the generator: a request being written, or an answer being read.
//!
//! It never pipelines. In the usual case a request costs one `write` and an answer one `read`.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::request::Template;
use super::response::{Malformed, Parse, ParsedResponse};

/// Room for an answer: those of publishing take some hundred bytes, a page of a rare topic some
/// thousand.
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
    /// When the request was due; `None` while none is under way.
    pub sent_at: Option<Instant>,
}

impl Connection {
    /// Connects, waits until the connection stands and has been greeted, then registers it under
    /// `token`.
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
            sent_at: None,
        })
    }

    /// Sends `request` as it is now. Its latency counts from `due`.
    pub(super) fn send(&mut self, due: Instant) -> io::Result<()> {
        self.written = 0;
        self.filled = 0;
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

    /// Reads what has arrived; gives the answer once it is complete.
    ///
    /// A `read` that did not fill the buffer has emptied the socket, and whatever comes later is
    /// announced by a new readiness, so the `read` that would only say `WouldBlock` is saved.
    pub(super) fn read_on(&mut self) -> io::Result<Option<ParsedResponse>> {
        loop {
            let bytes = match self.stream.read(&mut self.answer[self.filled..]) {
                Ok(0) => return Err(closed()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.filled += bytes;
            if self.filled == self.answer.len() {
                return Err(unreadable("an answer that is too long"));
            }
            if self.sent_at.is_none() || self.written < self.request.len() {
                return Err(unreadable("an answer before its request was complete"));
            }
            return parsed(self.parse, &self.answer[..self.filled], self.events);
        }
    }
}

/// Sends `parts` over a new connection, one when the one before has been answered, and gives the last
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
            match parsed(parse, &answer, 0)? {
                None => {}
                Some(ParsedResponse { failure: None, .. }) => break,
                Some(ParsedResponse {
                    failure: Some(text),
                    ..
                }) => return Err(io::Error::other(text)),
            }
        }
    }
    Ok(answer)
}

fn parsed(parse: Parse, buffer: &[u8], events: u64) -> io::Result<Option<ParsedResponse>> {
    match parse(buffer, events) {
        Ok(Some(answer)) if answer.total_bytes < buffer.len() => {
            Err(unreadable("bytes after an answer"))
        }
        Ok(answer) => Ok(answer),
        Err(Malformed) => Err(unreadable("an answer that is malformed")),
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the server")
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
