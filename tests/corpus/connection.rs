//! One connection of the HTTP machine: what it makes of bytes is what a second reading makes of them,
//! however they are cut, whenever the application answers and whatever else happens; after a refusal
//! nothing is parsed; its buffers are bounded.
//!
//! The input is a count, as many bytes of choices, and the bytes that a peer sends.

use logagg::clock::Now;
use logagg::http::{Conn, Response, Step, Version};
use logagg::limits::{DISCARD_MAX_BYTES, OUTPUT_WAIT_MAX_BYTES, READ_AHEAD_MAX_BYTES};

use crate::http_model::{self, Expected};
use crate::machine::{at, run, run_late, Transcript, LIMIT};

const CHOICES_MAX: u8 = 32;
/// Bytes that the shell hands over in one piece.
const PIECE_BYTES: usize = 2 * 1024;
/// Bytes that a long conversation comes to.
const LONG_BYTES: usize = 300 * 1024;
/// The longest answer: one to the longest target, with its head.
const ANSWER_BYTES: usize = 9 * 1024;
/// A request that a proxy would take for the next one.
const NEXT: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

pub fn check(input: &[u8]) {
    let Some((count, rest)) = input.split_first() else {
        return;
    };
    let (choices, bytes) = rest.split_at(rest.len().min(usize::from(count % CHOICES_MAX)));
    let expected = model(bytes);
    let whole = run([bytes], true);
    compare(&whole, &expected);
    assert_eq!(whole, run(bytes.chunks(1), true), "byte by byte");
    assert_eq!(whole, run(pieces(bytes, choices), true), "in pieces");
    assert_eq!(whole, run_late(pieces(bytes, choices), true), "late");

    nothing_is_parsed_behind_a_refusal(bytes);

    let is_long = count / CHOICES_MAX % 2 == 1;
    if is_long && !bytes.is_empty() {
        let long = bytes.repeat(LONG_BYTES / bytes.len());
        Shell::new(&long).run(choices, &model(&long));
    } else {
        Shell::new(bytes).run(choices, &expected);
    }
}

fn model(bytes: &[u8]) -> Expected {
    http_model::read(bytes, LIMIT, DISCARD_MAX_BYTES as u64)
}

/// Cuts the bytes into pieces of the chosen lengths and the rest.
fn pieces<'b>(bytes: &'b [u8], lengths: &[u8]) -> Vec<&'b [u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for length in lengths {
        let (piece, behind) = rest.split_at(rest.len().min(usize::from(*length)));
        pieces.push(piece);
        rest = behind;
    }
    pieces.push(rest);
    pieces
}

fn compare(seen: &Transcript, expected: &Expected) {
    assert_eq!(seen.requests, expected.requests);
    assert_eq!(!seen.refused.is_empty(), expected.refused);
    let answers = answers(&seen.output, &seen.requests);
    let (to_requests, refusals) = answers.split_at(seen.requests.len());
    assert!(to_requests
        .iter()
        .all(|(status, _)| matches!(status, 200 | 204 | 404)));
    let refusals: Vec<u16> = refusals.iter().map(|(status, _)| *status).collect();
    assert_eq!(refusals, seen.refused);
    let earlier = answers.iter().rev().skip(1);
    assert!(earlier.into_iter().all(|(_, closes)| !closes));
}

/// The status of each answer, and whether it says that the connection closes.
fn answers(output: &[u8], requests: &[(String, Vec<u8>)]) -> Vec<(u16, bool)> {
    let mut answers = Vec::new();
    let mut rest = output;
    while !rest.is_empty() {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, behind) = rest.split_at(end.expect("a whole head") + 4);
        let head = std::str::from_utf8(head).expect("a head is text");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(0, |length| length.parse().unwrap());
        let to_head = match requests.get(answers.len()) {
            Some((line, _)) => line.starts_with("Head"),
            // The refusal of a HEAD has no body, and that of anything else has one.
            None => behind.is_empty(),
        };
        rest = &behind[if to_head { 0 } else { length }..];
        let closes = head.contains("\r\nConnection: close\r\n");
        answers.push((head[9..12].parse().unwrap(), closes));
    }
    answers
}

