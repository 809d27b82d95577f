//! Parts of streams that have been asked of the engine, or have come and wait to be sent: a bounded number.

use std::collections::{HashMap, VecDeque};

use super::rows::StoredRow;
use crate::clock::Now;
use crate::limits::{FRONT_PARTS_MAX, FRONT_PART_KEPT_MS};

/// A part of a stream.
pub(super) enum PartState {
    Asked,
    /// What it holds, and the seq up to which that is everything.
    Ready(VecDeque<StoredRow>, u64),
}

/// The parts of all streams, a bounded number.
#[derive(Default)]
pub(super) struct Parts {
    /// With the time at which each was asked for or came, in `mono_ms`.
    parts: HashMap<u64, (PartState, u64)>,
    last_id: u64,
}

impl Parts {
    /// An id for another part, if there is room for it.
    pub(super) fn ask(&mut self, now: Now) -> Option<u64> {
        if self.parts.len() >= FRONT_PARTS_MAX {
            let is_good = |at: u64| at + FRONT_PART_KEPT_MS > now.mono_ms;
            self.parts.retain(|_, (_, at)| is_good(*at));
            if self.parts.len() >= FRONT_PARTS_MAX {
                return None;
            }
        }
        self.last_id += 1;
        self.parts
            .insert(self.last_id, (PartState::Asked, now.mono_ms));
        Some(self.last_id)
    }

    /// What was asked for has come: the events, and whether there are more of them up to `until`.
    pub(super) fn fill(
        &mut self,
        id: u64,
        found: Option<(Vec<StoredRow>, bool)>,
        until: u64,
        now: Now,
    ) {
        let Some((rows, has_more)) = found else {
            return self.remove(id);
        };
        let last = rows.last().filter(|_| has_more);
        let through = last.map_or(until, |row| row.seq);
        if let Some(part) = self.parts.get_mut(&id) {
            *part = (PartState::Ready(rows.into(), through), now.mono_ms);
        }
    }

    pub(super) fn get(&mut self, id: u64) -> Option<&mut PartState> {
        self.parts.get_mut(&id).map(|(state, _)| state)
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.parts.remove(&id);
    }
}
