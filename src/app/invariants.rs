//! What must be true of the application between two turns. Only the simulation asks.

use super::App;

impl App {
    /// Panics when something is not as it must be between two turns: whatever can be committed has been,
    /// and every answer has been taken.
    pub fn check_invariants(&self) {
        self.ring.check_invariants();
        assert_eq!(
            self.has_waiting(),
            self.locked_since.is_some(),
            "publications wait for another program's lock and for nothing else"
        );
        assert!(self.committed.is_empty(), "an answer was not delivered");
    }
}
