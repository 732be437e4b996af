//! Decide the key, value and timestamp of the Kafka records that `host` makes of MQTT messages, and
//! how many records it makes.
//!
//! A plugin is a library with one function per thing that it decides, marked with
//! [`#[key_setter]`](key_setter), [`#[value_setter]`](value_setter) or
//! [`#[timestamp_setter]`](timestamp_setter). It is compiled to WebAssembly and handed to `host`,
//! which does what it always does for everything that no plugin decides. Payloads that are not JSON
//! become JSON for all of this with [`#[payload_deserializer]`](payload_deserializer); what comes of
//! it is dropped, expanded or sent elsewhere with [`#[transformer]`](transformer);
//! [`#[init]`](macro@init) takes a configuration, and
//! [`#[on_client_connect_success]`](on_client_connect_success) and
//! [`#[on_client_connect_failure]`](on_client_connect_failure) are told of the connection.
//!
//! # From nothing to a plugin
//!
//! ```text
//! rustup target add wasm32-unknown-unknown
//! cargo new --lib device-key
//! ```
//!
//! `Cargo.toml` asks for a module (`cdylib`), and for a library (`rlib`) if there are to be tests
//! in `tests/`. The profile makes the module small, and keeps the names of functions, so that a
//! panic says where it came from:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]
//!
//! [dependencies]
//! plugin-sdk = { path = "../plugin-sdk" }
//! serde = { version = "1", features = ["derive"] }   # only for `message.json()`
//!
//! [profile.release]
//! lto = true
//! codegen-units = 1
//! panic = "abort"
//! strip = "debuginfo"
//! ```
//!
//! `src/lib.rs`:
//!
//! ```
//! use plugin_sdk::prelude::*;
//!
//! /// plant/dev42/temp -> dev42
//! #[key_setter]
//! fn key(message: &Message) -> Option<&str> {
//!     message.level(1)
//! }
//!
//! #[derive(serde::Deserialize)]
//! struct Reading {
//!     taken_at_secs: i64,
//! }
//!
//! #[timestamp_setter]
//! fn timestamp(message: &Message) -> Result<i64, Error> {
//!     let reading: Reading = message.json()?;
//!     Ok(reading.taken_at_secs * 1000)
//! }
//!
//! #[test]
//! # fn skipped() {}
//! fn readings_are_keyed_and_dated() {
//!     let message = Message::new("plant/dev42/temp", r#"{"taken_at_secs": 1700000000}"#);
//!     assert_eq!(key(&message), Some("dev42"));
//!     assert_eq!(timestamp(&message), Ok(1_700_000_000_000));
//! }
//! # readings_are_keyed_and_dated();
//! ```
//!
//! The functions stay plain functions, so tests need no WebAssembly:
//!
//! ```text
//! cargo test
//! cargo build --release --target wasm32-unknown-unknown
//! host ... --plugin target/wasm32-unknown-unknown/release/device_key.wasm
//! ```
//!
//! # What a function may return
//!
//! | | key, value | timestamp |
//! |---|---|---|
//! | these bytes, this time | `&str`, `String`, `&[u8]`, `Vec<u8>`, `[u8; N]`, [`Key::Bytes`] | `i64` in milliseconds since the Unix epoch |
//! | what it would be without the plugin | `None`, [`Key::Default`] | `None`, [`Timestamp::Default`] |
//! | a Kafka null | [`Key::Null`], [`Value::Null`] | |
//! | no record of this message | [`Key::Skip`], [`Value::Skip`] | [`Timestamp::Skip`] |
//! | this message is bad | `Err` of any error, [`Error::bad_message`] | the same |
//! | the plugin cannot work at all | `Err` of [`Error::fatal`] | the same |
//!
//! A payload deserializer returns `serde_json::Value`, JSON text or [`Json`], with the same meaning of
//! `None` and `Err`. It comes first; then all setters see the message as it was published, and that
//! JSON, in no certain order. Transformers come last, in the order in which the host has them, and
//! each gets the records of the one before it, one by one:
//!
//! | | transformer |
//! |---|---|
//! | this record | [`Record`] |
//! | these records, in this order | `Vec<Record>`, `[Record; N]`, [`Transformed::Records`] |
//! | the record as it came | `true`, [`Transformed::Default`]; of a part, what a [`Record`] leaves out |
//! | a Kafka null | [`Record::null_key`], [`Record::null_value`] |
//! | no record | `false`, an empty `Vec`, [`Transformed::Skip`] |
//! | this message is bad | `Err` of any error, [`Error::bad_message`] |
//! | the plugin cannot work at all | `Err` of [`Error::fatal`] |
//!
//! # What to rely on
//!
//! - A plugin sees messages, and nothing else: no files, no network, no environment, and no clock
//!   beside [`Message::received_at_ms`] unless the user allows it ([`now_ms`]). Its `static`s live until the host makes a new instance, which
//!   may be at any time, and there may be several instances.
//! - A panic condemns only the message at hand, and its text reaches the host's log. So does a
//!   call that takes too long or too much memory. A plugin that fails for messages, too, that it has
//!   handled well before is broken, and messages wait for it.
//! - `log::info!` and its siblings ([`prelude`]) write to the host's log, and to standard error in
//!   tests. A line below the host's level still costs its formatting: the `release_max_level_...`
//!   features of the crate `log` leave such lines out.
//! - Messages come in batches and are read where they lie: nothing is copied for a setter that
//!   answers with a part of the message.

