//! How many events match, by time and by a value.

use super::buckets::Buckets;
use super::candidate::Candidate;
use super::effort::Effort;
use super::field::{kept_text, Field, Value, VALUE_EFFORT};
use super::instant::Instant;
use super::path::{Found, Path};
use super::range::TimeRange;
use super::walk::{PathWalk, Taken};
use crate::limits::SERIES_MAX;

/// Counts of events by buckets of time.
#[derive(Debug)]
pub struct Histogram {
    buckets: Buckets,
    field: Option<Field>,
    all: Series,
    /// Those of the values that were met first, in that order.
    series: Vec<Series>,
    /// Events without a value, and with one that has no series.
    rest: Series,
    /// The event whose value is being looked for, and how far its payload has been walked.
    walked: Option<u64>,
    walk: PathWalk,
}

/// The counts of one value.
#[derive(Clone, Debug)]
pub struct Series {
    value: Box<[u8]>,
    count: u64,
    counts: Vec<u64>,
}

impl Series {
    fn new(value: &[u8], buckets: &Buckets) -> Self {
        Self {
            value: value.into(),
            count: 0,
            counts: vec![0; buckets.count()],
        }
    }

    fn add(&mut self, place: usize) {
        self.add_many(place, 1);
    }

    fn add_many(&mut self, place: usize, events: u64) {
        self.count += events;
        if let Some(count) = self.counts.get_mut(place) {
            *count += events;
        }
    }

    pub fn value(&self) -> &str {
        kept_text(&self.value)
    }

    /// Events in all buckets.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Events in each.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }
}

impl Histogram {
    pub fn new(buckets: Buckets, field: Option<Field>) -> Self {
        Self {
            all: Series::new(b"", &buckets),
            rest: Series::new(b"", &buckets),
            series: Vec::new(),
            buckets,
            field,
            walked: None,
            walk: PathWalk::new(),
        }
    }

    /// Counts the event with this seq, which happened at this moment. False where the step is over before its value
    /// is known: then it is to be counted again.
    pub fn add(
        &mut self,
        (seq, event): (u64, &Candidate),
        instant: Instant,
        effort: &mut Effort,
    ) -> bool {
        let Some(place) = self.buckets.place_of(instant) else {
            return true;
        };
        let Some(field) = &self.field else {
            self.all.add(place);
            return true;
        };
        let value = match field {
            Field::Topic | Field::Source => field.name(event),
            Field::Path(path) => {
                if self.walked != Some(seq) {
                    self.walked = Some(seq);
                    self.walk.begin(event.payload, 1);
                }
                let walk = &mut self.walk;
                let Some(value) = Self::first_value(walk, event.payload, path, effort) else {
                    return false;
                };
                self.walked = None;
                value
            }
        };
        self.all.add(place);
        let series = match &value {
            Some(value) => self.series_of(value.as_bytes()),
            None => &mut self.rest,
        };
        series.add(place);
        true
    }

    /// Counts events of which only the first and the last time, and their number, are known, where all of them are out
    /// of the range or in one bucket. Returns whether it has counted all; else it has counted none.
    pub fn add_ranges(
        &mut self,
        range: &TimeRange,
        events: impl Iterator<Item = (Instant, Instant, u64)> + Clone,
    ) -> bool {
        let is_out = |first, last| {
            range.since.is_some_and(|since| last < since)
                || range.until.is_some_and(|until| until <= first)
        };
        let place = |(first, last, _)| {
            let place = self.buckets.place_of(first);
            let is_in = range.contains(first) && range.contains(last);
            match place == self.buckets.place_of(last) && is_in {
                true => place,
                false => None,
            }
        };
        let is_known =
            |time: (Instant, Instant, u64)| is_out(time.0, time.1) || place(time).is_some();
        if self.field.is_some() || !events.clone().all(is_known) {
            return false;
        }
        let places: Vec<(usize, u64)> = events
            .filter(|time| !is_out(time.0, time.1))
            .filter_map(|time| Some((place(time)?, time.2)))
            .collect();
        for (place, count) in places {
            self.all.add_many(place, count);
        }
        true
    }

    /// Goes on to look for the first value of a path; `None` where the step is over first.
    fn first_value(
        walk: &mut PathWalk,
        payload: &[u8],
        path: &Path,
        effort: &mut Effort,
    ) -> Option<Option<Value>> {
        let mut first = None;
        let mut take = |_: usize, found: Found, effort: &mut Effort| match found {
            Found::Member => Taken::GoOn,
            Found::Value(scalar) => {
                effort.spend(VALUE_EFFORT);
                first = Some(Value::of(scalar.text()));
                Taken::Over
            }
        };
        let paths = std::slice::from_ref(path);
        let is_over = walk.go_on(payload, paths, effort, &mut take);
        is_over.then_some(first)
    }

    fn series_of(&mut self, value: &[u8]) -> &mut Series {
        let known = self
            .series
            .iter()
            .position(|series| *series.value == *value);
        let place = match known {
            Some(place) => place,
            None if self.series.len() == SERIES_MAX => return &mut self.rest,
            None => {
                self.series.push(Series::new(value, &self.buckets));
                self.series.len() - 1
            }
        };
        &mut self.series[place]
    }

    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// All events.
    pub fn all(&self) -> &Series {
        &self.all
    }

    /// The series by count, the greatest first, equal ones by the bytes of the value; and the rest. `None` where
    /// events are not counted by a value.
    pub fn series(&self) -> Option<(Vec<&Series>, &Series)> {
        self.field.as_ref()?;
        let mut series: Vec<&Series> = self.series.iter().collect();
        series.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        Some((series, &self.rest))
    }
}
