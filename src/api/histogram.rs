//! `GET /histogram`: how many events match, by time.

use std::fmt::Write as _;
use std::rc::Rc;

use super::detail::Details;
use super::filters::{check_members, check_next, FilterParams};
use super::json::{write_string, write_to};
use super::query;
use super::search::{Findings, Reached, Search};
use crate::http::{write_number, Request};
use crate::limits;
use crate::search::{
    Buckets, Candidate, Division, Effort, Field, Filters, Histogram, Instant, Matcher, Series,
    Verdict,
};
use crate::store::{Bound, Counted, Interval, Store, StoreError, Visit};

/// What is asked for.
#[derive(Debug)]
struct HistogramQuery {
    params: FilterParams,
    since: Instant,
    until: Instant,
    division: Division,
    /// What of it goes into the address of the next answer besides the filters.
    written: String,
    field: Option<Field>,
    before: Option<u64>,
}

/// Begins to answer a request.
///
/// # Errors
/// What is wrong with its query.
pub(super) fn begin(store: &Store, request: &Request) -> Result<Search, Details> {
    let found = FoundTimes::read(request)?;
    let walk = store.begin_walk(found.bound(), u64::MAX);
    let filters = Rc::new(found.filters().clone());
    let arrived = request.arrived;
    Ok(Search::new(walk, filters, Box::new(found), arrived))
}

impl HistogramQuery {
    fn parse(request: &Request) -> Result<Self, Details> {
        let text = request.query();
        check_members(text, &["interval", "buckets", "by", "before"])?;
        let now = request.arrived.unix_us;
        let params = FilterParams::parse_with(text, now, &[("since", "1h"), ("until", "now")])?;
        let range = params.filters.range();
        let unbounded = |name| Details::query(name, format!("{name} is before the year 0000"));
        let since = range.since.ok_or_else(|| unbounded("since"))?;
        let until = range.until.ok_or_else(|| unbounded("until"))?;
        if until <= since {
            return Err(Details::query("until", "until must be later than since"));
        }
        let mut written = String::new();
        let division = parse_division(text, &mut written)?;
        let by = query::single(text, "by")?;
        let field = by.as_deref().map(Field::parse).transpose();
        let field = field.map_err(|complaint| Details::query("by", format!("by {complaint}")))?;
        if let Some(by) = &by {
            written.push_str("by=");
            query::percent_encode(by, &mut written);
            written.push('&');
        }
        let query = Self {
            params,
            since,
            until,
            division,
            written,
            field,
            before: query::number(text, "before")?,
        };
        check_next(&query.next(i64::MAX as u64))?;
        Ok(query)
    }

    /// The buckets, all of which have a beginning that can be written.
    fn buckets(&self) -> Result<Buckets, Details> {
        let buckets = Buckets::new(self.since, self.until, self.division).ok_or_else(|| {
            let max = limits::BUCKETS_MAX;
            let msg = format!("interval is so short that the range has more than {max} buckets");
            Details::query("interval", msg)
        })?;
        let is_shown = |instant: Instant| instant.to_rfc3339().is_some();
        if !is_shown(self.until) {
            return Err(Details::query("until", "until is after the year 9999"));
        }
        if !is_shown(self.since) || !is_shown(buckets.start()) {
            let msg = "the first interval begins before the year 0000";
            return Err(Details::query("since", msg));
        }
        Ok(buckets)
    }

    /// The address of the answer that goes on before this seq.
    fn next(&self, through: u64) -> String {
        let mut address = String::from("/histogram?");
        self.params.write_query(&mut address);
        address.push_str(&self.written);
        write!(address, "before={through}").expect("a String takes every write");
        address
    }
}

/// Reads `interval` and `buckets`, and appends the one that is given to `written`.
fn parse_division(text: Option<&str>, written: &mut String) -> Result<Division, Details> {
    let interval = query::single(text, "interval")?;
    let buckets = query::number(text, "buckets")?;
    match (interval, buckets) {
        (Some(_), Some(_)) => Err(Details::query(
            "buckets",
            "give interval or buckets, not both",
        )),
        (Some(interval), None) => {
            let division = Division::parse_interval(&interval).ok_or_else(|| {
                let msg = "interval must be 1 to 9 digits and s, m, h, d or w, at least 1s";
                Details::query("interval", msg)
            })?;
            // What is legal needs no escapes.
            write!(written, "interval={interval}&").expect("a String takes every write");
            Ok(division)
        }
        (None, Some(buckets)) => {
            if !(1..=limits::BUCKETS_MAX).contains(&buckets) {
                let msg = format!("buckets must be 1 to {}", limits::BUCKETS_MAX);
                return Err(Details::query("buckets", msg));
            }
            write!(written, "buckets={buckets}&").expect("a String takes every write");
            Ok(Division::Buckets(buckets))
        }
        (None, None) => Ok(Division::Buckets(limits::BUCKETS_DEFAULT)),
    }
}