#![expect(
    clippy::test_attr_in_doctest,
    reason = "the crate's example shows where a test goes, and runs it by a hidden call"
)]

#[cfg(target_arch = "wasm32")]
mod abi;
mod answer;
mod answers;
mod clock;
mod connection;
mod error;
mod export;
mod init;
mod json;
mod logging;
mod message;
mod packed;
mod properties;
mod record;
mod transformed;
mod typed;

pub use log;

/// Makes a function decide the record's key: `fn key(message: &Message) -> Option<Vec<u8>>`, or
/// whatever else is [`IntoKey`]. A plugin may have one.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// #[key_setter]
/// fn key(message: &Message) -> Key {
///     match message.level(1) {
///         Some("test") => Key::Skip("devices under test are not recorded".into()),
///         Some(device) => device.into(),
///         None => Key::Default,
///     }
/// }
///
/// assert_eq!(key(&Message::new("plant/dev42/temp", "21.5")), "dev42".into());
/// assert_eq!(key(&Message::new("plant", "21.5")), Key::Default);
/// ```
pub use plugin_sdk_macros::key_setter;

/// Makes a function decide the record's timestamp, in milliseconds since the Unix epoch:
/// `fn timestamp(message: &Message) -> Option<i64>`, or whatever else is [`IntoTimestamp`]. A
/// plugin may have one.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// /// A user property of MQTT 5 says when it was measured.
/// #[timestamp_setter]
/// fn timestamp(message: &Message) -> Result<Option<i64>, Error> {
///     let measured = message.properties().user_property("measured-at-ms");
///     Ok(measured.map(str::parse).transpose()?)
/// }
///
/// let message = Message::new("t", "21.5").with_user_property("measured-at-ms", "1700000000000");
/// assert_eq!(timestamp(&message), Ok(Some(1_700_000_000_000)));
/// ```
pub use plugin_sdk_macros::timestamp_setter;

/// Makes a function decide the record's value: `fn value(message: &Message) -> Option<Vec<u8>>`,
/// or whatever else is [`IntoValue`]. A plugin may have one.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// /// An empty payload takes a retained message back: a tombstone in Kafka.
/// #[value_setter]
/// fn value(message: &Message) -> Value {
///     if message.payload().is_empty() { Value::Null } else { Value::Default }
/// }
///
/// assert_eq!(value(&Message::new("plant/dev42/state", "")), Value::Null);
/// ```
pub use plugin_sdk_macros::value_setter;

