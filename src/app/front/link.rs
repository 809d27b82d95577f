//! One connection to the engine: from a name to a session that takes statements, and what has been asked on it.
//!
//! ```text
//! Down ──▶ Wanted ──▶ Opening ──▶ Idle ──▶ Busy ──▶ Idle …
//!   ▲                                              any failure, or silence
//!   └──────────────────────────────────────────────────┘
//! ```
//!
//! It holds no socket and never waits. A connection that has failed in any way but by a refused statement is closed and
//! never used again; a wait is ended by closing, not by a request to cancel.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::session::{Opened, Session, SessionStep};
use crate::clock::Now;
use crate::limits::{FRONT_RETRY_MAX_MS, FRONT_RETRY_MS, FRONT_SILENCE_MS};
use crate::postgres::statement::Statement;
use crate::postgres::url::EngineUrl;
use crate::postgres::{Answer, AnswerParts, Reply, ServerError, Wire};

/// What is to be done with the socket of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkStep {
    Keep,
    Close,
    /// Connect to this host and port.
    Connect(String, u16),
}

/// The answers to what was asked together, in order.
pub(super) type Answers = Vec<Result<Answer, ServerError>>;

/// What became of a link.
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// It takes statements now.
    Opened(Opened),
    Answered(Answers),
    /// It was closed: a sentence.
    Lost(String),
    /// The engine does not let it in, or cannot be used as it is. Trying again does not help by itself.
    Refused(String),
}

enum State {
    /// Until it is tried again.
    Down,
    /// A socket is to be opened.
    Wanted,
    Opening,
    Idle,
    Busy,
}

/// A connection.
pub(super) struct Link {
    state: State,
    wire: Option<Wire>,
    session: Session,
    output: Bytes,
    parts: AnswerParts,
    /// Answers so far, and how many are still to come.
    answers: Answers,
    expected: usize,
    /// When something was last heard or asked, in `mono_ms`; and when it is tried again.
    heard_at: u64,
    retry_at: u64,
    pause: u64,
    /// Which of the hosts is tried.
    host: usize,
    events: VecDeque<LinkEvent>,
}

