//! What threads of `host`'s path share: its own modules, with loom's locks in the place of std's. The
//! tests go through the orders in which threads may run.
//!
//! A crate of its own, and no test itself, so that the unit tests in these modules, which know nothing of
//! loom, are left out.

#![cfg(not(test))]
#![allow(clippy::return_self_not_must_use, reason = "in `host` these modules are not public")]

#[path = "../../src/account.rs"]
pub mod account;
#[path = "../../src/ledger.rs"]
pub mod ledger;
#[path = "../../src/message.rs"]
pub mod message;
#[path = "../../src/numbered.rs"]
pub mod numbered;

#[path = "../../src/bridge"]
pub mod bridge {
    pub mod credit;
    pub mod in_flight;
    pub mod inbox;
}

/// Standard output that always has room.
pub mod output {
    #[derive(Debug)]
    pub struct Output;

    impl Output {
        pub fn is_full(&self) -> bool {
            false
        }

        pub fn tell_of_room(&self, _: impl Fn() + Send + Sync + 'static) {}
    }
}

/// What `host::sync` has, of loom.
pub mod sync {
    use std::time::Duration;

    pub use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use loom::sync::{LockResult, WaitTimeoutResult};
    pub use loom::sync::{Mutex, MutexGuard};
    pub use std::sync::PoisonError;

    #[derive(Debug)]
    pub struct Condvar(loom::sync::Condvar);

    impl Default for Condvar {
        fn default() -> Self {
            Self(loom::sync::Condvar::new())
        }
    }

    impl Condvar {
        pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
            self.0.wait(guard)
        }

        pub fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            time: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
            self.0.wait_timeout(guard, time)
        }

        pub fn notify_one(&self) {
            self.0.notify_one();
        }
    }

    /// tokio's, as far as the path depends on it: one that comes before anybody waits is kept.
    #[derive(Debug, Default)]
    pub struct Notify(loom::sync::Notify);

    impl Notify {
        pub fn notify_one(&self) {
            self.0.notify();
        }

        /// Until something has changed.
        pub fn wait_until(&self, mut is_so: impl FnMut() -> bool) {
            while !is_so() {
                self.0.wait();
            }
        }
    }
}
