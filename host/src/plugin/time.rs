//! How much time a call has, and whether it has used it up.
//!
//! What counts is *processor* time. On a busy machine, or in a container with a processor quota,
//! the clock on the wall runs on while a plugin waits for its turn, and the message that happened
//! to be in its hands is not guilty of that. Reading a thread's processor time costs as much as a
//! small call, so it is left until the engine's clock has ticked.

use std::time::Duration;

/// The time limit of the call that is going on.
#[derive(Debug)]
pub(super) struct Allowance {
    limit: Duration,
    /// The processor time of this thread when the engine's clock ticked first.
    since: Option<Duration>,
}

impl Allowance {
    pub fn new(limit: Duration) -> Self {
        Self { limit, since: None }
    }

    /// A call begins.
    pub fn begin(&mut self) {
        self.since = None;
    }

    /// The engine's clock has ticked: whether there is time left, by the thread's processor time.
    pub fn is_left(&mut self, now: Duration) -> bool {
        now.saturating_sub(*self.since.get_or_insert(now)) < self.limit
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
        let mut allowance = Allowance::new(ms(50));
        allowance.begin();
        assert!(allowance.is_left(ms(1000)) && allowance.is_left(ms(1049)));
        assert!(!allowance.is_left(ms(1050)));
    }

    #[test]
    fn waiting_for_the_processor_does_not_count() {
        let mut allowance = Allowance::new(ms(50));
        allowance.begin();
        for used in [0, 0, 1, 9, 49] {
            assert!(allowance.is_left(ms(7 + used)));
        }
        assert!(!allowance.is_left(ms(7 + 50)));
    }

    #[test]
    fn every_call_has_its_own_time() {
        let mut allowance = Allowance::new(ms(50));
        allowance.begin();
        assert!(allowance.is_left(ms(100)) && !allowance.is_left(ms(200)));
        allowance.begin();
        assert!(allowance.is_left(ms(200)));
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
