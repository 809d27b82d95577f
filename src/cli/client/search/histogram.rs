//! `search --count`: how many events match, by time, and by the values of a field.

use serde::{Deserialize, Serialize};

use super::arguments::SearchArgs;
use crate::cli::client::filters::Query;
use crate::cli::client::pages::ScanProgress;
use crate::cli::client::show::{level_colour, Ink};
use crate::cli::failure::Failure;
use crate::cli::terminal::{grouped, print, print_answer, width};
use crate::client::{percent_encoded, Client, Error};
use crate::clock::rfc3339;
use crate::search::Instant;
use crate::text::escaped;

/// Rows of the picture, where the interval allows.
const BUCKETS: usize = 30;

/// Values that a server distinguishes, and that are shown.
const SERIES: usize = 20;

/// An answer of `GET /histogram`, or the sum of several.
#[derive(Deserialize, Serialize)]
struct Histogram {
    since: String,
    until: String,
    start: String,
    /// Seconds of a bucket.
    interval: u64,
    matched: u64,
    counts: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Vec<Series>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<Rest>,
    scanned: u64,
    #[serde(skip_serializing)]
    next: Option<String>,
}

/// The events with one value.
#[derive(Deserialize, Serialize)]
struct Series {
    value: String,
    count: u64,
    counts: Vec<u64>,
}

#[derive(Deserialize, Serialize)]
struct Rest {
    count: u64,
    counts: Vec<u64>,
}

/// Asks until all has been counted, prints the counts, and returns how many events match. What has been counted is
/// printed also where the rest could not be.
pub(super) fn run(
    client: &Client,
    arguments: &SearchArgs,
    query: &Query,
) -> Result<usize, Failure> {
    let mut target = format!("/histogram?buckets={BUCKETS}{}", query.text());
    for field in &arguments.by {
        target += "&by=";
        target += &percent_encoded(field);
    }
    let mut progress = ScanProgress::default();
    let ask = |target: &str| client.persist(|| client.json(target));
    let mut sum: Histogram = ask(&target).map_err(|error| query.failure(error))?;
    let result = loop {
        let Some(next) = sum.next.take() else {
            break Ok(());
        };
        progress.show(client, sum.scanned, sum.matched);
        match ask(&next) {
            Ok(answer) => sum.add(answer),
            Err(error) => break Err(error),
        }
    };
    progress.end();
    sum.order();
    show(&sum, arguments)?;
    result.map_err(|error: Error| query.failure(error))?;
    Ok(usize::try_from(sum.matched).unwrap_or(usize::MAX))
}

fn show(sum: &Histogram, arguments: &SearchArgs) -> Result<(), Failure> {
    if arguments.json {
        let text = serde_json::to_string(sum).expect("numbers and strings are JSON");
        return print_answer(escaped(&text).as_bytes());
    }
    let mut ink = Ink::new(arguments.color.is_wanted(), &[]);
    sum.picture(&mut ink);
    sum.table(&mut ink, arguments.by.first());
    print(ink.out.as_bytes())
}

impl Histogram {
    /// Adds the next answer of the same walk.
    fn add(&mut self, other: Histogram) {
        self.matched += other.matched;
        self.scanned = other.scanned;
        self.next = other.next;
        add(&mut self.counts, &other.counts);
        if let (Some(rest), Some(more)) = (&mut self.rest, &other.rest) {
            rest.count += more.count;
            add(&mut rest.counts, &more.counts);
        }
        let series = self.series.get_or_insert_default();
        for more in other.series.into_iter().flatten() {
            match series.iter_mut().find(|own| own.value == more.value) {
                Some(own) => {
                    own.count += more.count;
                    add(&mut own.counts, &more.counts);
                }
                None => series.push(more),
            }
        }
    }

    /// Sorts and truncates the series as in a single answer.
    fn order(&mut self) {
        let (Some(series), Some(rest)) = (&mut self.series, &mut self.rest) else {
            self.series = None;
            return;
        };
        series.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        for less in series.drain(series.len().min(SERIES)..) {
            rest.count += less.count;
            add(&mut rest.counts, &less.counts);
        }
    }

    /// A row for each bucket.
    fn picture(&self, ink: &mut Ink) {
        let most = self.counts.iter().copied().max().unwrap_or(0);
        let digits = grouped(most).len().max("EVENTS".len());
        let start = Instant::of_timestamp(self.start.as_bytes()).unwrap_or_default();
        let times: Vec<String> = (0..self.counts.len() as u64)
            .map(|bucket| self.time_of(start.seconds, bucket))
            .collect();
        let time = times.first().map_or(0, String::len).max(1);
        ink.out += &format!("{:time$}  {:>digits$}\n", "TIME (UTC)", "EVENTS");
        let room = width().saturating_sub(time + digits + 4).max(10);
        for (bucket, count) in self.counts.iter().enumerate() {
            let number = grouped(*count);
            ink.out += &format!("{:time$}  {number:>digits$}", times[bucket]);
            let length = share(*count, most, room);
            if length > 0 {
                ink.out += "  ";
                self.bar(ink, bucket, length);
            }
            ink.out.push('\n');
        }
        ink.out += &format!("{:time$}  {:>digits$}\n", "total", grouped(self.matched));
    }

