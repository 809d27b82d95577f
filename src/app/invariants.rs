//! What must be true of the application between two turns. Only the simulation asks.

use super::App;
use crate::limits;

impl App {
    /// Panics when something is not as it must be between two turns: whatever can be committed has been,
    /// and every answer has been taken.
    pub fn check_invariants(&self) {
        self.queue.ring().check_invariants();
        assert_eq!(
            self.has_waiting(),
            self.health.is_retrying(),
            "publications wait for another program's lock and for nothing else"
        );
        // The last step of a turn may be a page, of which the last event may be as large as a body.
        let bytes = limits::PAGE_MAX_BYTES + self.options.max_body_bytes;
        let events = limits::PAGE_MAX_EVENTS as u64 * limits::EVENT_UNITS;
        let step_max = events + bytes as u64 / limits::READ_BYTES_PER_UNIT;
        self.reading.check_invariants(step_max);
        assert!(self.committed.is_empty(), "an answer was not delivered");
    }
}