/// What has been counted.
#[derive(Debug)]
pub(crate) struct FoundTimes {
    query: HistogramQuery,
    histogram: Histogram,
    matcher: Matcher,
    /// The last event that matches.
    matching: Option<u64>,
}

impl FoundTimes {
    /// Reads what is asked for; nothing has been counted yet.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub(crate) fn read(request: &Request) -> Result<Self, Details> {
        let query = HistogramQuery::parse(request)?;
        let buckets = query.buckets()?;
        Ok(Self {
            histogram: Histogram::new(buckets, query.field.clone()),
            query,
            matcher: Matcher::default(),
            matching: None,
        })
    }

    /// What an event has to match.
    pub(crate) fn filters(&self) -> &Filters {
        &self.query.params.filters
    }

    /// Where it begins.
    pub(crate) fn bound(&self) -> Bound {
        Bound::Before(self.query.before.unwrap_or(u64::MAX))
    }

    /// Whether payloads are looked at.
    #[cfg(feature = "fleet")]
    pub(crate) fn needs_payloads(&self) -> bool {
        self.filters().needs_payloads() || matches!(self.query.field, Some(Field::Path(_)))
    }

    /// The body of the answer.
    pub(crate) fn write(&self, reached: &Reached) -> Vec<u8> {
        let histogram = &self.histogram;
        let mut body = b"{".to_vec();
        for (name, instant) in [
            ("since", self.query.since),
            ("until", self.query.until),
            ("start", histogram.buckets().start()),
        ] {
            write_to(&mut body, format_args!("\"{name}\":"));
            write_string(&mut body, &instant.to_rfc3339().unwrap_or_default());
            body.push(b',');
        }
        let (interval, all) = (histogram.buckets().interval(), histogram.all());
        write_to(
            &mut body,
            format_args!("\"interval\":{interval},\"matched\":{},", all.count()),
        );
        write_counts(&mut body, all);
        if let Some((series, rest)) = histogram.series() {
            body.extend_from_slice(b",\"series\":[");
            for (place, series) in series.into_iter().enumerate() {
                body.extend_from_slice(if place == 0 { b"" } else { b"," });
                body.extend_from_slice(b"{\"value\":");
                write_string(&mut body, series.value());
                write_to(&mut body, format_args!(",\"count\":{},", series.count()));
                write_counts(&mut body, series);
                body.push(b'}');
            }
            write_to(
                &mut body,
                format_args!("],\"rest\":{{\"count\":{},", rest.count()),
            );
            write_counts(&mut body, rest);
            body.push(b'}');
        }
        body.extend_from_slice(b",\"next\":");
        match reached.has_more {
            true => write_string(&mut body, &self.query.next(reached.through)),
            false => body.extend_from_slice(b"null"),
        }
        reached.write("", &mut body);
        body
    }
}

impl Findings for FoundTimes {
    fn visit(&mut self, seq: u64, event: &Candidate, effort: &mut Effort) -> Visit {
        let filters = &self.query.params.filters;
        if self.matching != Some(seq) {
            self.matching = None;
            match self.matcher.judge(filters, (seq, event), &[], effort) {
                None => return Visit::Unfinished,
                Some(Verdict::Matches) => self.matching = Some(seq),
                Some(_) => return Visit::GoOn,
            }
        }
        let instant = filters.range().time_of(event);
        match self.histogram.add((seq, event), instant, effort) {
            true => Visit::GoOn,
            false => Visit::Unfinished,
        }
    }

    fn count(&mut self, times: &[Interval]) -> Counted {
        if self.query.field.is_some() {
            return Counted::NeedsEvents;
        }
        let range = self.query.params.filters.range();
        let events = times
            .iter()
            .map(|time| (time.first, time.last, u64::from(time.events)));
        match self.histogram.add_ranges(range, events) {
            true => Counted::All,
            false => Counted::NeedsFiner,
        }
    }

    fn body(&self, _store: &Store, reached: &Reached) -> Result<Vec<u8>, StoreError> {
        Ok(self.write(reached))
    }
}

fn write_counts(body: &mut Vec<u8>, series: &Series) {
    body.extend_from_slice(b"\"counts\":[");
    for (place, count) in series.counts().iter().enumerate() {
        body.extend_from_slice(if place == 0 { b"" } else { b"," });
        write_number(body, *count);
    }
    body.push(b']');
}
