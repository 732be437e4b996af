//! What threads of the path wait with for each other, in one place: the test `interleavings` puts loom's
//! into its place, and goes through the orders in which threads may run.

pub use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

pub use tokio::sync::Notify;
