//! Publications that share one transaction of the engine: which statements come next, and what became of each event.
//!
//! Nothing of it has an answer before the engine has confirmed the commit.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

use crate::app::commit_queue::Waiting;
use crate::clock::{rfc3339, Now};
use crate::event::{Filled, Publication, Span};
use crate::limits::FRONT_TOPICS_MAX;
use crate::postgres::statement::{self, BatchRow, Hash, Known, NewEvent, Statement};
use crate::postgres::Answer;
use crate::ring::Slot;
use crate::store::Outcome;

use super::link::Answers;

/// A request that waits to be stored.
pub(super) struct Pending {
    pub(super) slot: Slot<Waiting>,
    /// Since when, in `mono_ms`.
    pub(super) since: u64,
    /// It has waited for too long, and has its answer, while the transaction goes on for others.
    pub(super) is_refused: bool,
}

impl Pending {
    pub(super) fn new(slot: Slot<Waiting>, since: u64) -> Pending {
        Pending {
            slot,
            since,
            is_refused: false,
        }
    }

    pub(super) fn events(&self) -> usize {
        self.slot.publication.events.len()
    }
}

/// What a connection that writes is at.
pub(super) enum Writing {
    Publications(Box<Transaction>),
    /// A commit that changes nothing, and waits for whatever a commit waits for.
    Probe,
}

impl Writing {
    /// Since when the oldest request that waits for it has waited, in `mono_ms`; none if nobody does.
    pub(super) fn since(&self) -> Option<u64> {
        match self {
            Writing::Publications(transaction) => transaction.since(),
            Writing::Probe => None,
        }
    }
}

/// How a transaction goes on.
pub(super) enum Next {
    Ask(Vec<Statement>),
    /// It has been committed and confirmed, with an outcome for each event.
    Committed(Vec<Outcome>),
    /// It has failed: a sentence. The connection must be closed.
    Failed(String),
}

/// What was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    BatchId,
    Keys,
    Place,
    Commit,
}

pub(super) struct Transaction {
    pub(super) pending: Vec<Pending>,
    /// When it began, in `mono_ms`, and by the clock that times commits.
    pub(super) began_at: u64,
    pub(super) begun: Option<Instant>,
    pub(super) processed_at: i64,
    stage: Stage,
    /// How many answers there are to statements before those of the transaction.
    answers_before: usize,
    ids: HashMap<String, i32>,
    contents: Vec<Hash>,
    batch: i64,
    new: Vec<usize>,
    known: Vec<Known>,
    first_seq: Option<i64>,
}

impl Transaction {
    pub(super) fn new(pending: Vec<Pending>, now: Now, begun: Option<Instant>) -> Transaction {
        let mut contents = Vec::new();
        for Pending { slot, .. } in &pending {
            let body = &slot.publication.body;
            contents.extend(slot.publication.events.iter().map(|event| {
                let [timestamp, source, payload] =
                    [event.timestamp, event.source, event.payload].map(|span| span.of(body));
                statement::content_of(timestamp, source, payload)
            }));
        }
        Transaction {
            pending,
            began_at: now.mono_ms,
            begun,
            processed_at: now.unix_us,
            stage: Stage::Begin,
            answers_before: 0,
            ids: HashMap::new(),
            contents,
            batch: 0,
            new: Vec::new(),
            known: Vec::new(),
            first_seq: None,
        }
    }

    /// Since when the oldest request that waits for it has waited, in `mono_ms`; none if nobody does.
    pub(super) fn since(&self) -> Option<u64> {
        let waiting = self.pending.iter().filter(|pending| !pending.is_refused);
        waiting.map(|pending| pending.since).min()
    }

    /// Whether it can no longer wait for the keys of another.
    pub(super) fn is_past_keys(&self) -> bool {
        matches!(self.stage, Stage::Place | Stage::Commit)
    }

    /// Whether the engine may have committed it.
    pub(super) fn may_be_committed(&self) -> bool {
        self.stage == Stage::Commit
    }

    pub(super) fn events(&self) -> usize {
        self.contents.len()
    }

