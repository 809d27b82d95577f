//! How much of a turn is left for live streams and for decoding.

use std::time::Duration;

use super::{Platform, Reactor};
use crate::app::service::Service;
use crate::limits;

impl<P: Platform, S: Service> Reactor<P, S> {
    /// How long live streams or decoding may take in this turn, given whether publications of this turn wait.
    pub(super) fn spare_time(&mut self, has_publishers: bool) -> Duration {
        if has_publishers {
            let least = Duration::from_micros(limits::SPARE_LEAST_US);
            let taken = self.platform.instant().duration_since(self.turn_began);
            (taken / limits::SPARE_SHARE).max(least)
        } else {
            Duration::from_micros(limits::SPARE_QUIET_US)
        }
    }
}
