//! `GET /topics`: a list that can be as long as there are topics. A short one is written at once, a long one in
//! parts.
//!
//! The length of a long list is known before its first topic is written. So each topic gets the space that the
//! largest counts would take, and white space fills the rest of it.

use super::json::{write_escaped, write_to};
use crate::clock::rfc3339;
use crate::limits::FEED_ROWS_MAX;
use crate::store::{Store, Topic, TopicId};

/// The most bytes that a topic takes besides its name, with the comma before it.
const TOPIC_MAX_BYTES: usize = concat!(
    r#",{"topic":"","events":18446744073709551615,"last_seq":18446744073709551615,"#,
    r#""last_processed_at":"2026-01-02T03:04:05.678901Z"}"#
)
.len();

const END: &[u8] = b"]}\n";

/// The most bytes that the list of all topics takes now.
pub(crate) fn max_len(store: &Store) -> usize {
    let topics = store.topics();
    let names = topics.names_json_len();
    begin_text(topics.len()).len() + names + topics.len() * TOPIC_MAX_BYTES + END.len()
}

/// The whole list of all topics, without a line end.
pub(crate) fn list(store: &Store) -> Vec<u8> {
    let topics = store.topics();
    let mut out = begin_text(topics.len()).into_bytes();
    for (at, id) in topics.in_order(None).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_topic(&mut out, topics.get(id));
    }
    out.extend_from_slice(b"]}");
    out
}

/// A list of topics that is written in parts, [`max_len`] bytes when it begins. It has those topics that there were
/// then, each with its counts at the time when it is written.
#[derive(Debug)]
pub struct TopicList {
    count: usize,
    /// Bytes that are still to be written.
    left: usize,
    /// The name of the last topic that has been looked at.
    after: Option<String>,
    has_topics: bool,
    is_over: bool,
    /// It has ended, and is complete.
    is_whole: bool,
}

impl TopicList {
    /// Begins a list of all topics.
    pub(crate) fn begin(store: &Store, out: &mut Vec<u8>) -> Self {
        let count = store.topics().len();
        let text = begin_text(count);
        out.extend_from_slice(text.as_bytes());
        Self {
            count,
            left: max_len(store) - text.len(),
            after: None,
            has_topics: false,
            is_over: false,
            is_whole: false,
        }
    }

    /// Whether nothing more will be written.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether all has been written.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Appends the next topics until `out` is `full` bytes long or [`FEED_ROWS_MAX`] have been looked at. The list
    /// is cut short if it would not have its length: after a fault the server may have opened another database.
    pub(crate) fn write(&mut self, store: &Store, full: usize, out: &mut Vec<u8>) {
        let topics = store.topics();
        // Ids are given in order and for ever, so topics that came later are known by theirs.
        let count = self.count;
        let is_listed = |id: TopicId| id as usize <= count;
        let mut last = None;
        let mut ids = topics.in_order(self.after.as_deref());
        for _ in 0..FEED_ROWS_MAX {
            let Some(id) = ids.next() else {
                out.extend_from_slice(END);
                (self.is_over, self.is_whole) = (true, true);
                return;
            };
            let topic = topics.get(id);
            if is_listed(id) && !self.write_padded(topic, out) {
                return;
            }
            last = Some(&topic.name);
            if out.len() >= full {
                break;
            }
        }
        if let Some(name) = last {
            self.after = Some(name.to_string());
        }
    }

    /// Returns whether there was space for the topic.
    fn write_padded(&mut self, topic: &Topic, out: &mut Vec<u8>) -> bool {
        let from = out.len();
        if self.has_topics {
            out.push(b',');
        }
        let name_len = write_topic(out, topic);
        let len = TOPIC_MAX_BYTES + name_len;
        if len + END.len() > self.left {
            out.truncate(from);
            self.is_over = true;
            return false;
        }
        out.resize(from + len, b' ');
        self.left -= len;
        self.has_topics = true;
        true
    }
}

pub(crate) fn begin_text(count: usize) -> String {
    format!("{{\"count\":{count},\"topics\":[")
}

/// Returns the bytes that the name takes.
fn write_topic(out: &mut Vec<u8>, topic: &Topic) -> usize {
    let counts = (topic.events, topic.last_seq, topic.last_processed_at);
    write_counts(out, &topic.name, counts)
}

/// Appends a topic with the number of its events, the seq of the last one and its time. Returns the bytes that the name
/// takes.
pub(crate) fn write_counts(
    out: &mut Vec<u8>,
    name: &str,
    (events, last_seq, last_processed_at): (u64, u64, i64),
) -> usize {
    out.extend_from_slice(b"{\"topic\":\"");
    let from = out.len();
    write_escaped(out, name.as_bytes());
    let name_len = out.len() - from;
    write_to(
        out,
        format_args!(
            "\",\"events\":{events},\"last_seq\":{last_seq},\"last_processed_at\":\"{}\"}}",
            rfc3339(last_processed_at)
        ),
    );
    name_len
}
