//! What the engine is told of the filters of a request, so that it gives out fewer events: what SQL decides exactly as
//! the server does. The server judges each event that comes all the same.

use crate::event::{NameFilter, Pattern};
use crate::postgres::Param;
use crate::search::{Filters, Instant, TimeKind};

/// Which events are asked for, and what of them.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    topics: NameFilter,
    sources: NameFilter,
    event_ids: NameFilter,
    /// The first `processed_at`, and the first after the last, in microseconds since 1970.
    received: (Option<i64>, Option<i64>),
    /// The first and the last date that may stand in the `timestamp` of an event in the range. The offset of each is
    /// its own, so this is less than the range says.
    dates: (Option<String>, Option<String>),
    /// Whether their payloads are needed. Without it they come as empty texts.
    pub(super) payloads: bool,
}

/// A statement that is being written: its conditions on events `e`, and its parameters.
pub(super) struct Conditions<'p> {
    pub text: String,
    params: &'p mut Vec<Param>,
}

impl Wanted {
    /// All events of some topics.
    pub(super) fn of_topics(topics: &NameFilter) -> Wanted {
        let all = NameFilter::new(&[]);
        Wanted {
            topics: topics.clone(),
            sources: all.clone(),
            event_ids: all,
            received: (None, None),
            dates: (None, None),
            payloads: true,
        }
    }

    pub(super) fn of(filters: &Filters, payloads: bool) -> Wanted {
        let range = filters.range();
        let is_received = range.kind == TimeKind::Received;
        let bound = |moment: Option<Instant>| moment.filter(|_| is_received).map(microseconds);
        let date = |moment: Option<Instant>, days| {
            moment
                .filter(|_| !is_received)
                .and_then(|moment| date_near(moment, days))
        };
        Wanted {
            sources: filters.sources().clone(),
            event_ids: filters.event_ids().clone(),
            received: (bound(range.since), bound(range.until)),
            dates: (date(range.since, -DATE_DAYS), date(range.until, DATE_DAYS)),
            payloads,
            ..Wanted::of_topics(filters.topics())
        }
    }

    pub(super) fn topics(&self) -> &NameFilter {
        &self.topics
    }

    /// The ids, where these are whole ones: they are found by their keys.
    pub(super) fn keys(&self) -> Option<Param> {
        let are_names = !self.event_ids.is_all() && self.event_ids.patterns().all(is_name);
        are_names.then(|| texts(&self.event_ids, is_name))
    }

    /// Whether the engine may have to look at many events to find one.
    pub(super) fn is_sparse(&self) -> bool {
        let has_bound = (self.received.0.or(self.received.1)).is_some()
            || self.dates.0.is_some()
            || self.dates.1.is_some();
        let has_names = !self.sources.is_all() || !self.event_ids.is_all();
        // A prefix may be that of many topics.
        let has_many_topics = self.topics.patterns().any(is_prefix);
        self.keys().is_none() && (has_names || has_bound || has_many_topics)
    }

    /// The conditions on events beside their topics and keys.
    pub(super) fn write(&self, conditions: &mut Conditions) {
        conditions.names("e.source", &self.sources);
        if self.keys().is_none() {
            conditions.names("e.event_id", &self.event_ids);
        }
        for (bound, comparison) in [(self.received.0, ">="), (self.received.1, "<")] {
            if let Some(bound) = bound {
                let place = conditions.param(Param::bigint(bound));
                conditions.text += &format!(" AND {RECEIVED} {comparison} ${place}");
            }
        }
        for (date, comparison) in [(&self.dates.0, ">="), (&self.dates.1, "<=")] {
            if let Some(date) = date {
                let place = conditions.param(Param::text(date));
                conditions.text += &format!(" AND {DATE} {comparison} ${place}");
            }
        }
    }
}

/// The date of a `timestamp`, which begins with it; by the order of its bytes.
const DATE: &str = "left(e.timestamp, 10) COLLATE \"C\"";
/// Days by which a date may be before or after that of the same moment in UTC: one for the offset, and one for a second
/// 60, which belongs to the next minute.
const DATE_DAYS: i64 = 2;

/// `processed_at` of events `e` as it is read.
const RECEIVED: &str = "(extract(epoch FROM e.processed_at) * 1000000)::int8";

