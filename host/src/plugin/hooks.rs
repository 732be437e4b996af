//! Telling plugins of the connection to the MQTT server.

use std::fmt;
use std::sync::Arc;

use super::bindings::mqtt_source::plugin::types::{ConnectFailure, Connection, HookOutcome};
use super::engine::Ticker;
use super::instance::Instance;
use super::load::{Plugin, Plugins};
use super::slot::Slot;
use super::text::one_line;
use crate::message::{ConnectionEvent, ConnectionOutcome, now_ms};

/// What a plugin can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    ConnectSuccess,
    ConnectFailure,
}

impl Hook {
    pub const ALL: [Self; 2] = [Self::ConnectSuccess, Self::ConnectFailure];

    fn of(outcome: &ConnectionOutcome) -> Self {
        match outcome {
            ConnectionOutcome::Connected { .. } => Self::ConnectSuccess,
            ConnectionOutcome::Failed { .. } => Self::ConnectFailure,
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectSuccess => "connect success hook",
            Self::ConnectFailure => "connect failure hook",
        })
    }
}

/// Instances for the hooks of plugins, all on one thread: none of them decides about messages.
pub struct Hooks {
    hooked: Vec<Hooked>,
    /// Times the calls; there is one as soon as there is a plugin.
    clock: Option<Arc<Ticker>>,
}

/// A plugin that has a hook.
struct Hooked {
    slot: Arc<Slot>,
    /// The version that the instance is of.
    version: u64,
    /// Absent before the first call, and after a failure.
    instance: Option<Instance>,
}

impl Hooks {
    /// The hooks of everything that was loaded, in the order given. What is in several lists is
    /// called once.
    pub fn new<'a>(plugins: impl IntoIterator<Item = &'a Plugins>) -> Self {
        let mut hooks = Self { hooked: Vec::new(), clock: None };
        for plugins in plugins {
            for slot in &plugins.loaded {
                let known = hooks.hooked.iter().any(|known| Arc::ptr_eq(&known.slot, slot));
                if !known && slot.plugin().hooks().next().is_some() {
                    let (slot, version) = (Arc::clone(slot), slot.version());
                    hooks.hooked.push(Hooked { slot, version, instance: None });
                    hooks.clock = hooks.clock.or_else(|| plugins.clock.clone());
                }
            }
        }
        hooks
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hooked.is_empty()
    }

    /// Tells every plugin. If one of them says that the program is to end, the answer is what the
    /// first of those said, in one line.
    ///
    /// A hook that fails is logged, and says nothing.
    pub fn call(&mut self, event: &ConnectionEvent) -> Option<String> {
        let _running = self.clock.as_ref().map(|clock| clock.running());
        let mut stop = None;
        for hooked in &mut self.hooked {
            let said = hooked.call(event);
            stop = stop.or(said);
        }
        stop
    }
}

impl Hooked {
    fn call(&mut self, event: &ConnectionEvent) -> Option<String> {
        let hook = Hook::of(&event.outcome);
        let (version, plugin) = self.slot.current();
        if !plugin.hooks().any(|has| has == hook) {
            return None;
        }
        let other = std::mem::replace(&mut self.version, version) != version;
        self.instance.take_if(|_| other);
        let attempted = self.attempt(&plugin, hook, event);
        let name = &plugin.name.name;
        match attempted {
            Ok(HookOutcome::GoOn) => None,
            Ok(HookOutcome::Stop(why)) => {
                Some(format!("plugin {name} ends the program: {}", one_line(&why)))
            }
            Err(error) => {
                tracing::warn!(
                    target: "plugin",
                    plugin = name,
                    error,
                    "the {hook} failed; going on without it"
                );
                None
            }
        }
    }

    /// One call. An instance that failed is dropped.
    fn attempt(
        &mut self,
        plugin: &Plugin,
        hook: Hook,
        event: &ConnectionEvent,
    ) -> Result<HookOutcome, String> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => Instance::start(plugin).map_err(|why| {
                format!("it does not start any more: {}", why.into_failure().error)
            })?,
        };
        let called = instance.hook(plugin, hook, |exports, store| match &event.outcome {
            ConnectionOutcome::Connected { session_present } => {
                exports.connected(store, connection(event, *session_present))
            }
            ConnectionOutcome::Failed { reason, permanent, lost } => {
                let (permanent, lost) = (*permanent, *lost);
                let failure = ConnectFailure { reason, permanent, lost };
                exports.failed(store, connection(event, false), failure)
            }
        });
        let outcome = called.map_err(|failure| failure.error)?;
        self.instance = Some(instance).filter(|instance| !instance.is_bloated());
        Ok(outcome)
    }
}

fn connection(event: &ConnectionEvent, session_present: bool) -> Connection<'_> {
    Connection {
        server: &event.server,
        client_id: &event.client_id,
        attempt: event.attempt,
        reconnect: event.reconnect,
        session_present,
        at_ms: now_ms(),
    }
}
