//! What a body was found to be.

use crate::api::detail::Details;
use crate::event::{EventSpans, IdentityCounts, Publication};

/// A body that can be stored.
#[derive(Debug)]
pub struct Parsed {
    /// The events that keep all rules, in order. Empty only with `partial`.
    pub publication: Publication,
    /// Indices of the events that break a rule, ascending. Empty unless `partial` was asked for.
    pub rejected: Vec<u32>,
    /// What is wrong with those.
    pub errors: Details,
    /// Where the identities of the events are from.
    pub identities: IdentityCounts,
}

/// Why nothing of a body can be stored.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyError {
    /// 422: it is not JSON, holds no event, or holds one that breaks a rule.
    Invalid(Details),
    /// 413: it holds more events than `max_events`.
    TooMany,
}

/// A body that was refused, and the buffers to use again.
#[derive(Debug)]
pub struct RejectedBody {
    pub error: BodyError,
    /// Events that break a rule, for the statistic `rejected`. A body that is not JSON counts as one.
    pub rejected: u64,
    pub body: Vec<u8>,
    /// Empty.
    pub events: Vec<EventSpans>,
}
