//! All filters of a request.

use super::error::FilterError;
use super::field::Field;
use super::instant::{parse_moment, Instant};
use super::parse_condition::parse_condition;
use super::parse_terms::parse_terms;
use super::path::Path;
use super::path_filter::PathFilter;
use super::range::{TimeKind, TimeRange};
use super::term::Term;
use crate::event::{name_error, NameFilter};
use crate::limits::{NAME_FILTERS_MAX, Q_MAX, WHERE_MAX};

/// A filter that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Topic,
    Source,
    /// All conditions on a path, by their place among [`Filters::path_filters`].
    Path(usize),
}

/// Whether an event matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Matches,
    MatchesWithout(Part),
    Fails,
}

/// The filters of a request, parsed. An event matches when every one of them holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Filters {
    topics: NameFilter,
    sources: NameFilter,
    event_ids: NameFilter,
    range: TimeRange,
    terms: Vec<Term>,
    /// The paths that have conditions, and these.
    paths: Vec<Path>,
    conditions: Vec<PathFilter>,
    /// Whether no filter but `topic` was given, whatever it may mean.
    is_topics_only: bool,
}

impl Filters {
    /// The members of a query that are filters, in the order in which a query is written.
    pub const MEMBERS: [&'static str; 8] = [
        "topic", "source", "event_id", "since", "until", "time", "q", "where",
    ];

    /// Reads decoded values by their members. `now` is the server's clock at the arrival of the request. Members that
    /// are no filters are skipped.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse<'a>(
        pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        now: Instant,
    ) -> Result<Self, FilterError> {
        let values = |wanted: &'static str| {
            let of_member = pairs.clone().filter(move |(member, _)| *member == wanted);
            of_member.map(|(_, value)| value)
        };
        let (paths, conditions) = path_filters(values("where"))?;
        let filters = Self {
            topics: names("topic", values("topic"), usize::MAX)?,
            sources: names("source", values("source"), NAME_FILTERS_MAX)?,
            event_ids: names("event_id", values("event_id"), NAME_FILTERS_MAX)?,
            range: TimeRange {
                kind: time_kind(single("time", values("time"))?)?,
                since: moment("since", single("since", values("since"))?, now)?,
                until: moment("until", single("until", values("until"))?, now)?,
            },
            terms: terms(values("q"))?,
            paths,
            conditions,
            is_topics_only: Self::MEMBERS[1..]
                .iter()
                .all(|member| values(member).next().is_none()),
        };
        Ok(filters)
    }

    /// The filter on a field; `None` if there is none.
    pub fn part_of(&self, field: &Field) -> Option<Part> {
        match field {
            Field::Topic => Some(Part::Topic),
            Field::Source => Some(Part::Source),
            Field::Path(path) => {
                let mut paths = self.paths.iter();
                Some(Part::Path(paths.position(|own| own == path)?))
            }
        }
    }

    /// The filters that an event has to pass when each of these parts may be left out.
    pub fn without(&self, parts: &[Part]) -> Self {
        let mut filters = self.clone();
        if parts.contains(&Part::Topic) {
            filters.topics = NameFilter::new(&[]);
        }
        if parts.contains(&Part::Source) {
            filters.sources = NameFilter::new(&[]);
        }
        for place in (0..filters.paths.len()).rev() {
            if parts.contains(&Part::Path(place)) {
                filters.paths.remove(place);
                filters.conditions.remove(place);
            }
        }
        filters
    }

    /// The topics that match.
    pub fn topics(&self) -> &NameFilter {
        &self.topics
    }

    /// The sources that match.
    pub fn sources(&self) -> &NameFilter {
        &self.sources
    }

    /// The event ids that match.
    pub fn event_ids(&self) -> &NameFilter {
        &self.event_ids
    }

    /// The times that match.
    pub fn range(&self) -> &TimeRange {
        &self.range
    }

    /// The terms of `q`, all of which have to hold.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The paths that have conditions.
    pub(super) fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// The conditions of `where`, for each path.
    pub fn path_filters(&self) -> &[PathFilter] {
        &self.conditions
    }

    /// Whether the payload of an event decides whether it matches.
    #[cfg(feature = "fleet")]
    pub(crate) fn needs_payloads(&self) -> bool {
        !self.terms.is_empty() || !self.paths.is_empty()
    }

    /// Whether no filter but `topic` was given, not even one that all events pass.
    pub fn is_topics_only(&self) -> bool {
        self.is_topics_only
    }
}

