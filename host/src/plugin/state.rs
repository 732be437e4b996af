//! What the host keeps for an instance: how much memory it has, and what it says.

use std::sync::Arc;
use std::{fmt, mem};

use wasmtime::ResourceLimiter;

use super::bindings::mqtt_source::plugin::{host, types};
use super::log::PluginLog;
use super::preview1::Output;
use super::text::{joined, size};
use super::time::Allowance;

/// Elements that a table may have. A pointer's worth of memory each.
const TABLE: usize = 100_000;

/// What the host keeps for an instance.
pub(super) struct State {
    pub memory: Memory,
    /// Of the call that is going on, or of the start.
    pub time: Allowance,
    pub log: Arc<PluginLog>,
    /// Of a plugin that writes to standard output or error.
    pub output: Output,
    /// What the plugin said as it panicked, for the error that follows.
    pub panic: Option<String>,
}

/// Counts all memories of an instance together.
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

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grown = desired.saturating_sub(current);
        let used = self.used.saturating_add(self.grown);
        if used > self.limit {
            self.grown = 0;
            self.denied = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.used -= mem::take(&mut self.grown);
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE)
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
