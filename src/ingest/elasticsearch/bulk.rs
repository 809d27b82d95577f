//! Requests that bring documents: a bulk body, or one document.

use std::borrow::Cow;

use super::actions::{Action, Entries, Entry, Operation};
use super::document;
use super::errors::{product, shape};
use super::items::{Items, ITEM_BYTES};
use crate::http::{Refusal, Response};
use crate::ingest::adapter::{BadBody, Intake, ReadStatus, Results};
use crate::ingest::records::Records;
use crate::limits::{BULK_ANSWER_FACTOR, BULK_ANSWER_FREE_BYTES};

const UNCHANGED: &str = "events are not changed: only [index] and [create] are taken";

/// A bulk request.
pub(super) struct Bulk {
    /// The path's, for actions that name none. Not empty.
    index: Option<String>,
    /// Where the next action is looked for; none before the body has been checked.
    next: Option<usize>,
    items: Items,
    took: Took,
}

/// One document.
pub(super) struct Single {
    index: String,
    id: Option<String>,
    operation: Operation,
    items: Items,
}

/// From receipt to the last commit, in microseconds.
#[derive(Default)]
struct Took {
    received_at: i64,
    committed_at: i64,
}

impl Took {
    fn milliseconds(&self) -> u64 {
        let us = self.committed_at.saturating_sub(self.received_at);
        u64::try_from(us).unwrap_or_default() / 1_000
    }
}

fn bad_body(status: u16, reason: impl Into<String>) -> BadBody {
    let reason = reason.into();
    let response = shape(&Refusal::new(status, reason.clone()));
    BadBody { response, reason }
}

impl Bulk {
    pub(super) fn new(index: Option<String>) -> Self {
        Self {
            index,
            next: None,
            items: Items::of_bulk(),
            took: Took::default(),
        }
    }

    /// Looks at all actions. An index that they do not name has this many bytes.
    fn check(body: &[u8], index_bytes: usize, records: &Records) -> Result<(), BadBody> {
        let mut entries = Entries::of(body);
        let mut actions = 0_usize;
        while entries.read().map_err(|why| bad_body(400, why))?.is_some() {
            actions += 1;
        }
        if actions == 0 {
            return Err(bad_body(400, "request body is required: it has no action"));
        }
        // The index may be repeated in each item of actions that are little longer than their names.
        let answer = actions.saturating_mul(ITEM_BYTES + index_bytes);
        let allowed = body.len().saturating_mul(BULK_ANSWER_FACTOR) + BULK_ANSWER_FREE_BYTES;
        if answer > allowed {
            let reason = "its answer would be too long: send the actions in several requests";
            return Err(bad_body(413, reason));
        }
        let is_small = records.check_size(actions, 0);
        is_small.map_err(|reason| bad_body(413, reason))
    }

    fn take(&mut self, entry: Entry, records: &mut Records) {
        let Entry { action, document } = entry;
        let Action {
            operation,
            index,
            id,
        } = action;
        let index = index.or_else(|| self.index.as_deref().map(Cow::Borrowed));
        let mut item = Item {
            operation,
            index: index.as_deref(),
            id: id.as_deref(),
            items: &mut self.items,
        };
        match operation {
            Operation::Update | Operation::Delete => item.reject(UNCHANGED, document, records),
            Operation::Index | Operation::Create => item.store(document, records),
        }
    }
}

/// An item that is being read.
struct Item<'a> {
    operation: Operation,
    index: Option<&'a str>,
    id: Option<&'a str>,
    items: &'a mut Items,
}

impl Item<'_> {
    fn store(&mut self, document: &[u8], records: &mut Records) {
        self.items.set_index(records.topic_of(self.index));
        match document::store(records, self.index, self.id, document) {
            Ok(id) => self.items.begin(self.operation, Some(id)),
            Err(reason) => self.reject(&reason, document, records),
        }
    }

    fn reject(&mut self, reason: &str, document: &[u8], records: &mut Records) {
        self.items.set_index(records.topic_of(self.index));
        self.items.begin(self.operation, self.id);
        records.reject(reason.to_owned(), document);
    }
}

impl Intake for Bulk {
    fn read(&mut self, body: &[u8], records: &mut Records) -> Result<ReadStatus, BadBody> {
        if self.next.is_none() {
            let index = records.topic_of(self.index.as_deref());
            Self::check(body, index.len(), records)?;
            self.took.received_at = records.origin().received_at;
        }
        let mut entries = Entries::at(body, self.next.unwrap_or_default());
        while !records.is_full() {
            // The check has found that there is no error.
            let Ok(Some(entry)) = entries.read() else {
                return Ok(ReadStatus::Done);
            };
            self.take(entry, records);
        }
        self.next = Some(entries.offset());
        Ok(ReadStatus::More)
    }

    fn committed(&mut self, results: &Results) {
        self.items.committed(results);
    }

    fn committed_at(&mut self, unix_us: i64) {
        self.took.committed_at = unix_us;
    }

    fn answer(&mut self) -> Response {
        let took = self.took.milliseconds();
        product(Response::bare_json(200, self.items.bulk_answer(took)))
    }
}

impl Single {
    pub(super) fn new(operation: Operation, index: String, id: Option<String>) -> Self {
        Self {
            index,
            id,
            operation,
            items: Items::of_one(),
        }
    }
}

impl Intake for Single {
    fn read(&mut self, body: &[u8], records: &mut Records) -> Result<ReadStatus, BadBody> {
        if body.trim_ascii().is_empty() {
            return Err(bad_body(400, "request body is required"));
        }
        let mut item = Item {
            operation: self.operation,
            index: Some(&self.index),
            id: self.id.as_deref(),
            items: &mut self.items,
        };
        item.store(body, records);
        Ok(ReadStatus::Done)
    }

    fn committed(&mut self, results: &Results) {
        self.items.committed(results);
    }

    fn answer(&mut self) -> Response {
        let (status, item) = self.items.single_answer();
        product(Response::bare_json(status, item))
    }
}
