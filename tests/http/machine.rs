//! Drives one connection of the HTTP machine the way the shell does, and writes down what happened.
#![allow(
    dead_code,
    reason = "the fuzz targets and their corpus tests use a part of it"
)]

use logagg::clock::Now;
use logagg::http::{Conn, Response, Step};

pub const LIMIT: usize = 1000;
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A moment, `ms` after the start of the process, in a second that has a known `Date`.
pub fn at(ms: u64) -> Now {
    Now {
        mono_ms: ms,
        unix_us: 784_111_777_000_000,
    }
}

/// What one connection did with some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// Method, target and body of each request that was handed out.
    pub requests: Vec<(String, Vec<u8>)>,
    /// What has come of a body that is taken in pieces.
    pub pieces: Vec<u8>,
    /// Statuses that the connection refused with by itself.
    pub refused: Vec<u16>,
    /// Without `100 Continue`, which depends on whether the body was faster.
    pub output: Vec<u8>,
    /// The write side was shut down, or the connection ended.
    pub closed: bool,
}

impl Transcript {
    /// The statuses of all final answers, in order.
    pub fn statuses(&self) -> Vec<u16> {
        self.answers()
            .into_iter()
            .map(|answer| answer.status)
            .collect()
    }

    /// The output, taken apart as a client would.
    pub fn answers(&self) -> Vec<Answer> {
        let mut rest = &self.output[..];
        let mut answers = Vec::new();
        while !rest.is_empty() {
            let end = rest
                .windows(4)
                .position(|w| w == b"\r\n\r\n")
                .expect("a whole head")
                + 4;
            let head = String::from_utf8(rest[..end].to_vec()).unwrap();
            rest = &rest[end..];
            let status = head[9..12].parse().unwrap();
            let asked = self.requests.get(answers.len());
            let to_head = asked.is_some_and(|(line, _)| line.starts_with("Head"));
            let length = field(&head, "Content-Length").map_or(0, |n| n.parse().unwrap());
            let (body, behind) = rest.split_at(if to_head { 0 } else { length });
            answers.push(Answer {
                status,
                head,
                body: body.to_vec(),
            });
            rest = behind;
        }
        answers
    }
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "));
    let mut values = lines
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    let value = values.next();
    assert!(values.next().is_none(), "{name} comes twice in {head}");
    value
}

/// Calls `next` until the connection is idle and answers what comes: a target that begins with
/// `/early` from its head alone, all others with their target as the body. The body of one that begins with `/pieces`
/// is taken in pieces.
pub fn drive(conn: &mut Conn, seen: &mut Transcript, now: Now) {
    while drive_to_request(conn, seen, now) {
        answer(conn, seen, now);
    }
}

/// The same up to the next whole request, which is left in hand; false when there is none.
pub fn drive_to_request(conn: &mut Conn, seen: &mut Transcript, now: Now) -> bool {
    loop {
        conn.check_invariants();
        match conn.next(now) {
            Step::Idle if conn.has_piece() => {
                let piece = conn.take_piece();
                seen.pieces.extend(piece);
                assert!(!conn.wants_read() && !conn.has_piece());
                conn.next_piece(now);
            }
            Step::Idle => break,
            Step::Refused(status) => {
                seen.refused.push(status);
                // How much of a broken body was taken before depends on how it was cut.
                seen.pieces.clear();
            }
            Step::Head if conn.request().target().starts_with("/early") => {
                seen.requests.push((line(conn), Vec::new()));
                conn.respond(&Response::error(404, "no such path"), now);
            }
            Step::Head if conn.request().target().starts_with("/pieces") => {
                conn.admit_in_pieces(now)
            }
            Step::Head => conn.admit(now),
            Step::Request => {
                let mut body = std::mem::take(&mut seen.pieces);
                body.extend(conn.take_body());
                seen.requests.push((line(conn), body));
                return true;
            }
        }
        take_output(conn, seen, now);
    }
    take_output(conn, seen, now);
    false
}

/// Answers the request that was read.
pub fn answer(conn: &mut Conn, seen: &mut Transcript, now: Now) {
    let target = conn.request().target().to_owned().into_bytes();
    let response = match conn.request().target() {
        "/empty" => Response::empty(204),
        _ => Response::new(200, "text/plain", target),
    };
    conn.respond(&response, now);
    take_output(conn, seen, now);
}

