//! What was sent and answered, compared with what the server says at the end.
//!
//! Events are compared by the topics of this run alone. The counts of `/stats` include other publishers, so only a
//! lower bound of their growth is known, unless no other client publishes meanwhile.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::{Event, Run};
use crate::cli::terminal::table;
use crate::client::{percent_encoded, Client, Error, EventResult, ServerStats, StoredEvent};
use crate::limits::PAGE_MAX_EVENTS;

/// What was sent, and what the answers said.
#[derive(Default)]
pub(super) struct Expected {
    /// Events of the scenarios by key, and whether they were found again.
    sent: HashMap<(String, String), (Event, bool)>,
    /// Different events of the load: the numbers below this one.
    pub load_distinct: u64,
    /// Events in requests that were answered.
    answered: u64,
    accepted: u64,
    duplicates: u64,
    conflicts: u64,
    rejected: u64,
    /// Events that were answered with *accepted* twice or more.
    pub accepted_again: u64,
    /// Requests whose answers were lost on purpose, and their events.
    lost_requests: u64,
    lost_events: u64,
    scenarios: u64,
    scenarios_right: u64,
}

impl Expected {
    pub(super) fn add_scenario(&mut self, is_right: bool) {
        self.scenarios += 1;
        self.scenarios_right += u64::from(is_right);
    }

    /// Notes an event of a scenario.
    pub(super) fn add_sent(&mut self, event: &Event) {
        let key = (event.topic.clone(), event.event_id.clone());
        self.sent.insert(key, (event.clone(), false));
    }

    /// A request whose answer was lost on purpose.
    pub(super) fn add_lost(&mut self, events: u64) {
        self.lost_requests += 1;
        self.lost_events += events;
    }

    /// What an answer said.
    pub(super) fn add_outcomes(&mut self, outcomes: &[EventResult]) {
        self.answered += outcomes.len() as u64;
        for outcome in outcomes {
            match outcome {
                EventResult::Accepted => self.accepted += 1,
                EventResult::Duplicate => self.duplicates += 1,
                EventResult::Conflict => {
                    self.duplicates += 1;
                    self.conflicts += 1;
                }
                EventResult::Rejected(_) => self.rejected += 1,
            }
        }
    }

    /// Different events.
    fn distinct(&self) -> u64 {
        self.sent.len() as u64 + self.load_distinct
    }

    /// How much was sent, in words.
    pub(super) fn summary(&self, retries: u64) -> String {
        let mut text = format!(
            "answered: accepted {}, duplicates {}, rejected {}; answers lost on purpose: {}",
            self.accepted, self.duplicates, self.rejected, self.lost_requests
        );
        if retries > 0 {
            text += &format!("; retries for other reasons: {retries}");
        }
        text
    }
}

/// What is stored of a run.
#[derive(Default)]
struct Found {
    /// Different events that were sent, found with their content.
    events: u64,
    again: u64,
    altered: u64,
}

/// One line of the comparison.
struct Row {
    what: &'static str,
    least: u64,
    /// None if others may have added to it.
    most: Option<u64>,
    found: u64,
}

impl Row {
    fn exactly(what: &'static str, sent: u64, found: u64) -> Row {
        Row {
            what,
            least: sent,
            most: Some(sent),
            found,
        }
    }

    fn is_right(&self) -> bool {
        self.found >= self.least && self.most.is_none_or(|most| self.found <= most)
    }

    fn cells(&self) -> [String; 4] {
        let sent = match self.most {
            Some(most) if most == self.least => self.least.to_string(),
            Some(most) => format!("{} to {most}", self.least),
            None => format!("at least {}", self.least),
        };
        let decision = if self.is_right() { "OK" } else { "DIFFERS" };
        [
            self.what.to_owned(),
            sent,
            self.found.to_string(),
            decision.to_owned(),
        ]
    }
}

/// The comparison as it is shown.
pub(super) struct Comparison(Vec<Row>);

