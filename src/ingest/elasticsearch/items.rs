//! The answer as it grows: an item for each action, in order.
//!
//! An item is begun when its record is read and ended after the commit. What is kept of the records of one
//! publication is the beginnings of their items, one after the other in one buffer.

use super::actions::Operation;
use super::errors::{write_error, BAD_DOCUMENT, CONFLICT, ILLEGAL};
use crate::api::json::{write_string, write_to};
use crate::http::write_number;
use crate::ingest::adapter::{RecordResult, Results};
use crate::ingest::text::write_name;
use crate::store::Outcome;

/// Room for what comes before the items, which is known only at the end.
const HEADER_BYTES: usize = b"{\"took\":18446744073709551615,\"errors\":false,\"items\":[".len();

/// Bytes of an item at most, besides its index and what its action and document hold.
pub(super) const ITEM_BYTES: usize = 256;

pub(super) struct Items {
    /// Whether each is wrapped in the name of its operation.
    is_bulk: bool,
    text: Vec<u8>,
    has_errors: bool,
    last_status: u16,
    /// Beginnings of the items of records that are not committed yet.
    begun: Vec<u8>,
    pending: Vec<Pending>,
    index: WrittenIndex,
}

/// An item whose beginning ends here.
struct Pending {
    end: usize,
    operation: Operation,
}

/// An index as items have it. Most actions of a request name the same.
#[derive(Default)]
struct WrittenIndex {
    given: Option<String>,
    json: Vec<u8>,
}

impl WrittenIndex {
    fn set(&mut self, given: &str) {
        if self.given.as_deref() == Some(given) {
            return;
        }
        let mut name = Vec::new();
        write_name(given, &mut name);
        self.json.clear();
        write_string(&mut self.json, &String::from_utf8_lossy(&name));
        self.given = Some(given.to_owned());
    }
}

impl Items {
    pub(super) fn of_bulk() -> Self {
        Self {
            is_bulk: true,
            text: vec![0; HEADER_BYTES],
            ..Self::of_one()
        }
    }

    /// Of one document: the item is the answer.
    pub(super) fn of_one() -> Self {
        Self {
            is_bulk: false,
            text: Vec::new(),
            has_errors: false,
            last_status: 200,
            begun: Vec::new(),
            pending: Vec::new(),
            index: WrittenIndex::default(),
        }
    }

    /// The index of the next record.
    pub(super) fn set_index(&mut self, index: &str) {
        self.index.set(index);
    }

    /// The next record has been read.
    pub(super) fn begin(&mut self, operation: Operation, id: Option<&str>) {
        let out = &mut self.begun;
        if self.is_bulk {
            out.extend_from_slice(b"{\"");
            out.extend_from_slice(operation.name().as_bytes());
            out.extend_from_slice(b"\":");
        }
        out.extend_from_slice(b"{\"_index\":");
        out.extend_from_slice(&self.index.json);
        out.extend_from_slice(b",\"_id\":");
        match id {
            Some(id) => write_string(out, id),
            None => out.extend_from_slice(b"null"),
        }
        let end = out.len();
        self.pending.push(Pending { end, operation });
    }

    /// The records that were begun have been committed.
    pub(super) fn committed(&mut self, results: &Results) {
        let mut start = 0;
        for (Pending { end, operation }, result) in self.pending.iter().zip(results.iter()) {
            let out = &mut self.text;
            if out.last() == Some(&b'}') {
                out.push(b',');
            }
            out.extend_from_slice(&self.begun[start..*end]);
            self.last_status = write_end(out, *operation, result);
            self.has_errors |= self.last_status >= 300;
            if self.is_bulk {
                out.push(b'}');
            }
            start = *end;
        }
        self.begun.clear();
        self.pending.clear();
    }

    /// The items so far, with what comes before and after them. `took` is in milliseconds.
    pub(super) fn bulk_answer(&mut self, took: u64) -> Vec<u8> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        let has_errors = self.has_errors;
        write_to(
            &mut header,
            format_args!("{{\"took\":{took},\"errors\":{has_errors},\"items\":["),
        );
        let mut text = std::mem::take(&mut self.text);
        let start = HEADER_BYTES - header.len();
        text[start..HEADER_BYTES].copy_from_slice(&header);
        text.drain(..start);
        text.extend_from_slice(b"]}");
        text
    }

    /// The one item, and its status.
    pub(super) fn single_answer(&mut self) -> (u16, Vec<u8>) {
        (self.last_status, std::mem::take(&mut self.text))
    }
}

/// Appends what follows the id of an item, and returns its status.
fn write_end(out: &mut Vec<u8>, operation: Operation, result: RecordResult) -> u16 {
    let (seq, result, status) = match result {
        RecordResult::Stored(Outcome::Accepted(seq)) => (seq, "created", 201),
        RecordResult::Stored(Outcome::Duplicate(seq)) => (seq, "noop", 200),
        RecordResult::Stored(Outcome::Conflict(_)) => {
            let reason =
                "version conflict: another document with this id is stored, and the first stays";
            return write_failed(out, 409, CONFLICT, reason);
        }
        RecordResult::Rejected(reason) => {
            let kind = match operation {
                Operation::Index | Operation::Create => BAD_DOCUMENT,
                Operation::Update | Operation::Delete => ILLEGAL,
            };
            return write_failed(out, 400, kind, reason);
        }
    };
    out.extend_from_slice(b",\"_version\":1,\"result\":\"");
    out.extend_from_slice(result.as_bytes());
    out.extend_from_slice(
        b"\",\"_shards\":{\"total\":1,\"successful\":1,\"failed\":0},\"_seq_no\":",
    );
    write_number(out, seq);
    out.extend_from_slice(b",\"_primary_term\":1,\"status\":");
    write_number(out, status);
    out.push(b'}');
    status
}

fn write_failed(out: &mut Vec<u8>, status: u16, kind: &str, reason: &str) -> u16 {
    out.extend_from_slice(b",\"status\":");
    write_number(out, status);
    out.extend_from_slice(b",\"error\":{");
    write_error(out, kind, reason);
    out.extend_from_slice(b"}}");
    status
}
