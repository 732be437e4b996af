//! The interfaces that a plugin may export: which ones it has, and calling them.

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Result, Store};

use super::bindings::exports::mqtt_source::plugin as exports;
use super::bindings::mqtt_source::plugin::types::{
    BytesOutcome, ConnectFailure, Connection, HookOutcome, JsonOutcome,
    KafkaRecordParam as KafkaRecord, Message, PluginError, TimeOutcome, TransformOutcome,
};
use super::contract::{self, PACKAGE};
use super::{Ability, Calls, Hook};

/// Makes the same three steps (probe, load, tell) for every interface of the table.
macro_rules! interfaces {
    ($($field:ident = $module:ident $name:literal),* $(,)?) => {
        /// Interfaces of the contract that a plugin can export.
        pub(super) const NAMES: &[&str] = &[$($name),*];

        /// Where a component keeps the interfaces that it exports.
        #[derive(Clone)]
        pub(super) struct Indices {
            $(pub $field: Option<exports::$module::GuestIndices>,)*
        }

        /// The interfaces of one instance, checked to have the contract's types.
        pub(super) struct Exports {
            $($field: Option<exports::$module::Guest>,)*
        }

        impl Indices {
            /// Finds what a component exports. An interface that is there must have its function.
            ///
            /// # Errors
            /// The name of the interface that does not.
            pub fn probe<T>(plugin: &InstancePre<T>) -> std::result::Result<Self, &'static str> {
                Ok(Self {
                    $($field: {
                        let name = format!("{PACKAGE}/{}@{}", $name, contract::version());
                        match plugin.component().get_export_index(None, &name) {
                            None => None,
                            Some(_) => {
                                let indices = exports::$module::GuestIndices::new(plugin);
                                Some(indices.map_err(|_| $name)?)
                            }
                        }
                    },)*
                })
            }

            /// Checks the types of what was found, and makes it callable.
            ///
            /// # Errors
            /// The name of the interface whose type differs, and how the engine puts it.
            pub fn load<T>(
                &self,
                store: &mut Store<T>,
                instance: &Instance,
            ) -> std::result::Result<Exports, (&'static str, wasmtime::Error)> {
                Ok(Exports {
                    $($field: match &self.$field {
                        None => None,
                        Some(indices) => {
                            let export = indices.load(&mut *store, instance);
                            Some(export.map_err(|error| ($name, error))?)
                        }
                    },)*
                })
            }
        }
    };
}

interfaces! {
    lifecycle = lifecycle "lifecycle",
    json = payload_deserializer "payload-deserializer",
    key = key_setter "key-setter",
    value = value_setter "value-setter",
    timestamp = timestamp_setter "timestamp-setter",
    transform = transformer "transformer",
    jsons = packed_payload_deserializer "packed-payload-deserializer",
    connected = connect_success_hook "connect-success-hook",
    failed = connect_failure_hook "connect-failure-hook",
    keys = packed_key_setter "packed-key-setter",
    values = packed_value_setter "packed-value-setter",
    timestamps = packed_timestamp_setter "packed-timestamp-setter",
    transforms = packed_transformer "packed-transformer",
}

/// The interface that decides nothing by itself.
pub(super) const LIFECYCLE: &str = "lifecycle";

impl Indices {
    /// Whether the plugin wants to be told of this.
    pub fn has(&self, hook: Hook) -> bool {
        match hook {
            Hook::ConnectSuccess => self.connected.is_some(),
            Hook::ConnectFailure => self.failed.is_some(),
        }
    }

    /// How an ability is called, if the plugin has it.
    pub fn calls(&self, ability: Ability) -> Option<Calls> {
        let (typed, packed) = match ability {
            Ability::Json => (self.json.is_some(), self.jsons.is_some()),
            Ability::Key => (self.key.is_some(), self.keys.is_some()),
            Ability::Value => (self.value.is_some(), self.values.is_some()),
            Ability::Timestamp => (self.timestamp.is_some(), self.timestamps.is_some()),
            Ability::Transformer => (self.transform.is_some(), self.transforms.is_some()),
        };
        match (typed, packed) {
            (_, true) => Some(Calls::Packed),
            (true, false) => Some(Calls::Typed),
            (false, false) => None,
        }
    }
}

/// What a typed interface answered for one message.
pub(super) type Typed = std::result::Result<Outcome, PluginError>;

pub(super) enum Outcome {
    Json(JsonOutcome),
    Bytes(BytesOutcome),
    Time(TimeOutcome),
    Records(TransformOutcome),
}

impl Exports {
    /// Hands a configuration over; `None` if the plugin takes none.
    pub fn init<T>(
        &self,
        store: &mut Store<T>,
        config: &str,
    ) -> Option<Result<std::result::Result<(), String>>> {
        Some(self.lifecycle.as_ref()?.call_init(store, config))
    }

    /// Tells of a connection; `None` if the plugin does not want to know.
    pub fn connected<T>(
        &self,
        store: &mut Store<T>,
        connection: Connection<'_>,
    ) -> Option<Result<HookOutcome>> {
        Some(self.connected.as_ref()?.call_on_client_connect_success(store, connection))
    }

    /// Tells why there is no connection; `None` if the plugin does not want to know.
    pub fn failed<T>(
        &self,
        store: &mut Store<T>,
        connection: Connection<'_>,
        failure: ConnectFailure<'_>,
    ) -> Option<Result<HookOutcome>> {
        Some(self.failed.as_ref()?.call_on_client_connect_failure(store, connection, failure))
    }

    /// Calls a packed interface; `None` if the plugin does not have it.
    pub fn packed<T>(
        &self,
        store: &mut Store<T>,
        ability: Ability,
        messages: &[u8],
    ) -> Option<Result<Vec<u8>>> {
        Some(match ability {
            Ability::Json => self.jsons.as_ref()?.call_deserialize_all(store, messages),
            Ability::Key => self.keys.as_ref()?.call_keys(store, messages),
            Ability::Value => self.values.as_ref()?.call_values(store, messages),
            Ability::Timestamp => self.timestamps.as_ref()?.call_timestamps(store, messages),
            Ability::Transformer => self.transforms.as_ref()?.call_transform_all(store, messages),
        })
    }

    /// Calls a typed interface; `None` if the plugin does not have it.
    pub fn typed<T>(
        &self,
        store: &mut Store<T>,
        ability: Ability,
        message: Message<'_>,
        so_far: KafkaRecord<'_>,
    ) -> Option<Result<Typed>> {
        let bytes = |called: Result<std::result::Result<_, _>>| {
            called.map(|answer| answer.map(Outcome::Bytes))
        };
        Some(match ability {
            Ability::Json => {
                let called = self.json.as_ref()?.call_deserialize(store, message);
                called.map(|answer| answer.map(Outcome::Json))
            }
            Ability::Key => bytes(self.key.as_ref()?.call_key(store, message)),
            Ability::Value => bytes(self.value.as_ref()?.call_value(store, message)),
            Ability::Transformer => {
                let called = self.transform.as_ref()?.call_transform(store, message, so_far);
                called.map(|answer| answer.map(Outcome::Records))
            }
            Ability::Timestamp => {
                let called = self.timestamp.as_ref()?.call_timestamp(store, message);
                called.map(|answer| answer.map(Outcome::Time))
            }
        })
    }
}
