//! The filters that `search`, `tail` and `export` share: from arguments to members of a query.

use clap::Args;
use serde::Deserialize;

use crate::cli::failure::Failure;
use crate::client::{percent_encoded, Client, Error};
use crate::limits::Q_MAX;
use crate::search::{moment_is_relative, Filters, Instant, Term};
use crate::text::escaped;

/// Which events
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct FilterArgs {
    /// Topic; one with * at the end is a prefix; may be repeated, as may the next two
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,

    /// Source, or a prefix with *
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,

    /// Event id, or a prefix with *
    #[arg(long, value_name = "ID")]
    event_id: Vec<String>,

    /// Events of this time or later: 2026-01-02T03:04Z, an age such as 15m, 1h or 7d, or now
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Events before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Compare the times at which the server received the events, not their own
    #[arg(long)]
    received: bool,

    /// Condition on the payload, as in level=error, 'ms>500' or '!trace_id'; may be repeated
    #[arg(long = "where", value_name = "CONDITION", allow_hyphen_values = true)]
    conditions: Vec<String>,

    /// Words that the texts of an event must have, as in declined, 'time*', '"card expired"' or -debug; may be repeated
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    q: Vec<String>,
}

/// The filters of a query: decoded values by their members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pairs: Vec<(&'static str, String)>,
}

impl FilterArgs {
    /// The query that asks for them, and for further topics, words and conditions.
    pub(super) fn query(
        &self,
        topics: &[String],
        words: &[String],
        conditions: &[String],
    ) -> Query {
        let mut query = Query::default();
        query.add("topic", topics.iter().chain(&self.topic));
        query.add("source", &self.source);
        query.add("event_id", &self.event_id);
        query.add("since", &self.since);
        query.add("until", &self.until);
        query.add("time", self.received.then_some(&"received".to_owned()));
        let mut words: Vec<&String> = words.iter().chain(&self.q).collect();
        // Several count as one; only their number is bounded.
        let rest = words.split_off(words.len().min(Q_MAX - 1));
        query.add("q", words);
        match &rest[..] {
            [] => {}
            [one] => query.add("q", [*one]),
            several => {
                let joined: Vec<&str> = several.iter().map(|word| word.as_str()).collect();
                query.add("q", [&joined.join(" ")]);
            }
        }
        query.add("where", conditions.iter().chain(&self.conditions));
        query
    }

    /// Whether the events are to begin at a time.
    pub(super) fn has_since(&self) -> bool {
        self.since.is_some()
    }
}

impl Query {
    fn add<'a>(&mut self, member: &'static str, values: impl IntoIterator<Item = &'a String>) {
        for value in values {
            self.pairs.push((member, value.clone()));
        }
    }

    /// The members as they go into an address, each with a `&` before it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (member, value) in &self.pairs {
            text.push('&');
            text.push_str(member);
            text.push('=');
            text.push_str(&percent_encoded(value));
        }
        text
    }

    /// The members for a stream, which is to say how far it has come where not all events come. `text` is that of these
    /// filters, with ages as times.
    pub(super) fn for_stream(&self, text: String) -> String {
        match self.is_topics_only() {
            true => text,
            false => text + "&progress=true",
        }
    }

    /// Whether there are no filters but topics.
    pub(super) fn is_topics_only(&self) -> bool {
        self.pairs.iter().all(|(member, _)| *member == "topic")
    }

    /// The same with ages as the times that they are now, by the server's clock: a connection that is made again later
    /// must mean the same.
    pub(super) fn fixed(mut self, client: &Client) -> Result<Query, Error> {
        #[derive(Deserialize)]
        struct Health {
            timestamp: String,
        }
        let is_relative = |(member, value): &(&'static str, String)| {
            matches!(*member, "since" | "until") && moment_is_relative(value)
        };
        if !self.pairs.iter().any(is_relative) {
            return Ok(self);
        }
        // One that cannot store has a clock nevertheless.
        let body = client.persist(|| match client.get("/health") {
            Err(Error::Refused(refusal)) if refusal.status == 503 => Ok(refusal.body),
            result => result,
        })?;
        let Health { timestamp } = client.read_json(&body)?;
        let now = Instant::of_timestamp(timestamp.as_bytes());
        let now = now.ok_or_else(|| client.unexpected("its time is none"))?;
        self.pairs.retain_mut(|pair| {
            if !is_relative(pair) {
                return true;
            }
            let range = parse([&*pair].into_iter(), now).map(|filters| *filters.range());
            let fixed = range
                .ok()
                .and_then(|range| range.since.or(range.until)?.to_rfc3339());
            // An age before all times bounds nothing.
            fixed.map(|fixed| pair.1 = fixed).is_some()
        });
        Ok(self)
    }

    /// The terms whose places are to be marked.
    pub(super) fn terms(&self) -> Vec<Term> {
        let words = self.pairs.iter().filter(|(member, _)| *member == "q");
        let Ok(filters) = parse(words, Instant::default()) else {
            return Vec::new();
        };
        let terms = filters.terms().iter().filter(|term| !term.is_negated());
        terms.cloned().collect()
    }

    /// The failure of a request that had these filters: a wrong query is that of an argument, which it names.
    pub(super) fn failure(&self, error: Error) -> Failure {
        let Error::Refused(refusal) = &error else {
            return error.into();
        };
        let faults = refusal.faults();
        let fault = match faults.first() {
            Some(fault) if refusal.status == 422 => fault,
            _ => return error.into(),
        };
        let member = fault.loc.get(1).and_then(|member| member.as_str());
        let mut sentence = fault.of_event();
        if let Some(value) = member.and_then(|member| self.wrong(member)) {
            sentence = format!("{sentence}: {}", escaped(value));
        }
        Failure::Setting(sentence)
    }

    /// The value of a member that the server does not take.
    fn wrong(&self, member: &str) -> Option<&str> {
        let values: Vec<_> = self
            .pairs
            .iter()
            .filter(|(own, _)| *own == member)
            .collect();
        let wrong = match values[..] {
            [only] => Some(only),
            _ => {
                let is_wrong = |pair: &&(&'static str, String)| {
                    parse([*pair].into_iter(), Instant::default()).is_err()
                };
                values.into_iter().find(is_wrong)
            }
        };
        wrong.map(|(_, value)| value.as_str())
    }
}

/// Reads filters as a server of this version does.
fn parse<'a>(
    pairs: impl Iterator<Item = &'a (&'static str, String)>,
    now: Instant,
) -> Result<Filters, ()> {
    let pairs: Vec<(&str, &str)> = pairs.map(|(member, value)| (*member, &value[..])).collect();
    Filters::parse(pairs.iter().copied(), now).map_err(drop)
}