impl Comparison {
    /// Asks the server and compares. `before` is what `/stats` said before anything was sent.
    ///
    /// # Errors
    /// The failure that ended the retries.
    pub(super) fn make(
        client: &Client,
        run: &Run,
        expected: &mut Expected,
        before: &ServerStats,
        alone: Option<Alone>,
    ) -> Result<Comparison, Error> {
        let found = read_back(client, run, expected, before.last_seq)?;
        let after: ServerStats = client.persist(|| client.json("/stats"))?;
        let mut rows = vec![
            Row::exactly("scenarios", expected.scenarios, expected.scenarios_right),
            Row::exactly("answers: events that were rejected", 0, expected.rejected),
            Row::exactly("answers: events accepted twice", 0, expected.accepted_again),
            Row::exactly(
                "/events: different events",
                expected.distinct(),
                found.events,
            ),
            Row::exactly("/events: events stored twice", 0, found.again),
            Row::exactly("/events: events not as sent", 0, found.altered),
        ];
        let stored = expected.distinct();
        // Unanswered requests may have been received nevertheless.
        let most = alone.map(|alone| {
            let unknown = expected.lost_events + alone.retries * alone.batch;
            [
                expected.answered + unknown,
                stored,
                (expected.answered + unknown).saturating_sub(stored),
                expected.conflicts + alone.retries,
            ]
        });
        let counts = |stats: &ServerStats| {
            let ServerStats {
                received,
                unique_processed,
                duplicate_dropped,
                conflicts,
                ..
            } = *stats;
            [received, unique_processed, duplicate_dropped, conflicts]
        };
        let names = [
            "/stats: received grew by",
            "/stats: unique_processed grew by",
            "/stats: duplicate_dropped grew by",
            "/stats: conflicts grew by",
        ];
        let least = [
            expected.answered,
            stored,
            expected.duplicates,
            expected.conflicts,
        ];
        for (number, what) in names.into_iter().enumerate() {
            rows.push(Row {
                what,
                least: least[number],
                most: most.map(|most| most[number]),
                found: counts(&after)[number].saturating_sub(counts(before)[number]),
            });
        }
        if after.queue_size == 0 {
            let sum = after.unique_processed + after.duplicate_dropped;
            let what = "/stats: received, and unique + duplicates";
            rows.push(Row::exactly(what, after.received, sum));
        }
        Ok(Comparison(rows))
    }

    /// How many lines differ.
    pub(super) fn differing(&self) -> usize {
        self.0.iter().filter(|row| !row.is_right()).count()
    }
}

/// The upper bound of the counts if no other client publishes.
pub(super) struct Alone {
    /// Requests that were sent again for other reasons than an answer lost on purpose.
    pub retries: u64,
    /// The most events in each of them.
    pub batch: u64,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![["COMPARED", "SENT", "SERVER", "RESULT"].map(str::to_owned)];
        rows.extend(self.0.iter().map(Row::cells));
        f.write_str(&table(&rows))?;
        match self.0.iter().any(|row| row.most.is_none()) {
            true => f.write_str(
                "Others may publish meanwhile, so /stats is only compared with a lower bound; with --alone also with \
                 an upper one.\n",
            ),
            false => Ok(()),
        }
    }
}

/// Reads all events of the run after a seq and finds them among those that are expected.
fn read_back(
    client: &Client,
    run: &Run,
    expected: &mut Expected,
    after: u64,
) -> Result<Found, Error> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
        next: Option<String>,
    }
    let mut after = after;
    let mut found = Found::default();
    let mut load = Bits::default();
    let pattern = percent_encoded(&format!("{}*", run.prefix));
    let mut target = format!("/events?topic={pattern}&limit={PAGE_MAX_EVENTS}&after={after}");
    loop {
        let body = client.persist(|| client.get(&target))?;
        let page: Page = client.read_json(&body)?;
        for text in &page.events {
            let stored: StoredEvent = client.read_json(text.get().as_bytes())?;
            if stored.seq <= after {
                return Err(client.unexpected("/events is out of order"));
            }
            after = stored.seq;
            let was_found = match run.number_of(&stored) {
                Some(number) if number < expected.load_distinct => {
                    let is_same = run.load_event(number).is_stored_as(&stored);
                    is_same.then(|| load.set(number))
                }
                Some(_) => None,
                None => {
                    let (topic, event_id) = stored.key();
                    let key = (topic.to_owned(), event_id.to_owned());
                    match expected.sent.get_mut(&key) {
                        Some((event, was_found)) if event.is_stored_as(&stored) => {
                            Some(std::mem::replace(was_found, true))
                        }
                        _ => None,
                    }
                }
            };
            match was_found {
                Some(false) => found.events += 1,
                Some(true) => found.again += 1,
                None => found.altered += 1,
            }
        }
        // A page may hold few events, or none, and still not be the last.
        match page.next {
            Some(next) if next.starts_with('/') => target = next,
            _ => return Ok(found),
        }
    }
}

/// A set of small numbers.
#[derive(Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Adds a number; true where it was there.
    pub(super) fn set(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let was_there = self.0[word] & bit != 0;
        self.0[word] |= bit;
        was_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_right_within_its_bounds() {
        let row = |least, most, found| Row {
            what: "",
            least,
            most,
            found,
        };
        assert!(row(3, None, 3).is_right() && row(3, None, 9).is_right());
        assert!(row(3, Some(4), 4).is_right() && Row::exactly("", 0, 0).is_right());
        assert!(!row(3, None, 2).is_right() && !row(3, Some(4), 5).is_right());
        assert!(!Row::exactly("", 0, 1).is_right());
    }

    #[test]
    fn a_set_knows_what_it_has() {
        let mut bits = Bits::default();
        assert_eq!(
            [0, 63, 64, 0, 64].map(|n| bits.set(n)),
            [false, false, false, true, true]
        );
    }
}
