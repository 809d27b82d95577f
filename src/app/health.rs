//! Whether the store can commit, and when a failed commit is tried again.
//!
//! ```text
//!            locked, or a page is damaged
//!  Healthy ─────────────────────────────▶ Retrying ──┐ tried again until
//!     ▲ ▲ ▲         committed               │  ▲     │ LOCKED_RETRY_MS are over
//!     │ │ └─────────────────────────────────┘  └─────┘
//!     │ │ any other error                   │ too long, or any other error
//!     │ └───────────────────────────────┐   ▼
//!     └──────────────────────────────── Failed ──┐ probed each RETRY_MS
//!            committed, or probed         ▲      │
//!                                         └──────┘
//! ```
//!
//! While publications are tried again, commits are the probes. Owns the times and the reason that `/health` gives;
//! never touches the store.

use crate::clock::Now;
use crate::limits;
use crate::store::StoreError;

#[derive(Debug, Default)]
pub(super) struct Health {
    state: State,
    /// Since when publications have waited for damaged pages, in `mono_ms`.
    repairing_since: Option<u64>,
    /// Since when the store has not been able to commit, in `mono_ms`.
    failed_since: Option<u64>,
}

/// Times are in `mono_ms`.
#[derive(Debug, Default)]
enum State {
    #[default]
    Healthy,
    /// Publications wait in the ring until another program releases its lock, or a damaged page is repaired.
    Retrying {
        since: u64,
        retry_at: u64,
        /// Why the store had failed before.
        fault: Option<String>,
    },
    /// The store cannot commit.
    Failed { reason: String, probe_at: u64 },
}

impl Health {
    /// Why the store cannot commit; `None` while it can, as far as is known.
    pub(super) fn fault(&self) -> Option<&str> {
        match &self.state {
            State::Healthy => None,
            State::Retrying { fault, .. } => fault.as_deref(),
            State::Failed { reason, .. } => Some(reason),
        }
    }

    /// How many seconds a client is asked to wait before it sends a refused request again: as long as the store has not
    /// been able to commit. So clients that give up after five tries, as some SDKs do, wait for half a minute in total.
    pub(super) fn retry_after(&self, now: Now) -> u64 {
        let since = self.failed_since.unwrap_or(now.mono_ms);
        let seconds = now.mono_ms.saturating_sub(since) / 1_000;
        seconds.clamp(1, limits::RETRY_AFTER_MAX_S)
    }

    /// Whether publications wait to be tried again.
    pub(super) fn is_retrying(&self) -> bool {
        matches!(self.state, State::Retrying { .. })
    }

    /// Whether a commit may be tried now.
    pub(super) fn may_commit(&self, now: Now) -> bool {
        !matches!(self.state, State::Retrying { retry_at, .. } if now.mono_ms < retry_at)
    }

    /// Whether a store that has failed is to be probed now.
    pub(super) fn is_probe_due(&self, now: Now) -> bool {
        matches!(self.state, State::Failed { probe_at, .. } if now.mono_ms >= probe_at)
    }

    /// When the next try or probe is due.
    pub(super) fn deadline(&self) -> Option<u64> {
        match self.state {
            State::Healthy => None,
            State::Retrying { retry_at, .. } => Some(retry_at),
            State::Failed { probe_at, .. } => Some(probe_at),
        }
    }

    /// Another program has locked the database. Returns whether the publications go on waiting for it.
    pub(super) fn locked(&mut self, now: Now) -> bool {
        let since = match self.state {
            State::Retrying { since, .. } => since,
            _ => now.mono_ms,
        };
        let may_wait = now.mono_ms - since < limits::LOCKED_RETRY_MS;
        if may_wait {
            self.retry(now.mono_ms + limits::LOCKED_PAUSE_MS, now);
        }
        may_wait
    }

    /// Whether a commit has met a damaged page since all were sound.
    pub(super) fn is_waiting_for_repair(&self) -> bool {
        self.repairing_since.is_some()
    }

    /// A commit has met a damaged page. Returns whether all publications go on waiting for its repair.
    pub(super) fn needs_repair(&mut self, now: Now) -> bool {
        let since = *self.repairing_since.get_or_insert(now.mono_ms);
        now.mono_ms - since < limits::LOCKED_RETRY_MS
    }

    /// Publications wait in the ring, and are tried again at `retry_at`.
    pub(super) fn retry(&mut self, retry_at: u64, now: Now) {
        self.state = match std::mem::take(&mut self.state) {
            State::Healthy => State::Retrying {
                since: now.mono_ms,
                retry_at,
                fault: None,
            },
            State::Retrying { since, fault, .. } => State::Retrying {
                since,
                retry_at,
                fault,
            },
            State::Failed { reason, .. } => State::Retrying {
                since: now.mono_ms,
                retry_at,
                fault: Some(reason),
            },
        };
    }

