//! Which part of a list of seqs a page shows: the query members `limit`, `after` and `before`.

use std::fmt::Write as _;

use super::detail::Details;
use super::query;
use crate::limits;
use crate::store::Bound;

/// Where a page begins, which way it goes, and how long it may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    limit: Option<u64>,
    pub bound: Bound,
}

impl Window {
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Details> {
        let limit = query::number(text, "limit")?;
        if limit.is_some_and(|n| !(1..=limits::PAGE_MAX_EVENTS as u64).contains(&n)) {
            return Err(Details::query(
                "limit",
                format!("limit must be 1 to {}", limits::PAGE_MAX_EVENTS),
            ));
        }
        let bound = match (
            query::number(text, "after")?,
            query::number(text, "before")?,
        ) {
            (Some(_), Some(_)) => {
                return Err(Details::query("before", "give after or before, not both"))
            }
            (Some(after), None) => Bound::After(after),
            (None, before) => Bound::Before(before.unwrap_or(u64::MAX)),
        };
        Ok(Self { limit, bound })
    }

    /// How many entries the page has at most.
    pub(super) fn limit(&self) -> usize {
        self.limit
            .map_or(limits::PAGE_DEFAULT_EVENTS, |n| n as usize)
    }

    /// Refuses a position of another history: `after` a seq that no `entry` has yet.
    pub(super) fn check_position(&self, last_seq: u64, entry: &str) -> Result<(), Details> {
        match self.bound {
            Bound::After(after) if after > last_seq => Err(Details::query(
                "after",
                format!("after is {after}, but the greatest seq of {entry} is {last_seq}"),
            )),
            _ => Ok(()),
        }
    }

    /// Appends to the query of `address` what shows the page after the entry with the seq `last`.
    pub(super) fn write_next(&self, address: &mut String, last: u64) {
        if let Some(limit) = self.limit {
            write!(address, "limit={limit}&").expect("a String takes every write");
        }
        let bound = match self.bound {
            Bound::After(_) => "after",
            Bound::Before(_) => "before",
        };
        write!(address, "{bound}={last}").expect("a String takes every write");
    }
}
