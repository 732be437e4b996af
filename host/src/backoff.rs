//! Pauses between attempts: they grow, and no two programs that failed together try again together.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Growing, jittered pauses.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
    random: RandomState,
    drawn: u64,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first, random: RandomState::new(), drawn: 0 }
    }

    /// The next pause: twice the one before, less up to a quarter.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        self.drawn += 1;
        let random = self.random.hash_one(self.drawn) as f64 / u64::MAX as f64;
        pause.mul_f64(1.0 - random / 4.0)
    }

    /// It worked: the next pause is a short one again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_start_again_after_a_success() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, longest);
        let pauses: Vec<_> = (0..6).map(|_| backoff.next_pause()).collect();
        for (pause, whole) in pauses.iter().zip([100, 200, 400, 800, 1000, 1000]) {
            let whole = Duration::from_millis(whole);
            assert!(*pause <= whole && *pause >= whole.mul_f64(0.74), "{pause:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next_pause() <= first);
    }
}
