//! Whether the engine commits, as far as a front knows.

use crate::clock::Now;
use crate::limits::{RETRY_AFTER_MAX_S, RETRY_MS};

pub(super) struct FrontHealth {
    /// Why it does not commit; none while it does.
    fault: Option<String>,
    /// Since when, and when a commit is tried next, in `mono_ms`.
    failed_since: u64,
    probe_at: u64,
    /// Something has failed that need not be the engine's fault.
    is_doubted: bool,
    /// It has been let in once.
    has_begun: bool,
    refused: Option<String>,
}

impl FrontHealth {
    pub(super) fn new(now: Now) -> FrontHealth {
        FrontHealth {
            fault: Some("the engine has not been reached yet".to_owned()),
            failed_since: now.mono_ms,
            probe_at: now.mono_ms,
            is_doubted: false,
            has_begun: false,
            refused: None,
        }
    }

    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Why there is no use in going on.
    pub(super) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// How many seconds a client is asked to wait: as long as the engine has not committed.
    pub(super) fn retry_after(&self, now: Now) -> u64 {
        let since = match self.fault {
            Some(_) => self.failed_since,
            None => now.mono_ms,
        };
        (now.mono_ms.saturating_sub(since) / 1_000).clamp(1, RETRY_AFTER_MAX_S)
    }

    /// The engine has let a connection in: whether it commits is tried at once.
    pub(super) fn opened(&mut self, now: Now) {
        self.has_begun = true;
        self.probe_at = self.probe_at.min(now.mono_ms);
    }

    /// The engine does not let a connection in. That is final before one has ever been let in.
    pub(super) fn refuse(&mut self, sentence: &str, now: Now) {
        if !self.has_begun {
            self.refused = Some(sentence.to_owned());
        }
        self.failed(sentence, now);
    }

    pub(super) fn failed(&mut self, sentence: &str, now: Now) {
        if self.fault.is_none() {
            log::error!("the engine does not commit: {sentence}");
            self.failed_since = now.mono_ms;
            self.probe_at = now.mono_ms;
        } else if self.fault.as_deref() != Some(sentence) {
            log::warn!("the engine does not commit yet: {sentence}");
        }
        self.fault = Some(sentence.to_owned());
    }

    /// Something has failed that is no commit: whether the engine commits is tried.
    pub(super) fn doubt(&mut self) {
        self.is_doubted = true;
    }

    pub(super) fn committed(&mut self) {
        if self.fault.take().is_some() {
            log::info!("the engine commits");
        }
    }

    /// Whether a commit is to be tried.
    pub(super) fn is_probe_due(&self, now: Now) -> bool {
        self.deadline().is_some_and(|at| now.mono_ms >= at)
    }

    pub(super) fn probed(&mut self, now: Now) {
        self.probe_at = now.mono_ms + RETRY_MS;
        self.is_doubted = false;
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let is_wanted = self.fault.is_some() || self.is_doubted;
        is_wanted.then_some(self.probe_at)
    }
}
