//! Decide the key, value and timestamp of the Kafka records that `host` makes of MQTT messages.

#[cfg(target_arch = "wasm32")]
mod abi;
mod answer;
mod error;
mod export;
mod logging;
mod message;
mod packed;
mod properties;
mod typed;

pub use log;
pub use plugin_sdk_macros::{key_setter, timestamp_setter, value_setter};

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
    pub use crate::answer::Answers;
    pub use crate::export::worlds;
    pub use crate::packed::answer_all;
    pub use crate::typed::{RawMessage, RawPair, bytes_result, time_result};
}
