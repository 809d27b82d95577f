//! What the program's log says of duplicates and conflicts.

use super::options::LogDuplicates;
use crate::clock::Now;
use crate::event::{Publication, Span};
use crate::limits;
use crate::logging;
use crate::store::Outcome;

#[derive(Debug)]
pub(super) struct DuplicateLog {
    mode: LogDuplicates,
    /// Duplicates since the last summary.
    count: u64,
    /// When the next summary is due, in `mono_ms`.
    summary_at: u64,
}

impl DuplicateLog {
    pub(super) fn new(mode: LogDuplicates) -> Self {
        Self {
            mode,
            count: 0,
            summary_at: 0,
        }
    }

    /// A publication was committed with these outcomes.
    pub(super) fn committed(&mut self, publication: &Publication, outcomes: &[Outcome]) {
        for (event, outcome) in publication.events.iter().zip(outcomes) {
            if matches!(outcome, Outcome::Accepted(_)) {
                continue;
            }
            self.count += 1;
            let text = |span| text_of(span, &publication.body);
            let (topic, event_id, source) =
                (text(event.topic), text(event.event_id), text(event.source));
            if self.mode == LogDuplicates::Each {
                logging::duplicate(topic, event_id, source);
            }
            if let (Outcome::Conflict(seq), true) = (outcome, self.mode != LogDuplicates::Off) {
                log::warn!(
                    topic, event_id, source, seq;
                    "Event conflict: the dropped event differs from the stored one: \
                     topic={topic}, event_id={event_id}, seq={seq}"
                );
            }
        }
    }

    fn owes_summary(&self) -> bool {
        self.mode == LogDuplicates::Summary && self.count > 0
    }

    /// When a summary is due; none while there is nothing to sum up.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.owes_summary().then_some(self.summary_at)
    }

    pub(super) fn tick(&mut self, now: Now) {
        if self.owes_summary() && now.mono_ms >= self.summary_at {
            self.summarise();
            self.summary_at = now.mono_ms + limits::SUMMARY_MS;
        }
    }

    /// Logs how many duplicates there were since the last summary, if summaries are wanted and there were some.
    pub(super) fn summarise(&mut self) {
        if self.owes_summary() {
            log::warn!("Duplicate events dropped: {}", self.count);
            self.count = 0;
        }
    }
}

/// The text of a span. A body is UTF-8, or it would not have become events.
fn text_of(span: Span, body: &[u8]) -> &str {
    std::str::from_utf8(span.of(body)).unwrap_or_default()
}
