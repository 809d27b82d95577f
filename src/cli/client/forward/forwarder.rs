//! The loop of a forwarder: reads a node, writes to the destination, and starts again from the position there after any
//! failure. It never trusts its own memory of the position.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::ahead::ReadAhead;
use super::arguments::ForwardArgs;
use super::batch::{Batch, Gap};
use super::destination::{Counts, Destination, Position, Written};
use super::node::{self, ReadEnd};
use super::status::Status;
use super::trouble::Trouble;
use crate::cli::failure::Failure;
use crate::cli::progress::TransferProgress;
use crate::client::engine::EngineError;
use crate::client::{Backoff, Client, Error, GiveUp, Interrupt, RetryDecision};
use crate::limits::{
    FORWARD_ACKNOWLEDGE_MS, FORWARD_LOOK_MS, FORWARD_POLL_MAX_MS, FORWARD_POLL_MS,
    FORWARD_TAKE_OVER_MS,
};

/// How a session ended without an error.
enum End {
    /// Everything that `--once` is to bring is there.
    Done,
    /// The position is to be read again.
    LookAgain,
}

/// Another forwarder of the node is active.
struct Standby {
    position: Position,
    /// Since when the position has not moved although the node has more.
    since: Instant,
}

pub(super) struct Forwarder<'a> {
    to: Box<dyn Destination + 'a>,
    client: &'a Client,
    interrupt: Arc<Interrupt>,
    status: &'a Status,
    progress: &'a TransferProgress,
    ahead: ReadAhead,
    /// Whether it is to end, and the node's greatest seq when it began.
    once: bool,
    target: Option<u64>,
    standby: Option<Standby>,
    of_node: Backoff,
    of_engine: Backoff,
    /// What the node knows to be forwarded, and when it was told.
    acknowledged: u64,
    acknowledged_at: Instant,
}