impl Conditions<'_> {
    pub(super) fn new(params: &mut Vec<Param>) -> Conditions<'_> {
        Conditions {
            text: String::new(),
            params,
        }
    }

    /// The place of a parameter.
    pub(super) fn param(&mut self, param: Param) -> usize {
        self.params.push(param);
        self.params.len()
    }

    fn names(&mut self, column: &str, filter: &NameFilter) {
        if !filter.is_all() {
            let condition = self.matching(column, filter);
            self.text += &format!(" AND {condition}");
        }
    }

    /// The condition that a column is one of these names, or begins with one of the prefixes.
    pub(super) fn matching(&mut self, column: &str, filter: &NameFilter) -> String {
        let mut either = Vec::new();
        if filter.patterns().any(is_name) {
            let names = self.param(texts(filter, is_name));
            either.push(format!("{column} = ANY(${names}::text[])"));
        }
        // A range of an index, where the column has one. A prefix of no name at all has no end.
        for pattern in filter.patterns().filter(|pattern| is_prefix(*pattern)) {
            let prefix = text_of(pattern);
            let from = self.param(Param::text(&prefix));
            let mut range = format!("{column} COLLATE \"C\" >= ${from}");
            if let Some(end) = after_all(&prefix) {
                let end = self.param(Param::text(&end));
                range += &format!(" AND {column} COLLATE \"C\" < ${end}");
            }
            either.push(format!("({range})"));
        }
        format!("({})", either.join(" OR "))
    }
}

fn is_name(pattern: Pattern) -> bool {
    matches!(pattern, Pattern::Name(_))
}

fn is_prefix(pattern: Pattern) -> bool {
    !is_name(pattern)
}

/// The texts of some patterns.
fn texts(filter: &NameFilter, which: impl Fn(Pattern) -> bool) -> Param {
    let patterns = filter.patterns().filter(|pattern| which(*pattern));
    let texts: Vec<String> = patterns.map(text_of).collect();
    Param::texts(texts.iter().map(String::as_str))
}

/// The text of a pattern, which is UTF-8, and cut where characters end.
fn text_of(pattern: Pattern) -> String {
    String::from_utf8_lossy(pattern.text()).into_owned()
}

/// The first text after all that begin with this one, by the order of bytes, which is that of characters in UTF-8;
/// `None` if there is none.
fn after_all(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let next = match last {
            // The surrogates after it are no characters.
            '\u{D7FF}' => Some('\u{E000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// The first microsecond that is not before a moment. What lies out of all bounds is the nearest one.
fn microseconds(moment: Instant) -> i64 {
    let fraction = i64::from(moment.nanos.div_ceil(1_000));
    let whole = moment.seconds.saturating_mul(1_000_000);
    whole.saturating_add(fraction)
}

/// The date so many days after a moment; `None` where its year has not four digits.
fn date_near(moment: Instant, days: i64) -> Option<String> {
    let near = Instant {
        seconds: moment.seconds.saturating_add(days * 86_400),
        nanos: 0,
    };
    let mut text = near.to_rfc3339()?;
    text.truncate("YYYY-MM-DD".len());
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_a_prefix_ends_before_the_next_text() {
        for (prefix, end) in [
            ("a.", Some("a/")),
            ("é", Some("ê")),
            ("\u{7F}", Some("\u{80}")),
            ("a\u{D7FF}", Some("a\u{E000}")),
            ("a\u{10FFFF}\u{10FFFF}", Some("b")),
            ("\u{10FFFF}", None),
            ("", None),
        ] {
            assert_eq!(after_all(prefix).as_deref(), end, "{prefix:?}");
            let longer = format!("{prefix}\u{10FFFF}");
            assert!(end.is_none_or(|end| longer.as_str() < end && prefix < end));
        }
    }

    #[test]
    fn a_moment_between_two_microseconds_is_the_later_one() {
        let at = |seconds, nanos| microseconds(Instant { seconds, nanos });
        assert_eq!(at(1, 1_000), 1_000_001);
        assert_eq!(at(1, 1_001), 1_000_002);
        assert_eq!(at(-1, 999_999_001), 0);
        assert_eq!(at(i64::MIN, 5), i64::MIN + 1);
        assert_eq!(at(i64::MAX, 5), i64::MAX);
    }

    #[test]
    fn a_date_near_a_moment_has_four_digits_of_a_year() {
        let near = |seconds, days| date_near(Instant { seconds, nanos: 7 }, days);
        assert_eq!(near(86_399, 2).as_deref(), Some("1970-01-03"));
        assert_eq!(near(0, -2).as_deref(), Some("1969-12-30"));
        assert_eq!(near(253_402_300_799, 2), None);
        assert_eq!(near(i64::MIN, -2), None);
    }
}