fn line(conn: &Conn) -> String {
    let request = conn.request();
    format!(
        "{:?} {} {:?}",
        request.method,
        request.path(),
        request.query()
    )
}

fn take_output(conn: &mut Conn, seen: &mut Transcript, now: Now) {
    let n = conn.output().len();
    if conn.output() != CONTINUE {
        seen.output.extend_from_slice(conn.output());
    }
    conn.sent(n, now);
    if conn.wants_shutdown() {
        conn.shutdown_done(now);
    }
    conn.check_invariants();
    seen.closed = conn.deadline().is_none_or(|at| at == now.mono_ms + 2_000);
}

/// A connection that gets these pieces one after another, and then perhaps the end.
pub fn run<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, end: bool) -> Transcript {
    let mut conn = Conn::new(LIMIT, at(0));
    let mut seen = Transcript::default();
    for piece in pieces {
        conn.receive(piece, at(0));
        drive(&mut conn, &mut seen, at(0));
    }
    finish(conn, seen, end)
}

/// The same with an application that answers each request only when the next piece has arrived.
pub fn run_late<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, end: bool) -> Transcript {
    let mut conn = Conn::new(LIMIT, at(0));
    let mut seen = Transcript::default();
    let mut in_hand = false;
    for piece in pieces {
        conn.receive(piece, at(0));
        if in_hand {
            answer(&mut conn, &mut seen, at(0));
        }
        in_hand = drive_to_request(&mut conn, &mut seen, at(0));
    }
    if in_hand {
        answer(&mut conn, &mut seen, at(0));
    }
    drive(&mut conn, &mut seen, at(0));
    finish(conn, seen, end)
}

fn finish(mut conn: Conn, mut seen: Transcript, end: bool) -> Transcript {
    if end {
        conn.receive_end();
        drive(&mut conn, &mut seen, at(0));
        assert!(conn.is_done(), "open after the end");
    }
    seen
}

pub fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

pub fn post(fields: &str, body: &str) -> String {
    format!("POST /p HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}")
}

pub fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n";

/// Runs a case whole, byte by byte, and with a good request after it, which must be answered if and
/// only if the connection is kept.
pub fn all_ways(case: &[u8]) -> Transcript {
    let whole = run([case], false);
    let bytes = run(case.chunks(1), false);
    assert_eq!(whole, bytes, "cut into bytes: {}", case.escape_ascii());

    let mut with_next = run([&[case, NEXT].concat()[..]], true);
    let late_next = run([case, NEXT], true);
    assert_eq!(
        with_next,
        late_next,
        "next comes late: {}",
        case.escape_ascii()
    );
    let answered = with_next
        .requests
        .last()
        .is_some_and(|(line, _)| line == "Get /next None");
    assert_eq!(
        answered,
        !whole.closed,
        "the next request: {}",
        case.escape_ascii()
    );
    if answered {
        with_next.requests.pop();
    }
    assert_eq!(with_next.requests, whole.requests);
    whole
}

/// The connection hands the request out, answers it, and stays open.
pub fn taken(case: impl AsRef<[u8]>, line: &str, body: &[u8]) {
    let case = case.as_ref();
    let seen = all_ways(case);
    let shown = case.escape_ascii();
    assert_eq!(seen.requests, [(line.to_owned(), body.to_vec())], "{shown}");
    assert!(seen.refused.is_empty(), "{shown}");
    assert!(!seen.closed, "closed after {shown}");
}

/// The connection refuses by itself, with JSON that says why, and closes.
pub fn refused(case: impl AsRef<[u8]>, status: u16) {
    let case = case.as_ref();
    let seen = all_ways(case);
    let shown = case[..case.len().min(200)].escape_ascii();
    assert_eq!(seen.refused, [status], "{shown}");
    assert!(seen.requests.is_empty() && seen.closed, "{shown}");
    let answers = seen.answers();
    assert_eq!(answers.len(), 1, "{shown}");
    assert_eq!(answers[0].status, status, "{shown}");
    assert_eq!(answers[0].field("Connection"), Some("close"), "{shown}");
    assert_eq!(
        answers[0].field("Content-Type"),
        Some("application/json"),
        "{shown}"
    );
    let body: serde_json::Value = serde_json::from_slice(&answers[0].body).unwrap();
    assert!(
        body["detail"]
            .as_str()
            .is_some_and(|sentence| sentence.len() > 20),
        "{shown}"
    );
}
