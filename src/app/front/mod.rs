//! A front: the same service over a store that many servers share, in an engine that speaks PostgreSQL's protocol.
//!
//! It keeps nothing but what waits. A publication is answered after the engine has confirmed its commit, a read after
//! the engine has answered; what needs no engine is answered at once while it hangs. The loop owns the sockets
//! ([`EngineLinks`]); no code here waits.

mod health;
mod link;
mod page;
mod parts;
mod publish;
mod queue;
mod readers;
mod reads;
mod rows;
mod search;
mod searching;
mod service;
mod session;
mod stats;
mod subscribers;
mod subscriptions;
#[cfg(test)]
mod tests;
mod transaction;
mod wanted;
mod writers;

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use super::buffers::BufferPool;
use super::counters::Counters;
use super::decode_queue::DecodeQueue;
use super::duplicate_log::DuplicateLog;
use super::gate::Gate;
use super::ingest_state::IngestState;
use super::live::LiveEvents;
use super::options::Options;
use super::reply::{Completion, Ticket};
use super::stream::StreamAnswer;
use crate::clock::{Now, Stamp};
use crate::limits::{FRONT_READERS, FRONT_WRITERS};
use crate::postgres::url::EngineUrl;
use health::FrontHealth;
use link::Link;
pub use link::LinkStep;
use parts::Parts;
use queue::Queue;
use reads::Read;
use rows::Head;
use stats::{StoreStats, TopicCounts};
use transaction::Writing;

/// The connections of a front, as the loop serves them: each by its place.
pub trait EngineLinks {
    fn count(&self) -> usize;
    /// What is to be done with the socket of a link.
    fn step(&self, link: usize) -> LinkStep;
    /// Its socket has been opened, and connects.
    fn connecting(&mut self, link: usize, now: Now);
    fn received(&mut self, link: usize, bytes: &[u8], now: Now);
    /// Its socket is gone: a sentence.
    fn lost(&mut self, link: usize, why: &str, now: Now);
    /// What waits to be sent on it.
    fn output(&mut self, link: usize) -> &[u8];
    /// So many bytes of that have been sent.
    fn sent(&mut self, link: usize, count: usize);
}

/// The application of a front.
pub struct Front {
    options: Options,
    gate: Gate,
    url: EngineUrl,
    /// Those that write, then those that read.
    links: Vec<Link>,
    /// What each of those that write is at.
    writing: Vec<Option<Writing>>,
    health: FrontHealth,
    health_stamp: Stamp,
    /// Bodies whose content coding is still to be taken off.
    encoded: DecodeQueue,
    queue: Queue,
    /// What it holds for other protocols.
    ingest: IngestState,
    /// The greatest seq that it has answered with.
    last_committed: u64,
    /// Topics that the store had when they were last needed.
    topics: HashSet<String>,
    committed: Vec<Completion>,
    counters: Counters,
    duplicates: DuplicateLog,
    buffers: BufferPool,
    /// The history that the seqs belong to.
    store_id: String,
    /// What waits to be read, and what each connection that reads is at.
    reads: VecDeque<Read>,
    reading: Vec<Option<Read>>,
    /// How far the events go, as far as subscribers have been told.
    head: Head,
    /// Counts how often the store went back to an older state.
    epoch: u64,
    look_at: u64,
    is_looking: bool,
    live: LiveEvents,
    parts: Parts,
    /// Streams that can begin.
    streams: Vec<(Ticket, Box<StreamAnswer>)>,
    stats: StoreStats,
    topic_counts: TopicCounts,
}

impl Front {
    pub(crate) fn new(url: EngineUrl, options: Options, now: Now) -> Front {
        let links = FRONT_WRITERS + FRONT_READERS;
        Front {
            options,
            gate: Gate::default(),
            url,
            links: (0..links).map(|_| Link::new()).collect(),
            writing: (0..FRONT_WRITERS).map(|_| None).collect(),
            health: FrontHealth::new(now),
            health_stamp: Stamp::default(),
            encoded: DecodeQueue::new(options.max_body_bytes),
            queue: Queue::default(),
            ingest: IngestState::default(),
            last_committed: 0,
            topics: HashSet::new(),
            committed: Vec::new(),
            counters: Counters::new(now),
            duplicates: DuplicateLog::default(),
            buffers: BufferPool::default(),
            store_id: String::new(),
            reads: VecDeque::new(),
            reading: (0..FRONT_READERS).map(|_| None).collect(),
            head: Head::default(),
            epoch: 0,
            look_at: 0,
            is_looking: false,
            live: LiveEvents::default(),
            parts: Parts::default(),
            streams: Vec::new(),
            stats: StoreStats::default(),
            topic_counts: TopicCounts::default(),
        }
    }

    /// From now on commits are timed by this clock.
    pub(crate) fn set_clock(&mut self, clock: fn() -> Instant) {
        self.counters.clock = Some(clock);
    }

    /// Why it has given up: the engine has refused it before it has ever been let in.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.health.refused()
    }
}
