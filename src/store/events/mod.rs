//! The table of events: inserting, and every way of reading.

pub(super) mod held_event;
pub(super) mod insert;
pub(super) mod merge;
pub(super) mod page;
mod read;
pub(super) mod row;
pub(super) mod scan;
pub(super) mod search;
pub(super) mod subscriber;
