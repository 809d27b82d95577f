//! The clients: what each has asked, how far it is, and what it does next.

use std::collections::VecDeque;

use logagg::net::Sleep;

use crate::random::Random;
use crate::request::{Request, Stays, Wanted};
use crate::stream::Streaming;
use crate::wire::Edges;
use crate::world::World;

/// Bytes that may have arrived without being read.
const INBOX_BYTES: usize = 100_000;

/// How a client behaves.
pub struct Temper {
    /// Requests that it sends without waiting for answers.
    in_a_row: usize,
    /// Requests that it makes.
    requests: usize,
    /// Bytes that it sends at the most, and that it takes at the most, at a time.
    sends: u64,
    takes: u64,
    /// It sends nothing behind this byte.
    stalls_at: usize,
    never_takes: bool,
    /// It resets once in this many acts; 0 is never.
    resets_in: u64,
    /// It ends its side as soon as it has sent all.
    ends_early: bool,
}

impl Temper {
    fn new(random: &mut Random) -> Temper {
        let in_a_row = random_of(&[1, 1, 3, 12], random);
        Temper {
            in_a_row: 1 + random.below(in_a_row) as usize,
            requests: 1 + random.below(12) as usize,
            sends: random_of(&[1, 60, 2_000, 200_000, 200_000, 200_000], random),
            takes: random_of(&[1, 100, 5_000, 500_000, 500_000, 500_000], random),
            stalls_at: if random.chance(7) {
                random.below(3_000) as usize
            } else {
                usize::MAX
            },
            never_takes: random.chance(12),
            resets_in: if random.chance(5) { 40 } else { 0 },
            ends_early: random.chance(8),
        }
    }
}

fn random_of(from: &[u64], random: &mut Random) -> u64 {
    from[random.below(from.len() as u64) as usize]
}

/// A request on its way. Offsets count what its client has sent on this connection.
pub struct Asked {
    pub wanted: Wanted,
    pub is_head: bool,
    pub is_old: bool,
    pub expects_continue: bool,
    pub stays: Stays,
    pub is_early: bool,
    start: usize,
    line_at: usize,
    head_end: usize,
    end: usize,
    /// When the server read its first byte; the first of its request line; the last of its head.
    pub touched_at: Option<u64>,
    pub begun_at: Option<u64>,
    pub head_at: Option<u64>,
    /// In which turn the server read its last byte.
    pub complete_in: Option<u64>,
    /// The head of its stream says that the connection closes after it.
    pub says_close: bool,
    /// Its body brought too little at some time.
    pub was_slow: bool,
    pub status: Option<u16>,
    /// Some of its events are stored, the last of them at this place in it.
    pub stored: Option<usize>,
}

impl Asked {
    /// Whether it is HEAD of a page that would have to be searched for.
    pub fn is_search_head(&self) -> bool {
        let is_search = matches!(&self.wanted, Wanted::Page(page) if page.version.is_some());
        self.is_head && is_search
    }
}

/// One connection, with the client at its other end.
pub struct Link {
    pub temper: Temper,
    pub asked: Vec<Asked>,
    unsent: VecDeque<u8>,
    sent: usize,
    /// Where it waits for `100 Continue`, and with which request.
    holds: VecDeque<(usize, usize)>,
    /// The client has ended its side; it is gone.
    pub has_ended: bool,
    pub is_broken: bool,
    /// The server's name for it, once it is accepted.
    pub key: Option<usize>,
    pub edges: Edges,
    /// What has arrived and was not read, and since when the server knows of it.
    pub inbox: VecDeque<u8>,
    pub told_at: Option<u64>,
    read: usize,
    /// When how much was read.
    pub reads: VecDeque<(u64, usize)>,
    /// When the server last tried to read.
    pub looked_at: u64,
    /// How much was written and not taken, and the most that this may be.
    pub outbox: Outbox,
    pub window: usize,
    /// What the server has said and what is not a whole answer yet.
    pub said: Vec<u8>,
    pub answered: usize,
    /// Bytes of a body that may follow an answer to HEAD: the server has refused the request before it
    /// had read what it is, and closes.
    pub unasked_body: usize,
    pub continued: Option<usize>,
    /// The answer in hand, where it is a stream.
    pub stream: Option<Streaming>,
    /// The newest seq when the server was told that the client has ended its side.
    pub finished_at_seq: Option<u64>,
    pub says_close: bool,
    pub knows_end: bool,
    pub knows_break: bool,
    pub shut_at: Option<u64>,
    /// Since when the server waits for room.
    pub blocked_at: Option<u64>,
    pub written_at: u64,
    /// Some of it waited for memory for as long as anything may.
    pub has_lacked_memory: bool,
    /// When a byte last moved.
    pub moved_at: u64,
    /// Turns for which it has been overdue.
    pub overdue: u32,
}

/// Bytes that wait for the client. What they are has been heard already.
#[derive(Default)]
pub struct Outbox(usize);