/// Makes a function get the plugin's configuration, before anything else is called:
/// `fn init(config: Config) -> Result<(), Error>`, with any type of your own that serde can
/// deserialize, or `fn init(config: Config)`. A plugin may have one.
///
/// It is called once in each instance. There is one per thread that needs one, and a new one after
/// each failure, so `static`s are where the configuration belongs. An error stops the start of the
/// host, which shows it: it should say what is wrong. Without a configuration it gets `{}`.
///
/// ```
/// use std::sync::OnceLock;
///
/// use plugin_sdk::prelude::*;
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     prefix: String,
/// }
///
/// static CONFIG: OnceLock<Config> = OnceLock::new();
///
/// #[init]
/// fn init(config: Config) -> Result<(), Error> {
///     if config.prefix.is_empty() {
///         return Err(Error::bad_message("`prefix` is empty"));
///     }
///     CONFIG.get_or_init(|| config);
///     Ok(())
/// }
///
/// #[key_setter]
/// fn key(message: &Message) -> Option<String> {
///     Some(format!("{}{}", CONFIG.get()?.prefix, message.topic()))
/// }
///
/// init(Config { prefix: "north/".into() }).unwrap();
/// assert_eq!(key(&Message::new("plant", "")).as_deref(), Some("north/plant"));
/// ```
pub use plugin_sdk_macros::init;

/// Makes a function be called after each time that the MQTT server has accepted the connection and
/// the subscription: `fn connected(connection: &Connection) -> Hook`, or without an answer. A plugin
/// may have one. One that panics or takes too long is logged, and means [`Hook::GoOn`].
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// #[on_client_connect_success]
/// fn connected(connection: &Connection) -> Hook {
///     if connection.reconnect && !connection.session_present {
///         return Hook::Stop("the server has lost the session: look for gaps".into());
///     }
///     info!("connected to {}", connection.server);
///     Hook::GoOn
/// }
///
/// assert_eq!(connected(&Connection::new("broker:1883", "plant-1")), Hook::GoOn);
/// ```
pub use plugin_sdk_macros::on_client_connect_success;

/// Makes a function be called after each attempt to connect that failed, and after each connection
/// that was lost: `fn failed(connection: &Connection, failure: &Failure) -> Hook`, or without an
/// answer. A plugin may have one. One that panics or takes too long is logged, and means
/// [`Hook::GoOn`].
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// #[on_client_connect_failure]
/// fn failed(connection: &Connection, failure: &Failure) -> Hook {
///     if connection.attempt < 100 {
///         return Hook::GoOn;
///     }
///     Hook::Stop(format!("gave up on {}: {}", connection.server, failure.reason).into())
/// }
///
/// let connection = Connection::new("broker:1883", "plant-1");
/// assert_eq!(failed(&connection, &Failure::new("connection refused")), Hook::GoOn);
/// ```
pub use plugin_sdk_macros::on_client_connect_failure;

/// Makes a function turn payloads into JSON: `fn deserialize(message: &Message) ->
/// Result<serde_json::Value, Error>`, or whatever else is [`IntoJson`]. A plugin may have one.
///
/// It is called once per message, before any setter. The built-in setters then find `_key` and
/// `_timestamp` in that JSON, and [`Message::json`] reads it in every plugin. The record's value is
/// still the payload; a value setter may use [`Message::deserialized`] instead.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// /// `t=21.5;h=40`
/// #[payload_deserializer]
/// fn deserialize(message: &Message) -> Result<serde_json::Value, Error> {
///     let fields = message.text()?.split(';').map(|field| {
///         let (name, number) = field.split_once('=').ok_or(Error::bad_message("no `=`"))?;
///         Ok((name.to_owned(), number.parse::<f64>()?.into()))
///     });
///     fields.collect::<Result<_, Error>>().map(serde_json::Value::Object)
/// }
///
/// let message = Message::new("plant/dev42", "t=21.5;h=40");
/// assert_eq!(deserialize(&message).unwrap()["t"], 21.5);
/// ```
pub use plugin_sdk_macros::payload_deserializer;

