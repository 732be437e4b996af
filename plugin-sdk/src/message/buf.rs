//! [`MessageBuf`]: a message that is being made, by a test or of what a typed interface got.

use std::fmt;
use std::ops::Deref;

use super::{DUP, HEADER, MQTT_5, Message, QOS, Qos, RETAIN};
use crate::properties;

/// A [`Message`] that owns its bytes, for tests: `&MessageBuf` goes wherever a `&Message` does.
#[derive(Clone)]
pub struct MessageBuf {
    packed: Vec<u8>,
}

impl MessageBuf {
    pub(crate) fn new(topic: &str, payload: &[u8]) -> Self {
        let mut packed = Vec::with_capacity(HEADER + topic.len() + payload.len());
        packed.resize(HEADER, 0);
        packed[0..4].copy_from_slice(&size_u32(payload.len()).to_le_bytes());
        packed[16..18].copy_from_slice(&properties::size_u16(topic.len()).to_le_bytes());
        packed.extend_from_slice(topic.as_bytes());
        packed.extend_from_slice(payload);
        Self { packed }
    }

    /// With this quality of service.
    #[must_use]
    pub fn with_qos(self, qos: Qos) -> Self {
        self.with_flags(QOS, qos as u8)
    }

    /// With or without the retain flag.
    #[must_use]
    pub fn with_retain(self, retain: bool) -> Self {
        self.with_flags(RETAIN, if retain { RETAIN } else { 0 })
    }

    /// With or without the mark of a possible duplicate.
    #[must_use]
    pub fn with_dup(self, dup: bool) -> Self {
        self.with_flags(DUP, if dup { DUP } else { 0 })
    }

    /// With this packet id; 0 is none.
    #[must_use]
    pub fn with_packet_id(mut self, id: u16) -> Self {
        self.packed[18..20].copy_from_slice(&id.to_le_bytes());
        self
    }

    /// Received at this time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn with_received_at_ms(mut self, milliseconds: i64) -> Self {
        self.packed[8..16].copy_from_slice(&milliseconds.to_le_bytes());
        self
    }

    /// With this JSON text, as if a payload deserializer had made it of the payload; an empty text
    /// is none.
    ///
    /// ```
    /// # use plugin_sdk::prelude::*;
    /// let message = Message::new("t", b"\xa1\x61t\x15").with_json(r#"{"t":21}"#);
    /// assert_eq!(message.json::<serde_json::Value>().unwrap()["t"], 21);
    /// ```
    #[must_use]
    pub fn with_json(mut self, json: &str) -> Self {
        self.packed.truncate(self.packed.len() - self.header().json);
        self.packed[24..HEADER].copy_from_slice(&size_u32(json.len()).to_le_bytes());
        self.packed.extend_from_slice(json.as_bytes());
        self
    }

    /// With this MQTT 5 Payload Format Indicator: 0 unspecified bytes, 1 UTF-8 text.
    #[must_use]
    pub fn with_payload_format(self, format: u8) -> Self {
        self.with_property(properties::PAYLOAD_FORMAT, |block| block.push(format))
    }

    /// With this MQTT 5 Message Expiry Interval, in seconds.
    #[must_use]
    pub fn with_message_expiry_secs(self, seconds: u32) -> Self {
        self.with_property(properties::MESSAGE_EXPIRY, |block| {
            block.extend_from_slice(&seconds.to_be_bytes());
        })
    }

    /// With this MQTT 5 Content Type.
    ///
    /// # Panics
    /// If it is longer than 65,535 bytes, as are all methods below.
    #[must_use]
    pub fn with_content_type(self, content_type: &str) -> Self {
        self.with_property(properties::CONTENT_TYPE, |block| {
            properties::push(block, content_type.as_bytes());
        })
    }

    /// With this MQTT 5 Response Topic.
    #[must_use]
    pub fn with_response_topic(self, topic: &str) -> Self {
        self.with_property(properties::RESPONSE_TOPIC, |block| {
            properties::push(block, topic.as_bytes());
        })
    }

    /// With this MQTT 5 Correlation Data.
    #[must_use]
    pub fn with_correlation_data(self, data: &[u8]) -> Self {
        self.with_property(properties::CORRELATION_DATA, |block| {
            properties::push(block, data);
        })
    }

    /// With this MQTT 5 user property after those it has.
    #[must_use]
    pub fn with_user_property(self, name: &str, value: &str) -> Self {
        self.with_property(properties::USER, |block| {
            properties::push(block, name.as_bytes());
            properties::push(block, value.as_bytes());
        })
    }

    fn with_flags(mut self, mask: u8, flags: u8) -> Self {
        self.packed[20] = self.packed[20] & !mask | flags;
        self
    }

    /// One more property goes behind the others.
    fn with_property(mut self, identifier: u8, value: impl FnOnce(&mut Vec<u8>)) -> Self {
        let json = self.packed.split_off(self.packed.len() - self.header().json);
        let before = self.packed.len();
        self.packed.push(identifier);
        value(&mut self.packed);
        let size = self.header().properties + self.packed.len() - before;
        self.packed[4..8].copy_from_slice(&size_u32(size).to_le_bytes());
        self.packed.extend_from_slice(&json);
        self.with_flags(MQTT_5, MQTT_5)
    }
}

impl Deref for MessageBuf {
    type Target = Message;

    fn deref(&self) -> &Message {
        Message::view(&self.packed)
    }
}

impl AsRef<Message> for MessageBuf {
    fn as_ref(&self) -> &Message {
        self
    }
}

impl fmt::Debug for MessageBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[expect(clippy::expect_used, reason = "documented; MQTT itself allows no packet above 256 MiB")]
fn size_u32(size: usize) -> u32 {
    size.try_into().expect("a payload has at most 4 GiB")
}
