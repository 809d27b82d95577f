//! How much a step of matching may do. It is counted and not timed, so that it is the same on each machine and in each
//! test.

/// Bytes of payload that a step may still look at, about 2 ns each. What else it does counts as bytes too.
#[derive(Debug)]
pub struct Effort {
    given: i64,
    left: i64,
}

impl Effort {
    /// A step of this many bytes. It makes progress whatever the number.
    pub fn of(bytes: u32) -> Self {
        Self {
            given: i64::from(bytes),
            left: i64::from(bytes),
        }
    }

    /// A step without a bound.
    pub fn unbounded() -> Self {
        Self {
            given: i64::MAX,
            left: i64::MAX,
        }
    }

    /// Whether the step is over.
    pub fn is_over(&self) -> bool {
        self.left <= 0
    }

    /// Bytes that have been spent. The last part of a step may have gone beyond what was given.
    pub fn spent(&self) -> u64 {
        (self.given - self.left) as u64
    }

    /// Bytes that may still be spent; at least one.
    pub(super) fn left(&self) -> usize {
        self.left.max(1) as usize
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        self.left -= bytes as i64;
    }
}
