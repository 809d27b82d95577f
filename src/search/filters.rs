//! All filters of a request.

use super::candidate::Candidate;
use super::condition::{parse_condition, PathFilter};
use super::error::FilterError;
use super::field::Field;
use super::haystack::Haystack;
use super::instant::{parse_moment, Instant};
use super::range::{TimeKind, TimeRange};
use super::term::{parse_terms, Term};
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
    /// One for each path that has conditions.
    paths: Vec<PathFilter>,
    /// Whether no filter but `topic` was given, whatever it may mean.
    is_topics_only: bool,
}

impl Filters {
    /// The members of a query that are filters, in the order in which a query is written.
    pub const MEMBERS: [&'static str; 8] = [
        "topic", "source", "event_id", "since", "until", "time", "q", "where",
    ];

    /// Reads decoded values by their members. `now` is the server's clock at the arrival of the request. Members that
    /// are no filters are passed over.
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
            paths: path_filters(values("where"))?,
            is_topics_only: Self::MEMBERS[1..]
                .iter()
                .all(|member| values(member).next().is_none()),
        };
        Ok(filters)
    }

    /// Whether an event matches.
    pub fn matches(&self, event: &Candidate) -> bool {
        self.topics.matches(event.topic)
            && self.sources.matches(event.source)
            && self.has_others(event)
            && self.paths.iter().all(|path| path.matches(event.payload))
    }

    /// Whether an event matches, and if not, whether it does with one of these parts left out.
    pub fn judge(&self, event: &Candidate, parts: &[Part]) -> Verdict {
        let mut failed = None;
        let own = [
            (Part::Topic, self.topics.matches(event.topic)),
            (Part::Source, self.sources.matches(event.source)),
        ];
        let of_paths = self.paths.iter().enumerate();
        let of_paths = of_paths.map(|(at, path)| (Part::Path(at), path.matches(event.payload)));
        // The conditions on paths are looked at one by one, after what is cheaper.
        if own.iter().filter(|(_, holds)| !holds).count() == 2 || !self.has_others(event) {
            return Verdict::Fails;
        }
        for (part, holds) in own.into_iter().chain(of_paths) {
            if !holds && (failed.is_some() || !parts.contains(&part)) {
                return Verdict::Fails;
            }
            if !holds {
                failed = Some(part);
            }
        }
        failed.map_or(Verdict::Matches, Verdict::MatchesWithout)
    }

    /// What holds whatever is left out.
    fn has_others(&self, event: &Candidate) -> bool {
        self.event_ids.matches(event.event_id) && self.range.matches(event) && self.has_terms(event)
    }

    /// The filter on a field; `None` if there is none.
    pub fn part_of(&self, field: &Field) -> Option<Part> {
        match field {
            Field::Topic => Some(Part::Topic),
            Field::Source => Some(Part::Source),
            Field::Path(path) => {
                let mut paths = self.paths.iter();
                Some(Part::Path(paths.position(|filter| filter.path() == path)?))
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
        let mut at = 0;
        filters.paths.retain(|_| {
            at += 1;
            !parts.contains(&Part::Path(at - 1))
        });
        filters
    }

    fn has_terms(&self, event: &Candidate) -> bool {
        self.terms.is_empty() || Haystack::new(event).holds(&self.terms)
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

    /// The conditions of `where`, by their paths.
    pub fn path_filters(&self) -> &[PathFilter] {
        &self.paths
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
    FilterError::new(member, format!("{member} may stand at most {max} times"))
}

/// The one value of a member that may stand once.
fn single<'a>(
    member: &'static str,
    mut values: impl Iterator<Item = &'a str>,
) -> Result<Option<&'a str>, FilterError> {
    let first = values.next();
    match values.next() {
        Some(_) => Err(FilterError::new(
            member,
            format!("{member} may stand only once"),
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
    // The longest one is likely to be the rarest. What must not be there comes last.
    terms.sort_by_key(|term| (term.is_negated(), usize::MAX - term.text().len()));
    Ok(terms)
}

fn path_filters<'a>(values: impl Iterator<Item = &'a str>) -> Result<Vec<PathFilter>, FilterError> {
    let mut filters: Vec<PathFilter> = Vec::new();
    for (at, value) in values.enumerate() {
        if at == WHERE_MAX {
            return Err(too_many("where", WHERE_MAX));
        }
        let (path, role, condition) = parse_condition(value)
            .map_err(|complaint| FilterError::new("where", format!("where {complaint}")))?;
        let known = filters.iter_mut().find(|filter| *filter.path() == path);
        match known {
            Some(filter) => filter.add(role, condition),
            None => {
                let mut filter = PathFilter::new(path);
                filter.add(role, condition);
                filters.push(filter);
            }
        }
    }
    Ok(filters)
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