impl Link {
    pub(super) fn new() -> Link {
        Link {
            state: State::Down,
            wire: None,
            session: Session::default(),
            output: Bytes::new(),
            parts: AnswerParts::default(),
            answers: Vec::new(),
            expected: 0,
            heard_at: 0,
            retry_at: 0,
            pause: FRONT_RETRY_MS,
            host: 0,
            events: VecDeque::new(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Whether statements can be or have been sent on it.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Idle | State::Busy)
    }

    pub(super) fn step(&self, url: &EngineUrl) -> LinkStep {
        match self.state {
            State::Down => LinkStep::Close,
            State::Wanted => {
                let host = &url.hosts[self.host % url.hosts.len()];
                LinkStep::Connect(host.name.clone(), host.port)
            }
            State::Opening | State::Idle | State::Busy => LinkStep::Keep,
        }
    }

    /// When it has something to do by the clock, in `mono_ms`.
    pub(super) fn deadline(&self) -> Option<u64> {
        match self.state {
            State::Down => Some(self.retry_at),
            State::Idle => None,
            State::Wanted | State::Opening | State::Busy => Some(self.heard_at + FRONT_SILENCE_MS),
        }
    }

    pub(super) fn tick(&mut self, now: Now) {
        match self.state {
            State::Down if now.mono_ms >= self.retry_at => {
                self.state = State::Wanted;
                self.heard_at = now.mono_ms;
            }
            State::Down | State::Idle => {}
            _ if now.mono_ms >= self.heard_at + FRONT_SILENCE_MS => {
                let seconds = FRONT_SILENCE_MS / 1_000;
                self.lose(&format!("it was silent for {seconds} s"), now);
            }
            _ => {}
        }
    }

    /// A socket has been opened, and is being connected.
    pub(super) fn connecting(&mut self, url: &EngineUrl, now: Now) {
        let password = url.password.as_ref().map(|password| password.as_str());
        match Wire::open(&url.user, password, &url.database) {
            Ok(wire) => {
                self.wire = Some(wire);
                self.state = State::Opening;
                self.session = Session::default();
                self.parts = AnswerParts::default();
                self.answers.clear();
                self.expected = 0;
                self.heard_at = now.mono_ms;
            }
            Err(sentence) => self.refuse(sentence, now),
        }
    }

    /// Sends statements together. Only while it is idle.
    pub(super) fn ask(&mut self, statements: &[Statement], now: Now) {
        self.state = State::Busy;
        self.heard_at = now.mono_ms;
        self.expected = statements.len();
        let Some(wire) = &mut self.wire else {
            return self.lose("it is not connected", now);
        };
        for statement in statements {
            let sent = match &statement.params[..] {
                [] => wire.query(&statement.sql),
                params => wire.execute(&statement.sql, params),
            };
            if let Err(sentence) = sent {
                return self.lose(&sentence, now);
            }
        }
    }

    pub(super) fn output(&mut self) -> &[u8] {
        if self.output.is_empty() {
            if let Some(wire) = &mut self.wire {
                self.output = wire.take_output();
            }
        }
        &self.output
    }

    pub(super) fn sent(&mut self, count: usize) {
        self.output.advance(count);
    }

    pub(super) fn received(&mut self, bytes: &[u8], now: Now) {
        self.heard_at = now.mono_ms;
        if let Some(wire) = &mut self.wire {
            wire.receive(bytes);
        }
        while let Some(wire) = &mut self.wire {
            match wire.next() {
                Ok(Some(reply)) => self.take(reply, now),
                Ok(None) => break,
                Err(sentence) => self.lose(&sentence, now),
            }
        }
    }

    fn take(&mut self, reply: Reply, now: Now) {
        if let Reply::Failed(error) = &reply {
            if matches!(self.state, State::Opening) && !self.session.has_begun() {
                let sentence = error.to_string();
                match error.is_about_credentials() || error.is_without_database() {
                    true => self.refuse(sentence, now),
                    false => self.lose(&sentence, now),
                }
                return;
            }
        }
        let Some(answer) = self.parts.take(reply) else {
            return;
        };
        if !matches!(self.state, State::Opening) {
            self.answers.push(answer);
            if self.answers.len() >= self.expected {
                self.state = State::Idle;
                let answers = std::mem::take(&mut self.answers);
                self.events.push_back(LinkEvent::Answered(answers));
            }
            return;
        }
        match self.session.answered(answer) {
            SessionStep::Ask(sql) => {
                let asked = self.wire.as_mut().map(|wire| wire.query(&sql));
                if let Some(Err(sentence)) = asked {
                    self.lose(&sentence, now);
                }
            }
            SessionStep::Open(opened) => {
                self.state = State::Idle;
                self.pause = FRONT_RETRY_MS;
                self.events.push_back(LinkEvent::Opened(opened));
            }
            SessionStep::Lost(sentence) => self.lose(&sentence, now),
            SessionStep::Refused(sentence) => self.refuse(sentence, now),
        }
    }

    /// Gives the connection up, and tries the next host after a pause.
    pub(super) fn lose(&mut self, sentence: &str, now: Now) {
        self.close(now);
        self.events.push_back(LinkEvent::Lost(sentence.to_owned()));
    }

    fn refuse(&mut self, sentence: String, now: Now) {
        self.close(now);
        self.events.push_back(LinkEvent::Refused(sentence));
    }

    fn close(&mut self, now: Now) {
        self.state = State::Down;
        self.wire = None;
        self.output = Bytes::new();
        self.host += 1;
        self.retry_at = now.mono_ms + self.pause;
        self.pause = (2 * self.pause).min(FRONT_RETRY_MAX_MS);
    }

    pub(super) fn next_event(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }
}