impl Default for Filters {
    /// No filter: all events match.
    fn default() -> Self {
        let all = NameFilter::new(&[]);
        Self {
            topics: all.clone(),
            sources: all.clone(),
            event_ids: all,
            range: TimeRange::default(),
            terms: Vec::new(),
            paths: Vec::new(),
            conditions: Vec::new(),
            is_topics_only: true,
        }
    }
}

/// Names, or prefixes of names with a trailing `*`.
fn names<'a>(
    member: &'static str,
    values: impl Iterator<Item = &'a str>,
    max: usize,
) -> Result<NameFilter, FilterError> {
    let patterns: Vec<String> = values.map(str::to_owned).collect();
    if patterns.len() > max {
        return Err(too_many(member, max));
    }
    for pattern in &patterns {
        let name = pattern.strip_suffix('*').unwrap_or(pattern);
        if name_error(name).is_some() && pattern != "*" {
            return Err(FilterError::new(
                member,
                format!("{member} must be a legal name of 1 to 255 bytes, or a prefix of one with a trailing *"),
            ));
        }
    }
    Ok(NameFilter::new(&patterns))
}

fn too_many(member: &'static str, max: usize) -> FilterError {
    FilterError::new(member, format!("{member} may be given at most {max} times"))
}

/// The value of a member that may be given once.
fn single<'a>(
    member: &'static str,
    mut values: impl Iterator<Item = &'a str>,
) -> Result<Option<&'a str>, FilterError> {
    let first = values.next();
    match values.next() {
        Some(_) => Err(FilterError::new(
            member,
            format!("{member} may be given only once"),
        )),
        None => Ok(first),
    }
}

fn terms<'a>(values: impl Iterator<Item = &'a str>) -> Result<Vec<Term>, FilterError> {
    let mut terms = Vec::new();
    for (at, value) in values.enumerate() {
        if at == Q_MAX {
            return Err(too_many("q", Q_MAX));
        }
        parse_terms(value, &mut terms)
            .map_err(|complaint| FilterError::new("q", format!("q {complaint}")))?;
    }
    // The longest one is likely to be the rarest. Negated terms come last.
    terms.sort_by_key(|term| (term.is_negated(), usize::MAX - term.text().len()));
    Ok(terms)
}

/// Paths, and the conditions on each.
fn path_filters<'a>(
    values: impl Iterator<Item = &'a str>,
) -> Result<(Vec<Path>, Vec<PathFilter>), FilterError> {
    let mut paths: Vec<Path> = Vec::new();
    let mut filters: Vec<PathFilter> = Vec::new();
    for (at, value) in values.enumerate() {
        if at == WHERE_MAX {
            return Err(too_many("where", WHERE_MAX));
        }
        let (path, role, condition) = parse_condition(value)
            .map_err(|complaint| FilterError::new("where", format!("where {complaint}")))?;
        let known = paths.iter().position(|known| *known == path);
        let place = known.unwrap_or_else(|| {
            paths.push(path);
            filters.push(PathFilter::default());
            paths.len() - 1
        });
        filters[place].add(role, condition);
    }
    for (path, filter) in paths.iter().zip(&mut filters) {
        filter.complete(path);
    }
    Ok((paths, filters))
}

fn time_kind(value: Option<&str>) -> Result<TimeKind, FilterError> {
    match value {
        None | Some("event") => Ok(TimeKind::Event),
        Some("received") => Ok(TimeKind::Received),
        Some(_) => Err(FilterError::new("time", "time must be event or received")),
    }
}

fn moment(
    member: &'static str,
    value: Option<&str>,
    now: Instant,
) -> Result<Option<Instant>, FilterError> {
    let Some(text) = value else { return Ok(None) };
    if let Some(moment) = parse_moment(text, now) {
        return Ok(moment);
    }
    // In a query a plus is a space, so an offset that was not escaped comes as one.
    let lost_plus = text
        .rsplit_once(' ')
        .is_some_and(|(front, back)| parse_moment(&format!("{front}+{back}"), now).is_some());
    let hint = match lost_plus {
        true => "; a + in a URL is a space, write %2B",
        false => "",
    };
    Err(FilterError::new(
        member,
        format!("{member} must be a time in ISO 8601 format, an age such as 15m, 1h or 7d, or now{hint}"),
    ))
}
