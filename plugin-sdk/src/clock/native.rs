//! Tests of plugins: the time of the machine, or what a test says it is.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

thread_local! {
    static STANDING: Cell<Option<i64>> = const { Cell::new(None) };
}

/// Runs a part of a test as if it were then, in milliseconds since the Unix epoch: so does
/// [`now_ms`](crate::now_ms) say on this thread until the end.
pub fn at_ms<R>(time: i64, test: impl FnOnce() -> R) -> R {
    /// A test may panic, and another one may follow on this thread.
    struct Restore(Option<i64>);

    impl Drop for Restore {
        fn drop(&mut self) {
            STANDING.set(self.0);
        }
    }

    let _restore = Restore(STANDING.replace(Some(time)));
    test()
}

pub fn now_ms() -> i64 {
    STANDING.get().unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_the_machine_unless_a_test_says_otherwise() {
        let before = now_ms();
        assert!(before > 1_700_000_000_000);
        assert_eq!(at_ms(7, || at_ms(8, now_ms)), 8);
        assert!(std::panic::catch_unwind(|| at_ms(7, || assert_eq!(now_ms(), 8))).is_err());
        assert!(now_ms() >= before);
    }
}
