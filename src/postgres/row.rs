//! A row of an answer, as text.

use std::str::FromStr;

use bytes::Bytes;

/// The columns of a row in order; None for NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row(pub(super) Vec<Option<Bytes>>);

impl Row {
    /// A column as text; none if it is NULL, or there is no such column.
    pub(crate) fn text(&self, column: usize) -> Option<&str> {
        let bytes = self.0.get(column)?.as_ref()?;
        std::str::from_utf8(bytes).ok()
    }

    /// A column that may be NULL; none if it is something else than this.
    pub(crate) fn maybe<T: FromStr>(&self, column: usize) -> Option<Option<T>> {
        match self.0.get(column)? {
            None => Some(None),
            Some(_) => self.value(column).map(Some),
        }
    }

    /// A column as what its text says; none if it is NULL or something else.
    pub(crate) fn value<T: FromStr>(&self, column: usize) -> Option<T> {
        self.text(column)?.parse().ok()
    }
}
