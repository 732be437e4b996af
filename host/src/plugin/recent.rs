//! The last answers of a version on trial: how many of them are failures.

use std::collections::VecDeque;

/// So many of the last answers count, and those given together with them.
const LAST: usize = 200;

/// Failures that say nothing yet, whatever their share.
const FEW: usize = 10;

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// How many were given together, and how many of these are failures.
    batches: VecDeque<(usize, usize)>,
    pub answers: usize,
    pub failures: usize,
}

impl Recent {
    pub fn add(&mut self, answers: usize, failures: usize) {
        self.batches.push_back((answers, failures));
        self.answers += answers;
        self.failures += failures;
        while let Some((answers, failures)) = self.batches.front().copied()
            && self.answers - answers >= LAST
        {
            self.batches.pop_front();
            self.answers -= answers;
            self.failures -= failures;
        }
    }

    /// Whether more of them are failures than such a share, from 0 to 1, and not just a few.
    pub fn exceeds(&self, share: f64) -> bool {
        self.failures >= FEW && self.failures as f64 > share * self.answers as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_well_long_ago_does_not_hide_what_goes_wrong_now() {
        let mut recent = Recent::default();
        (0..10_000).for_each(|_| recent.add(100, 0));
        assert_eq!((recent.answers, recent.failures), (200, 0));
        recent.add(9, 9);
        assert!(!recent.exceeds(0.05), "nine are few");
        recent.add(1, 1);
        assert!(!recent.exceeds(0.05), "ten of 210 are less");
        recent.add(2, 2);
        assert!(recent.exceeds(0.05) && !recent.exceeds(0.5));
    }

    #[test]
    fn failures_of_long_ago_are_forgotten() {
        let mut recent = Recent::default();
        recent.add(50, 50);
        assert!(recent.exceeds(0.5));
        (0..199).for_each(|_| recent.add(1, 0));
        assert_eq!((recent.answers, recent.failures), (249, 50));
        recent.add(1, 0);
        assert_eq!((recent.answers, recent.failures), (200, 0));
        recent.add(5_000, 300);
        assert!(recent.exceeds(0.05), "those given together count together");
    }
}
