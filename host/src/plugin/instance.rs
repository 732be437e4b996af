//! One instance of a plugin with everything that belongs to it, and what can go wrong in a call.
//!
//! An instance has a `Store` of its own and is dropped with it: after a trap nothing in it can be
//! trusted, and the engine frees memory only with the store.

use std::fmt;
use std::sync::Arc;

use wasmtime::{ResourceLimiter, Store, Trap, WasmBacktrace};

use super::bindings::mqtt_source::plugin::{host, types};
use super::interfaces::{Exports, Typed};
use super::load::Plugin;
use super::log::PluginLog;
use super::text::{joined, size};
use super::{Ability, Limits};
use crate::message::Reason;

/// Elements that a table may have. A pointer's worth of memory each.
const TABLE: usize = 100_000;
/// Functions of a trap that are named.
const FRAMES: usize = 4;

/// What the host keeps for an instance.
pub(super) struct State {
    memory: Memory,
    log: Arc<PluginLog>,
    /// What the plugin said as it panicked, for the error that follows.
    panic: Option<String>,
}

/// Counts all memories of an instance together.
struct Memory {
    limit: usize,
    used: usize,
    /// Whether more was asked for since the call began.
    denied: bool,
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let grown = self.used.saturating_add(desired.saturating_sub(current));
        if grown > self.limit {
            self.denied = true;
            return Ok(false);
        }
        self.used = grown;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
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

/// Why a call gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub reason: Reason,
    /// In one line.
    pub error: String,
    /// Whether the error is what the plugin said as it panicked.
    pub panicked: bool,
}

impl Failure {
    pub fn nonsense(ability: Ability, what: &str) -> Self {
        let error = joined(&format!("the {ability} answered nonsense: {what}"));
        Self { reason: Reason::BadOutput, error, panicked: false }
    }
}

/// Why there is no instance.
pub(super) enum Unstarted {
    /// It failed as it started: in one line.
    Failed(String),
    /// This interface has another type than the contract's, and how the engine puts it.
    WrongType(&'static str, wasmtime::Error),
}

pub(super) struct Instance {
    store: Store<State>,
    exports: Exports,
    /// Bytes of memory it had before its first call.
    at_start: usize,
    calls: u64,
}

impl Instance {
    pub fn start(plugin: &Plugin) -> Result<Self, Unstarted> {
        let memory = Memory { limit: plugin.limits.memory, used: 0, denied: false };
        let state = State { memory, log: Arc::clone(&plugin.log), panic: None };
        let mut store = Store::new(plugin.pre.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_epoch_deadline(plugin.start_ticks);
        // What crosses the boundary was in the instance's memory, so it cannot be more.
        store.set_hostcall_fuel(plugin.limits.memory);
        let instance = plugin.pre.instantiate(&mut store).map_err(|error| {
            Unstarted::Failed(store.data().unstarted(&plugin.limits, &error))
        })?;
        let exports = plugin
            .indices
            .load(&mut store, &instance)
            .map_err(|(interface, error)| Unstarted::WrongType(interface, error))?;
        let at_start = store.data().memory.used;
        Ok(Self { store, exports, at_start, calls: 0 })
    }

    /// Whether it has not been called yet.
    pub fn is_fresh(&self) -> bool {
        self.calls == 0
    }

    /// Whether its memory has grown so much that it is better replaced: it never shrinks.
    pub fn is_bloated(&self) -> bool {
        let memory = &self.store.data().memory;
        // What it takes at its start it would take again.
        memory.used > self.at_start + (memory.limit - self.at_start) / 4 * 3
    }

    pub fn packed(&mut self, plugin: &Plugin, ability: Ability, messages: &[u8]) -> Result<Vec<u8>, Failure> {
        self.begin(plugin);
        let called = self.exports.packed(&mut self.store, ability, messages);
        self.end(plugin, ability, called)
    }

    pub fn typed(&mut self, plugin: &Plugin, ability: Ability, message: types::Message<'_>) -> Result<Typed, Failure> {
        self.begin(plugin);
        let called = self.exports.typed(&mut self.store, ability, message);
        self.end(plugin, ability, called)
    }

    fn begin(&mut self, plugin: &Plugin) {
        self.calls += 1;
        self.store.data_mut().memory.denied = false;
        self.store.set_epoch_deadline(plugin.call_ticks);
    }

    fn end<A>(&mut self, plugin: &Plugin, ability: Ability, called: Option<wasmtime::Result<A>>) -> Result<A, Failure> {
        let state = self.store.data_mut();
        state.log.settle();
        match called {
            Some(Ok(answer)) => {
                // It said that it panicked, and then did not.
                if let Some(said) = state.panic.take() {
                    state.log.write(tracing::Level::ERROR, "panic", &said);
                }
                Ok(answer)
            }
            Some(Err(error)) => Err(state.failed(&plugin.limits, ability, &error)),
            None => Err(Failure::nonsense(ability, "it is not there")),
        }
    }
}

impl State {
    /// What the engine's error in a call means.
    fn failed(&self, limits: &Limits, ability: Ability, error: &wasmtime::Error) -> Failure {
        let trap = error.downcast_ref::<Trap>();
        let (reason, error) = if trap == Some(&Trap::Interrupt) {
            let limit = limits.call.as_millis();
            (Reason::TimeOut, format!("the {ability} ran longer than {limit} ms"))
        } else if self.memory.denied {
            (Reason::MemoryLimit, format!("the {ability} exceeded {}", self.memory))
        } else if let Some(panic) = &self.panic {
            return Failure { reason: Reason::Trap, error: panic.clone(), panicked: true };
        } else if let Some(trap) = trap {
            (Reason::Trap, joined(&format!("{trap}{}", frames(error))))
        } else {
            return Failure::nonsense(ability, &error.root_cause().to_string());
        };
        Failure { reason, error, panicked: false }
    }

    /// What the engine's error at the start means, in one line.
    fn unstarted(&self, limits: &Limits, error: &wasmtime::Error) -> String {
        if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
            format!("it ran longer than {} ms", limits.start.as_millis())
        } else if self.memory.denied {
            format!("it exceeded {}", self.memory)
        } else if let Some(panic) = &self.panic {
            panic.clone()
        } else {
            joined(&format!("{}{}", error.root_cause(), frames(error)))
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the memory limit of {}", size(self.limit))
    }
}

/// ` in innermost < its caller < ...`, as far as the plugin has names.
fn frames(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let named = backtrace.frames().iter().filter_map(|frame| {
        let symbol = frame.symbols().first().and_then(|symbol| symbol.name());
        symbol.or(frame.func_name()).map(str::to_owned)
    });
    let names: Vec<_> = named.take(FRAMES).collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" < ")) }
}
