//! The lines of the program's log about duplicates and conflicts. Which of these lines are written is up to the levels
//! of their targets.

use log::Level::Warn;

use crate::clock::Now;
use crate::event::{Publication, Span};
use crate::limits;
use crate::logging::{self, CONFLICTS, DUPLICATES, DUPLICATE_COUNTS};
use crate::store::Outcome;

#[derive(Debug, Default)]
pub(super) struct DuplicateLog {
    /// Duplicates since the last summary; 0 where summaries are not wanted.
    count: u64,
    /// When the next summary is due, in `mono_ms`.
    summary_at: u64,
    /// Lines of single duplicates since `lines_since`.
    lines: u32,
    /// In `mono_ms`.
    lines_since: u64,
    /// Whether the log has said how to have fewer lines.
    has_hinted: bool,
}

impl DuplicateLog {
    /// A publication was committed with these outcomes, at this time in `mono_ms`.
    pub(super) fn committed(
        &mut self,
        publication: &Publication,
        outcomes: &[Outcome],
        mono_ms: u64,
    ) {
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
            self.count_line(mono_ms);
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

    /// Counts a line of a single duplicate. Where many come within a second, the log says once how to have fewer.
    fn count_line(&mut self, mono_ms: u64) {
        if self.has_hinted || !log::log_enabled!(target: DUPLICATES, Warn) {
            return;
        }
        if mono_ms >= self.lines_since + limits::DUPLICATE_HINT_MS {
            self.lines_since = mono_ms;
            self.lines = 0;
        }
        self.lines += 1;
        if self.lines == limits::DUPLICATE_HINT_LINES {
            self.has_hinted = true;
            log::info!(
                "each duplicate has a line of its own; --log-duplicates summary (LOG_DUPLICATES) writes their number \
                 once a second"
            );
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

    /// Logs the number of duplicates since the last summary, if there were any.
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
