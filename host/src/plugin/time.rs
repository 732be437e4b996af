//! How much time a call has, and whether it has used it up.
//!
//! What counts is *processor* time. On a busy machine, or in a container with a processor quota,
//! the clock on the wall runs on while a plugin waits for its turn, and the message that happened
//! to be in its hands is not guilty of that. Reading a thread's processor time costs as much as a
//! small call, so it is left until half of the limit has passed on the wall.

use std::time::Duration;

/// The time limit of the call that is going on.
#[derive(Debug)]
pub(super) struct Allowance {
    /// Of the clock that deadlines are set on.
    tick: Duration,
    half: Duration,
    /// The processor time of this thread when the first half of the limit had passed.
    halfway: Option<Duration>,
}

impl Allowance {
    pub fn new(tick: Duration, limit: Duration) -> Self {
        Self { tick, half: limit / 2, halfway: None }
    }

    /// Begins to measure: ticks until [`expired`](Self::expired) is to be asked.
    pub fn begin(&mut self) -> u64 {
        self.halfway = None;
        // The current tick is already partly over.
        self.ticks(self.half) + 1
    }

    /// With the thread's processor time: ticks until this is to be asked again, or `None` if the
    /// time is used up.
    pub fn expired(&mut self, now: Duration) -> Option<u64> {
        let used = now.saturating_sub(*self.halfway.get_or_insert(now));
        let left = self.half.checked_sub(used).filter(|left| !left.is_zero())?;
        Some(self.ticks(left))
    }

    fn ticks(&self, time: Duration) -> u64 {
        time.as_nanos().div_ceil(self.tick.as_nanos()) as u64
    }
}

/// The processor time that this thread has used.
pub(super) fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    #[expect(unsafe_code, reason = "the standard library does not know this clock")]
    // SAFETY: `time` is a valid timespec, which the call fills in and does not keep.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    debug_assert_eq!(status, 0, "every thread has this clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_call_that_only_works_has_its_limit_and_a_tick() {
        let mut allowance = Allowance::new(ms(5), ms(50));
        assert_eq!(allowance.begin(), 6);
        assert_eq!(allowance.expired(ms(1025)), Some(5));
        assert_eq!(allowance.expired(ms(1049)), Some(1));
        assert_eq!(allowance.expired(ms(1050)), None);
    }

    #[test]
    fn waiting_for_the_processor_does_not_count() {
        let mut allowance = Allowance::new(ms(5), ms(50));
        allowance.begin();
        for used in [0, 0, 1, 9, 24] {
            assert!(allowance.expired(ms(7 + used)).is_some());
        }
        assert_eq!(allowance.expired(ms(7 + 25)), None);
    }

    #[test]
    fn every_call_has_its_own_time() {
        let mut allowance = Allowance::new(ms(5), ms(50));
        allowance.begin();
        assert_eq!(allowance.expired(ms(100)), Some(5));
        assert_eq!(allowance.expired(ms(200)), None);
        allowance.begin();
        assert_eq!(allowance.expired(ms(200)), Some(5));
    }

    #[test]
    fn processor_time_passes_with_work() {
        let before = processor_time();
        let mut number = 0_u64;
        while processor_time() == before {
            number = std::hint::black_box(number + 1);
        }
        assert!(processor_time() > before);
    }
}
