//! `GET /fields`: which values there are, and how often.

use std::rc::Rc;

use super::detail::Details;
use super::filters::{check_members, FilterParams};
use super::json::{write_string, write_to};
use super::query;
use super::search::{Findings, Reached, Search};
use crate::http::Request;
use crate::limits;
use crate::search::{Candidate, Effort, Field, FieldCounts, Fields, Filters};
use crate::store::{Bound, Store, StoreError, Visit};

/// Begins to answer a request.
///
/// # Errors
/// What is wrong with its query.
pub(super) fn begin(store: &Store, request: &Request) -> Result<Search, Details> {
    let found = FoundValues::read(request)?;
    let walk = store.begin_walk(Bound::Before(u64::MAX), found.sample());
    let needed = Rc::new(found.needed());
    let arrived = request.arrived;
    Ok(Search::new(walk, needed, Box::new(found), arrived))
}

/// The fields that are asked for, by their names.
fn parse_fields(text: Option<&str>) -> Result<Vec<(Box<str>, Field)>, Details> {
    let names = query::values(text, "by")?;
    if names.len() > limits::FIELDS_ASKED_MAX {
        let msg = format!("by may be given at most {} times", limits::FIELDS_ASKED_MAX);
        return Err(Details::query("by", msg));
    }
    let fields = names.into_iter().map(|name| match Field::parse(&name) {
        Ok(field) => Ok((name.into(), field)),
        Err(complaint) => Err(Details::query("by", format!("by {complaint}"))),
    });
    fields.collect()
}

/// A number from 1 to a maximum, and what it is where it is absent.
fn number_up_to(
    text: Option<&str>,
    name: &'static str,
    (max, absent): (u64, u64),
) -> Result<u64, Details> {
    match query::number(text, name)?.unwrap_or(absent) {
        number if (1..=max).contains(&number) => Ok(number),
        _ => Err(Details::query(name, format!("{name} must be 1 to {max}"))),
    }
}

/// What has been counted.
#[derive(Debug)]
pub(crate) struct FoundValues {
    filters: Filters,
    fields: Fields,
    limit: usize,
    sample: u64,
}

impl FoundValues {
    /// Reads what is asked for; nothing has been counted yet.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub(crate) fn read(request: &Request) -> Result<Self, Details> {
        let text = request.query();
        check_members(text, &["by", "limit", "sample"])?;
        let filters = FilterParams::parse(text, request.arrived.unix_us)?.filters;
        let fields = parse_fields(text)?;
        let listed = (limits::FIELD_VALUES_LISTED_MAX, limits::FIELD_VALUES_LISTED);
        let limit = number_up_to(text, "limit", listed)?;
        let sample = number_up_to(text, "sample", (limits::SAMPLE_MAX, limits::SAMPLE_DEFAULT))?;
        Ok(Self {
            fields: Fields::new(fields, &filters),
            filters,
            limit: limit as usize,
            sample,
        })
    }

    /// What an event has to match to count for one of the fields.
    pub(crate) fn needed(&self) -> Filters {
        self.filters.without(self.fields.parts())
    }

    /// How many seqs are gone through at the most.
    pub(crate) fn sample(&self) -> u64 {
        self.sample
    }

    /// Whether payloads are looked at.
    #[cfg(feature = "fleet")]
    pub(crate) fn needs_payloads(&self) -> bool {
        self.filters.needs_payloads() || self.fields.needs_payloads()
    }

    /// The body of the answer.
    pub(crate) fn write(&self, reached: &Reached) -> Vec<u8> {
        let mut body = b"{\"fields\":[".to_vec();
        for (place, field) in self.fields.fields().iter().enumerate() {
            body.extend_from_slice(if place == 0 { b"" } else { b"," });
            write_field(&mut body, field, self.limit);
        }
        let matched = self.fields.matched();
        write_to(&mut body, format_args!("],\"matched\":{matched}"));
        let complete = match reached.has_more {
            true => ",\"complete\":false",
            false => ",\"complete\":true",
        };
        reached.write(complete, &mut body);
        body
    }
}

impl Findings for FoundValues {
    fn visit(&mut self, seq: u64, event: &Candidate, effort: &mut Effort) -> Visit {
        match self.fields.add((seq, event), &self.filters, effort) {
            true => Visit::GoOn,
            false => Visit::Unfinished,
        }
    }

    fn body(&self, _store: &Store, reached: &Reached) -> Result<Vec<u8>, StoreError> {
        Ok(self.write(reached))
    }
}

fn write_field(body: &mut Vec<u8>, field: &FieldCounts, limit: usize) {
    body.extend_from_slice(b"{\"field\":");
    write_string(body, field.field);
    let (count, distinct) = (field.count(), field.distinct());
    write_to(
        body,
        format_args!(",\"count\":{count},\"distinct\":{distinct},\"values\":["),
    );
    let (values, rest) = field.greatest(limit);
    for (place, (value, count)) in values.into_iter().enumerate() {
        body.extend_from_slice(if place == 0 { b"" } else { b"," });
        body.extend_from_slice(b"{\"value\":");
        write_string(body, value);
        write_to(body, format_args!(",\"count\":{count}}}"));
    }
    write_to(body, format_args!("],\"rest\":{rest}}}"));
}
