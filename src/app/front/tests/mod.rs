//! A front and an engine that a test makes up, without sockets and without waiting: the clock is the test's.

mod reading;
mod searching;
mod writing;

use crate::api::route::Route;
use crate::app::front::{EngineLinks, Front, LinkStep};
use crate::app::options::Options;
use crate::app::reply::{Completion, Reply, Ticket};
use crate::app::service::Service;
use crate::app::stream::{FeedStatus, StreamSource};
use crate::clock::Now;
use crate::http::{Conn, Response, Step};
use crate::limits::FRONT_WAIT_MS;
use crate::store::StoreError;

/// What the engine does with a statement.
pub(super) enum Said {
    /// The columns of each row; none is NULL.
    Rows(Vec<Vec<Option<String>>>),
    /// SQLSTATE.
    Fails(&'static str),
    /// Nothing yet: it is asked the same again at the next moment.
    Waits,
}

/// One row.
pub(super) fn row(columns: &[&str]) -> Said {
    let columns = columns.iter().map(|column| Some((*column).to_owned()));
    Said::Rows(vec![columns.collect()])
}

pub(super) fn nothing() -> Said {
    Said::Rows(Vec::new())
}

/// A statement as the engine gets it.
pub(super) struct Asked<'a> {
    pub(super) sql: &'a str,
    params: &'a [Vec<u8>],
}

impl Asked<'_> {
    pub(super) fn is_head(&self) -> bool {
        self.sql.starts_with("SELECT (SELECT seq FROM")
    }

    /// A parameter that is a number.
    pub(super) fn number(&self, param: usize) -> u64 {
        u64::from_be_bytes(self.params[param][..].try_into().unwrap())
    }

    /// Elements of a parameter that is an array.
    fn elements(&self, param: usize) -> usize {
        let length = self.params[param].get(12..16).unwrap_or(&[0; 4]);
        u32::from_be_bytes(length.try_into().unwrap()) as usize
    }
}

/// What an engine with an empty store, which has the topic `t`, says.
pub(super) fn usual(asked: &Asked) -> Said {
    let sql = asked.sql;
    let with = |part: &str| sql.contains(part);
    if with("transaction_read_only") {
        row(&["off"])
    } else if with("server_encoding") {
        row(&["UTF8"])
    } else if with("version, store_id") {
        row(&["1", "the store"])
    } else if asked.is_head() {
        Said::Rows(vec![vec![None, None, None]])
    } else if with("SELECT id, name FROM logagg.topics") {
        row(&["1", "t"])
    } else if with("nextval") || with("FOR UPDATE") {
        row(&["1"])
    } else if with("INTO logagg.keys") {
        let new = (0..asked.elements(3)).map(|at| vec![Some(at.to_string())]);
        Said::Rows(new.collect())
    } else {
        nothing()
    }
}

/// The engine's end of a connection.
#[derive(Default)]
struct Peer {
    input: Vec<u8>,
    has_begun: bool,
    waits: bool,
    sql: String,
    params: Vec<Vec<u8>>,
}

fn message(tag: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend((body.len() as u32 + 4).to_be_bytes());
    out.extend(body);
}

fn number(bytes: &[u8]) -> usize {
    u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize
}

fn text(bytes: &[u8]) -> (&str, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap();
    (
        std::str::from_utf8(&bytes[..end]).unwrap(),
        &bytes[end + 1..],
    )
}

/// The parameters in a `Bind` whose portal and statement have no names.
fn bound(body: &[u8]) -> Vec<Vec<u8>> {
    let (count, mut rest) = (u16::from_be_bytes([body[6], body[7]]), &body[8..]);
    let mut params = Vec::new();
    for _ in 0..count {
        let length = i32::from_be_bytes(rest[..4].try_into().unwrap()).max(0) as usize;
        params.push(rest[4..4 + length].to_vec());
        rest = &rest[4 + length..];
    }
    params
}

