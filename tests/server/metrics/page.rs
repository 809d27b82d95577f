//! Reads a page of samples more strictly than any scraper does, so that none has a reason to complain.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::harness::Response;

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The samples of a page that was found to be in order.
pub struct Page {
    pub is_openmetrics: bool,
    /// By name and labels, as they stand in the page.
    samples: BTreeMap<String, f64>,
    /// The type of each family, by its name.
    kinds: BTreeMap<String, String>,
}

struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    value: f64,
}

/// The buckets of one histogram, in their order, its sum and its count.
#[derive(Default)]
struct Buckets {
    bounds: Vec<(f64, f64)>,
    sum: Option<f64>,
    count: Option<f64>,
}

impl Page {
    pub fn read(response: &Response) -> Page {
        assert_eq!(response.status, 200, "{response:?}");
        let is_openmetrics = match response.header("content-type") {
            Some(PROMETHEUS) => false,
            Some(OPENMETRICS) => true,
            other => panic!("{other:?} is no type of metrics"),
        };
        let mut page = Page {
            is_openmetrics,
            samples: BTreeMap::new(),
            kinds: BTreeMap::new(),
        };
        let text = response.text();
        let mut lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(lines.pop(), Some(""), "the last line ends too");
        if is_openmetrics {
            assert_eq!(lines.pop(), Some("# EOF"));
        }
        page.take(&lines);
        page
    }

    /// Takes families: HELP, TYPE, then the samples.
    fn take(&mut self, lines: &[&str]) {
        let mut at = 0;
        while at < lines.len() {
            let (name, help) = comment(lines[at], "HELP");
            assert!(!help.is_empty() && !help.contains('\\'), "{help:?}");
            let (typed, kind) = comment(lines[at + 1], "TYPE");
            assert_eq!(name, typed, "HELP and TYPE stand together");
            is_name(name);
            let earlier = self.kinds.insert(name.to_owned(), kind.to_owned());
            assert!(earlier.is_none(), "{name} comes twice");
            at += 2;
            let first = at;
            while at < lines.len() && !lines[at].starts_with('#') {
                at += 1;
            }
            self.take_family(name, kind, &lines[first..at]);
        }
    }

    fn take_family(&mut self, family: &str, kind: &str, lines: &[&str]) {
        let mut histograms: BTreeMap<String, Buckets> = BTreeMap::new();
        for line in lines {
            let sample = sample(line);
            let key = series(sample.name, &sample.labels);
            let earlier = self.samples.insert(key.clone(), sample.value);
            assert!(earlier.is_none(), "{key} comes twice");
            match (kind, self.is_openmetrics) {
                ("counter", true) => {
                    assert_eq!(sample.name, format!("{family}_total"));
                    assert!(sample.value >= 0.0);
                }
                ("counter", false) => {
                    assert_eq!(sample.name, family);
                    assert!(family.ends_with("_total") && sample.value >= 0.0);
                }
                ("gauge", _) | ("unknown", true) => assert_eq!(sample.name, family),
                ("info", true) => {
                    assert_eq!(sample.name, format!("{family}_info"));
                    assert_eq!(sample.value, 1.0);
                }
                ("histogram", _) => take_bucket(&mut histograms, family, &sample),
                other => panic!("{family} is of a kind {other:?}"),
            }
        }
        for (labels, buckets) in histograms {
            buckets.check(&format!("{family}{{{labels}}}"));
        }
    }

    /// The value of a series, named as the page names it.
    pub fn value(&self, series: &str) -> f64 {
        let value = self.samples.get(series);
        *value.unwrap_or_else(|| panic!("{series} is not in {self:?}"))
    }

    /// How many requests were answered with this route and class of status.
    pub fn requests(&self, route: &str, status: &str) -> f64 {
        let name = "log_aggregator_http_request_duration_seconds_count";
        let series = format!("{name}{{route=\"{route}\",status=\"{status}\"}}");
        self.samples.get(&series).copied().unwrap_or_default()
    }

    /// All series.
    pub fn series(&self) -> BTreeSet<&str> {
        self.samples.keys().map(String::as_str).collect()
    }