    /// Nothing waits in the ring any more, and nothing was committed.
    pub(super) fn stop_retrying(&mut self) {
        if let State::Retrying {
            retry_at, fault, ..
        } = &mut self.state
        {
            let probe_at = *retry_at;
            self.state = match fault.take() {
                Some(reason) => State::Failed { reason, probe_at },
                None => State::Healthy,
            };
        }
    }

    /// The store cannot commit. Publications that fail while this is known do not delay the next probe.
    pub(super) fn failed(&mut self, error: &StoreError, now: Now) {
        if self.fault().is_none() {
            log::error!("the store cannot commit: {error}");
        }
        self.failed_since.get_or_insert(now.mono_ms);
        let probe_at = match self.state {
            State::Failed { probe_at, .. } => probe_at,
            State::Healthy | State::Retrying { .. } => now.mono_ms + limits::RETRY_MS,
        };
        let reason = error.to_string();
        self.state = State::Failed { reason, probe_at };
    }

    /// A probe has failed.
    pub(super) fn probe_failed(&mut self, error: &StoreError, now: Now) {
        self.state = State::Failed {
            reason: error.to_string(),
            probe_at: now.mono_ms + limits::RETRY_MS,
        };
    }

    /// A commit or a probe has succeeded. While pages are damaged, the next publications that need them do not
    /// wait as long again.
    pub(super) fn recovered(&mut self, is_damaged: bool) {
        if !is_damaged {
            self.repairing_since = None;
        }
        if self.fault().is_some() {
            log::info!("the store commits again");
        }
        self.failed_since = None;
        self.state = State::Healthy;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: u64 = limits::LOCKED_PAUSE_MS;

    fn at(mono_ms: u64) -> Now {
        Now {
            mono_ms,
            ..Now::default()
        }
    }

    fn broken() -> StoreError {
        StoreError::Failed("broken".to_owned())
    }

    #[test]
    fn a_locked_database_is_tried_again_for_a_while_and_then_probed() {
        let mut health = Health::default();
        assert!(health.may_commit(at(5)) && health.deadline().is_none());
        assert!(health.locked(at(5)) && health.is_retrying());
        assert_eq!(health.deadline(), Some(5 + PAUSE));
        assert!(!health.may_commit(at(4 + PAUSE)) && health.may_commit(at(5 + PAUSE)));
        assert!(health.fault().is_none() && !health.is_probe_due(at(5 + PAUSE)));
        let end = 5 + limits::LOCKED_RETRY_MS;
        assert!(health.locked(at(end - 1)) && !health.locked(at(end)));
        health.failed(&StoreError::Locked, at(end));
        assert!(!health.is_retrying() && health.fault().is_some());
        assert_eq!(health.deadline(), Some(end + limits::RETRY_MS));
        assert!(health.is_probe_due(at(end + limits::RETRY_MS)));
        health.recovered(false);
        assert!(health.fault().is_none() && health.deadline().is_none());
    }

    #[test]
    fn publications_that_fail_do_not_put_the_next_probe_off() {
        let mut health = Health::default();
        health.failed(&broken(), at(0));
        health.failed(&StoreError::Locked, at(9));
        assert_eq!(health.deadline(), Some(limits::RETRY_MS));
        // Those that wait for a lock are tried in place of the probe, and the fault is kept.
        assert!(health.locked(at(10)) && !health.is_probe_due(at(limits::RETRY_MS)));
        assert!(health.fault().is_some());
        health.stop_retrying();
        assert!(health.is_probe_due(at(10 + PAUSE)));
        health.probe_failed(&broken(), at(2_000));
        assert_eq!(health.deadline(), Some(2_000 + limits::RETRY_MS));
    }

    #[test]
    fn clients_are_asked_to_wait_for_as_long_as_the_store_has_failed() {
        let mut health = Health::default();
        health.failed(&broken(), at(5_000));
        let waits = [5_000, 6_999, 7_000, 9_500, 600_000].map(|ms| health.retry_after(at(ms)));
        assert_eq!(waits, [1, 1, 2, 4, limits::RETRY_AFTER_MAX_S]);
        health.probe_failed(&broken(), at(9_500));
        assert_eq!(health.retry_after(at(9_500)), 4);
        health.recovered(false);
        health.failed(&broken(), at(700_000));
        assert_eq!(health.retry_after(at(700_000)), 1);
    }

    #[test]
    fn damage_is_waited_for_once() {
        let mut health = Health::default();
        assert!(health.needs_repair(at(0)) && health.needs_repair(at(1)));
        health.recovered(true);
        assert!(!health.needs_repair(at(limits::LOCKED_RETRY_MS)));
        health.recovered(false);
        assert!(health.needs_repair(at(limits::LOCKED_RETRY_MS)));
    }
}
