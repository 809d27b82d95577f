//! The values of fields and their counts: of the requested fields, or of those found in the events that match.

use super::candidate::Candidate;
use super::effort::Effort;
use super::field::{kept_text, Field, Value, VALUE_EFFORT};
use super::filters::{Filters, Part, Verdict};
use super::found_fields::FoundFields;
use super::matcher::Matcher;
use super::path::{Found, Path};
use super::tally::{Shared, Tally};
use super::walk::{PathWalk, Taken};
use crate::limits::FIELD_VALUES_BYTES;

/// Counts of values by fields.
#[derive(Debug)]
pub struct Fields {
    asked: Vec<RequestedField>,
    /// The paths that were found, in the order in which they were met; `None` where fields were asked for.
    found: Option<FoundFields>,
    /// The filters of the fields that were asked for.
    parts: Vec<Part>,
    shared: Shared,
    matched: u64,
    /// The paths of the fields that were asked for, and the places of these fields.
    paths: Vec<Path>,
    places: Vec<usize>,
    matcher: Matcher,
    walk: PathWalk,
    /// The event of which a part has been counted.
    counted: Option<Counted>,
}

#[derive(Debug)]
struct RequestedField {
    name: Box<str>,
    field: Field,
    /// The place of its path among the paths, if it is one.
    path: usize,
    part: Option<Part>,
    tally: Tally,
}

/// An event that matches, and what of it is being counted.
#[derive(Clone, Copy, Debug)]
struct Counted {
    seq: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The fields that were asked for.
    Requested,
    /// Those that are found.
    Found,
}

/// The counts of one field.
pub struct FieldCounts<'a> {
    /// As it is written in a query.
    pub field: &'a str,
    tally: &'a Tally,
}

impl FieldCounts<'_> {
    /// Events that have a value.
    pub fn count(&self) -> u64 {
        self.tally.events()
    }

    /// Values that are kept.
    pub fn distinct(&self) -> usize {
        self.tally.distinct()
    }

    /// At most `limit` values by count, the greatest first, equal ones by their bytes; and the sum of the counts of
    /// all others.
    pub fn greatest(&self, limit: usize) -> (Vec<(&str, u64)>, u64) {
        let (values, rest) = self.tally.greatest(limit);
        let values = values.into_iter();
        let as_text = values.map(|(value, count)| (kept_text(value), count));
        (as_text.collect(), rest)
    }
}

impl Fields {
    /// Counts the values of these fields, by their names in the query, each without its own filter. Where there are
    /// none: of the topic, the source, and the paths that are found.
    pub fn new(fields: Vec<(Box<str>, Field)>, filters: &Filters) -> Self {
        let found = fields.is_empty().then(FoundFields::new);
        let (fields, parts) = match &found {
            Some(_) => (
                vec![
                    ("topic".into(), Field::Topic),
                    ("source".into(), Field::Source),
                ],
                Vec::new(),
            ),
            None => {
                let parts = fields
                    .iter()
                    .filter_map(|(_, field)| filters.part_of(field));
                let parts = parts.collect();
                (fields, parts)
            }
        };
        let asked = fields.into_iter().map(|(name, field)| RequestedField {
            part: filters.part_of(&field),
            tally: Tally::default(),
            path: 0,
            name,
            field,
        });
        let mut asked: Vec<RequestedField> = asked.collect();
        let (mut paths, mut places) = (Vec::new(), Vec::new());
        for (place, asked) in asked.iter_mut().enumerate() {
            if let Some(path) = asked.field.path() {
                asked.path = paths.len();
                paths.push(path.clone());
                places.push(place);
            }
        }
        Self {
            asked,
            paths,
            places,
            walk: PathWalk::new(),
            matcher: Matcher::default(),
            counted: None,
            found,
            parts,
            shared: Shared::new(FIELD_VALUES_BYTES),
            matched: 0,
        }
    }

    /// The filters that may be left out for one of the fields.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Counts the event with this seq, if it matches. False where the step is over first: then the same event is to be
    /// counted again, or another one if that has been removed meanwhile.
    pub fn add(
        &mut self,
        (seq, event): (u64, &Candidate),
        filters: &Filters,
        effort: &mut Effort,
    ) -> bool {
        let counted = self.counted.take();
        let stage = match counted.filter(|counted| counted.seq == seq) {
            Some(counted) => counted.stage,
            None => {
                let parts = &self.parts;
                let verdict = self.matcher.judge(filters, (seq, event), parts, effort);
                match verdict {
                    None => return false,
                    Some(Verdict::Fails) => return true,
                    Some(Verdict::Matches) => self.begin_counting(event, None),
                    Some(Verdict::MatchesWithout(part)) => self.begin_counting(event, Some(part)),
                }
            }
        };
        self.counted = self
            .count(event, stage, effort)
            .map(|stage| Counted { seq, stage });
        self.counted.is_none()
    }

    /// Counts the names of an event that matches, perhaps without a part of the filters.
    fn begin_counting(&mut self, event: &Candidate, without: Option<Part>) -> Stage {
        self.matched += u64::from(without.is_none());
        self.shared.begin_event();
        let mut wanted = 0;
        for (place, asked) in self.asked.iter_mut().enumerate() {
            if without.is_some() && asked.part != without {
                continue;
            }
            match (asked.field.name(event), asked.path) {
                (Some(name), _) => asked.tally.add(&mut self.shared, place, name.as_bytes()),
                (None, path) => wanted |= 1 << path,
            }
        }
        self.walk.begin(event.payload, wanted);
        Stage::Requested
    }

    /// Goes on to count the values of an event. Returns where it has come, if the step is over first.
    fn count(&mut self, event: &Candidate, stage: Stage, effort: &mut Effort) -> Option<Stage> {
        let (payload, shared) = (event.payload, &mut self.shared);
        if stage == Stage::Requested {
            let (asked, places) = (&mut self.asked, &self.places);
            let mut take = |path: usize, found: Found, effort: &mut Effort| {
                if let Found::Value(scalar) = found {
                    effort.spend(VALUE_EFFORT);
                    let (place, value) = (places[path], Value::of(scalar.text()));
                    asked[place].tally.add(shared, place, value.as_bytes());
                }
                Taken::GoOn
            };
            if !self.walk.go_on(payload, &self.paths, effort, &mut take) {
                return Some(Stage::Requested);
            }
            if let Some(found) = &mut self.found {
                found.begin(payload);
            }
        }
        let found = self.found.as_mut()?;
        let is_over = found.go_on(payload, &mut self.shared, effort);
        (!is_over).then_some(Stage::Found)
    }

    /// Whether values of payloads are counted.
    #[cfg(feature = "fleet")]
    pub(crate) fn needs_payloads(&self) -> bool {
        self.found.is_some() || !self.paths.is_empty()
    }

    /// Events that match all filters.
    pub fn matched(&self) -> u64 {
        self.matched
    }

    /// The fields: those that were asked for, in that order. Those that were found come after topic and source, by
    /// count, the greatest first, equal ones by their bytes.
    pub fn fields(&self) -> Vec<FieldCounts<'_>> {
        let asked = self.asked.iter();
        let asked = asked.map(|asked| FieldCounts {
            field: &asked.name,
            tally: &asked.tally,
        });
        let found = self.found.iter().flat_map(|found| found.fields());
        let mut found: Vec<FieldCounts> = found
            .map(|(name, tally)| FieldCounts { field: name, tally })
            .collect();
        found.sort_by(|a, b| {
            let by_count = b.count().cmp(&a.count());
            by_count.then_with(|| a.field.cmp(b.field))
        });
        asked.chain(found).collect()
    }
}
