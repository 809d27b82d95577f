//! A range of times, and which of an event's times is meant.

use super::candidate::Candidate;
use super::instant::Instant;

/// Which time of an event is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeKind {
    /// Its own `timestamp`.
    #[default]
    Event,
    /// When it was stored: `processed_at`.
    Received,
}

/// A range of times; what bounds it may be absent on either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    pub kind: TimeKind,
    /// The first moment in it.
    pub since: Option<Instant>,
    /// The first moment after it.
    pub until: Option<Instant>,
}

impl TimeRange {
    /// Whether it holds all times.
    pub fn is_all(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }

    /// Whether it holds this moment.
    pub fn contains(&self, instant: Instant) -> bool {
        self.since.is_none_or(|since| since <= instant)
            && self.until.is_none_or(|until| instant < until)
    }

    /// The time of an event that is meant.
    pub fn time_of(&self, event: &Candidate) -> Instant {
        match self.kind {
            TimeKind::Event => Instant::of_stored(event.timestamp),
            TimeKind::Received => Instant::from_unix_us(event.processed_at),
        }
    }

    pub(crate) fn matches(&self, event: &Candidate) -> bool {
        self.is_all() || self.contains(self.time_of(event))
    }
}
