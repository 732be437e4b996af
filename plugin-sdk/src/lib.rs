//! Decide the key, value and timestamp of the Kafka records that `host` makes of MQTT messages.
//!
//! A plugin is a library with one function per thing that it decides, marked with
//! [`#[key_setter]`](key_setter), [`#[value_setter]`](value_setter) or
//! [`#[timestamp_setter]`](timestamp_setter). It is compiled to WebAssembly and handed to `host`,
//! which does what it always does for everything that no plugin decides.
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
//! All setters see the message as it was published, in no certain order.
//!
//! # What to rely on
//!
//! - A plugin sees messages, and nothing else: no files, no network, no environment, no clock but
//!   [`Message::received_at_ms`]. Its `static`s live until the host makes a new instance, which
//!   may be at any time, and there may be several instances.
//! - A panic condemns only the message at hand, and its text reaches the host's log. So does a
//!   call that takes too long or too much memory.
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
mod error;
mod export;
mod logging;
mod message;
mod packed;
mod properties;
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

pub use answer::{IntoKey, IntoTimestamp, IntoValue, Key, Timestamp, Value};
pub use error::{Error, IntoError};
pub use message::{Message, MessageBuf, Qos};
pub use properties::Properties;

/// Everything that a plugin usually needs: `use plugin_sdk::prelude::*;`
pub mod prelude {
    pub use log::{self, debug, error, info, trace, warn};

    pub use crate::{Error, Key, Message, Qos, Timestamp, Value};
    pub use crate::{key_setter, timestamp_setter, value_setter};
}

/// For the attributes and for tests of the SDK. It changes without notice.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::abi::{Area, packed, typed_bytes, typed_time};
    pub use crate::answers::Answers;
    pub use crate::export::worlds;
    pub use crate::packed::answer_all;
    pub use crate::typed::{RawMessage, RawPair, bytes_result, time_result};
}
