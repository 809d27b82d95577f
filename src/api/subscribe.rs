//! `GET /subscribe`: what is asked for, and how events look in a stream.

use super::detail::Details;
use super::filters::{check_members, FilterParams};
use super::json::{write_escaped, write_to};
use super::query;
use crate::event::{name_error, NameFilter};
use crate::http::{write_number, Request, Response};

/// The media types of one event a line.
const LINES: [&str; 3] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
];

/// The form of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Server-Sent Events (HTML, section 9.2).
    EventStream,
    /// One event a line.
    Ndjson,
}

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With the event after this seq.
    After(u64),
    /// After the position of the named subscription.
    Subscription,
    /// With the oldest event: nothing was said but a time.
    First,
    /// Nothing was said.
    Unsaid,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SubscribeParams {
    pub params: FilterParams,
    pub start: Start,
    /// The name of a subscription, which has to exist.
    pub subscription: Option<String>,
    /// Whether the stream goes on with what is committed later.
    pub follow: bool,
    /// Whether the stream says how far it has come.
    pub progress: bool,
    pub format: Format,
}

impl SubscribeParams {
    /// Reads the query and the fields `Accept` and `Last-Event-ID`.
    pub(crate) fn read(request: &Request) -> Result<Self, Details> {
        let text = request.query();
        check_members(text, &["after", "follow", "subscription", "progress"])?;
        let params = FilterParams::parse(text, request.arrived.unix_us)?;
        let after = query::number(text, "after")?;
        let follow = query::flag_or(text, "follow", true)?;
        let progress = query::flag(text, "progress")?;
        let subscription = query::single(text, "subscription")?;
        if let Some(error) = subscription.as_deref().and_then(name_error) {
            let complaint = format!("subscription {}", error.complaint());
            return Err(Details::query("subscription", complaint));
        }
        // HTML, section 9.2.4: a browser that reconnects says here what it has seen. It takes precedence over the
        // address, which is still that of the first time.
        let seen = request.header("last-event-id").and_then(seq_of);
        let start = match (seen.or(after), &subscription) {
            (Some(seq), _) => Start::After(seq),
            (None, Some(_)) => Start::Subscription,
            (None, None) if query::single(text, "since")?.is_some() => Start::First,
            (None, None) => Start::Unsaid,
        };
        Ok(Self {
            params,
            start,
            subscription,
            follow,
            progress,
            format: Format::negotiate(request),
        })
    }

    /// Which topics are wanted.
    pub(crate) fn filter(&self) -> NameFilter {
        NameFilter::new(&self.params.topics)
    }

    /// The same for topics as written in JSON text; `None` if that makes no difference.
    pub(crate) fn escaped_filter(&self) -> Option<NameFilter> {
        let escape = |name: &str| {
            let mut escaped = Vec::with_capacity(name.len());
            write_escaped(&mut escaped, name.as_bytes());
            escaped
        };
        let has_escapes = |name: &String| escape(name) != name.as_bytes();
        let differs = self.params.topics.iter().any(has_escapes);
        differs.then(|| NameFilter::written(&self.params.topics, escape))
    }
}

