//! The topics in the order of their names' bytes, always up to date.
//!
//! A list in pieces: a new name moves the ids of one piece and no others, so adding one topic to a million
//! costs a binary search and some hundred bytes moved. The names themselves stay where the topics are.

use super::{Topic, TopicId};
use crate::limits::TOPICS_PER_PIECE;

/// Ids in the order of their names. No piece is empty.
#[derive(Debug, Default)]
pub(super) struct Order {
    pieces: Vec<Vec<TopicId>>,
}

/// Where in the order something stands; good until the order changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    piece: usize,
    at: usize,
}

fn name(list: &[Topic], id: TopicId) -> &[u8] {
    list[id as usize - 1].name.as_bytes()
}

impl Order {
    /// An order that is known: that of the ids as they are given.
    pub(super) fn known(ids: impl Iterator<Item = TopicId>) -> Self {
        let mut order = Self::default();
        for id in ids {
            match order.pieces.last_mut() {
                Some(piece) if piece.len() < TOPICS_PER_PIECE / 2 => piece.push(id),
                _ => order.pieces.push(vec![id]),
            }
        }
        order
    }

    /// The place before which all names lie for which `is_before` says so. They must come first.
    pub(super) fn place(&self, list: &[Topic], is_before: impl Fn(&[u8]) -> bool) -> Place {
        let starts_before = |piece: &Vec<TopicId>| is_before(name(list, piece[0]));
        let piece = self.pieces.partition_point(starts_before);
        let Some(piece) = piece.checked_sub(1) else {
            return Place { piece: 0, at: 0 };
        };
        let at = self.pieces[piece].partition_point(|id| is_before(name(list, *id)));
        Place { piece, at }
    }

    /// Adds the last topic of the list.
    pub(super) fn insert(&mut self, list: &[Topic], id: TopicId) {
        let new = name(list, id);
        let Place { piece, at } = self.place(list, |name| name < new);
        let Some(ids) = self.pieces.get_mut(piece) else {
            return self.pieces.push(vec![id]);
        };
        ids.insert(at, id);
        if ids.len() > TOPICS_PER_PIECE {
            let second = ids.split_off(TOPICS_PER_PIECE / 2);
            self.pieces.insert(piece + 1, second);
        }
    }

    /// Takes a topic out, which the list still has.
    pub(super) fn remove(&mut self, list: &[Topic], id: TopicId) {
        let old = name(list, id);
        let Place { piece, at } = self.place(list, |name| name < old);
        // Where it is the first of its piece, its place is the end of the piece before.
        let places = [(piece, at), (piece + 1, 0)];
        let found = places
            .into_iter()
            .find(|(piece, at)| self.pieces.get(*piece).and_then(|ids| ids.get(*at)) == Some(&id));
        if let Some((piece, at)) = found {
            self.pieces[piece].remove(at);
            if self.pieces[piece].is_empty() {
                self.pieces.remove(piece);
            }
        }
    }

    /// The ids from a place on.
    pub(super) fn from(&self, place: Place) -> impl Iterator<Item = TopicId> + '_ {
        let first = self.pieces.get(place.piece);
        let first = first.and_then(|ids| ids.get(place.at..)).unwrap_or(&[]);
        let rest = self.pieces.get(place.piece + 1..).unwrap_or(&[]);
        first.iter().chain(rest.iter().flatten()).copied()
    }

    /// How many ids lie between two places. Looks at each piece between them.
    pub(super) fn count(&self, from: Place, to: Place) -> usize {
        let between = self.pieces.get(from.piece..to.piece).unwrap_or(&[]);
        let ids: usize = between.iter().map(Vec::len).sum();
        (ids + to.at).saturating_sub(from.at)
    }
}
