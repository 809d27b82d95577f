//! The filters of `/events`, `/subscribe`, `/histogram` and `/fields`: members of a query to [`Filters`], and back
//! into the address of a next page.

use super::detail::Details;
use super::query;
use crate::limits::NEXT_MAX_BYTES;
use crate::search::{moment_is_relative, FilterError, Filters, Instant};

/// The filters of a request, and how they were written.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterParams {
    pub filters: Filters,
    /// The values of `topic`, decoded.
    pub topics: Vec<String>,
    /// All filters as they go into an address, each followed by `&`; ages are the times that they were,
    /// if these have a year of four digits.
    written: String,
}

impl FilterParams {
    /// Reads the filters of a query. `now_us` is the server's clock at the arrival of the request, in microseconds
    /// since 1970. Members that are no filters are skipped; [`check_members`] refuses unknown ones.
    ///
    /// # Errors
    /// The faults, for a 422 answer.
    pub fn parse(text: Option<&str>, now_us: i64) -> Result<Self, Details> {
        Self::parse_with(text, now_us, &[])
    }

    /// The same with what members are where they are absent.
    pub(super) fn parse_with(
        text: Option<&str>,
        now_us: i64,
        absent: &[(&str, &str)],
    ) -> Result<Self, Details> {
        let mut pairs = Vec::new();
        for member in Filters::MEMBERS {
            let before = pairs.len();
            for value in query::values(text, member)? {
                pairs.push((member, value));
            }
            let default = absent.iter().find(|(name, _)| *name == member);
            if let (true, Some((_, value))) = (pairs.len() == before, default) {
                pairs.push((member, (*value).to_owned()));
            }
        }
        let borrowed = pairs.iter().map(|(name, value)| (*name, value.as_str()));
        let filters = Filters::parse(borrowed, Instant::from_unix_us(now_us)).map_err(details)?;
        let topics = pairs.iter().filter(|(member, _)| *member == "topic");
        let topics = topics.map(|(_, value)| value.clone()).collect();
        let mut written = String::new();
        for (member, value) in pairs {
            // What was relative stays the time that it was.
            let moment = match (member, moment_is_relative(&value)) {
                ("since", true) => filters.range().since,
                ("until", true) => filters.range().until,
                _ => None,
            };
            // An age before the year 0 bounds nothing, and stays as it is: a walk is a search on each page.
            let value = moment.and_then(Instant::to_rfc3339).unwrap_or(value);
            written.push_str(member);
            written.push('=');
            query::percent_encode(&value, &mut written);
            written.push('&');
        }
        Ok(Self {
            topics,
            filters,
            written,
        })
    }

    /// Appends the filters to the query of `address`, each followed by `&`.
    pub fn write_query(&self, address: &mut String) {
        address.push_str(&self.written);
    }
}

/// Refuses members of the query that are neither filters nor among `own`, the route's own ones, with a guess at what
/// was meant ([`query::check_names`]).
///
/// # Errors
/// An entry for each of them.
pub fn check_members(text: Option<&str>, own: &[&str]) -> Result<(), Details> {
    let known: Vec<&str> = Filters::MEMBERS.iter().chain(own).copied().collect();
    query::check_names(text, &known)
}

/// Refuses a request whose `next` would not fit into an address. `next` is the longest that there can be.
///
/// # Errors
/// One entry for the whole query.
pub(super) fn check_next(next: &str) -> Result<(), Details> {
    if next.len() <= NEXT_MAX_BYTES {
        return Ok(());
    }
    Err(Details::whole_query(format!(
        "the address of the next page would be longer than {NEXT_MAX_BYTES} bytes; name fewer or shorter filters"
    )))
}

fn details(error: FilterError) -> Details {
    Details::query(error.member, error.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the next page would be that of another request.
    #[test]
    fn an_age_before_the_year_0_stays_in_an_address() {
        for member in ["since", "until"] {
            let query = format!("{member}=999999999w");
            let asked = FilterParams::parse(Some(&query), 0).expect("it is legal");
            let mut next = String::new();
            asked.write_query(&mut next);
            assert_eq!(next, format!("{query}&"));
            assert!(asked.filters.range().is_all() && !asked.filters.is_topics_only());
        }
    }
}
