//! One topic.

use std::rc::Rc;

use crate::store::row_checksum::checksum;

/// A topic's `id` in the table `topics`; counts from 1.
pub type TopicId = u32;

/// One topic. Retention may have removed all of its events; the topic stays, because keys refer to it.
#[derive(Clone, Debug)]
pub struct Topic {
    pub name: Rc<str>,
    pub events: u64,
    pub last_seq: u64,
    /// Microseconds since the epoch.
    pub last_processed_at: i64,
}

impl Topic {
    /// The checksum of its counts, as its row has it.
    pub(crate) fn checksum(&self, id: TopicId) -> i32 {
        checksum(&[
            u64::from(id),
            self.events,
            self.last_seq,
            self.last_processed_at as u64,
        ])
    }
}