    /// The first statements. `topics` are those that the store is known to have.
    pub(super) fn begin(&mut self, topics: &mut HashSet<String>) -> Vec<Statement> {
        let mut names = BTreeSet::new();
        for Pending { slot, .. } in &self.pending {
            let publication = &slot.publication;
            let topic = |span: Span| text_of(span, &publication.body);
            names.extend(publication.events.iter().map(|event| topic(event.topic)));
        }
        let new: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| !topics.contains(*name))
            .collect();
        let mut statements = Vec::new();
        if !new.is_empty() {
            statements.push(statement::create_topics(new.iter().copied()));
            if topics.len() > FRONT_TOPICS_MAX {
                topics.clear();
            }
            topics.extend(new.into_iter().map(str::to_owned));
        }
        self.answers_before = statements.len();
        statements.push(statement::BEGIN.into());
        statements.push(statement::topic_ids(names.into_iter()));
        statements.push(statement::BATCH_ID.into());
        statements
    }

    /// Takes the answers to what was asked last. `topics` is emptied where the store does not have what it had.
    pub(super) fn go_on(&mut self, answers: Answers, topics: &mut HashSet<String>) -> Next {
        let mut all = Vec::with_capacity(answers.len());
        for answer in answers {
            match answer {
                Ok(answer) => all.push(answer),
                Err(error) => return Next::Failed(error.to_string()),
            }
        }
        match self.stage {
            Stage::Begin => self.begun_with(&all[self.answers_before..], topics),
            Stage::BatchId => self.insert_keys(number(&all[0])),
            Stage::Keys => self.place(&all[0]),
            Stage::Place => self.append(&all),
            Stage::Commit => self.finish(all.last()),
        }
    }

    fn begun_with(&mut self, answers: &[Answer], topics: &mut HashSet<String>) -> Next {
        let Some(ids) = statement::read_topic_ids(answers[1].rows()) else {
            return unfit();
        };
        self.ids = ids;
        if !self.has_all_ids() {
            topics.clear();
            return Next::Failed("it has lost a topic".to_owned());
        }
        match number(&answers[2]) {
            None => {
                self.stage = Stage::BatchId;
                Next::Ask(vec![statement::BATCH_ID_BY_ROW.into()])
            }
            id => self.insert_keys(id),
        }
    }

    fn has_all_ids(&self) -> bool {
        self.pending.iter().all(|Pending { slot, .. }| {
            let publication = &slot.publication;
            let mut topics = publication.events.iter().map(|event| event.topic);
            topics.all(|topic| self.ids.contains_key(text_of(topic, &publication.body)))
        })
    }

    fn insert_keys(&mut self, id: Option<i64>) -> Next {
        let Some(id) = id else {
            return Next::Failed("it gives no id for a batch".to_owned());
        };
        self.batch = id;
        self.stage = Stage::Keys;
        Next::Ask(vec![statement::insert_keys(id, &self.new_events(""))])
    }

    fn place(&mut self, answer: &Answer) -> Next {
        let count = self.events();
        let Some(new) = statement::read_new(answer.rows(), count) else {
            return unfit();
        };
        self.new = new;
        self.stage = Stage::Place;
        let mut statements = Vec::new();
        if self.new.len() < count {
            let events = self.new_events("");
            statements.push(match self.filled() {
                Some(filled) => statement::known_filled(&events, &self.new, &filled),
                None => statement::known(&events, &self.new),
            });
        }
        if !self.new.is_empty() {
            statements.push(statement::LOCK_HEAD.into());
            statements.push(statement::NEXT_SEQ.into());
        }
        Next::Ask(statements)
    }

    fn append(&mut self, answers: &[Answer]) -> Next {
        let mut answers = answers.iter();
        let count = self.events();
        if self.new.len() < count {
            let rows = answers.next().map_or(&[][..], Answer::rows);
            let Some(known) = statement::read_known(rows) else {
                return unfit();
            };
            self.known = known;
            self.known.sort_unstable_by_key(|known| known.place);
            if self.known.len() != count - self.new.len() {
                return Next::Failed("a key has gone meanwhile".to_owned());
            }
            self.compare_filled();
        }
        let mut statements = Vec::new();
        if !self.new.is_empty() {
            let is_locked = answers
                .next()
                .is_some_and(|answer| !answer.rows().is_empty());
            if !is_locked {
                return Next::Failed("the table logagg.head has no row".to_owned());
            }
            let rows = answers.next().map_or(&[][..], Answer::rows);
            let Some(first_seq) = statement::read_next_seq(rows) else {
                return unfit();
            };
            self.first_seq = Some(first_seq);
            let processed_at = rfc3339(self.processed_at);
            let events = self.new_events(&processed_at);
            statements.push(statement::insert_events(first_seq, &events, &self.new));
        }
        statements.push(statement::insert_batch(&BatchRow {
            id: self.batch,
            first_seq: self.first_seq,
            events: count,
            stored: self.new.len(),
            duplicates: self.known.len(),
            conflicts: self.known.iter().filter(|known| known.is_conflict).count(),
            ..BatchRow::default()
        }));
        statements.push(statement::COMMIT.into());
        self.stage = Stage::Commit;
        Next::Ask(statements)
    }

    /// What was filled in for each event, if anything was.
    fn filled(&self) -> Option<Vec<Filled>> {
        let publications = || self.pending.iter().map(|pending| &pending.slot.publication);
        if publications().all(|publication| publication.filled.is_empty()) {
            return None;
        }
        let each = |publication: &Publication| {
            let events = 0..publication.events.len();
            events.map(|at| publication.filled(at)).collect::<Vec<_>>()
        };
        Some(publications().flat_map(each).collect())
    }

    /// Compares events with members that were filled in with those of this transaction under the same keys. The engine,
    /// which has compared all others, does not have these yet.
    fn compare_filled(&mut self) {
        let Some(filled) = self.filled() else {
            return;
        };
        let events = self.new_events("");
        let is_conflict = |known: &Known| {
            let (new, stored) = (events[known.place], events.get(known.idx as usize)?);
            let Filled { timestamp, source } = filled[known.place];
            let is_same = new.payload == stored.payload
                && (timestamp || new.timestamp == stored.timestamp)
                && (source || new.source == stored.source);
            Some(!is_same)
        };
        let own: Vec<(usize, bool)> = self
            .known
            .iter()
            .enumerate()
            .filter(|(_, known)| known.batch == self.batch && filled[known.place].any())
            .map(|(at, known)| (at, is_conflict(known).unwrap_or(false)))
            .collect();
        for (at, is_conflict) in own {
            self.known[at].is_conflict = is_conflict;
        }
    }

    fn finish(&mut self, answer: Option<&Answer>) -> Next {
        let confirmed = answer.ok_or("it has not answered".to_owned());
        if let Err(sentence) = confirmed.and_then(Answer::confirm) {
            return Next::Failed(sentence);
        }
        let own = self.first_seq.unwrap_or(0);
        let mut new = self.new.iter().peekable();
        let mut known = self.known.iter();
        let mut outcomes = Vec::with_capacity(self.events());
        for place in 0..self.events() {
            if new.next_if_eq(&&place).is_some() {
                outcomes.push(Outcome::Accepted((own + place as i64) as u64));
                continue;
            }
            let Some(found) = known.next() else {
                return Next::Failed("an event has no outcome".to_owned());
            };
            // One whose batch is gone from the table has no seq that could be told.
            let first = match found.batch == self.batch {
                true => Some(own),
                false => found.first_seq,
            };
            let seq = first.map_or(0, |first| (first + found.idx) as u64);
            outcomes.push(match found.is_conflict {
                true => Outcome::Conflict(seq),
                false => Outcome::Duplicate(seq),
            });
        }
        Next::Committed(outcomes)
    }

    fn new_events<'a>(&'a self, processed_at: &'a str) -> Vec<NewEvent<'a>> {
        let mut contents = self.contents.iter();
        let mut events = Vec::with_capacity(self.contents.len());
        for Pending { slot, .. } in &self.pending {
            let publication = &slot.publication;
            let text = |span: Span| text_of(span, &publication.body);
            for (event, content) in publication.events.iter().zip(&mut contents) {
                events.push(NewEvent {
                    topic_id: self.ids.get(text(event.topic)).copied().unwrap_or(0),
                    event_id: text(event.event_id),
                    timestamp: text(event.timestamp),
                    source: text(event.source),
                    payload: text(event.payload),
                    processed_at,
                    content: *content,
                });
            }
        }
        events
    }
}

fn unfit() -> Next {
    Next::Failed("its answer does not fit the statement".to_owned())
}

fn number(answer: &Answer) -> Option<i64> {
    answer.rows().first()?.value(0)
}

/// The text of a span. A body is UTF-8, or it would not have become events.
fn text_of(span: Span, body: &[u8]) -> &str {
    std::str::from_utf8(span.of(body)).unwrap_or_default()
}
