//! The time of day, for plugins that the user has allowed it.
//!
//! The interface is there for all: interpreters import it whatever their script does, so what counts is
//! the call.

use super::bindings::mqtt_source::plugin::clock;
use super::state::State;
use crate::message::now_ms;

/// What a plugin gets that asks for the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// A trap: nobody has allowed it.
    #[default]
    Denied,
    /// What it is.
    Real,
    /// The arrival of the message that it is asked about, so that its answers are the same each time.
    Arrival,
}

impl Clock {
    /// The same permission, for answers that have to be the same each time.
    #[must_use]
    pub fn standing(self) -> Self {
        match self {
            Self::Denied => Self::Denied,
            Self::Real | Self::Arrival => Self::Arrival,
        }
    }

    /// Whether each message has a time of its own, so that none can share a call with others.
    pub(super) fn stands(self) -> bool {
        self == Self::Arrival
    }
}

/// A plugin asked without being allowed to. What is said follows on who did.
#[derive(Debug, thiserror::Error)]
#[error(
    "asked for the time, which it may not know; allow that with clock = true beside its file, or \
     --plugin-clock"
)]
pub(super) struct Denied;

impl clock::Host for State {
    fn now_ms(&mut self) -> wasmtime::Result<i64> {
        match self.clock {
            Clock::Denied => Err(Denied.into()),
            Clock::Arrival => Ok(self.arrival),
            Clock::Real => Ok(now_ms()),
        }
    }
}