impl Outbox {
    pub fn len(&self) -> usize {
        self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

impl std::ops::AddAssign<usize> for Outbox {
    fn add_assign(&mut self, n: usize) {
        self.0 += n;
    }
}

impl Link {
    pub fn new(random: &mut Random, now_ms: u64) -> Link {
        Link {
            temper: Temper::new(random),
            asked: Vec::new(),
            unsent: VecDeque::new(),
            sent: 0,
            holds: VecDeque::new(),
            has_ended: false,
            is_broken: false,
            key: None,
            edges: Edges::default(),
            inbox: VecDeque::new(),
            told_at: None,
            looked_at: 0,
            read: 0,
            reads: VecDeque::new(),
            outbox: Outbox::default(),
            window: random_of(&[1, 300, 5_000, 100_000, 1_000_000, 1_000_000], random) as usize,
            said: Vec::new(),
            answered: 0,
            unasked_body: 0,
            continued: None,
            stream: None,
            finished_at_seq: None,
            says_close: false,
            knows_end: false,
            knows_break: false,
            shut_at: None,
            blocked_at: None,
            written_at: now_ms,
            has_lacked_memory: false,
            moved_at: now_ms,
            overdue: 0,
        }
    }

    /// Whether there is something to read that the server has not read yet.
    pub fn can_be_read(&self) -> bool {
        !self.inbox.is_empty() || (self.has_ended && !self.knows_end)
    }

    /// Puts a request after what is to be sent.
    pub fn ask(&mut self, request: Request) {
        let start = self.sent + self.unsent.len();
        let head_end = start + request.head_bytes;
        if request.expects_continue {
            self.holds.push_back((head_end, self.asked.len()));
        }
        self.unsent.extend(&request.bytes);
        self.asked.push(Asked {
            wanted: request.wanted,
            is_head: request.is_head,
            is_old: request.is_old,
            expects_continue: request.expects_continue,
            stays: request.stays,
            is_early: request.is_early,
            start,
            line_at: start + request.line_at,
            head_end,
            end: start + request.bytes.len(),
            touched_at: None,
            begun_at: None,
            head_at: None,
            complete_in: None,
            says_close: false,
            was_slow: false,
            status: None,
            stored: None,
        });
    }

    /// The server has read `n` bytes more.
    pub fn was_read(&mut self, n: usize, now_ms: u64, turn: u64) {
        self.read += n;
        self.moved_at = now_ms;
        self.told_at = None;
        self.reads.push_back((now_ms, n));
        if self.reads.len() > 64 && self.reads[0].0 + 30_000 < now_ms {
            self.reads.pop_front();
        }
        let read = self.read;
        for asked in &mut self.asked {
            let since = |is_so: bool, before: Option<u64>| before.or(is_so.then_some(now_ms));
            asked.touched_at = since(read > asked.start, asked.touched_at);
            asked.begun_at = since(read > asked.line_at, asked.begun_at);
            asked.head_at = since(read >= asked.head_end, asked.head_at);
            asked.complete_in = asked.complete_in.or((read >= asked.end).then_some(turn));
        }
    }

    /// How much of the body of a request has been read.
    pub fn body_read(&self, asked: &Asked) -> usize {
        self.read.saturating_sub(asked.head_end)
    }

    /// How much the client may send now.
    fn may_send(&mut self, is_calm: bool, random: &mut Random) -> usize {
        while let Some((_, request)) = self.holds.front().copied() {
            let is_released = self.continued.is_some_and(|continued| continued >= request)
                || self.answered > request
                || is_calm
                || random.chance(30);
            if !is_released {
                break;
            }
            self.holds.pop_front();
        }
        let mut until = self.sent + self.unsent.len();
        if let Some((at, _)) = self.holds.front() {
            until = until.min(*at);
        }
        if !is_calm {
            until = until.min(self.temper.stalls_at.max(self.sent));
        }
        (until - self.sent).min(INBOX_BYTES.saturating_sub(self.inbox.len()))
    }

    /// Whether every request has got its answer, and the client has taken it.
    fn is_satisfied(&self) -> bool {
        let has_all =
            self.unsent.is_empty() && (self.answered == self.asked.len() || self.stream.is_some());
        (has_all || self.says_close || self.shut_at.is_some()) && self.outbox.is_empty()
    }
}

impl World {
    /// Something happens; false if nothing can any more, but that time passes.
    pub fn act(&mut self, sleep: Sleep) -> bool {
        if self.is_calm {
            return self.calm_down();
        }
        if self.random.chance(1_500) {
            self.night_falls();
        }
        if self.is_night() {
            self.let_time_pass(sleep);
            return true;
        }
        match self.random.below(100) {
            0..=3 => self.let_time_pass(sleep),
            4..=11 if self.live.len() < self.setup.clients => {
                self.connect();
            }
            12 => self.trouble(),
            _ if self.live.is_empty() => {
                self.connect();
            }
            _ => {
                let at = self.random.below(self.live.len() as u64) as usize;
                self.client_acts(self.live[at]);
            }
        }
        true
    }

    /// A client connects, and waits to be accepted.
    pub fn connect(&mut self) -> usize {
        let id = self.links.len();
        self.trace.note("connects", id, 0);
        self.links
            .push(Link::new(&mut self.random, self.now.mono_ms));
        if self.is_refusing {
            return id;
        }
        self.live.push(id);
        self.backlog.push_back(id);
        self.has_new_backlog = true;
        id
    }

    fn client_acts(&mut self, id: usize) {
        let random = &mut self.random;
        let link = &mut self.links[id];
        let temper = &link.temper;
        if temper.resets_in > 0 && random.chance(temper.resets_in) {
            self.trace.mark("a reset");
            return self.reset(id);
        }
        match random.below(10) {
            0..=1 => {
                let open = link.asked.len() - link.answered;
                let is_done = link.has_ended || link.says_close || link.shut_at.is_some();
                if !is_done && open < temper.in_a_row && link.asked.len() < temper.requests {
                    self.compose(id);
                } else if link.is_satisfied()
                    && !link.has_ended
                    && !is_idler(id)
                    && (link.stream.is_none() || random.chance(10))
                {
                    self.end(id);
                }
            }
            2..=6 => {
                let ends_now = temper.ends_early && link.asked.len() == temper.requests;
                let most = 1 + random.below(temper.sends);
                let may = link.may_send(false, random);
                let n = may.min(most as usize);
                self.send(id, n);
                let link = &self.links[id];
                let is_cut = self.random.chance(300);
                if (ends_now && link.unsent.is_empty()) || is_cut {
                    self.end(id);
                }
            }
            _ => {
                if !temper.never_takes {
                    let most = 1 + random.below(temper.takes) as usize;
                    self.take(id, most);
                } else if !link.outbox.is_empty() {
                    self.trace.mark("a reader that stalls for good");
                }
            }
        }
    }

    fn compose(&mut self, id: usize) {
        let newest = self.database.newest_seq();
        let request = self.composer.any(&mut self.wishes, &self.setup, newest);
        self.ask(id, request);
    }

    /// Puts a request on a connection.
    pub fn ask(&mut self, id: usize, request: Request) {
        let bytes = request.bytes.len() as u64;
        let link = &mut self.links[id];
        link.ask(request);
        let index = link.asked.len() - 1;
        if index > link.answered {
            self.trace.mark("requests in a row");
        }
        self.trace.note("asks for bytes", id, bytes);
        self.trace.tally.requests += 1;
        if let Wanted::Publish(publish) = &link.asked[index].wanted {
            self.database.offer(id, index, publish);
        }
    }

    fn send(&mut self, id: usize, n: usize) {
        let link = &mut self.links[id];
        if n == 0 || link.has_ended || link.is_broken {
            return;
        }
        link.inbox.extend(link.unsent.drain(..n));
        link.sent += n;
        link.edges.readable = true;
        self.trace.note("sends", id, n as u64);
    }

    fn take(&mut self, id: usize, most: usize) -> bool {
        let link = &mut self.links[id];
        let n = most.min(link.outbox.len());
        if n == 0 {
            return false;
        }
        link.outbox.0 -= n;
        // The kernel tells of room when a good part of the buffer is free.
        if link.blocked_at.is_some() && link.outbox.len() * 3 < link.window * 2 {
            link.edges.writable = true;
        }
        self.trace.note("takes", id, n as u64);
        true
    }

    /// The client ends its side. What it has not sent it never will.
    pub fn end(&mut self, id: usize) {
        let link = &mut self.links[id];
        if link.has_ended || link.is_broken {
            return;
        }
        link.unsent.clear();
        link.has_ended = true;
        link.edges.readable = true;
        link.edges.read_closed = true;
        self.trace.note("ends", id, 0);
    }

    /// The client goes without a word.
    fn reset(&mut self, id: usize) {
        let link = &mut self.links[id];
        link.unsent.clear();
        link.has_ended = true;
        link.is_broken = true;
        link.edges.readable = true;
        link.edges.read_closed = true;
        link.edges.writable = true;
        self.trace.note("resets", id, 0);
    }

    /// Everybody sends and takes all they can, and leaves when all is answered.
    fn calm_down(&mut self) -> bool {
        let mut has_moved = false;
        for id in self.live.clone() {
            let most = 1 + self.random.below(200_000) as usize;
            has_moved |= self.take(id, most);
            let link = &mut self.links[id];
            let n = link.may_send(true, &mut self.random).min(most);
            let is_silent = link.has_ended || link.is_broken;
            if is_silent {
                continue;
            }
            // After a stream began the server reads nothing, so what fills the wire is never sent.
            let waits_behind_stream = link.stream.is_some() && link.outbox.is_empty() && n == 0;
            let leaves = link.is_satisfied() || waits_behind_stream;
            has_moved |= n > 0 || leaves;
            self.send(id, n);
            if leaves {
                self.end(id);
            }
        }
        has_moved
    }
}

/// Some clients stay although they have nothing to ask any more.
fn is_idler(id: usize) -> bool {
    id.is_multiple_of(5)
}
