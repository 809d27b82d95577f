//! Counts values by intervals, without an allocation and without a search that would cost more than the counting.

/// A histogram over `N` ascending upper bounds, which belong to their intervals, and one interval more for what is
/// above the last. Values are whole numbers of a unit that the owner knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Histogram<const N: usize> {
    bounds: &'static [u64; N],
    counts: [u64; N],
    above: u64,
    sum: u64,
}

impl<const N: usize> Histogram<N> {
    pub(super) const fn new(bounds: &'static [u64; N]) -> Self {
        Histogram {
            bounds,
            counts: [0; N],
            above: 0,
            sum: 0,
        }
    }

    /// Counts one value.
    pub(super) fn observe(&mut self, value: u64) {
        self.observe_at(place(self.bounds, value), value);
    }

    /// Counts one value whose [`place`] among the bounds is known.
    pub(super) fn observe_at(&mut self, place: usize, value: u64) {
        *self.counts.get_mut(place).unwrap_or(&mut self.above) += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// How many values were counted.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.above
    }

    /// The sum of the values.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// Each bound with the number of values up to it.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut total = 0;
        self.bounds
            .iter()
            .zip(&self.counts)
            .map(move |(bound, count)| {
                total += count;
                (*bound, total)
            })
    }
}

/// The interval that a value belongs to, counted from 0.
pub(super) fn place(bounds: &[u64], value: u64) -> usize {
    bounds.partition_point(|bound| *bound < value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_interval() {
        let mut histogram = Histogram::new(&[1, 10, 100]);
        for value in [0, 1, 2, 10, 11, 100, 101, u64::MAX] {
            histogram.observe(value);
        }
        let cumulative: Vec<_> = histogram.cumulative().collect();
        assert_eq!(cumulative, [(1, 2), (10, 4), (100, 6)]);
        assert_eq!(histogram.count(), 8);
        assert_eq!(histogram.sum(), u64::MAX, "a sum stops and does not wrap");
    }
}
