//! How long the server waits for its clients, checked from outside: by the bytes that have moved and the times at
//! which they did. It must not give up before its time limit, and not long after it.

use logagg::limits::{
    BODY_PROGRESS_BYTES, BODY_TIMEOUT_MS, DRAIN_MS, HEAD_TIMEOUT_MS, HEARTBEAT_MS, IDLE_TIMEOUT_MS,
    LINGER_MS, PAUSE_MAX_MS, WRITE_TIMEOUT_MS,
};

use crate::client::{Asked, Link};
use crate::request::Wanted;
use crate::world::World;

/// Turns in which a deadline may be noticed and its consequences carried out.
const TURNS: u32 = 3;

impl Link {
    /// For what it should have been closed or refused by now.
    fn is_overdue(&self, now: u64) -> Option<&'static str> {
        let is_past = |since: u64, limit: u64| now >= since + limit;
        if let Some(at) = self.shut_at {
            return is_past(at, LINGER_MS).then_some("lingers");
        }
        if self
            .blocked_at
            .is_some_and(|at| is_past(at, WRITE_TIMEOUT_MS))
        {
            return Some("takes nothing");
        }
        if self.says_close || self.blocked_at.is_some() {
            return None;
        }
        if self.stream.is_some() {
            return is_past(self.written_at, HEARTBEAT_MS).then_some("has a silent stream");
        }
        if self.can_be_read() {
            // It waits for memory, and while it does its silence is not its own.
            let since = self.told_at?.max(self.written_at);
            return is_past(since, PAUSE_MAX_MS).then_some("is not read");
        }
        if is_past(self.moved_at, IDLE_TIMEOUT_MS) {
            return Some("is idle");
        }
        let discarded = self.answered.checked_sub(1).map(|last| &self.asked[last]);
        if discarded.is_some_and(|asked| self.is_body_slow(asked, now)) {
            return Some("does not end a body that is thrown away");
        }
        let asked = self.asked.get(self.answered)?;
        if let (Some(begun), None) = (asked.begun_at, asked.head_at) {
            let since = begun.max(self.written_at);
            return is_past(since, HEAD_TIMEOUT_MS).then_some("does not end its head");
        }
        self.is_body_slow(asked, now)
            .then_some("does not end its body")
    }

    /// Whether a body is so late that no reading of the rule allows for it.
    fn is_body_slow(&self, asked: &Asked, now: u64) -> bool {
        let (Some(head_at), None) = (asked.head_at, asked.complete_in) else {
            return false;
        };
        let since = head_at.max(self.written_at);
        let is_silent = now >= self.moved_at.max(since) + BODY_TIMEOUT_MS;
        let progress = (self.body_read(asked) / BODY_PROGRESS_BYTES) as u64;
        is_silent || now >= since + BODY_TIMEOUT_MS * (2 + progress)
    }

    /// Whether a body has brought too little for long enough to be given up.
    fn may_give_up_body(&self, asked: &Asked, now: u64) -> bool {
        let is_waited_for = asked.head_at.is_some_and(|at| now >= at + BODY_TIMEOUT_MS);
        let recent = self.reads.iter().rev();
        let recent = recent.take_while(|(at, _)| at + BODY_TIMEOUT_MS > now);
        is_waited_for && recent.map(|(_, n)| n).sum::<usize>() < BODY_PROGRESS_BYTES
    }
}

impl World {
    /// Notes which bodies may be given up now. The answer that says so leaves in a later turn.
    fn note_slow_bodies(&mut self, id: usize) {
        let now = self.now.mono_ms;
        let link = &mut self.links[id];
        // Only the last that has begun can be incomplete.
        let has_begun = |asked: &Asked| asked.touched_at.is_some();
        let Some(index) = link.asked.iter().rposition(has_begun) else {
            return;
        };
        let asked = &link.asked[index];
        let is_slow = asked.complete_in.is_none() && link.may_give_up_body(asked, now);
        link.asked[index].was_slow |= is_slow;
    }

    /// Nobody is waited for much longer than the limits say.
    pub fn check_time_limits(&mut self) {
        for id in self.live.clone() {
            self.note_lack_of_memory(id);
            self.note_slow_bodies(id);
            let link = &mut self.links[id];
            if link.key.is_none() {
                continue;
            }
            let why = link.is_overdue(self.now.mono_ms);
            link.overdue = if why.is_some() { link.overdue + 1 } else { 0 };
            assert!(link.overdue <= TURNS, "{id} {why:?} and is still there");
            assert!(
                !link.says_close || link.shut_at.is_some() || link.knows_break,
                "{id} has got its last answer and is not shut down"
            );
        }
    }

    /// A request was answered 408. It may have become whole while that waited.
    pub fn check_timeout(&mut self, id: usize, index: usize) {
        let now = self.now.mono_ms;
        let link = &self.links[id];
        let asked = &link.asked[index];
        let begun = asked.touched_at.expect("something of it was read");
        let head_at = asked.head_at.unwrap_or(now);
        let has_looked = |limit| link.looked_at >= begun + limit;
        if head_at >= begun + HEAD_TIMEOUT_MS {
            assert!(has_looked(HEAD_TIMEOUT_MS), "{id} was given up unseen");
            return self.trace.mark("408 for a head");
        }
        assert!(has_looked(BODY_TIMEOUT_MS), "{id} was given up unseen");
        assert!(asked.was_slow, "{id} had time for its request");
        self.trace.mark("408 for a body");
    }