/// Makes a function turn each record into any number of records: `fn transform(message: &Message) ->
/// Vec<Record>`, or whatever else is [`IntoRecords`]. A plugin may have one.
///
/// It is called after all setters, once per record that the transformer before it made, or once per
/// message if it is the first. [`Message::payload`] is the value of the record so far, and
/// [`Message::deserialized`] is gone where that is not what was published; all else in the message is
/// as it was received. What a [`Record`] leaves out is as it came.
///
/// One record for each element of a list:
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// /// `{"device": "dev42", "celsius": [21.5, 22]}`
/// #[derive(serde::Deserialize)]
/// struct Readings {
///     device: String,
///     celsius: Vec<f64>,
/// }
///
/// #[transformer]
/// fn expand(message: &Message) -> Result<Vec<Record>, Error> {
///     let readings: Readings = message.json()?;
///     let one = |celsius: &f64| Record::new().key(&*readings.device).value(celsius.to_string());
///     Ok(readings.celsius.iter().map(one).collect())
/// }
///
/// let message = Message::new("plant", r#"{"device": "dev42", "celsius": [21.5, 22]}"#);
/// let record = Record::new().key("dev42");
/// assert_eq!(expand(&message), Ok(vec![record.clone().value("21.5"), record.value("22")]));
/// ```
///
/// A filter, which says whether there is to be a record:
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// #[transformer]
/// fn is_published_now(message: &Message) -> bool {
///     !message.retain()
/// }
///
/// assert!(is_published_now(&Message::new("plant", "21.5")));
/// assert!(!is_published_now(&Message::new("plant", "21.5").with_retain(true)));
/// ```
///
/// What setters and earlier transformers have decided comes with a second argument:
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// /// Records without a key are spread over the partitions of a topic of their own.
/// #[transformer]
/// fn route(_: &Message, record: &Record) -> Transformed {
///     match record.key_so_far() {
///         Content::Null => Record::new().topic("keyless").into(),
///         Content::Default | Content::Bytes(_) => Transformed::Default,
///     }
/// }
///
/// let message = Message::new("plant", "21.5");
/// assert_eq!(route(&message, &Record::new()), Transformed::Default);
/// assert_eq!(route(&message, &Record::new().null_key()), Record::new().topic("keyless").into());
/// ```
pub use plugin_sdk_macros::transformer;

pub use answer::{IntoKey, IntoTimestamp, IntoValue, Key, Timestamp, Value};
#[cfg(not(target_arch = "wasm32"))]
pub use clock::at_ms;
pub use clock::now_ms;
pub use connection::{Connection, Failure, Hook, IntoHook};
pub use error::{Error, IntoError};
pub use init::{Configuration, IntoInit};
pub use json::{IntoJson, Json};
pub use message::{Message, MessageBuf, Qos};
pub use properties::Properties;
pub use record::{Content, Record};
pub use transformed::{IntoRecords, Transformed};

/// Everything that a plugin usually needs: `use plugin_sdk::prelude::*;`
pub mod prelude {
    pub use log::{self, debug, error, info, trace, warn};

    pub use crate::{Connection, Error, Failure, Hook, Json, Key, Message, Qos, Timestamp, Value};
    pub use crate::{Content, Record, Transformed};
    pub use crate::{init, on_client_connect_failure, on_client_connect_success};
    pub use crate::{
        key_setter, payload_deserializer, timestamp_setter, transformer, value_setter,
    };
}

/// For the attributes and for tests of the SDK. It changes without notice.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::abi::{
        Area, connection, failure, hook, init, packed, packed_records, typed_bytes, typed_json,
        typed_time,
    };
    pub use crate::answers::Answers;
    pub use crate::export::worlds;
    pub use crate::init::configuration;
    pub use crate::packed::{answer_all, transform_all};
    pub use crate::record::PackedRecord;
    pub use crate::typed::{RawList, RawMessage, RawPair, bytes_result, json_result, time_result};
    pub use crate::typed::{hook_outcome, init_result};
}