    /// The bar of a bucket, `length` characters long, in the colours of its values.
    fn bar(&self, ink: &mut Ink, bucket: usize, length: usize) {
        let count = self.counts[bucket];
        let mut drawn = 0;
        for series in self.series.iter().flatten() {
            let own = series.counts.get(bucket).copied().unwrap_or(0);
            let colour = level_colour(&series.value);
            let part = share(own, count, length).min(length - drawn);
            if part > 0 && colour > 0 {
                ink.colour(colour);
                ink.out.extend(std::iter::repeat_n('█', part));
                ink.colour(0);
                drawn += part;
            }
        }
        ink.out.extend(std::iter::repeat_n('█', length - drawn));
    }

    fn time_of(&self, start: i64, bucket: u64) -> String {
        let seconds = start.saturating_add_unsigned(self.interval.saturating_mul(bucket));
        let text = rfc3339(seconds.saturating_mul(1_000_000)).replacen('T', " ", 1);
        let length = match self.interval {
            0..60 => "2026-01-02 03:04:05".len(),
            60..86_400 => "2026-01-02 03:04".len(),
            _ => "2026-01-02".len(),
        };
        text.chars().take(length).collect()
    }

    /// A row for each value.
    fn table(&self, ink: &mut Ink, field: Option<&String>) {
        let (Some(series), Some(rest), Some(field)) = (&self.series, &self.rest, field) else {
            return;
        };
        let digits = grouped(self.matched).len().max("EVENTS".len());
        ink.out += &format!("\n{:>digits$}  {}\n", "EVENTS", escaped(field));
        for series in series {
            let count = grouped(series.count);
            ink.out += &format!("{count:>digits$}  ");
            ink.colour(level_colour(&series.value));
            ink.out += &escaped(&series.value);
            ink.colour(0);
            ink.out.push('\n');
        }
        if rest.count > 0 {
            let count = grouped(rest.count);
            ink.out += &format!("{count:>digits$}  (other, or none)\n");
        }
    }
}

fn add(counts: &mut Vec<u64>, more: &[u64]) {
    counts.resize(counts.len().max(more.len()), 0);
    for (count, more) in counts.iter_mut().zip(more) {
        *count += more;
    }
}

/// The part of `whole` that `count` is of `most`, rounded up, so that anything but 0 is visible.
fn share(count: u64, most: u64, whole: usize) -> usize {
    let part = u128::from(count) * whole as u128;
    usize::try_from(part.div_ceil(u128::from(most.max(1))))
        .unwrap_or(whole)
        .min(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: [u64; 2], series: &[(&str, [u64; 2])], next: Option<&str>) -> Histogram {
        Histogram {
            since: String::new(),
            until: String::new(),
            start: "2026-01-02T02:59:00Z".to_owned(),
            interval: 60,
            matched: counts.iter().sum(),
            counts: counts.to_vec(),
            series: Some(
                series
                    .iter()
                    .map(|(value, counts)| Series {
                        value: (*value).to_owned(),
                        count: counts.iter().sum(),
                        counts: counts.to_vec(),
                    })
                    .collect(),
            ),
            rest: Some(Rest {
                count: 0,
                counts: vec![0, 0],
            }),
            scanned: 10,
            next: next.map(str::to_owned),
        }
    }

    #[test]
    fn the_answers_of_a_walk_add_up() {
        let mut sum = histogram([3, 1], &[("error", [3, 0]), ("a", [0, 1])], Some("/x"));
        sum.add(histogram(
            [1, 2000],
            &[("a", [0, 2000]), ("b", [1, 0])],
            None,
        ));
        sum.order();
        let series = sum.series.as_ref().unwrap();
        let values: Vec<_> = series.iter().map(|s| (&s.value[..], s.count)).collect();
        assert_eq!(values, [("a", 2001), ("error", 3), ("b", 1)]);
        assert_eq!((sum.matched, &sum.counts[..]), (2005, &[4, 2001][..]));
        let mut ink = Ink::new(true, &[]);
        sum.picture(&mut ink);
        sum.table(&mut ink, Some(&"lev\u{9b}el".to_owned()));
        let start = "TIME (UTC)        EVENTS\n2026-01-02 02:59       4  \x1b[31m█\x1b[0m\n\
                     2026-01-02 03:00   2,001  ██";
        assert!(ink.out.starts_with(start), "{:?}", ink.out);
        let end = "\ntotal              2,005\n\nEVENTS  lev\\u009bel\n 2,001  \x1b[0ma\x1b[0m\n\
                   \x20    3  \x1b[31merror\x1b[0m\n     1  \x1b[0mb\x1b[0m\n";
        assert!(ink.out.ends_with(end), "{:?}", ink.out);
    }

    #[test]
    fn more_values_than_a_server_keeps_apart_are_the_rest() {
        let values: Vec<String> = (0..25).map(|number| format!("v{number:02}")).collect();
        let series: Vec<_> = values.iter().map(|value| (&value[..], [1, 0])).collect();
        let mut sum = histogram([25, 0], &series, None);
        sum.order();
        assert_eq!(sum.series.unwrap().len(), 20);
        assert_eq!(sum.rest.unwrap().count, 5);
    }
}