    /// The names under which samples may be asked for: of histograms those of their parts.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (family, kind) in &self.kinds {
            match kind.as_str() {
                "histogram" => {
                    names.extend(["bucket", "sum", "count"].map(|part| format!("{family}_{part}")));
                }
                _ => {
                    names.insert(family.clone());
                }
            }
        }
        names
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.samples).finish()
    }
}

impl Buckets {
    fn check(&self, name: &str) {
        let count = self.count.unwrap_or_else(|| panic!("{name} has no count"));
        let sum = self.sum.unwrap_or_else(|| panic!("{name} has no sum"));
        let last = self.bounds.last();
        assert_eq!(last, Some(&(f64::INFINITY, count)), "{name}");
        for pair in self.bounds.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{name}: bounds ascend");
            assert!(pair[0].1 <= pair[1].1, "{name}: counts are cumulative");
        }
        assert!(sum >= 0.0 && (count > 0.0 || sum == 0.0), "{name}");
        // What lies between two bounds adds at least the lower one to the sum.
        let least: f64 = self
            .bounds
            .windows(2)
            .map(|pair| pair[0].0 * (pair[1].1 - pair[0].1))
            .sum();
        assert!(sum >= least - 1e-9, "{name}: {sum} {least}");
    }
}

fn take_bucket(histograms: &mut BTreeMap<String, Buckets>, family: &str, sample: &Sample) {
    let part = sample.name.strip_prefix(family);
    let part = part.unwrap_or_else(|| panic!("{} in {family}", sample.name));
    let mut labels = sample.labels.clone();
    let bound = match labels.last() {
        Some(("le", bound)) => {
            let bound = *bound;
            labels.pop();
            Some(bound)
        }
        _ => None,
    };
    let buckets = histograms.entry(series("", &labels)).or_default();
    match (part, bound) {
        ("_bucket", Some(bound)) => {
            assert!(bound == "+Inf" || bound.contains('.'), "{bound}");
            let bound = bound.parse().expect("a bound is a number");
            buckets.bounds.push((bound, sample.value));
        }
        ("_sum", None) => assert!(buckets.sum.replace(sample.value).is_none()),
        ("_count", None) => assert!(buckets.count.replace(sample.value).is_none()),
        other => panic!("{family} has a sample {other:?}"),
    }
}

/// The name and the rest of `# KIND name rest`.
fn comment<'a>(line: &'a str, kind: &str) -> (&'a str, &'a str) {
    let rest = line
        .strip_prefix("# ")
        .and_then(|line| line.strip_prefix(kind));
    let rest = rest.and_then(|rest| rest.strip_prefix(' '));
    let rest = rest.unwrap_or_else(|| panic!("{line:?} is not {kind}"));
    rest.split_once(' ').unwrap_or_else(|| panic!("{line:?}"))
}

/// Reads `name value` or `name{label="value",…} value`; there is no time stamp.
fn sample(line: &str) -> Sample<'_> {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
    let value: f64 = value.parse().unwrap_or_else(|e| panic!("{line:?}: {e}"));
    assert!(value.is_finite(), "{line:?}");
    let (name, labels) = match series.strip_suffix('}') {
        Some(series) => series.split_once('{').unwrap_or_else(|| panic!("{line:?}")),
        None => (series, ""),
    };
    is_name(name);
    let read = |label: &'_ str| -> (usize, usize) {
        let equals = label.find("=\"").unwrap_or_else(|| panic!("{line:?}"));
        assert!(label.ends_with('"') && label.len() > equals + 2, "{line:?}");
        (equals, label.len() - 1)
    };
    let labels = labels.split(',').filter(|label| !label.is_empty());
    let labels: Vec<_> = labels
        .map(|label| {
            let (equals, end) = read(label);
            (&label[..equals], &label[equals + 2..end])
        })
        .collect();
    for (name, value) in &labels {
        is_name(name);
        assert!(!value.contains(['"', '\\', '\n']), "{line:?}");
    }
    Sample {
        name,
        labels,
        value,
    }
}

fn is_name(name: &str) {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit();
    let begins = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase());
    assert!(begins && name.bytes().all(legal), "{name:?} is no name");
}

fn series(name: &str, labels: &[(&str, &str)]) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    match labels.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", labels.join(",")),
    }
}
