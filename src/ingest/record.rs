//! A record: what an adapter makes of one entry of its protocol.

use std::borrow::Cow;

use super::time::Time;

/// The members of an event that a record has itself, but for its payload. What is missing is filled in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record<'a> {
    /// Made legal. Empty counts as missing.
    pub(crate) topic: Option<Cow<'a, str>>,
    /// The same.
    pub(crate) source: Option<Cow<'a, str>>,
    pub(crate) time: Option<Time<'a>>,
    /// What the protocol carries. Empty counts as missing.
    pub(crate) identity: Option<Cow<'a, str>>,
}