    /// Notes whether a connection may have waited for memory for so long that it is refused.
    pub fn note_lack_of_memory(&mut self, id: usize) {
        let link = &mut self.links[id];
        let read_at = link.reads.back().map_or(0, |(at, _)| *at);
        let is_answered = link.answered == link.asked.len();
        let has_waited = |since| self.now.mono_ms >= since + PAUSE_MAX_MS;
        link.has_lacked_memory |= self.setup.net.max_buffered_bytes < 1 << 20
            && (link.can_be_read() && has_waited(read_at)
                || !is_answered && has_waited(link.moved_at));
    }

    /// The server ends its side. There must be a reason that the client knows.
    pub fn check_shutdown(&mut self, id: usize) {
        let link = &self.links[id];
        assert!(link.said.is_empty(), "{id} is shut down within an answer");
        let answered = link.answered.checked_sub(1);
        let discards = answered.is_some_and(|last| link.asked[last].was_slow);
        assert!(
            link.says_close || link.knows_end || discards || self.stopped.is_some(),
            "{id} is shut down for nothing"
        );
    }

    /// The server closes a connection.
    pub fn check_close(&mut self, id: usize) {
        let now = self.now.mono_ms;
        let link = &self.links[id];
        let is_past = |since: u64, limit: u64| now >= since + limit;
        if link.knows_break {
            return;
        }
        // After a signal the answer that is being sent may be the last without saying so.
        let until = self.stopped.map_or(u64::MAX, |(turn, _)| turn);
        let is_open = |asked: &Asked| {
            asked.status.is_none() && asked.complete_in.is_some_and(|turn| turn < until)
        };
        // After a signal a stream is the last answer of its connection, and its head was sent before that
        // was known: what has come after it is not answered.
        let is_behind_stream = self.stopped.is_some()
            && link
                .asked
                .iter()
                .any(|asked| matches!(asked.wanted, Wanted::Stream(_)));
        // A body that is thrown away and did not get on in time ends the connection; what comes after that is
        // read, and is no request.
        let answered = link.answered.checked_sub(1);
        let is_given_up = answered.is_some_and(|last| link.asked[last].was_slow);
        let has_open =
            !link.says_close && !is_behind_stream && !is_given_up && link.asked.iter().any(is_open);
        if link.shut_at.is_some()
            && (link.knows_end || is_past(link.shut_at.unwrap_or(0), LINGER_MS))
        {
            assert!(!has_open, "{id} ends with a request that was not answered");
            return;
        }
        // What was written last may have had to wait for a turn.
        if link
            .blocked_at
            .is_some_and(|at| is_past(at, WRITE_TIMEOUT_MS - 1_000))
        {
            return;
        }
        // A page that takes long is not searched for who has ended its side.
        let is_page = |asked: &Asked| matches!(asked.wanted, Wanted::Page(_)) && is_open(asked);
        if link.has_ended
            && link
                .asked
                .iter()
                .find(|asked| asked.status.is_none())
                .is_some_and(is_page)
        {
            return self.trace.mark("a page that nobody waits for");
        }
        assert!(
            !has_open,
            "{id} is closed with a request that was not answered"
        );
        if link.knows_end && link.said.is_empty() {
            return;
        }
        let has_begun = |asked: &Asked| asked.status.is_none() && asked.begun_at.is_some();
        if self.stopped.is_some() && !link.asked.iter().any(has_begun) {
            return;
        }
        // An empty line and half a head do not begin the wait anew.
        let is_idle = is_past(link.moved_at, IDLE_TIMEOUT_MS - HEAD_TIMEOUT_MS);
        let was_looked_at = link.looked_at + HEAD_TIMEOUT_MS >= link.moved_at + IDLE_TIMEOUT_MS;
        assert!(was_looked_at, "{id} is closed as idle, unseen");
        // What the server hears of in the turn in which it closes has come too late.
        let was_told = link.told_at.is_some_and(|at| at + 100 < now);
        assert!(is_idle, "{id} is closed for nothing");
        assert!(
            !was_told || link.inbox.is_empty(),
            "{id} is closed as idle, but something has arrived"
        );
        self.trace.mark("an idle connection");
    }

    /// The server has ended after a signal: in time, and with all that it had received answered.
    pub fn check_stop(&self) {
        let (turn, told_at) = self.stopped.expect("it was told to stop");
        let until = told_at + DRAIN_MS;
        let now = self.now.mono_ms;
        assert!(now <= until + 100, "it took {} ms to stop", now - told_at);
        if now >= until {
            return;
        }
        for id in &self.live {
            let link = &self.links[*id];
            let is_open = |asked: &Asked| {
                asked.complete_in.is_some_and(|complete| complete <= turn) && asked.status.is_none()
            };
            // After a stream nothing is read that is to be answered.
            if link
                .asked
                .iter()
                .any(|asked| matches!(asked.wanted, Wanted::Stream(_)))
            {
                continue;
            }
            let is_left = link.asked.iter().any(is_open) && !link.knows_break && !link.says_close;
            assert!(
                !is_left,
                "{id} was received before the signal and not answered"
            );
        }
    }
}
