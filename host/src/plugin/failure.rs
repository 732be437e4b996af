//! What went wrong with an instance, in words for a dead letter.

use std::fmt::Display;

use wasmtime::{Trap, WasmBacktrace};

use super::Limits;
use super::clock::Denied;
use super::state::State;
use super::text::joined;
use crate::message::Reason;

/// Functions of a trap that are named.
const FRAMES: usize = 4;

/// Why there is no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub reason: Reason,
    /// In one line.
    pub error: String,
    /// Whether the error is what the plugin said as it panicked.
    pub panicked: bool,
    /// Whether there was no instance to call, which is no message's fault.
    pub unstarted: bool,
}

impl Failure {
    pub fn nonsense(who: &dyn Display, what: &str) -> Self {
        let error = joined(&format!("the {who} answered nonsense: {what}"));
        Self { reason: Reason::BadOutput, error, panicked: false, unstarted: false }
    }

    /// What the engine's error in a call means.
    pub fn of_call(
        state: &State,
        limits: &Limits,
        who: &dyn Display,
        error: &wasmtime::Error,
    ) -> Self {
        let told = |reason, error| Self { reason, error, panicked: false, unstarted: false };
        let trap = error.downcast_ref::<Trap>();
        if trap == Some(&Trap::Interrupt) {
            let limit = limits.call.as_millis();
            told(Reason::TimeOut, format!("the {who} ran longer than {limit} ms"))
        } else if state.memory.denied {
            told(Reason::MemoryLimit, format!("the {who} exceeded {}", state.memory))
        } else if let Some(denied) = error.downcast_ref::<Denied>() {
            told(Reason::Trap, format!("the {who} {denied}"))
        } else if let Some(panic) = &state.panic {
            Self { panicked: true, ..told(Reason::Trap, panic.clone()) }
        } else if let Some(trap) = trap {
            told(Reason::Trap, joined(&format!("{trap}{}", frames(error))))
        } else {
            Self::nonsense(who, &error.root_cause().to_string())
        }
    }
}

/// Why there is no instance.
pub(super) enum Unstarted {
    /// It failed as it started, in this way: in one line.
    Failed(Reason, String),
    /// It does not accept its configuration, and says why: in one line.
    Refused(String),
    /// This interface has another type than the contract's, and how the engine puts it.
    WrongType(&'static str, wasmtime::Error),
}

impl Unstarted {
    /// Of a plugin that has started before: the same file with the same configuration.
    pub fn into_failure(self) -> Failure {
        let (reason, error) = match self {
            Self::Failed(reason, error) => (reason, error),
            Self::Refused(error) => (Reason::Trap, error),
            Self::WrongType(interface, error) => (Reason::Trap, format!("{interface}: {error}")),
        };
        Failure { reason, error, panicked: false, unstarted: true }
    }

    /// What the engine's error at the start means.
    pub fn failed(state: &State, limits: &Limits, error: &wasmtime::Error) -> Self {
        if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
            let limit = limits.start.as_millis();
            Self::Failed(Reason::TimeOut, format!("it ran longer than {limit} ms"))
        } else if state.memory.denied {
            Self::Failed(Reason::MemoryLimit, format!("it exceeded {}", state.memory))
        } else if let Some(denied) = error.downcast_ref::<Denied>() {
            Self::Failed(Reason::Trap, format!("it {denied}"))
        } else if let Some(panic) = &state.panic {
            Self::Failed(Reason::Trap, panic.clone())
        } else {
            let error = format!("{}{}", error.root_cause(), frames(error));
            Self::Failed(Reason::Trap, joined(&error))
        }
    }
}

/// ` in innermost < its caller < ...`, as far as the plugin has names.
fn frames(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return String::new();
    };
    let symbols = backtrace.frames().iter().filter_map(|frame| frame.func_name());
    let mut names: Vec<_> =
        symbols.map(|symbol| format!("{:#}", rustc_demangle::demangle(symbol))).collect();
    // Of a recursion, once is enough.
    names.dedup();
    names.truncate(FRAMES);
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" < ")) }
}
