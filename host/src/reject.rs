//! What happens to a message that cannot be carried: its dead letter.
//!
//! A dead letter holds the original payload under the original topic, and says in its headers what
//! went wrong and what else was known of the message, so that it can be replayed.

use std::borrow::Cow;

use crate::message::{Header, Message, Record, Rejection};
use crate::transform::headers::{HeaderPolicy, headers};

/// What is left of a payload that is too large even for the dead-letter topic, in bytes.
pub const CUT_PAYLOAD: usize = 64 * 1024;

/// The record that a rejected message becomes in the dead-letter topic.
pub fn record(message: Message<'_>) -> Record<'_> {
    Record {
        key: Some(Cow::Borrowed(message.topic().as_bytes())),
        value: Some(Cow::Borrowed(message.payload())),
        timestamp_ms: message.received_at_ms(),
        choice: None,
    }
}

/// The headers of that record; `kafka_topic` is where it would have gone, if that is known, and
/// `payload_size` how many bytes the payload had, if they are not all there.
pub fn record_headers<'a>(
    message: Message<'a>,
    rejection: &'a Rejection,
    kafka_topic: Option<&'a str>,
    payload_size: Option<usize>,
) -> impl Iterator<Item = Header<'a>> {
    let plugin = rejection.plugin.iter().flat_map(|plugin| {
        [
            Header::text("reject.plugin", plugin.name.as_str()),
            Header::text("reject.plugin-sha256", plugin.sha256.as_str()),
        ]
    });
    headers(HeaderPolicy::All, &message)
        .chain([
            Header::text("reject.reason", rejection.reason.as_str()),
            Header::text("reject.error", rejection.error.as_str()),
            Header::text("reject.arrived-at", message.received_at_ms().to_string()),
        ])
        .chain(kafka_topic.map(|topic| Header::text("reject.kafka-topic", topic)))
        .chain(payload_size.map(|size| Header::text("reject.payload-size", size.to_string())))
        .chain(plugin)
}