impl<'a> Forwarder<'a> {
    pub(super) fn new(
        arguments: &ForwardArgs,
        to: Box<dyn Destination + 'a>,
        client: &'a Client,
        ahead: ReadAhead,
        interrupt: Arc<Interrupt>,
        status: &'a Status,
        progress: &'a TransferProgress,
    ) -> Forwarder<'a> {
        Forwarder {
            to,
            client,
            interrupt,
            status,
            progress,
            ahead,
            once: arguments.once,
            target: None,
            standby: None,
            of_node: Backoff::new(GiveUp::Never),
            of_engine: Backoff::new(GiveUp::Never),
            acknowledged: 0,
            acknowledged_at: Instant::now(),
        }
    }

    /// Forwards until it is done, stopped, or cannot go on.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        loop {
            match self.session() {
                Ok(End::LookAgain) => {}
                Ok(End::Done) => {
                    self.to.close();
                    return Ok(());
                }
                Err(Trouble::Stopped(stop)) => return Err(stop.into()),
                Err(Trouble::Node(error)) => self.node_failed(error)?,
                Err(Trouble::Engine(error)) => self.engine_failed(&error)?,
            }
        }
    }

    fn node_failed(&mut self, error: Error) -> Result<(), Failure> {
        self.status.errors.fetch_add(1, Relaxed);
        self.status.has_node.store(false, Relaxed);
        let pause = pause_after(&mut self.of_node, error, self.client)?;
        self.interrupt.sleep(pause).map_err(Failure::from)
    }

    fn engine_failed(&mut self, error: &EngineError) -> Result<(), Failure> {
        self.to.disconnect();
        self.status.errors.fetch_add(1, Relaxed);
        self.status.has_engine.store(false, Relaxed);
        let sentence = format!("{}: {error}", self.to);
        if self.to.is_final(error) {
            return Err(Failure::Failed(sentence));
        }
        let pause = pause_after(&mut self.of_engine, Error::Lost(sentence), self.client)?;
        self.interrupt.sleep(pause).map_err(Failure::from)
    }

    /// A session: begins with reading the position, and goes on until something fails.
    fn session(&mut self) -> Result<End, Trouble> {
        let stats = node::stats(self.client)?;
        self.see_node(stats.last_seq);
        let id = stats.database_id;
        let position = self.position(&id)?;
        if self.is_done(&position) {
            return Ok(End::Done);
        }
        if self.standby.is_some() {
            return self.stand_by(&id);
        }
        self.status.is_active.store(true, Relaxed);
        node::hold(
            self.client,
            &node::subscription(&position.store_id),
            position.upto,
        )?;
        self.acknowledged = position.upto;
        self.forward(&id, position)
    }

    /// The node has answered.
    fn see_node(&mut self, last_seq: u64) {
        self.status.last_seq.store(last_seq, Relaxed);
        self.status.has_node.store(true, Relaxed);
        if self.once && self.target.is_none() {
            self.target = Some(last_seq);
        }
    }

    /// The node's position; begins a life for one that is new, or has gone back.
    fn position(&mut self, id: &str) -> Result<Position, Trouble> {
        let found = self.to.position(id)?;
        let life = match &found {
            None => Some(1),
            // Asked after the position, for another forwarder may have moved that.
            Some(position) => {
                let stats = node::stats(self.client)?;
                let has_gone_back = stats.database_id == id && position.upto > stats.last_seq;
                has_gone_back.then_some(position.life + 1)
            }
        };
        let found = match life {
            None => found,
            Some(life) => {
                self.begin_life(id, life)?;
                self.to.position(id)?
            }
        };
        let Some(position) = found else {
            return Err(EngineError::Lost("it does not know the node any more".to_owned()).into());
        };
        self.status.has_engine.store(true, Relaxed);
        self.status.position.store(position.upto, Relaxed);
        Ok(position)
    }

    fn begin_life(&mut self, id: &str, life: i32) -> Result<(), Trouble> {
        let name = self.client.address().to_string();
        self.to.begin_life(id, life, &name)?;
        if life > 1 {
            self.client.report(
                "WARN: the node's database has gone back to an older state: all of it is read again",
            );
        }
        Ok(())
    }

    /// What has failed works again; an answer alone is not enough.
    fn node_works(&mut self) {
        self.status.has_node.store(true, Relaxed);
        self.client.recovered(&mut self.of_node);
    }

    fn engine_works(&mut self) {
        self.status.has_engine.store(true, Relaxed);
        if let (_, true) = self.of_engine.succeeded() {
            let noun = self.to.noun();
            self.client.report(&format!("the {noun} answers again"));
        }
    }

    fn is_done(&self, position: &Position) -> bool {
        self.target.is_some_and(|target| position.upto >= target)
    }

    /// Reads and writes batches from a position on.
    fn forward(&mut self, id: &str, mut position: Position) -> Result<End, Trouble> {
        let mut batches = None;
        let mut pause = FORWARD_POLL_MS;
        let mut looked_at = Instant::now();
        loop {
            self.interrupt.check()?;
            let read = || self.ahead.read(id, position.upto, position.mark);
            let (batch, end) = batches.get_or_insert_with(read).next()?;
            if end == ReadEnd::OtherHistory {
                // Another database is another node, and begins at its own position.
                if node::stats(self.client)?.database_id == id {
                    self.begin_life(id, position.life + 1)?;
                }
                return Ok(End::LookAgain);
            }
            self.node_works();
            if !batch.is_empty() {
                match self.write(id, &mut position, &batch)? {
                    Written::Stored(_) => looked_at = Instant::now(),
                    Written::Moved => return self.yield_or_look(id, &position),
                }
            }
            self.acknowledge(&position, false)?;
            if self.is_done(&position) {
                self.acknowledge(&position, true)?;
                return Ok(End::Done);
            }
            if end == ReadEnd::Full {
                continue;
            }
            batches = None;
            if looked_at.elapsed() >= Duration::from_millis(FORWARD_LOOK_MS) {
                looked_at = Instant::now();
                // With a pooler, or a restored schema, the same connection can lead to another past.
                if self.to.position(id)?.as_ref() != Some(&position) {
                    return self.yield_or_look(id, &position);
                }
                self.engine_works();
                let stats = node::stats(self.client)?;
                self.see_node(stats.last_seq);
            }
            pause = match batch.is_empty() {
                true => (2 * pause).min(FORWARD_POLL_MAX_MS),
                false => FORWARD_POLL_MS,
            };
            self.interrupt.sleep(Duration::from_millis(pause))?;
        }
    }

    /// Writes a batch, and moves the position where that succeeds.
    fn write(
        &mut self,
        id: &str,
        position: &mut Position,
        batch: &Batch,
    ) -> Result<Written, Trouble> {
        let written = self.to.write(id, position, batch)?;
        if let Written::Stored(counts) = written {
            position.upto = batch.upto;
            position.mark = batch.mark();
            self.committed(counts, batch);
        }
        Ok(written)
    }

    fn committed(&mut self, counts: Counts, batch: &Batch) {
        let status = self.status;
        status.stored.fetch_add(counts.stored, Relaxed);
        status.duplicates.fetch_add(counts.duplicates, Relaxed);
        status.conflicts.fetch_add(counts.conflicts, Relaxed);
        status.position.store(batch.upto, Relaxed);
        status.last_seq.fetch_max(batch.upto, Relaxed);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now_ms = now.map_or(0, |now| now.as_millis() as u64);
        status.committed_at_ms.store(now_ms, Relaxed);
        for gap in &batch.gaps {
            let Gap { from, to } = gap;
            status.gap_events.fetch_add(gap.events(), Relaxed);
            self.client.report(&format!(
                "WARN: the node had removed the events {from} to {to} before they were forwarded; they are lost"
            ));
        }
        self.engine_works();
        if let Some(target) = self.target {
            self.progress.show_of(batch.upto.min(target), target);
        }
    }

    /// Tells the node what is forwarded, once a second or at the end.
    fn acknowledge(&mut self, position: &Position, now: bool) -> Result<(), Trouble> {
        let is_due =
            self.acknowledged_at.elapsed() >= Duration::from_millis(FORWARD_ACKNOWLEDGE_MS);
        if position.upto == self.acknowledged || !(is_due || now) {
            return Ok(());
        }
        self.acknowledged_at = Instant::now();
        let name = node::subscription(&position.store_id);
        match node::acknowledge(self.client, &name, position.upto) {
            // The subscription has been deleted.
            Err(error) if error.status() == Some(404) => {
                node::hold(self.client, &name, position.upto)?;
            }
            // The node has gone back, which the next read finds.
            Err(error) if error.status() == Some(422) => return Ok(()),
            done => done?,
        }
        self.acknowledged = position.upto;
        Ok(())
    }

    /// The position is not where this forwarder has left it.
    fn yield_or_look(&mut self, id: &str, expected: &Position) -> Result<End, Trouble> {
        let found = self.to.position(id)?;
        // One that has gone back is that of an older state of the store.
        let other = found.filter(|found| {
            let same = found.store_id == expected.store_id && found.node == expected.node;
            same && found.upto > expected.upto || found.life > expected.life
        });
        if let Some(position) = other {
            self.client
                .report("another forwarder of this node is active: this one is a standby");
            self.standby = Some(Standby {
                position,
                since: Instant::now(),
            });
        }
        Ok(End::LookAgain)
    }

    /// Waits until the other forwarder stops making progress.
    fn stand_by(&mut self, id: &str) -> Result<End, Trouble> {
        self.status.is_active.store(false, Relaxed);
        loop {
            self.interrupt
                .sleep(Duration::from_millis(FORWARD_LOOK_MS))?;
            let stats = node::stats(self.client)?;
            self.see_node(stats.last_seq);
            self.node_works();
            let Some(found) = self.to.position(id)? else {
                self.standby = None;
                return Ok(End::LookAgain);
            };
            self.engine_works();
            self.status.position.store(found.upto, Relaxed);
            if stats.database_id != id || self.is_done(&found) {
                return Ok(End::LookAgain);
            }
            let Some(standby) = &mut self.standby else {
                return Ok(End::LookAgain);
            };
            let has_more = stats.last_seq > found.upto;
            if found != standby.position || !has_more {
                *standby = Standby {
                    position: found,
                    since: Instant::now(),
                };
            } else if standby.since.elapsed() >= Duration::from_millis(FORWARD_TAKE_OVER_MS) {
                self.client
                    .report("the other forwarder makes no progress: this one takes over");
                self.standby = None;
                return Ok(End::LookAgain);
            }
        }
    }
}

/// How long to pause after a failure.
fn pause_after(backoff: &mut Backoff, error: Error, client: &Client) -> Result<Duration, Failure> {
    let sentence = error.to_string();
    let now = Instant::now();
    match backoff.failed(error, now) {
        RetryDecision::Fail(error) => Err(error.into()),
        RetryDecision::Pause(pause) => {
            if backoff.must_tell(now) {
                client.report(&format!("{sentence}; trying again"));
            }
            Ok(pause)
        }
    }
}