fn say(said: Said, sql: &str, out: &mut Vec<u8>) {
    match said {
        Said::Rows(rows) => {
            for columns in rows {
                let mut body = (columns.len() as u16).to_be_bytes().to_vec();
                for column in columns {
                    let length = column.as_ref().map_or(-1, |column| column.len() as i32);
                    body.extend(length.to_be_bytes());
                    body.extend(column.unwrap_or_default().into_bytes());
                }
                message(b'D', &body, out);
            }
            let tag = if sql == "COMMIT" { sql } else { "SELECT" };
            message(b'C', format!("{tag}\0").as_bytes(), out);
        }
        Said::Fails(code) => {
            message(
                b'E',
                format!("SERROR\0C{code}\0Mrefused\0\0").as_bytes(),
                out,
            );
        }
        Said::Waits => return,
    }
    message(b'Z', b"I", out);
}

impl Peer {
    /// Answers the messages that are complete.
    fn answer(&mut self, script: &mut dyn FnMut(&Asked) -> Said) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            if self.waits {
                self.execute(script, &mut out);
            }
            let tagged = usize::from(self.has_begun);
            if self.input.len() < tagged + 4 || self.waits {
                return out;
            }
            let length = tagged + number(&self.input[tagged..]);
            if self.input.len() < length {
                return out;
            }
            let whole: Vec<u8> = self.input.drain(..length).collect();
            if !self.has_begun {
                self.has_begun = true;
                message(b'R', &[0; 4], &mut out);
                message(b'Z', b"I", &mut out);
                continue;
            }
            let body = &whole[5..];
            match whole[0] {
                b'Q' => (self.sql, self.params) = (text(body).0.to_owned(), Vec::new()),
                b'P' => self.sql = text(text(body).1).0.to_owned(),
                b'B' => self.params = bound(body),
                _ => {}
            }
            if matches!(whole[0], b'Q' | b'S') {
                self.execute(script, &mut out);
            }
        }
    }

    fn execute(&mut self, script: &mut dyn FnMut(&Asked) -> Said, out: &mut Vec<u8>) {
        let said = script(&Asked {
            sql: &self.sql,
            params: &self.params,
        });
        self.waits = matches!(said, Said::Waits);
        say(said, &self.sql, out);
    }
}

/// The answer to a ticket.
type Answered = (Ticket, Response);

pub(super) struct World<'a> {
    pub(super) front: Front,
    pub(super) now: Now,
    peers: Vec<Peer>,
    script: Box<dyn FnMut(&Asked) -> Said + 'a>,
    pub(super) answers: Vec<Answered>,
    pub(super) streams: Vec<Stream>,
}

/// A stream whose reader takes all that it gets.
pub(super) struct Stream {
    source: StreamSource,
    pub(super) text: String,
    pub(super) status: Result<FeedStatus, StoreError>,
}

