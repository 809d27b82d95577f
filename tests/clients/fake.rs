//! A stand-in for a server, which answers each request as its test says and writes down what was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::wait::wait_until;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub headers: Vec<String>,
    pub body: Vec<u8>,
}

impl Asked {
    /// Whether a header line is there, but for the case of its name.
    pub fn has(&self, line: &str) -> bool {
        self.headers
            .iter()
            .any(|header| header.eq_ignore_ascii_case(line))
    }
}

/// What is sent back.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These bytes, and the connection is kept.
    Bytes(Vec<u8>),
    /// These bytes, and the connection is closed.
    Last(Vec<u8>),
    /// These bytes, and then silence.
    Silence(Vec<u8>),
}

impl Reply {
    /// A whole answer with a JSON body.
    pub fn json(status: u16, body: &str) -> Reply {
        Reply::with(status, "", body)
    }

    /// A whole answer with further header lines, each with its end.
    pub fn with(status: u16, headers: &str, body: &str) -> Reply {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n");
        Reply::Bytes((head + body).into_bytes())
    }
}

/// The head of a stream of lines.
pub const STREAM: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
                          Content-Type: application/x-ndjson\r\n\r\n";

/// A chunk of a stream (RFC 9112 §7.1); without text it is the last.
pub fn chunk(text: &str) -> String {
    match text.len() {
        0 => "0\r\n\r\n".to_owned(),
        length => format!("{length:x}\r\n{text}\r\n"),
    }
}

/// An event as a server sends it, with its line end.
pub fn line(seq: u64) -> String {
    format!(
        "{{\"seq\":{seq},\"topic\":\"t\",\"event_id\":\"e{seq}\",\"timestamp\":\"2026-01-02\",\
         \"source\":\"s\",\"payload\":{{\"n\":0.10}},\"processed_at\":\"2026-01-02T03:04:05.678901Z\"}}\n"
    )
}

/// The statistics as far as clients ask for them.
pub fn stats(last_seq: u64) -> Reply {
    Reply::json(200, &format!("{{\"last_seq\":{last_seq}}}"))
}

/// A server that answers by a function. It runs until the test's process ends.
pub struct Fake {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// `answer` gets the number of the request, from 0, and the request.
    pub fn start(answer: impl FnMut(usize, &Asked) -> Reply + Send + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new(answer));
        let shared = asked.clone();
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (shared, answer) = (shared.clone(), answer.clone());
                let socket = socket.unwrap();
                thread::spawn(move || {
                    let mut reader = BufReader::new(socket.try_clone().unwrap());
                    while let Some(request) = read(&mut reader) {
                        let number = {
                            let mut asked = shared.lock().unwrap();
                            asked.push(request.clone());
                            asked.len() - 1
                        };
                        let reply = answer.lock().unwrap()(number, &request);
                        if !send(&socket, reply) {
                            return;
                        }
                    }
                });
            }
        });
        Fake { url, asked }
    }

    /// What has been asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The targets of what has been asked so far.
    pub fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.target).collect()
    }

    /// Waits for `count` requests.
    pub fn wait_for(&self, count: usize) {
        wait_until("requests", || self.asked().len() >= count);
    }
}

/// Sends a reply; false where the connection is not to be used further.
fn send(mut socket: &TcpStream, reply: Reply) -> bool {
    match reply {
        Reply::Bytes(bytes) => socket.write_all(&bytes).is_ok(),
        Reply::Last(bytes) => {
            // The client may have gone.
            let _ = socket.write_all(&bytes);
            false
        }
        Reply::Silence(bytes) => {
            let _ = socket.write_all(&bytes);
            // Until the client closes.
            let _ = socket.read(&mut [0]);
            false
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut words = lines
        .remove(0)
        .split(' ')
        .map(str::to_owned)
        .collect::<Vec<_>>();
    words.truncate(2);
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let target = words.pop()?;
    Some(Asked {
        method: words.pop()?,
        target,
        headers: lines,
        body,
    })
}
