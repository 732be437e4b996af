//! One instance of a plugin, and one call to it.
//!
//! An instance has a `Store` of its own and is dropped with it: after a trap nothing in it can be
//! trusted, and the engine frees memory only with the store.

use std::fmt::Display;
use std::sync::Arc;

use wasmtime::{Store, UpdateDeadline};

use super::bindings::mqtt_source::plugin::types::{self, HookOutcome};
use super::failure::{Failure, Unstarted};
use super::interfaces::{Exports, Typed};
use super::load::Plugin;
use super::preview1::Output;
use super::state::{Memory, State};
use super::text::one_line;
use super::time::{Allowance, processor_time};
use super::{Ability, Hook};
use crate::message::ARRIVAL;

/// A call is looked at whenever the engine's clock ticks.
const TICK: u64 = 1;

pub(super) struct Instance {
    store: Store<State>,
    exports: Exports,
    /// Bytes of memory it had before its first call.
    at_start: usize,
    calls: u64,
}

impl Instance {
    pub fn start(plugin: &Plugin) -> Result<Self, Unstarted> {
        let memory = Memory::new(plugin.limits.memory);
        let state = State {
            memory,
            time: Allowance::new(plugin.limits.start),
            clock: plugin.clock,
            arrival: ARRIVAL,
            log: Arc::clone(&plugin.log),
            output: Output::default(),
            panic: None,
        };
        let mut store = Store::new(plugin.code.pre.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(|mut store| {
            // What carries other messages may have been waiting for this processor.
            std::thread::yield_now();
            let goes_on = store.data_mut().time.is_left(processor_time());
            Ok(if goes_on { UpdateDeadline::Continue(TICK) } else { UpdateDeadline::Interrupt })
        });
        store.data_mut().time.begin();
        store.set_epoch_deadline(TICK);
        // Fails where instructions are not counted; time is what limits calls.
        store.set_fuel(u64::MAX).unwrap_or_default();
        // What crosses the boundary was in the instance's memory, so it cannot be more.
        store.set_hostcall_fuel(plugin.limits.memory);
        let instance = plugin
            .code
            .pre
            .instantiate(&mut store)
            .map_err(|error| Unstarted::failed(store.data(), &plugin.limits, &error))?;
        let exports = plugin
            .code
            .indices
            .load(&mut store, &instance)
            .map_err(|(interface, error)| Unstarted::WrongType(interface, error))?;
        let config = plugin.config.as_deref().unwrap_or("{}");
        match exports.init(&mut store, config) {
            None | Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => return Err(Unstarted::Refused(one_line(&error))),
            Some(Err(error)) => {
                return Err(Unstarted::failed(store.data(), &plugin.limits, &error));
            }
        }
        store.set_fuel(u64::MAX).unwrap_or_default();
        let at_start = store.data().memory.used;
        store.data_mut().time = Allowance::new(plugin.limits.call);
        Ok(Self { store, exports, at_start, calls: 0 })
    }

    /// Bytes of all its memories.
    pub fn memory(&self) -> usize {
        self.store.data().memory.used
    }

    /// WebAssembly instructions since the start or since this was last asked, if they are counted.
    pub fn take_instructions(&mut self) -> Option<u64> {
        let left = self.store.get_fuel().ok()?;
        self.store.set_fuel(u64::MAX).ok()?;
        Some(u64::MAX - left)
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

    /// The next call is about a message that was received then.
    pub fn arrives(&mut self, received_at_ms: i64) {
        self.store.data_mut().arrival = received_at_ms;
    }

    pub fn packed(
        &mut self,
        plugin: &Plugin,
        ability: Ability,
        messages: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        self.begin();
        let called = self.exports.packed(&mut self.store, ability, messages);
        self.end(plugin, &ability, called)
    }

    pub fn typed(
        &mut self,
        plugin: &Plugin,
        ability: Ability,
        message: types::Message<'_>,
        so_far: types::KafkaRecordParam<'_>,
    ) -> Result<Typed, Failure> {
        self.begin();
        let called = self.exports.typed(&mut self.store, ability, message, so_far);
        self.end(plugin, &ability, called)
    }

    pub fn hook(
        &mut self,
        plugin: &Plugin,
        hook: Hook,
        call: impl FnOnce(&Exports, &mut Store<State>) -> Option<wasmtime::Result<HookOutcome>>,
    ) -> Result<HookOutcome, Failure> {
        self.begin();
        let called = call(&self.exports, &mut self.store);
        self.end(plugin, &hook, called)
    }

    fn begin(&mut self) {
        self.calls += 1;
        let state = self.store.data_mut();
        state.memory.denied = false;
        state.time.begin();
        self.store.set_epoch_deadline(TICK);
    }

    fn end<A>(
        &mut self,
        plugin: &Plugin,
        what: &dyn Display,
        called: Option<wasmtime::Result<A>>,
    ) -> Result<A, Failure> {
        let state = self.store.data_mut();
        state.output.flush(&state.log);
        state.log.settle();
        match called {
            Some(Ok(answer)) => {
                // It said that it panicked, and then did not.
                if let Some(said) = state.panic.take() {
                    state.log.write(tracing::Level::ERROR, "panic", &said);
                }
                Ok(answer)
            }
            Some(Err(error)) => Err(Failure::of_call(state, &plugin.limits, what, &error)),
            None => Err(Failure::nonsense(what, "it is not there")),
        }
    }
}
