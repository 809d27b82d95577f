//! The world of one run: everything outside the server, and what is known of the server.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use logagg::clock::Now;
use logagg::limits::IDLE_TIMEOUT_MS;
use logagg::net::Sleep;

use crate::client::Link;
use crate::compose::Composer;
use crate::database::Database;
use crate::random::Random;
use crate::setup::{Folder, Setup};
use crate::trace::Trace;
use crate::trouble::Trouble;

pub struct World {
    pub random: Random,
    pub setup: Setup,
    pub composer: Composer,
    /// Chance for the requests alone, so that a change of the wire does not change them.
    pub wishes: Random,
    pub now: Now,
    /// The zero of the monotonic clock, and how far its readings within turns have moved it.
    pub started: Instant,
    within_turns_us: u64,
    pub turn: u64,
    night_ends: u64,
    /// All connections there have been, and those of them that the server has not closed.
    pub links: Vec<Link>,
    pub live: Vec<usize>,
    /// Those that wait to be accepted, and whether the poll has to tell of them.
    pub backlog: VecDeque<usize>,
    pub has_new_backlog: bool,
    pub is_refusing: bool,
    pub database: Database,
    pub trouble: Trouble,
    /// A signal that the poll has to tell of, and the turn and time in which the server got it.
    pub signal: Option<i32>,
    pub stopped: Option<(u64, u64)>,
    /// The process is about to die: nothing that it says arrives, and it need not say anything.
    pub is_dying: bool,
    /// Nothing new happens; what has begun is brought to its end.
    pub is_calm: bool,
    /// Nobody publishes any more, so every count is one number.
    pub is_quiet: bool,
    pub trace: Trace,
    /// Goes last: the database is open until then.
    pub folder: Folder,
}

impl World {
    pub fn new(seed: u64, is_verbose: bool) -> World {
        let mut random = Random::new(seed);
        let folder = Folder::new();
        let setup = Setup::new(&mut random, &folder);
        World {
            database: Database::new(&setup.store.path),
            wishes: random.fork(),
            random,
            setup,
            composer: Composer::default(),
            now: Now {
                mono_ms: 0,
                unix_us: 1_767_323_045_678_901,
            },
            started: Instant::now(),
            within_turns_us: 0,
            turn: 0,
            night_ends: 0,
            links: Vec::new(),
            live: Vec::new(),
            backlog: VecDeque::new(),
            has_new_backlog: false,
            is_refusing: false,
            trouble: Trouble::default(),
            signal: None,
            stopped: None,
            is_dying: false,
            is_calm: false,
            is_quiet: false,
            trace: Trace::new(seed, is_verbose),
            folder,
        }
    }

    pub fn begin_turn(&mut self) {
        self.turn += 1;
        self.trace.step(self.turn, self.now.mono_ms);
    }

    /// Everything that can be said of the server between two turns.
    pub fn end_turn(&mut self) {
        self.observe();
        self.check_time_limits();
        self.trouble.settle(self.turn, self.now.mono_ms);
        self.database.is_shy &= self.trouble.was_felt_in(self.turn);
    }

    /// The time within a turn, which passes as well.
    pub fn instant(&mut self) -> Instant {
        self.within_turns_us += self.random.below(200);
        self.started
            + Duration::from_millis(self.now.mono_ms)
            + Duration::from_micros(self.within_turns_us)
    }

    pub fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        // The wall clock goes its own way.
        let drift = self.random.below(3) as i64 - 1;
        self.now.unix_us += ms as i64 * 1_000 + drift;
    }

    /// From now on nobody does anything, for longer than anybody is waited for.
    pub fn night_falls(&mut self) {
        self.night_ends = self.now.mono_ms + IDLE_TIMEOUT_MS + 1_000;
        self.trace.note("night falls until ms", 0, self.night_ends);
    }

    pub fn is_night(&self) -> bool {
        self.now.mono_ms < self.night_ends
    }

    /// Time passes, mostly little, sometimes so much that somebody's limit is over; but never while a
    /// loop sleeps that wanted to be woken before.
    pub fn let_time_pass(&mut self, sleep: Sleep) {
        let ms = match self.random.below(100) {
            _ if self.is_night() => 30_000,
            0..=59 => self.random.below(4),
            60..=89 => self.random.below(300),
            90..=95 => self.random.below(3_000),
            96..=97 => 9_000 + self.random.below(3_000),
            98 => 19_000 + self.random.below(3_000),
            _ => 30_000 + self.random.below(50_000),
        };
        let ms = match sleep {
            Sleep::Not => ms.min(1),
            Sleep::Until(at) => {
                let left = at.saturating_sub(self.now.mono_ms);
                ms.min(left + self.random.below(2))
            }
            Sleep::Forever => ms,
        };
        self.pass(ms);
    }

    /// A connection has ended on the server's side.
    pub fn gone(&mut self, id: usize) {
        self.live.retain(|live| *live != id);
        let link = &mut self.links[id];
        link.key = None;
        let is_told_all = link.answered == link.asked.len();
        if !link.outbox.is_empty() && is_told_all {
            self.trace.mark("an answer that the client never took");
        }
    }

    /// The process has ended, and its sockets with it.
    pub fn forget_process(&mut self) {
        for id in std::mem::take(&mut self.backlog) {
            self.gone(id);
        }
        assert!(self.live.is_empty(), "all sockets are closed");
        self.has_new_backlog = false;
        self.is_refusing = false;
        self.is_dying = false;
        self.stopped = None;
        self.signal = None;
    }

    /// The connections that are open, for a failure.
    pub fn shown(&self) -> String {
        let one = |id: &usize| {
            let link = &self.links[*id];
            format!(
                "{id}: {} of {} answered, {} bytes not read, {} not taken",
                link.answered,
                link.asked.len(),
                link.inbox.len(),
                link.outbox.len()
            )
        };
        self.live.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}
