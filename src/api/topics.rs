//! `GET /topics`: a list that can be as long as there are topics, and so is written in parts.

use super::json::{write_string, write_to};
use crate::clock::rfc3339;
use crate::limits::FEED_ROWS_MAX;
use crate::store::{Store, Topic, TopicId};

/// A list of topics that is being written. It has those topics that there were when it began, each with its
/// counts at the time when it is written.
#[derive(Debug)]
pub struct TopicList {
    count: usize,
    /// The name of the last topic that has been looked at.
    after: Option<String>,
    /// Nothing has been written.
    is_empty: bool,
    is_over: bool,
}

impl TopicList {
    /// Begins a list of all topics.
    pub fn begin(store: &Store, out: &mut Vec<u8>) -> Self {
        let count = store.topics().len();
        write_to(out, format_args!("{{\"count\":{count},\"topics\":["));
        Self {
            count,
            after: None,
            is_empty: true,
            is_over: false,
        }
    }

    /// How many topics the list will have.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether all of it has been written.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Appends the next topics until `out` is `full` bytes long or [`FEED_ROWS_MAX`] have been looked at.
    pub fn write(&mut self, store: &Store, full: usize, out: &mut Vec<u8>) {
        let topics = store.topics();
        // Ids are given in turn and for good, so later topics are told by theirs.
        let count = self.count;
        let is_listed = |id: TopicId| id as usize <= count;
        let mut last = None;
        let mut ids = topics.in_order(self.after.as_deref());
        for _ in 0..FEED_ROWS_MAX {
            let Some(id) = ids.next() else {
                out.extend_from_slice(b"]}");
                self.is_over = true;
                return;
            };
            let topic = topics.get(id);
            if is_listed(id) {
                if !std::mem::take(&mut self.is_empty) {
                    out.push(b',');
                }
                write_topic(out, topic);
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
}

fn write_topic(out: &mut Vec<u8>, topic: &Topic) {
    out.extend_from_slice(b"{\"topic\":");
    write_string(out, &topic.name);
    write_to(
        out,
        format_args!(
            ",\"events\":{},\"last_seq\":{},\"last_processed_at\":\"{}\"}}",
            topic.events,
            topic.last_seq,
            rfc3339(topic.last_processed_at)
        ),
    );
}
