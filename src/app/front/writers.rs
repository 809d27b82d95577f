//! What the connections that write are at: group commits, and probes while the engine does not commit.

use super::link::{Answers, LinkEvent};
use super::session::Opened;
use super::transaction::{Next, Pending, Transaction, Writing};
use super::Front;
use crate::app::commit_queue::{Waiting, Work};
use crate::app::reply::{Completion, NOT_STORED};
use crate::clock::{earlier, Now};
use crate::event::Protocol;
use crate::http::Refusal;
use crate::limits::{
    FRONT_BATCH_BYTES, FRONT_BATCH_EVENTS, FRONT_KEYS_MS, FRONT_SILENCE_MS, FRONT_WRITERS,
};
use crate::postgres::statement;
use crate::ring::Slot;
use crate::store::Outcome;

/// What a probe writes.
const TOUCH: &str = "UPDATE logagg.meta SET version = version WHERE one = 1";

impl Front {
    /// Goes on with what the engine has answered, and begins what can begin.
    pub(super) fn write(&mut self, now: Now) {
        for link in 0..FRONT_WRITERS {
            while let Some(event) = self.links[link].next_event() {
                self.take_event(link, event, now);
            }
        }
        self.probe(now);
        while self.may_begin(now) {
            let Some(link) = self.idle_writer() else {
                return;
            };
            let pending = self.take_batch();
            let mut transaction = Transaction::new(pending, now, self.counters.instant());
            let statements = transaction.begin(&mut self.topics);
            self.writing[link] = Some(Writing::Publications(Box::new(transaction)));
            self.links[link].ask(&statements, now);
        }
    }

    fn idle_writer(&self) -> Option<usize> {
        (0..FRONT_WRITERS).find(|link| self.links[*link].is_idle())
    }

    /// What arrives while a transaction is at its keys shares the next one; so does what arrives while all connections
    /// are at work.
    fn may_begin(&self, now: Now) -> bool {
        let is_in_the_way = |writing: &Option<Writing>| match writing {
            Some(Writing::Publications(transaction)) => {
                !transaction.is_past_keys() && now.mono_ms < transaction.began_at + FRONT_KEYS_MS
            }
            Some(Writing::Probe) | None => false,
        };
        !self.queue.is_empty() && !self.writing.iter().any(is_in_the_way)
    }

    fn take_batch(&mut self) -> Vec<Pending> {
        let (mut events, mut bytes) = (0, 0);
        let mut batch = Vec::new();
        while let Some(next) = self.queue.front() {
            events += next.events();
            bytes += next.slot.publication.held_bytes();
            let is_full = events > FRONT_BATCH_EVENTS || bytes > FRONT_BATCH_BYTES;
            if is_full && !batch.is_empty() {
                break;
            }
            batch.extend(self.pop());
        }
        batch
    }

    fn pop(&mut self) -> Option<Pending> {
        let pending = self.queue.pop_front()?;
        self.queued_events -= pending.events();
        self.queued_bytes -= pending.slot.publication.held_bytes();
        Some(pending)
    }

    fn probe(&mut self, now: Now) {
        if !self.health.is_probe_due(now) {
            return;
        }
        let Some(link) = self.idle_writer() else {
            return;
        };
        self.health.probed(now);
        self.writing[link] = Some(Writing::Probe);
        let statements = [
            statement::BEGIN.into(),
            TOUCH.into(),
            statement::COMMIT.into(),
        ];
        self.links[link].ask(&statements, now);
    }

    fn take_event(&mut self, link: usize, event: LinkEvent, now: Now) {
        match event {
            LinkEvent::Opened(opened) => self.opened(opened, now),
            LinkEvent::Answered(answers) => self.answered(link, answers, now),
            LinkEvent::Lost(sentence) => {
                let had_work = self.abandon(link, &sentence, now);
                if had_work
                    || !self.links[..FRONT_WRITERS]
                        .iter()
                        .any(|link| link.is_open())
                {
                    self.health.failed(&sentence, now);
                }
            }
            LinkEvent::Refused(sentence) => {
                self.abandon(link, &sentence, now);
                self.health.refuse(&sentence, now);
            }
        }
    }

    /// A connection takes statements now. Whether the engine commits is another question.
    pub(super) fn opened(&mut self, opened: Opened, now: Now) {
        self.health.opened(now);
        if self.store_id != opened.store_id {
            self.topics.clear();
            self.store_id = opened.store_id;
        }
    }

