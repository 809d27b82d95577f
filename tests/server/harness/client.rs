//! A small HTTP/1.1 client: raw bytes out, one answer at a time in.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::TIMEOUT;

/// After 75 s without a request the server closes a connection; on a busy machine a test may need longer between two.
const IDLE: Duration = Duration::from_secs(60);

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// Reads an address as the log shows it: `http://IP:PORT` or `unix:/PATH`.
    pub fn parse(text: &str) -> Address {
        match text.strip_prefix("unix:") {
            Some(path) => Address::Unix(path.into()),
            None => {
                let address = text.strip_prefix("http://").unwrap_or(text);
                Address::Tcp(address.parse().expect("the log shows an IP and a port"))
            }
        }
    }
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn connect(address: &Address) -> Socket {
        match address {
            Address::Tcp(address) => {
                let socket = TcpStream::connect_timeout(address, TIMEOUT)
                    .unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"));
                socket.set_nodelay(true).unwrap();
                socket.set_read_timeout(Some(TIMEOUT)).unwrap();
                socket.set_write_timeout(Some(TIMEOUT)).unwrap();
                Socket::Tcp(socket)
            }
            Address::Unix(path) => {
                let socket = UnixStream::connect(path)
                    .unwrap_or_else(|e| panic!("cannot connect to {}: {e}", path.display()));
                socket.set_read_timeout(Some(TIMEOUT)).unwrap();
                socket.set_write_timeout(Some(TIMEOUT)).unwrap();
                Socket::Unix(socket)
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(socket) => socket.read(into),
            Socket::Unix(socket) => socket.read(into),
        }
    }
}

/// One connection.
pub struct Client {
    address: Address,
    socket: Socket,
    /// When it was last sent or received on.
    used: Instant,
    /// Read but not yet used.
    received: Vec<u8>,
}

/// One answer.
pub struct Response {
    /// `1.1` or `1.0`.
    pub version: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
}

impl Client {
    pub fn connect(address: &Address) -> Client {
        Client {
            address: address.clone(),
            socket: Socket::connect(address),
            used: Instant::now(),
            received: Vec::new(),
        }
    }

    /// Sends bytes as they are, or says why the server does not take them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.used = Instant::now();
        match &mut self.socket {
            Socket::Tcp(socket) => socket.write_all(bytes.as_ref()),
            Socket::Unix(socket) => socket.write_all(bytes.as_ref()),
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the server takes the bytes");
    }

    /// Ends the sending side.
    pub fn shutdown_write(&self) {
        match &self.socket {
            Socket::Tcp(socket) => socket.shutdown(Shutdown::Write).unwrap(),
            Socket::Unix(socket) => socket.shutdown(Shutdown::Write).unwrap(),
        }
    }

    /// `headers` are whole lines without their ends. `Content-Length` is added where there is a body.
    pub fn send_request(&mut self, method: &str, target: &str, headers: &[&str], body: &[u8]) {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: test\r\n");
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        if !body.is_empty() || method == "POST" || method == "PUT" {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.send(bytes);
    }

    /// Sends a request and reads its answer, on a new connection if this one has been idle for long.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[&str],
        body: &[u8],
    ) -> Response {
        if self.used.elapsed() > IDLE && self.received.is_empty() {
            self.socket = Socket::connect(&self.address);
        }
        self.send_request(method, target, headers, body);
        self.response_to(method)
    }

