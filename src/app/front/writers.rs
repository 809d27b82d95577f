//! What the connections that write are at: group commits, and probes while the engine does not commit.

use super::link::{Answers, LinkEvent};
use super::session::Opened;
use super::transaction::{Next, Pending, Transaction, Writing};
use super::Front;
use crate::app::commit_queue::Work;
use crate::app::publish::Publishing;
use crate::app::upload::Uploading;
use crate::clock::{earlier, Now};
use crate::event::RejectedRecord;
use crate::http::Refusal;
use crate::limits::{FRONT_KEYS_MS, FRONT_SILENCE_MS, FRONT_WRITERS};
use crate::postgres::statement;
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
            let pending = self.queue.take_batch();
            if pending.iter().all(|pending| pending.events() == 0) {
                self.answer_all(pending, &[], now);
                continue;
            }
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
            if !self.store_id.is_empty() {
                self.refuse_begun(now);
            }
            self.store_id = opened.store_id;
        }
    }

    /// The store is another, or went back to an older state: what has been committed of requests that bring more may
    /// be lost.
    pub(super) fn refuse_begun(&mut self, now: Now) {
        self.last_committed = 0;
        let refusal = Refusal::unavailable_for(self.health.retry_after(now), REPLACED);
        self.refuse_uploads(&refusal);
        while let Some((waiting, _)) = self.queue.pop_unfinished() {
            self.refuse_unfinished(&waiting, &refusal);
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
        let waiting = |pending: &Pending| !pending.is_refused;
        for pending in transaction.pending.into_iter().filter(waiting) {
            // The client of an upload would have to begin again. What is stored already is a duplicate then.
            let may_repeat = !is_unknown || matches!(pending.slot.ticket.work, Work::Upload(_));
            match may_repeat && pending.since + FRONT_SILENCE_MS > now.mono_ms {
                true => self.queue.push(pending),
                false => self.refuse_pending(pending, now),
            }
        }
        true
    }

    /// Refuses what has waited for too long. A transaction goes on as long as somebody waits for it; then its
    /// connection is given up.
    pub(super) fn expire_writes(&mut self, now: Now) {
        let is_due = |since: u64| since + FRONT_SILENCE_MS <= now.mono_ms;
        for link in 0..FRONT_WRITERS {
            let Some(Writing::Publications(mut transaction)) =
                self.writing[link].take_if(|writing| writing.since().is_some_and(is_due))
            else {
                continue;
            };
            for pending in &mut transaction.pending {
                if !pending.is_refused && is_due(pending.since) {
                    pending.is_refused = true;
                    let refusal = self.not_confirmed(now);
                    self.refuse_unfinished(&pending.slot.ticket, &refusal);
                }
            }
            let is_over = transaction.since().is_none();
            self.writing[link] = Some(Writing::Publications(transaction));
            if is_over {
                self.links[link].lose("it has not confirmed a commit in time", now);
                if let Some(event) = self.links[link].next_event() {
                    self.take_event(link, event, now);
                }
            }
        }
        while let Some(pending) = self.queue.pop_expired(now) {
            self.refuse_pending(pending, now);
        }
        while let Some(waiting) = self.queue.pop_expired_unfinished(now) {
            self.refuse_unfinished(&waiting, &self.not_confirmed(now));
        }
    }

    /// When [`expire_writes`](Self::expire_writes), a probe or the next transaction is due, in `mono_ms`.
    pub(super) fn writes_due(&self, now: Now) -> Option<u64> {
        let probe = self.idle_writer().and_then(|_| self.health.deadline());
        let mut due = earlier(probe, self.queue.deadline());
        for writing in self.writing.iter().flatten() {
            let Writing::Publications(transaction) = writing else {
                continue;
            };
            due = earlier(due, writing.since().map(|since| since + FRONT_SILENCE_MS));
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

    fn not_confirmed(&self, now: Now) -> Refusal {
        Refusal::unavailable_for(self.health.retry_after(now), NOT_CONFIRMED)
    }

    fn refuse_pending(&mut self, pending: Pending, now: Now) {
        let refusal = self.not_confirmed(now);
        self.refuse_slot(pending.slot, &refusal);
    }

    fn commit(&mut self, transaction: Transaction, outcomes: &[Outcome], now: Now) {
        self.health.committed();
        self.counters
            .committed(transaction.events(), transaction.begun);
        for outcome in outcomes {
            let (Outcome::Accepted(seq) | Outcome::Duplicate(seq) | Outcome::Conflict(seq)) =
                *outcome;
            self.last_committed = self.last_committed.max(seq);
        }
        self.answer_all(transaction.pending, outcomes, now);
    }

    /// Answers what has been committed, or has nothing that is to be stored.
    fn answer_all(&mut self, all: Vec<Pending>, outcomes: &[Outcome], now: Now) {
        let mut rest = outcomes;
        for pending in all {
            let is_refused = pending.is_refused;
            let slot = pending.slot;
            let (own, others) = rest.split_at(slot.publication.events.len());
            rest = others;
            self.duplicates
                .committed(&slot.publication, own, now.mono_ms);
            log_rejected(&slot.publication.rejected);
            match is_refused {
                true => self.buffers.give_back(slot.publication.events),
                false => self.committed(slot, own, now),
            }
        }
    }
}

/// The only trace of records that could not become events.
fn log_rejected(records: &[RejectedRecord]) {
    if let Some(first) = records.first() {
        let RejectedRecord {
            protocol,
            peer,
            reason,
            ..
        } = first;
        log::warn!(
            "records were rejected and are not kept: {}, protocol={}, peer={peer}, the first because: {reason}",
            records.len(),
            protocol.name()
        );
    }
}

const NOT_CONFIRMED: &str =
    "The engine has not confirmed the commit in time; send the request again, to this server or another.";
const REPLACED: &str = "The store was replaced, so the events may be lost; send them again.";
