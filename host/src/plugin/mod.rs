//! Plugins: setters that users write in any language that makes WebAssembly.
//!
//! A [`Loader`] reads, checks and compiles files, before any connection is made, and refuses
//! what cannot work with a [`LoadError`] that names the cause and the cure. Each lane then makes
//! its own [`Setters`], whose [`call`](Setters::call) answers for a run of messages within
//! [`Limits`]. A message is guilty only when it fails alone in a fresh instance; then it gets an
//! [`Answer::Reject`], and its neighbours are none the wiser.
//!
//! The contract is `plugin-sdk/wit/plugin.wit`. This module is the only one that knows WebAssembly;
//! it knows neither MQTT nor Kafka, and what a default is belongs to `transform`.

mod answers;
mod bindings;
mod breaker;
mod broken;
mod clock;
mod compile;
mod compiler;
mod contract;
mod describe;
mod draft;
mod engine;
mod error;
mod failure;
#[cfg(any(test, fuzzing))]
#[allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a panic is how a fuzzer learns")]
pub mod fuzzing;
mod hooks;
mod idle;
mod inspect;
mod instance;
mod interfaces;
mod kept;
mod load;
mod log;
mod packed;
mod preview1;
mod recent;
mod report;
mod samples;
mod seat;
mod setters;
mod slot;
mod state;
mod swap;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod time;
mod typed;
mod versions;
mod weigh;
mod worker;
mod wrap;

use std::fmt;
use std::time::Duration;

pub use answers::{Answer, Answers};
pub use breaker::{OnBroken, Pause};
pub use clock::Clock;
pub use compile::THREAD as READS_FILES;
pub use compiler::compile_if_started_for_it;
pub use contract::WIT as CONTRACT;
pub use describe::{Calls, Description};
pub use draft::{Content, Draft, DraftHeader};
pub use error::{LoadError, Problem};
pub use hooks::{Hook, Hooks};
pub use idle::idle_ability;
pub use inspect::Inspection;
pub use load::{Loader, Plugins, Spec};
pub use report::{Report, SwapOutcome};
pub use setters::Setters;
pub use swap::{Replacements, Swapper};
pub use text::Untrusted;

/// What a plugin may use up. Exceeding it condemns the message that did, not the plugin; a plugin that
/// does so again and again is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Time of one call, whether it is for one message or for a run of them. It is processor
    /// time: waiting for a busy machine does not count.
    pub call: Duration,
    /// Processor time that an instance may take to start.
    pub start: Duration,
    /// Bytes of all memories of one instance together. Every lane has its own instance.
    pub memory: usize,
    /// Bytes of the answer for one message.
    pub output: usize,
    /// Records that a transformer may make of one; at most 65,536.
    pub records: usize,
    /// Lines that one plugin may log per second, over all lanes.
    pub log_lines_per_second: u32,
    /// Messages in a row that it may fail for before it counts as broken; at least 1.
    pub failures: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call: Duration::from_millis(50),
            start: Duration::from_secs(5),
            memory: 64 << 20,
            // As large as the largest packet that is taken by default.
            output: 16 << 20,
            records: 1_000,
            log_lines_per_second: 100,
            failures: 10,
        }
    }
}

/// What a plugin can decide about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ability {
    /// Makes JSON of the payload, for the setters.
    Json,
    Key,
    Value,
    Timestamp,
    /// Makes any number of records of one. The only one that several plugins can have, in a chain.
    Transformer,
}

impl Ability {
    pub const ALL: [Self; 5] =
        [Self::Json, Self::Key, Self::Value, Self::Timestamp, Self::Transformer];
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "payload deserializer",
            Self::Key => "key setter",
            Self::Value => "value setter",
            Self::Timestamp => "timestamp setter",
            Self::Transformer => "transformer",
        })
    }
}
