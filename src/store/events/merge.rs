//! The seqs of several topics in one order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::limits;
use crate::store::range::{Bound, TopicRange};
use crate::store::state::Store;
use crate::store::topics::topic::TopicId;

/// The seqs of several topics in one order. Each topic has a short buffer that is refilled when it
/// runs empty, so a page costs what it shows and one look-up for each topic at most.
pub(crate) struct TopicMerge<'s> {
    store: &'s Store,
    buffers: Vec<TopicBuffer>,
    /// The next seq of each topic that has one; as a key that grows in the page's order.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    /// Topics whose newest event is known without a read, newest last; they join when their turn comes.
    waiting: Vec<(u64, TopicId)>,
    bound: Bound,
}

struct TopicBuffer {
    topic: TopicId,
    /// In reverse of the page's order, so that the next one is taken from the end.
    seqs: Vec<u64>,
    exhausted: bool,
}

impl<'s> TopicMerge<'s> {
    pub(crate) fn new(store: &'s Store, ids: &[TopicId], bound: Bound) -> rusqlite::Result<Self> {
        let mut merge = Self {
            store,
            buffers: Vec::new(),
            heads: BinaryHeap::new(),
            waiting: Vec::new(),
            bound,
        };
        match bound {
            Bound::After(from) => {
                let from = from.max(store.horizon());
                for id in ids
                    .iter()
                    .filter(|id| store.parts.topics.get(**id).last_seq > from)
                {
                    merge.join(*id)?;
                }
            }
            Bound::Before(_) => {
                merge.waiting = ids
                    .iter()
                    .map(|id| (store.parts.topics.get(*id).last_seq, *id))
                    .filter(|(last_seq, _)| *last_seq > store.horizon())
                    .collect();
                merge.waiting.sort_unstable();
            }
        }
        Ok(merge)
    }

    fn join(&mut self, topic: TopicId) -> rusqlite::Result<()> {
        self.buffers.push(TopicBuffer {
            topic,
            seqs: Vec::new(),
            exhausted: false,
        });
        self.refill(self.buffers.len() - 1, self.bound)
    }

    fn refill(&mut self, at: usize, bound: Bound) -> rusqlite::Result<()> {
        let buffer = &mut self.buffers[at];
        if buffer.seqs.is_empty() && !buffer.exhausted {
            let range = TopicRange {
                topic: buffer.topic,
                bound,
                removed: self.store.horizon(),
                newest: self.store.parts.topics.get(buffer.topic).last_seq,
                limit: limits::TOPIC_SEQS_BUFFERED,
            };
            self.store.topic_seqs(&range, &mut buffer.seqs)?;
            buffer.exhausted = range.room(&buffer.seqs) > 0;
            buffer.seqs.reverse();
        }
        if let Some(seq) = buffer.seqs.pop() {
            self.heads.push(Reverse((bound.key(seq), at)));
        }
        Ok(())
    }

    pub(crate) fn next(&mut self) -> rusqlite::Result<Option<u64>> {
        while let Some((newest, topic)) = self.waiting.last().copied() {
            let best = self
                .heads
                .peek()
                .map_or(0, |Reverse((key, _))| self.bound.key(*key));
            if newest <= best {
                break;
            }
            self.waiting.pop();
            self.join(topic)?;
        }
        let Some(Reverse((key, at))) = self.heads.pop() else {
            return Ok(None);
        };
        let seq = self.bound.key(key);
        self.refill(at, self.bound.after(seq))?;
        Ok(Some(seq))
    }
}