fn seq_of(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A position beyond all seqs is ahead of the newest, and its reader is told so.
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

impl Format {
    /// The form that the client prefers (RFC 9110 §12.5.1). Server-Sent Events where it prefers neither, or accepts
    /// neither: the RFC allows to ignore the field in place of 406.
    fn negotiate(request: &Request) -> Self {
        let (mut lines, mut event_stream, mut any_text, mut any) = (None, None, None, None);
        let fields = request
            .headers("accept")
            .filter_map(|field| std::str::from_utf8(field).ok());
        for range in fields.flat_map(|field| field.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let named = match parts.next().unwrap_or_default() {
                name if name.eq_ignore_ascii_case("text/event-stream") => &mut event_stream,
                name if LINES.iter().any(|known| name.eq_ignore_ascii_case(known)) => &mut lines,
                name if name.eq_ignore_ascii_case("text/*") => &mut any_text,
                "*/*" => &mut any,
                _ => continue,
            };
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")))
                .map_or(1_000, weight_of);
            *named = (*named).max(Some(weight));
        }
        let (lines, by_range) = (lines.unwrap_or(0), any_text.or(any));
        let like_event_stream = event_stream.or(by_range).unwrap_or(0);
        // Of two with the same weight, the one that is named wins over one that a range covers.
        let lines_named = event_stream.is_none() && lines > 0 && lines == like_event_stream;
        if lines > like_event_stream || lines_named {
            Format::Ndjson
        } else {
            Format::EventStream
        }
    }

    /// The head of a stream's answer.
    pub(crate) fn head(self) -> Response {
        let media_type = match self {
            Format::EventStream => "text/event-stream",
            Format::Ndjson => "application/x-ndjson",
        };
        // Proxies that collect answers would keep events back; nginx is told by a field of its own.
        Response::new(200, media_type, &b""[..])
            .header("Cache-Control", "no-store")
            .header("X-Accel-Buffering", "no")
    }

    /// Appends an event. `json` appends its JSON text.
    pub(crate) fn write_event(self, out: &mut Vec<u8>, seq: u64, json: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Format::EventStream => {
                out.extend_from_slice(b"id: ");
                write_number(out, seq);
                out.extend_from_slice(b"\ndata: ");
                json(out);
                out.extend_from_slice(b"\n\n");
            }
            Format::Ndjson => {
                json(out);
                out.push(b'\n');
            }
        }
    }

    /// Appends the notice that the events `from` to `to` have been removed before they could be sent.
    pub(crate) fn write_gap(self, out: &mut Vec<u8>, from: u64, to: u64) {
        match self {
            Format::EventStream => write_to(
                out,
                format_args!("event: gap\ndata: {{\"from\":{from},\"to\":{to}}}\n\n"),
            ),
            Format::Ndjson => write_to(
                out,
                format_args!("{{\"gap\":{{\"from\":{from},\"to\":{to}}}}}\n"),
            ),
        }
    }

    /// Appends the notice that a reader's position is ahead of the newest event, `last_seq`, and that
    /// the stream goes on after it. The `id` has a browser forget the position (HTML, section 9.2.6).
    pub(crate) fn write_reset(self, out: &mut Vec<u8>, position: u64, last_seq: u64) {
        let seqs = format_args!("{{\"position\":{position},\"last_seq\":{last_seq}}}");
        match self {
            Format::EventStream => write_to(
                out,
                format_args!("id: {last_seq}\nevent: reset\ndata: {seqs}\n\n"),
            ),
            Format::Ndjson => write_to(out, format_args!("{{\"reset\":{seqs}}}\n")),
        }
    }

    /// Appends how far the stream has come: as a message of its own if that `is_asked`, else as an `id` alone, which a
    /// browser remembers without a message (HTML, section 9.2.6).
    pub(crate) fn write_progress(self, out: &mut Vec<u8>, through: u64, is_asked: bool) {
        let message = format_args!("{{\"progress\":{{\"through\":{through}}}}}");
        match self {
            Format::EventStream if is_asked => write_to(
                out,
                format_args!("id: {through}\nevent: progress\ndata: {message}\n\n"),
            ),
            Format::EventStream => write_to(out, format_args!("id: {through}\n\n")),
            Format::Ndjson => write_to(out, format_args!("{message}\n")),
        }
    }

    /// The heartbeat: a comment, or an empty line.
    pub(crate) fn heartbeat(self) -> &'static [u8] {
        match self {
            Format::EventStream => b":\n\n",
            Format::Ndjson => b"\n",
        }
    }
}

/// A weight in thousandths (RFC 9110 §12.4.2). One that is malformed counts as 1.
fn weight_of(text: &str) -> u32 {
    let weight = text.parse::<f32>().ok().filter(|w| (0.0..=1.0).contains(w));
    weight.map_or(1_000, |weight| (weight * 1_000.0) as u32)
}