/// With a good request after what was refused, nothing is otherwise.
fn nothing_is_parsed_behind_a_refusal(bytes: &[u8]) {
    let whole = run([bytes], false);
    if whole.refused.is_empty() {
        return;
    }
    assert!(whole.closed);
    assert_eq!(run([&[bytes, NEXT].concat()[..]], false), whole);
    assert_eq!(run([bytes, NEXT], false), whole);
}

/// Does with a connection what the reactor does, in an order that the choices make.
struct Shell<'b> {
    conn: Conn,
    /// What the peer has still to send.
    rest: &'b [u8],
    now: Now,
    requests: Vec<(String, Vec<u8>)>,
    refused: Vec<u16>,
    /// A whole request is in hand.
    in_hand: bool,
    /// Something other than the bytes may have ended the connection.
    disturbed: bool,
}

impl<'b> Shell<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Shell {
            conn: Conn::new(LIMIT, at(0)),
            rest: bytes,
            now: at(0),
            requests: Vec::new(),
            refused: Vec::new(),
            in_hand: false,
            disturbed: false,
        }
    }

    fn run(mut self, choices: &[u8], expected: &Expected) {
        for choice in choices {
            let amount = usize::from(choice / 8);
            match choice % 8 {
                0..=2 => self.receive(1 + amount * amount * 2),
                3 => self.send(1 + amount * 40),
                4 => self.answer(),
                5 => self.stream(amount),
                6 => self.wait(amount),
                _ => self.disturb(amount),
            }
            self.settle();
        }
        // Each round takes in something, gives an answer or sends, until the peer has no more to say.
        let mut rounds = self.rest.len() * 2 + 100;
        while !self.rest.is_empty() || self.in_hand || !self.conn.output().is_empty() {
            let before = (self.rest.len(), self.requests.len(), self.in_hand);
            self.receive(PIECE_BYTES);
            self.settle();
            if before == (self.rest.len(), self.requests.len(), self.in_hand) {
                self.answer();
                self.send(usize::MAX);
                self.settle();
            }
            if self.conn.is_done() {
                break;
            }
            rounds -= 1;
            assert!(rounds > 0, "the connection hangs");
        }
        self.conn.receive_end();
        self.settle();
        while self.in_hand {
            self.answer();
            self.settle();
        }
        self.send(usize::MAX);
        self.settle();
        assert!(self.conn.is_done() && self.conn.output().is_empty());
        assert!(!self.conn.is_busy() && self.conn.deadline().is_none());

        let count = self.requests.len();
        assert!(count <= expected.requests.len());
        assert_eq!(self.requests, expected.requests[..count]);
        assert!(self.refused.len() <= 1);
        if !self.disturbed {
            assert_eq!(count, expected.requests.len());
            assert_eq!(!self.refused.is_empty(), expected.refused);
        }
    }

    /// Lets the connection go as far as it does by itself, and looks at its state.
    fn settle(&mut self) {
        loop {
            self.conn.check_invariants();
            match self.conn.next(self.now) {
                Step::Idle => break,
                Step::Refused(status) => self.refused.push(status),
                Step::Head if self.conn.request().target().starts_with("/early") => {
                    self.note(Vec::new());
                    let no_path = Response::error(404, "no such path");
                    self.conn.respond(&no_path, self.now);
                }
                Step::Head => self.conn.admit(self.now),
                Step::Request => {
                    let body = self.conn.take_body();
                    self.note(body);
                    self.in_hand = true;
                }
            }
            assert!(
                self.refused.len() <= 1,
                "a refusal is the end, and comes once"
            );
        }
        if self.conn.wants_shutdown() {
            self.conn.shutdown_done(self.now);
        }
        self.conn.check_invariants();
        let waiting = self.conn.output().len();
        assert!(waiting <= OUTPUT_WAIT_MAX_BYTES + ANSWER_BYTES);
        // A buffer may be twice as large as what it holds.
        let input = 2 * (READ_AHEAD_MAX_BYTES + PIECE_BYTES);
        let output = 2 * (OUTPUT_WAIT_MAX_BYTES + ANSWER_BYTES);
        assert!(self.conn.received() + self.conn.to_send() <= input + output + 2 * LIMIT);
        // Whoever is not done either waits for bytes, for its answer, for its client, or has a deadline.
        let waits = self.conn.wants_read() || self.in_hand || waiting > 0;
        assert!(waits || self.conn.is_done() || self.conn.deadline().is_some());
    }

    fn note(&mut self, body: Vec<u8>) {
        assert!(self.refused.is_empty(), "a request behind a refusal");
        let request = self.conn.request();
        let (path, query) = (request.path(), request.query());
        let line = format!("{:?} {path} {query:?}", request.method);
        self.requests.push((line, body));
    }

    fn receive(&mut self, length: usize) {
        let length = length.min(self.rest.len()).min(PIECE_BYTES);
        if length > 0 && self.conn.wants_read() {
            let (piece, rest) = self.rest.split_at(length);
            self.conn.receive(piece, self.now);
            self.rest = rest;
        } else if self.conn.is_done() {
            self.rest = b"";
        }
    }

    fn send(&mut self, length: usize) {
        let length = length.min(self.conn.output().len());
        self.conn.sent(length, self.now);
    }

    fn answer(&mut self) {
        if std::mem::take(&mut self.in_hand) {
            let target = match self.has_request() {
                true => self.conn.request().target().to_owned(),
                false => String::new(),
            };
            let answer = Response::new(200, "text/plain", target.into_bytes());
            self.conn.respond(&answer, self.now);
        }
    }

    /// Whether the request that was read is still there: a connection may have been given up meanwhile.
    fn has_request(&self) -> bool {
        !self.conn.is_discarding() && !self.conn.is_done()
    }

    /// Answers the request that was read with a stream of known or unknown length, and breaks it off or ends it.
    fn stream(&mut self, amount: usize) {
        const PART: &[u8] = b"part";
        if !self.in_hand {
            return;
        }
        self.in_hand = false;
        let parts = amount % 4;
        let length = (amount % 16 >= 8).then_some(parts * PART.len());
        // A stream of unknown length to HTTP/1.0 ends with the connection.
        let is_old = self.has_request() && self.conn.request().version == Version::Http10;
        let closes = is_old && length.is_none();
        let stream = Response::new(200, "text/plain", Vec::new());
        self.conn.start_stream(&stream, length, self.now);
        for _ in 0..parts {
            self.conn.stream(PART, self.now);
            self.conn.check_invariants();
        }
        let breaks = amount % 8 == 7;
        match breaks {
            true => self.conn.break_stream(),
            false => self.conn.end_stream(self.now),
        }
        self.disturbed |= breaks || closes;
    }

    /// Lets time pass, to the next deadline at times.
    fn wait(&mut self, amount: usize) {
        let (now, deadline) = (self.now.mono_ms, self.conn.deadline());
        self.now.mono_ms = match (amount % 4, deadline) {
            (0, Some(deadline)) => deadline.max(now),
            (1, Some(deadline)) => (deadline - 1).max(now),
            _ => now + amount as u64,
        };
        self.disturbed |= deadline.is_some_and(|deadline| deadline <= self.now.mono_ms);
        self.conn.expire(self.now);
    }

    fn disturb(&mut self, amount: usize) {
        self.disturbed |= amount % 4 < 3;
        match amount % 4 {
            0 => self.conn.begin_close(),
            1 => self.conn.receive_end(),
            2 => {
                let busy = Response::error(503, "too much to do");
                self.conn.refuse(&busy, self.now);
            }
            _ => self.conn.recycle(Vec::with_capacity(64)),
        }
    }
}
