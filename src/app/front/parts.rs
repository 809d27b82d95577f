//! Parts of streams that have been asked of the engine, or have come and wait to be sent: a bounded number. Streams
//! that find no room stand in a line, and the first in it gets what becomes free.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::rows::StoredRow;
use crate::clock::Now;
use crate::limits::{FRONT_PARTS_MAX, FRONT_PART_KEPT_MS, FRONT_RETRY_MAX_MS};

/// A part of a stream.
pub(super) enum PartState {
    Asked,
    /// What it holds, and the seq up to which that is everything.
    Ready(VecDeque<StoredRow>, u64),
    /// The engine has not answered: it is asked again a little later.
    Failed,
    /// The engine has answered with something that is no event.
    Unreadable,
}

struct Entry {
    state: PartState,
    /// When its state changed or its stream last looked at it, in `mono_ms`.
    at: u64,
}

/// The parts of all streams.
#[derive(Default)]
pub(super) struct Parts {
    entries: HashMap<u64, Entry>,
    /// Those that find no room, by their ids, which ascend in time; and when the stream of each last looked, in
    /// `mono_ms`.
    line: BTreeMap<u64, u64>,
    last_id: u64,
}

impl Parts {
    /// Makes room for a part, or a place in the line for it. `id` is what this gave to the stream the last time, or 0.
    /// Says which id it has now, and whether it is to be asked for.
    pub(super) fn enter(&mut self, id: u64, now: Now) -> (u64, bool) {
        let id = match self.line.contains_key(&id) {
            true => id,
            false => {
                self.last_id += 1;
                self.last_id
            }
        };
        self.line.insert(id, now.mono_ms);
        // A stream that has gone, or whose client takes nothing, leaves its place.
        while let Some(first) = self.line.first_entry() {
            if now.mono_ms < *first.get() + FRONT_PART_KEPT_MS {
                break;
            }
            first.remove();
        }
        let is_first = self.line.first_key_value().map(|(first, _)| *first) == Some(id);
        let has_room = is_first && self.make_room(now);
        if has_room {
            self.line.remove(&id);
            self.set(id, PartState::Asked, now);
        }
        (id, has_room)
    }

    /// Whether there is room. A part whose stream does not take it makes room for another.
    fn make_room(&mut self, now: Now) -> bool {
        if self.entries.len() < FRONT_PARTS_MAX {
            return true;
        }
        let idle = self.entries.iter().filter(|(_, entry)| {
            !matches!(entry.state, PartState::Asked) && entry.at + FRONT_PART_KEPT_MS <= now.mono_ms
        });
        let longest = idle.min_by_key(|(id, entry)| (entry.at, **id));
        match longest.map(|(id, _)| *id) {
            Some(id) => self.entries.remove(&id).is_some(),
            None => false,
        }
    }

    fn set(&mut self, id: u64, state: PartState, now: Now) {
        let at = now.mono_ms;
        self.entries.insert(id, Entry { state, at });
    }

    /// What was asked for has come: the events, and whether there are more of them up to `until`; none if it is
    /// something else.
    pub(super) fn fill(
        &mut self,
        id: u64,
        found: Option<(Vec<StoredRow>, bool)>,
        until: u64,
        now: Now,
    ) {
        let state = match found {
            None => PartState::Unreadable,
            Some((rows, has_more)) => {
                let last = rows.last().filter(|_| has_more);
                let through = last.map_or(until, |row| row.seq);
                PartState::Ready(rows.into(), through)
            }
        };
        self.set(id, state, now);
    }

    /// The engine has not answered.
    pub(super) fn fail(&mut self, id: u64, now: Now) {
        self.set(id, PartState::Failed, now);
    }

    /// A part, for its stream. One that has failed is there for a while, so that its stream does not ask at once.
    pub(super) fn get(&mut self, id: u64, now: Now) -> Option<&mut PartState> {
        let has_waited = self.entries.get(&id).is_some_and(|entry| {
            matches!(entry.state, PartState::Failed) && entry.at + FRONT_RETRY_MAX_MS <= now.mono_ms
        });
        if has_waited {
            self.remove(id);
        }
        let entry = self.entries.get_mut(&id)?;
        if matches!(entry.state, PartState::Ready(..)) {
            entry.at = now.mono_ms;
        }
        Some(&mut entry.state)
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.entries.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono_ms: u64) -> Now {
        Now {
            mono_ms,
            unix_us: 0,
        }
    }

    fn ready(parts: &mut Parts, id: u64, now: Now) {
        parts.fill(id, Some((Vec::new(), false)), 0, now);
    }

    #[test]
    fn what_is_not_taken_makes_room_for_others_and_what_is_asked_does_not() {
        let mut parts = Parts::default();
        let held: Vec<u64> = (0..FRONT_PARTS_MAX)
            .map(|_| parts.enter(0, at(0)).0)
            .collect();
        let (next, is_asked) = parts.enter(0, at(60_000));
        assert!(!is_asked);
        for id in &held {
            ready(&mut parts, *id, at(60_000));
        }
        assert!(!parts.enter(next, at(60_050)).1);
        // All but one take some of theirs.
        for id in &held[1..] {
            assert!(parts.get(*id, at(60_080)).is_some());
        }
        assert_eq!(parts.enter(next, at(60_100)), (next, true));
        assert!(parts.get(held[0], at(60_100)).is_none());
        let there = held.iter().filter(|id| parts.entries.contains_key(*id));
        assert_eq!(there.count(), FRONT_PARTS_MAX - 1);
    }

    #[test]
    fn who_has_waited_longest_is_next() {
        let mut parts = Parts::default();
        let held: Vec<u64> = (0..FRONT_PARTS_MAX)
            .map(|_| parts.enter(0, at(0)).0)
            .collect();
        let (first, _) = parts.enter(0, at(1));
        let (second, _) = parts.enter(0, at(2));
        parts.remove(held[0]);
        // The one that had a part comes back at once.
        let (back, is_asked) = parts.enter(0, at(3));
        assert!(!is_asked);
        assert!(!parts.enter(second, at(3)).1);
        assert!(parts.enter(first, at(4)).1);
        parts.remove(held[1]);
        assert!(!parts.enter(back, at(5)).1);
        // The next one has gone, and nobody else comes.
        assert!(!parts.enter(back, at(2 + FRONT_PART_KEPT_MS)).1);
        assert!(parts.enter(back, at(3 + FRONT_PART_KEPT_MS)).1);
    }
}
