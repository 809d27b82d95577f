//! One keep-alive connection of the generator: a request being written, or an answer being read.
//!
//! It never pipelines. In the usual case a request costs one `write` and an answer one `read`.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::response::{self, Answer};

/// Room for an answer; ours and nginx's take some hundred bytes.
const ANSWER_BYTES: usize = 16 * 1024;

pub struct Connection {
    stream: TcpStream,
    /// The request that this connection sends, patched in place before each sending.
    pub request: Vec<u8>,
    written: usize,
    answer: Box<[u8]>,
    filled: usize,
    /// When the request was handed to the kernel; `None` while none is under way.
    pub sent_at: Option<Instant>,
}

impl Connection {
    /// Connects and waits until the connection stands, then registers it under `token`.
    pub fn open(
        address: SocketAddr,
        request: Vec<u8>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Connection> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Connection {
            stream,
            written: request.len(),
            request,
            answer: vec![0; ANSWER_BYTES].into_boxed_slice(),
            filled: 0,
            sent_at: None,
        })
    }

    /// Sends `request` as it is now.
    pub fn send(&mut self, now: Instant) -> io::Result<()> {
        self.written = 0;
        self.filled = 0;
        self.sent_at = Some(now);
        self.write_on()
    }

    /// Writes what is left of the request, as far as the socket takes it.
    pub fn write_on(&mut self) -> io::Result<()> {
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
    pub fn read_on(&mut self) -> io::Result<Option<Answer>> {
        loop {
            let bytes = match self.stream.read(&mut self.answer[self.filled..]) {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "closed by the server",
                    ))
                }
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
            return match response::parse(&self.answer[..self.filled]) {
                Ok(Some(answer)) if answer.total_bytes < self.filled => {
                    Err(unreadable("bytes behind an answer"))
                }
                Ok(answer) => Ok(answer),
                Err(response::Malformed) => Err(unreadable("an answer that is malformed")),
            };
        }
    }

    /// The body of the answer that [`Connection::read_on`] gave.
    pub fn body(&self, answer: Answer) -> &[u8] {
        &self.answer[answer.head_bytes..answer.total_bytes]
    }
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
