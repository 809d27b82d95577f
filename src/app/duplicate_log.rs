//! What the program's log says of duplicates and conflicts. Which of these lines are written is up to the levels
//! of their targets.

use log::Level::Warn;

use crate::clock::Now;
use crate::event::{Publication, Span};
use crate::limits;
use crate::logging::{self, CONFLICTS, DUPLICATE_COUNTS};
use crate::store::Outcome;

#[derive(Debug, Default)]
pub(super) struct DuplicateLog {
    /// Duplicates since the last summary; 0 where summaries are not wanted.
    count: u64,
    /// When the next summary is due, in `mono_ms`.
    summary_at: u64,
}

impl DuplicateLog {
    /// A publication was committed with these outcomes.
    pub(super) fn committed(&mut self, publication: &Publication, outcomes: &[Outcome]) {
        let is_duplicate = |outcome: &Outcome| !matches!(outcome, Outcome::Accepted(_));
        let count = outcomes.iter().filter(|o| is_duplicate(o)).count();
        if count == 0 {
            return;
        }
        if log::log_enabled!(target: DUPLICATE_COUNTS, Warn) {
            self.count += count as u64;
        }
        // Below this level none of the lines is written, and no text is looked at.
        if !log::log_enabled!(target: CONFLICTS, Warn) {
            return;
        }
        for (event, outcome) in publication.events.iter().zip(outcomes) {
            if !is_duplicate(outcome) {
                continue;
            }
            let text = |span| text_of(span, &publication.body);
            let (topic, event_id, source) =
                (text(event.topic), text(event.event_id), text(event.source));
            logging::duplicate(topic, event_id, source);
            if let Outcome::Conflict(seq) = outcome {
                log::warn!(
                    target: CONFLICTS,
                    topic, event_id, source, seq;
                    "Event conflict: the dropped event differs from the stored one: \
                     topic={topic}, event_id={event_id}, seq={seq}"
                );
            }
        }
    }

    /// When a summary is due; none while there is nothing to sum up.
    pub(super) fn deadline(&self) -> Option<u64> {
        (self.count > 0).then_some(self.summary_at)
    }

    pub(super) fn tick(&mut self, now: Now) {
        if self.count > 0 && now.mono_ms >= self.summary_at {
            self.summarise();
            self.summary_at = now.mono_ms + limits::SUMMARY_MS;
        }
    }

    /// Logs how many duplicates there were since the last summary, if there were some.
    pub(super) fn summarise(&mut self) {
        if self.count > 0 {
            log::warn!(target: DUPLICATE_COUNTS, "Duplicate events dropped: {}", self.count);
            self.count = 0;
        }
    }
}

/// The text of a span. A body is UTF-8, or it would not have become events.
fn text_of(span: Span, body: &[u8]) -> &str {
    std::str::from_utf8(span.of(body)).unwrap_or_default()
}