    fn answered(&mut self, link: usize, answers: Answers, now: Now) {
        match self.writing[link].take() {
            None => {}
            Some(Writing::Probe) => {
                let confirmed = match answers.into_iter().last() {
                    Some(Ok(answer)) => answer.confirm(),
                    Some(Err(error)) => Err(error.to_string()),
                    None => Err("it has not answered".to_owned()),
                };
                match confirmed {
                    Ok(()) => self.health.committed(),
                    Err(sentence) => self.links[link].lose(&sentence, now),
                }
            }
            Some(Writing::Publications(mut transaction)) => {
                match transaction.go_on(answers, &mut self.topics) {
                    Next::Ask(statements) => {
                        self.writing[link] = Some(Writing::Publications(transaction));
                        self.links[link].ask(&statements, now);
                    }
                    Next::Committed(outcomes) => self.commit(*transaction, &outcomes, now),
                    Next::Failed(sentence) => {
                        self.writing[link] = Some(Writing::Publications(transaction));
                        self.links[link].lose(&sentence, now);
                    }
                }
            }
        }
    }

    /// A connection has gone. What it was at is tried again where the engine cannot have committed it, and is
    /// refused else. Says whether it was at something.
    fn abandon(&mut self, link: usize, sentence: &str, now: Now) -> bool {
        let transaction = match self.writing[link].take() {
            None => return false,
            Some(Writing::Probe) => return true,
            Some(Writing::Publications(transaction)) => transaction,
        };
        log::warn!(
            "a transaction with {} events has failed: {sentence}",
            transaction.events()
        );
        let is_unknown = transaction.may_be_committed();
        for pending in transaction.pending.into_iter().rev() {
            match is_unknown || pending.since + FRONT_SILENCE_MS <= now.mono_ms {
                true => self.refuse_pending(pending, now),
                false => {
                    self.queued_events += pending.events();
                    self.queued_bytes += pending.slot.publication.held_bytes();
                    self.queue.push_front(pending);
                }
            }
        }
        true
    }

    /// Refuses what has waited for too long, and gives up the connections that it waits for.
    pub(super) fn expire_writes(&mut self, now: Now) {
        for link in 0..FRONT_WRITERS {
            if let Some(Writing::Publications(transaction)) = &self.writing[link] {
                if transaction.since() + FRONT_SILENCE_MS <= now.mono_ms {
                    self.links[link].lose("it has not confirmed a commit in time", now);
                    if let Some(event) = self.links[link].next_event() {
                        self.take_event(link, event, now);
                    }
                }
            }
        }
        let is_due = |pending: &Pending| pending.since + FRONT_SILENCE_MS <= now.mono_ms;
        while self.queue.front().is_some_and(is_due) {
            if let Some(pending) = self.pop() {
                self.refuse_pending(pending, now);
            }
        }
    }

    /// When [`expire_writes`](Self::expire_writes), a probe or the next transaction is due, in `mono_ms`.
    pub(super) fn writes_due(&self, now: Now) -> Option<u64> {
        let probe = self.idle_writer().and_then(|_| self.health.deadline());
        let mut due = earlier(
            probe,
            self.queue.front().map(|next| next.since + FRONT_SILENCE_MS),
        );
        for writing in self.writing.iter().flatten() {
            let Writing::Publications(transaction) = writing else {
                continue;
            };
            due = earlier(due, Some(transaction.since() + FRONT_SILENCE_MS));
            let keys_at = transaction.began_at + FRONT_KEYS_MS;
            if !self.queue.is_empty() && keys_at > now.mono_ms && !transaction.is_past_keys() {
                due = earlier(due, Some(keys_at));
            }
        }
        due
    }

    /// Whether publications are being written.
    pub(super) fn is_writing(&self) -> bool {
        let mut all = self.writing.iter().flatten();
        all.any(|writing| matches!(writing, Writing::Publications(_)))
    }

    fn refuse_pending(&mut self, pending: Pending, now: Now) {
        let refusal = Refusal::unavailable_for(self.health.retry_after(now), NOT_CONFIRMED);
        let Slot {
            ticket: Waiting { ticket, work },
            publication,
        } = pending.slot;
        let response = work.refuse(&refusal);
        self.buffers.give_back(publication.events);
        self.committed.push(Completion {
            ticket,
            response,
            buffer: publication.body,
        });
    }

    fn commit(&mut self, transaction: Transaction, outcomes: &[Outcome], now: Now) {
        self.health.committed();
        self.counters
            .committed(transaction.events(), transaction.begun);
        let mut rest = outcomes;
        for pending in transaction.pending {
            let (own, others) = rest.split_at(pending.events());
            rest = others;
            let Slot {
                ticket: Waiting { ticket, work },
                publication,
            } = pending.slot;
            self.duplicates.committed(&publication, own, now.mono_ms);
            let response = match work {
                Work::Publish(params) => {
                    let identities = params.identities(own.len());
                    self.counters.ingested(Protocol::Publish, own, identities);
                    self.counters.rejected(Protocol::Publish, params.rejected());
                    params.answer(own)
                }
                other => other.refuse(&Refusal::unavailable(NOT_STORED)),
            };
            self.buffers.give_back(publication.events);
            self.committed.push(Completion {
                ticket,
                response,
                buffer: publication.body,
            });
        }
    }
}

const NOT_CONFIRMED: &str =
    "The engine has not confirmed the commit in time; send the request again, to this server or another.";