impl<'a> World<'a> {
    pub(super) fn new(script: impl FnMut(&Asked) -> Said + 'a) -> World<'a> {
        let now = Now {
            mono_ms: 1_000,
            unix_us: 1_800_000_000_000_000,
        };
        let options = Options {
            ring_capacity: 1_000,
            max_body_bytes: 1 << 20,
            read_units: 1,
        };
        let url = "postgres://u@127.0.0.1/d".parse().unwrap();
        let front = Front::new(url, options, now);
        let mut world = World {
            peers: (0..front.count()).map(|_| Peer::default()).collect(),
            front,
            now,
            script: Box::new(script),
            answers: Vec::new(),
            streams: Vec::new(),
        };
        world.pass(1);
        world
    }

    /// Does all that can be done at this moment.
    pub(super) fn run(&mut self) {
        let mut quiet = 0;
        while quiet < 2 {
            let mut is_quiet = true;
            for link in 0..self.peers.len() {
                match self.front.step(link) {
                    LinkStep::Keep => {}
                    LinkStep::Close => self.peers[link] = Peer::default(),
                    LinkStep::Connect(..) => {
                        self.peers[link] = Peer::default();
                        self.front.connecting(link, self.now);
                    }
                }
                let output = self.front.output(link).to_vec();
                self.front.sent(link, output.len());
                let peer = &mut self.peers[link];
                peer.input.extend(&output);
                let said = peer.answer(&mut *self.script);
                is_quiet &= output.is_empty() && said.is_empty();
                if !said.is_empty() {
                    self.front.received(link, &said, self.now);
                }
            }
            self.front.drain(self.now);
            let mut completions = Vec::new();
            self.front.take_completions(&mut completions);
            let answered = |done: Completion| (done.ticket, done.response);
            self.answers.extend(completions.into_iter().map(answered));
            is_quiet &= !self.feed();
            quiet = if is_quiet { quiet + 1 } else { 0 };
        }
    }

    /// Gives streams what there is for them. Says whether one has moved.
    fn feed(&mut self) -> bool {
        let mut begun = Vec::new();
        self.front.take_streams(&mut begun);
        self.streams
            .extend(begun.into_iter().map(|(_, answer)| Stream {
                source: answer.source,
                text: String::new(),
                status: Ok(answer.status),
            }));
        self.front.set_subscribers(self.streams.len());
        let mut has_moved = false;
        for stream in &mut self.streams {
            if matches!(stream.status, Ok(FeedStatus::Ended) | Err(_)) {
                continue;
            }
            let mut out = Vec::new();
            stream.status = self
                .front
                .feed(&mut stream.source, 1 << 16, &mut out, self.now);
            has_moved |= !out.is_empty();
            stream.text += std::str::from_utf8(&out).unwrap();
        }
        has_moved
    }

    /// Lets time pass as the loop does: it wakes when something is due.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now.mono_ms + ms;
        self.run();
        loop {
            let mut due = self.front.deadline(self.now).unwrap_or(end);
            let waits = |stream: &Stream| matches!(stream.status, Ok(FeedStatus::Waiting));
            if self.streams.iter().any(waits) {
                due = due.min(self.now.mono_ms + FRONT_WAIT_MS);
            }
            let next = due.clamp(self.now.mono_ms + 1, end.max(self.now.mono_ms + 1));
            if next > end {
                return;
            }
            self.now.mono_ms = next;
            self.run();
        }
    }

    /// A request with its body; the answer where there is one at once.
    pub(super) fn ask(&mut self, ticket: Ticket, line: &str, body: &str) -> Option<Response> {
        let mut conn = Conn::new(1 << 20, self.now);
        let fields = match body.len() {
            0 => String::new(),
            length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
        };
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        conn.receive(head.as_bytes(), self.now);
        assert!(matches!(conn.next(self.now), Step::Head | Step::Request));
        let request = conn.request();
        let route = Route::of(request.path());
        let body = body.as_bytes().to_vec();
        let reply = self
            .front
            .handle(ticket, &request, route.as_ref(), body, self.now);
        self.run();
        match reply {
            Reply::Now(response) => Some(response),
            Reply::AfterCommit => None,
            Reply::Stream(_) | Reply::Reading(_) => panic!("a front begins no answer at once"),
        }
    }

    /// Publishes events of the topic `t`.
    pub(super) fn publish(&mut self, ticket: Ticket, id: &str) {
        let event = format!(
            r#"{{"topic":"t","event_id":"{id}","timestamp":"2026-01-01T00:00:00Z","source":"s","payload":{{}}}}"#
        );
        assert!(self.ask(ticket, "POST /publish", &event).is_none());
    }

    /// The status of the answer to a ticket, where it has been answered.
    pub(super) fn status(&self, ticket: Ticket) -> Option<u16> {
        let mut of_ticket = self.answers.iter().filter(|(to, _)| *to == ticket);
        let status = of_ticket.next().map(|(_, response)| response.status);
        assert!(of_ticket.next().is_none(), "two answers to {ticket}");
        status
    }
}
