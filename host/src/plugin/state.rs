//! What the host keeps for an instance: how much memory it has, and what it says.

use std::sync::Arc;
use std::{fmt, mem};

use wasmtime::ResourceLimiter;

use super::bindings::mqtt_source::plugin::{host, types};
use super::clock::Clock;
use super::log::PluginLog;
use super::preview1::Output;
use super::text::{joined, size};
use super::time::Allowance;

/// Core instances, memories and tables that an instance of a plugin may be made of, each. Components
/// of the SDK have up to four, those of interpreters a few dozen.
const PARTS: usize = 256;

/// What the host keeps for an instance.
pub(super) struct State {
    pub memory: Memory,
    /// Of the call that is going on, or of the start.
    pub time: Allowance,
    pub clock: Clock,
    /// What a clock shows that stands.
    pub arrival: i64,
    pub log: Arc<PluginLog>,
    /// Of a plugin that writes to standard output or error.
    pub output: Output,
    /// What the plugin said as it panicked, for the error that follows.
    pub panic: Option<String>,
}

/// Counts all memories and tables of an instance together.
pub(super) struct Memory {
    pub limit: usize,
    pub used: usize,
    /// What the last growth added, in case it fails after all.
    grown: usize,
    /// Whether more was asked for since the call began.
    pub denied: bool,
}

impl Memory {
    pub fn new(limit: usize) -> Self {
        Self { limit, used: 0, grown: 0, denied: false }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the memory limit of {}", size(self.limit))
    }
}

impl Memory {
    /// Whether there may be so much more.
    fn grow(&mut self, bytes: usize) -> bool {
        let used = self.used.saturating_add(bytes);
        if used > self.limit {
            self.grown = 0;
            self.denied = true;
            return false;
        }
        (self.grown, self.used) = (bytes, used);
        true
    }

    /// There is none after all.
    fn shrink_back(&mut self) {
        self.used -= mem::take(&mut self.grown);
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.shrink_back();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current).saturating_mul(size_of::<usize>())))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.shrink_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}

impl types::Host for State {}

impl host::Host for State {
    fn log(&mut self, level: host::Level, target: String, message: String) {
        if target == "panic" && level == host::Level::Error {
            self.panic = Some(joined(&message));
            return;
        }
        self.log.write(tracing_level(level), &target, &message);
    }
}

fn tracing_level(level: host::Level) -> tracing::Level {
    match level {
        host::Level::Error => tracing::Level::ERROR,
        host::Level::Warn => tracing::Level::WARN,
        host::Level::Info => tracing::Level::INFO,
        host::Level::Debug => tracing::Level::DEBUG,
        host::Level::Trace => tracing::Level::TRACE,
    }
}
