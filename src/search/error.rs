//! Why a filter is not legal.

use std::borrow::Cow;

/// What is wrong with a filter, for a person, and in which member of the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    pub member: &'static str,
    pub message: Cow<'static, str>,
}

impl FilterError {
    pub(crate) fn new(member: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            member,
            message: message.into(),
        }
    }
}