    pub fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, &[], b"")
    }

    /// `POST /publish` as `application/json`.
    pub fn publish(&mut self, body: impl AsRef<[u8]>) -> Response {
        self.publish_to("/publish", body)
    }

    /// `POST` as `application/json` to `/publish` with a query.
    pub fn publish_to(&mut self, target: &str, body: impl AsRef<[u8]>) -> Response {
        let headers = ["Content-Type: application/json"];
        self.request("POST", target, &headers, body.as_ref())
    }

    /// Reads one answer, which may be an interim one (1xx).
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// Reads one answer to a request of this method: those to `HEAD` have no body.
    pub fn response_to(&mut self, method: &str) -> Response {
        self.try_response(method)
            .expect("an answer comes before the connection closes")
    }

    /// Reads one answer; none if the server closes the connection, or resets it, before its first
    /// byte.
    pub fn try_response(&mut self, method: &str) -> Option<Response> {
        let mut response = self.head()?;
        let has_body =
            method != "HEAD" && response.status >= 200 && !matches!(response.status, 204 | 304);
        if has_body {
            response.body = if response.header("transfer-encoding") == Some("chunked") {
                self.chunked_body()
            } else if let Some(length) = response.header("content-length") {
                let length = length.parse().expect("Content-Length is a number");
                self.take(length)
            } else {
                while self.fill() {}
                std::mem::take(&mut self.received)
            };
        }
        Some(response)
    }

    /// Reads the head of an answer whose body is a stream, or is to be left unread.
    pub fn head(&mut self) -> Option<Response> {
        let head_len = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill() {
                assert!(
                    self.received.is_empty(),
                    "the connection closed within a head"
                );
                return None;
            }
        };
        let head: Vec<u8> = self.received.drain(..head_len).collect();
        Some(parse_head(&head))
    }

    /// Reads one chunk; none if the body ends well. An error says that it was cut off.
    pub fn chunk(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        while find(&self.received, b"\r\n").is_none() {
            if !self.fill() {
                return Err("the connection closed in front of a chunk");
            }
        }
        let line = self.take_line();
        let size = usize::from_str_radix(&line, 16).expect("a chunk has a size");
        if size == 0 {
            assert_eq!(self.take_line(), "", "no trailers are sent");
            return Ok(None);
        }
        while self.received.len() < size + 2 {
            if !self.fill() {
                return Err("the connection closed within a chunk");
            }
        }
        let data = self.take(size);
        assert_eq!(self.take_line(), "", "a chunk ends with CR LF");
        Ok(Some(data))
    }

    /// Whether the server closes the connection, or resets it, and sends nothing more before.
    pub fn is_closed(&mut self) -> bool {
        self.received.is_empty() && !self.fill()
    }

    fn chunked_body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.take_line();
            let size = line.split(';').next().unwrap_or(&line);
            let size = usize::from_str_radix(size.trim(), 16).expect("a chunk has a size");
            if size == 0 {
                while !self.take_line().is_empty() {}
                return body;
            }
            body.append(&mut self.take(size));
            assert_eq!(self.take_line(), "", "a chunk ends with CR LF");
        }
    }

    fn take_line(&mut self) -> String {
        let end = loop {
            if let Some(at) = find(&self.received, b"\r\n") {
                break at;
            }
            assert!(self.fill(), "the connection closed within a line");
        };
        let line: Vec<u8> = self.received.drain(..end + 2).collect();
        String::from_utf8(line[..end].to_vec()).expect("a line of framing is ASCII")
    }

    /// Reads `length` bytes, after a head that was read alone.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            assert!(self.fill(), "the connection closed within a body");
        }
        self.received.drain(..length).collect()
    }

    /// Reads on; false at the end of the connection.
    fn fill(&mut self) -> bool {
        let mut piece = [0; 65_536];
        let read = loop {
            match self.socket.read(&mut piece) {
                // With a timeout even a signal that only stops and continues interrupts (signal(7)).
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(count) => {
                self.used = Instant::now();
                self.received.extend_from_slice(&piece[..count]);
                count > 0
            }
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => false,
            Err(e) => panic!(
                "reading an answer failed ({e}) behind {:?}",
                String::from_utf8_lossy(&self.received)
            ),
        }
    }
}

impl Response {
    /// The value of the first field of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is UTF-8")
    }

    /// The body, which must be JSON of this status.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{self:?}"
        );
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The one sentence of an error other than 422.
    pub fn sentence(&self, status: u16) -> String {
        let body = self.expect(status);
        let sentence = body["detail"].as_str();
        sentence.unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let shown: String = body.chars().take(2_000).collect();
        write!(f, "{} {:?} {shown}", self.status, self.headers)
    }
}

fn parse_head(head: &[u8]) -> Response {
    let head = std::str::from_utf8(head).expect("a head is ASCII");
    let mut lines = head.trim_end().split("\r\n");
    let status_line = lines.next().expect("a head has a first line");
    let mut words = status_line.splitn(3, ' ');
    let version = words.next().and_then(|word| word.strip_prefix("HTTP/"));
    let status = words.next().and_then(|word| word.parse().ok());
    Response {
        version: version.expect("a status line begins with HTTP/").to_owned(),
        status: status.expect("a status line has a status"),
        headers: lines
            .map(|line| {
                let (name, value) = line.split_once(':').expect("a field has a colon");
                (name.to_owned(), value.trim().to_owned())
            })
            .collect(),
        body: Vec::new(),
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
