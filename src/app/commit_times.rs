//! How long commits took, as counts in buckets: an eighth of a power of two wide, so a value read from them is at most
//! an eighth too great.

/// Buckets: microseconds up to some 67 s; longer commits are in the last.
const BUCKETS: usize = 192;

/// The times of some commits.
#[derive(Clone, Debug)]
pub(super) struct CommitTimes {
    counts: [u32; BUCKETS],
    count: u64,
    slowest_us: u64,
}

impl Default for CommitTimes {
    fn default() -> Self {
        CommitTimes {
            counts: [0; BUCKETS],
            count: 0,
            slowest_us: 0,
        }
    }
}

impl CommitTimes {
    /// Counts one commit.
    pub(super) fn note(&mut self, us: u64) {
        let count = &mut self.counts[place(us)];
        *count = count.saturating_add(1);
        self.count += 1;
        self.slowest_us = self.slowest_us.max(us);
    }

    pub(super) fn add(&mut self, other: &CommitTimes) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.count += other.count;
        self.slowest_us = self.slowest_us.max(other.slowest_us);
    }

    /// How many commits there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn slowest_us(&self) -> u64 {
        self.slowest_us
    }

    /// The time within which this many of a hundred commits were done; 0 if there were none.
    pub(super) fn percentile_us(&self, percent: u64) -> u64 {
        let wanted = (self.count * percent).div_ceil(100);
        let mut passed = 0;
        let is_reached = |count: &u32| {
            passed += u64::from(*count);
            passed >= wanted
        };
        match self.counts.iter().position(is_reached) {
            Some(place) if place < BUCKETS - 1 => last_of(place).min(self.slowest_us),
            _ => self.slowest_us,
        }
    }
}

/// The bucket of a time: the first sixteen are a microsecond wide, and of each further power of two there are eight.
fn place(us: u64) -> usize {
    let power = us.max(8).ilog2() - 3;
    let place = 8 * u64::from(power) + (us >> power);
    (place as usize).min(BUCKETS - 1)
}

/// The greatest time that belongs into a bucket.
fn last_of(place: usize) -> u64 {
    let place = place as u64;
    match (place / 8).checked_sub(1) {
        None | Some(0) => place,
        Some(power) => ((place % 8 + 9) << power) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_its_bucket_and_buckets_are_narrow() {
        for us in (0..100_000).chain([1 << 20, (1 << 25) - 1]) {
            let last = last_of(place(us));
            assert!(last >= us && last <= us + us / 8, "{us} in {last}");
            assert_eq!(place(last), place(us));
            assert_eq!(place(last + 1), place(us) + 1);
        }
        assert_eq!(place(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_a_list() {
        let mut times = CommitTimes::default();
        assert_eq!(times.percentile_us(99), 0);
        for us in 1..=1_000 {
            times.note(us);
        }
        let near = |percent, us: u64| (us..=us + us / 8).contains(&times.percentile_us(percent));
        assert!(near(50, 500) && near(99, 990) && near(1, 10));
        let mut both = CommitTimes::default();
        both.note(70_000_000_000);
        both.add(&times);
        assert_eq!((both.count(), both.slowest_us()), (1_001, 70_000_000_000));
        assert_eq!(both.percentile_us(50), times.percentile_us(50));
        assert_eq!(both.percentile_us(100), 70_000_000_000);
    }
}
