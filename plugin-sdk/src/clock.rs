//! The time, which the user may let a plugin know.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod wasm;

#[cfg(not(target_arch = "wasm32"))]
use native as place;
#[cfg(target_arch = "wasm32")]
use wasm as place;

#[cfg(not(target_arch = "wasm32"))]
pub use native::at_ms;

/// The time, in milliseconds since the Unix epoch. Where [`Message::received_at_ms`] will do, use that:
/// it is the same when the message is looked at again.
///
/// The user has to allow it, with `clock = true` beside the plugin's file or with `--plugin-clock`.
/// Without that a call is a failure of the plugin, as a panic is. With `host plugin test` and
/// `--self-test` it is the time at which the message arrived. In native tests it is that of the machine,
/// or what [`at_ms`] says.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// const DAY_MS: i64 = 24 * 60 * 60 * 1000;
///
/// /// What is not of the last day is left out.
/// #[transformer]
/// fn is_recent(message: &Message, record: &Record) -> bool {
///     record.timestamp_ms_so_far().is_none_or(|then| plugin_sdk::now_ms() - then < DAY_MS)
/// }
///
/// let (message, record) = (Message::new("t", ""), Record::new().timestamp_ms(1_700_000_000_000));
/// assert!(plugin_sdk::at_ms(1_700_000_000_000 + DAY_MS - 1, || is_recent(&message, &record)));
/// assert!(!is_recent(&message, &record));
/// ```
///
/// [`Message::received_at_ms`]: crate::Message::received_at_ms
#[must_use]
pub fn now_ms() -> i64 {
    place::now_ms()
}
