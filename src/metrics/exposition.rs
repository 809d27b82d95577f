//! Writing samples in the two text formats: Prometheus' own, version 0.0.4, and OpenMetrics 1.0.0.
//!
//! Names, help and labels are all of this program's own making, so nothing in them needs an escape, but for those of
//! `labelled`.

use std::fmt::Display;

use super::histogram::Histogram;
use crate::api::json::write_to;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// The media type that an answer names.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What is counted or measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only ever grows while the process lives, or over the life of the database.
    Counter,
    Gauge,
    Histogram,
    /// A constant 1 whose labels say something.
    Info,
}

/// A page of samples that is being written.
pub(super) struct Exposition {
    format: Format,
    out: Vec<u8>,
}

impl Exposition {
    pub(super) fn new(format: Format) -> Exposition {
        Exposition {
            format,
            out: Vec::with_capacity(16 * 1024),
        }
    }

    /// A count; `name` is without the `_total` that its sample has.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Counter, help);
        write_to(&mut self.out, format_args!("{name}_total {value}\n"));
    }

    /// A count whose name, without `_total`, is that of a gauge too. OpenMetrics has no two families of one name, so
    /// there it is of no type.
    pub(super) fn total_beside_gauge(&mut self, name: &str, help: &str, value: u64) {
        let kind = match self.format {
            Format::Prometheus => "counter",
            Format::OpenMetrics => "unknown",
        };
        write_to(
            &mut self.out,
            format_args!(
                "# HELP {name}_total {help}\n# TYPE {name}_total {kind}\n{name}_total {value}\n"
            ),
        );
    }

    /// One count of several that labels tell apart, after its [`Exposition::family`]. `name` is without `_total`,
    /// `labels` as they are written in braces.
    pub(super) fn counted(&mut self, name: &str, labels: &str, value: u64) {
        write_to(
            &mut self.out,
            format_args!("{name}_total{{{labels}}} {value}\n"),
        );
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help);
        write_to(&mut self.out, format_args!("{name} {value}\n"));
    }

    /// A sample of a gauge with a label, whose value may be anything.
    #[cfg(feature = "fleet")]
    pub(super) fn labelled(&mut self, name: &str, label: &str, text: &str, value: impl Display) {
        let text = text
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        write_to(
            &mut self.out,
            format_args!("{name}{{{label}=\"{text}\"}} {value}\n"),
        );
    }

    /// A constant; `name` is without the `_info` that its sample has, `labels` as they are written in braces.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &str) {
        self.family(name, Kind::Info, help);
        write_to(&mut self.out, format_args!("{name}_info{{{labels}}} 1\n"));
    }

    /// What comes once before all samples of a name.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let (suffix, kind) = match (self.format, kind) {
            // OpenMetrics names the family, the older format the sample.
            (Format::Prometheus, Kind::Counter) => ("_total", "counter"),
            (Format::OpenMetrics, Kind::Counter) => ("", "counter"),
            // The older format has no such type.
            (Format::Prometheus, Kind::Info) => ("_info", "gauge"),
            (Format::OpenMetrics, Kind::Info) => ("", "info"),
            (_, Kind::Gauge) => ("", "gauge"),
            (_, Kind::Histogram) => ("", "histogram"),
        };
        write_to(
            &mut self.out,
            format_args!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n"),
        );
    }

    /// The samples of one histogram, after its [`Exposition::family`]. `labels` are written as in braces, with a comma
    /// after the last; a value is divided by `unit` and then shown.
    pub(super) fn histogram<const N: usize>(
        &mut self,
        name: &str,
        labels: &str,
        unit: Unit,
        histogram: &Histogram<N>,
    ) {
        for (bound, count) in histogram.cumulative() {
            // OpenMetrics requires a bound with a decimal point, and the older format allows it: so a series has one
            // name, whichever format brought it.
            let bound = unit.shown(bound);
            let point = if bound.contains('.') { "" } else { ".0" };
            write_to(
                &mut self.out,
                format_args!("{name}_bucket{{{labels}le=\"{bound}{point}\"}} {count}\n"),
            );
        }
        let count = histogram.count();
        let sum = unit.shown(histogram.sum());
        let braced = match labels.strip_suffix(',') {
            Some(labels) => format!("{{{labels}}}"),
            None => String::new(),
        };
        write_to(
            &mut self.out,
            format_args!(
                "{name}_bucket{{{labels}le=\"+Inf\"}} {count}\n{name}_sum{braced} {sum}\n\
                 {name}_count{braced} {count}\n"
            ),
        );
    }

    /// The page as it is sent.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.format == Format::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
        self.out
    }
}

/// In what a histogram counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Shown in seconds.
    Microseconds,
    One,
}

impl Unit {
    fn shown(self, value: u64) -> String {
        match self {
            Unit::Microseconds => seconds(value),
            Unit::One => value.to_string(),
        }
    }
}

/// Microseconds as seconds in decimal, exactly.
pub(super) fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(format: Format) -> String {
        let mut page = Exposition::new(format);
        page.counter("a", "As.", 3);
        page.info("b", "Bs.", "version=\"1\"");
        let mut histogram = Histogram::new(&[100, 2_000_000]);
        histogram.observe(150);
        page.family("c_seconds", Kind::Histogram, "Cs.");
        page.histogram("c_seconds", "", Unit::Microseconds, &histogram);
        page.histogram("c_seconds", "d=\"e\",", Unit::Microseconds, &histogram);
        String::from_utf8(page.finish()).expect("samples are ASCII")
    }

    #[test]
    fn both_formats() {
        let samples = "c_seconds_bucket{le=\"0.0001\"} 0\nc_seconds_bucket{le=\"2.0\"} 1\n\
            c_seconds_bucket{le=\"+Inf\"} 1\nc_seconds_sum 0.00015\nc_seconds_count 1\n\
            c_seconds_bucket{d=\"e\",le=\"0.0001\"} 0\nc_seconds_bucket{d=\"e\",le=\"2.0\"} 1\n\
            c_seconds_bucket{d=\"e\",le=\"+Inf\"} 1\nc_seconds_sum{d=\"e\"} 0.00015\n\
            c_seconds_count{d=\"e\"} 1\n";
        assert_eq!(
            page(Format::Prometheus),
            format!(
                "# HELP a_total As.\n# TYPE a_total counter\na_total 3\n# HELP b_info Bs.\n\
                 # TYPE b_info gauge\nb_info{{version=\"1\"}} 1\n# HELP c_seconds Cs.\n\
                 # TYPE c_seconds histogram\n{samples}"
            )
        );
        assert_eq!(
            page(Format::OpenMetrics),
            format!(
                "# HELP a As.\n# TYPE a counter\na_total 3\n# HELP b Bs.\n# TYPE b info\n\
                 b_info{{version=\"1\"}} 1\n# HELP c_seconds Cs.\n# TYPE c_seconds histogram\n\
                 {samples}# EOF\n"
            )
        );
    }

    #[test]
    fn seconds_are_exact() {
        for (micros, text) in [
            (0, "0"),
            (1, "0.000001"),
            (2_500, "0.0025"),
            (10_000_000, "10"),
            (u64::MAX, "18446744073709.551615"),
        ] {
            assert_eq!(seconds(micros), text);
        }
    }
}
