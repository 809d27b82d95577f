//! Records of several lines.

mod record;
mod rule;
mod traces;

pub(super) use record::Record;
pub(super) use rule::Multiline;
