//! The harness of the end-to-end tests: real brokers, the real binary, and a scripted MQTT server.
//!
//! Everything here starts what it needs on free ports of 127.0.0.1 and ends it again, also when a
//! test fails and when the test run itself is killed. It knows the binary `host` only from
//! outside: flags, exit codes, standard output and standard error. A failure is a panic with what
//! was waited for and what was seen instead, since only tests call this.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::needless_pass_by_value,
    reason = "test support: a panic reports a failure to the test that called it, and a builder reads \
              better when its values need no `&`"
)]

pub mod certificates;
pub mod chaos;
pub mod host;
pub mod kafka;
pub mod listener;
pub mod load;
pub mod mosquitto;
pub mod plugin;
pub mod process;
pub mod publisher;
pub mod raw;
pub mod relay;
pub mod scratch;
pub mod scripted;
pub mod target;
pub mod tls_front;
pub mod usage;
pub mod websocket;
pub mod wire;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a test waits for something that normally takes well under a second.
///
/// Generous, since two cores may be running two Kafka brokers and a compiler beside the test.
pub const SOON: Duration = Duration::from_secs(30);

/// How long a test waits for a load of messages to pass.
pub const A_WHILE: Duration = Duration::from_mins(2);

/// The lock of tests that need most of the machine: they run one at a time.
pub fn heavy() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// If there is none within `deadline`: `what` says what was waited for.
pub fn eventually<T>(what: &str, deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
