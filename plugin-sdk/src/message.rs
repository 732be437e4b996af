//! [`Message`]: one MQTT message as the host packed it (`wit/plugin.wit`, "packed"). It is a view
//! of those bytes, so that nothing is copied or parsed that a setter does not ask for;
//! [`MessageBuf`] owns such bytes.

mod buf;

use std::fmt;

use serde::Deserialize;

use crate::Error;
use crate::properties::Properties;

pub use buf::MessageBuf;

/// Size of a packed message before its topic, in bytes.
const HEADER: usize = 28;

const QOS: u8 = 0b11;
const RETAIN: u8 = 1 << 2;
const DUP: u8 = 1 << 3;
const MQTT_5: u8 = 1 << 4;

/// Quality of service that a message was delivered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qos {
    /// QoS 0.
    AtMostOnce = 0,
    /// QoS 1.
    AtLeastOnce = 1,
    /// QoS 2.
    ExactlyOnce = 2,
}

/// One MQTT message, as setters get it.
///
/// Like `str` it is only met by reference. Tests make one with [`Message::new`].
#[repr(transparent)]
pub struct Message {
    /// Exactly one packed message.
    packed: [u8],
}

impl Message {
    /// A message for a test: QoS 0, without flags and properties, received at 0 ms. The methods
    /// of [`MessageBuf`] change that.
    ///
    /// ```
    /// # use plugin_sdk::prelude::*;
    /// let message = Message::new("plant/dev42/temp", "{}").with_retain(true);
    /// assert!(message.retain());
    /// ```
    ///
    /// # Panics
    /// If the topic is longer than MQTT can carry, 65,535 bytes, or the payload than 4 GiB.
    #[expect(clippy::new_ret_no_self, reason = "an unsized type has an owned twin, as `Path` has")]
    pub fn new(topic: impl AsRef<str>, payload: impl AsRef<[u8]>) -> MessageBuf {
        crate::logging::install();
        MessageBuf::new(topic.as_ref(), payload.as_ref())
    }

    /// Takes a message off the front of packed ones; `None` if the bytes are not packed messages.
    pub(crate) fn take<'a>(packed: &mut &'a [u8]) -> Option<&'a Self> {
        let header = Header::of(packed)?;
        let size = HEADER
            .checked_add(header.topic)?
            .checked_add(header.payload)?
            .checked_add(header.properties)?
            .checked_add(header.json)?;
        let (message, rest) = packed.split_at_checked(size)?;
        *packed = rest;
        Some(Self::view(message))
    }

    #[expect(
        unsafe_code,
        reason = "no safe way leads to a reference to a type of one's own without a size"
    )]
    fn view(packed: &[u8]) -> &Self {
        // SAFETY: `Message` is a transparent wrapper of `[u8]`.
        unsafe { &*(std::ptr::from_ref(packed) as *const Self) }
    }

    /// The topic that the message was published to.
    #[must_use]
    pub fn topic(&self) -> &str {
        // It is made of a `str`, by the host or by `MessageBuf`, so the default never shows.
        let bytes = &self.packed[HEADER..HEADER + self.header().topic];
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The topic's levels, from the first on. There is at least one.
    pub fn levels(&self) -> std::str::Split<'_, char> {
        self.topic().split('/')
    }

    /// One of the topic's levels, counted from 0.
    ///
    /// ```
    /// # use plugin_sdk::prelude::*;
    /// let message = Message::new("plant/dev42/temp", "");
    /// assert_eq!(message.level(1), Some("dev42"));
    /// assert_eq!(message.level(3), None);
    /// ```
    #[must_use]
    pub fn level(&self, index: usize) -> Option<&str> {
        self.levels().nth(index)
    }

    /// The payload, as it was published.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let header = self.header();
        &self.packed[HEADER + header.topic..][..header.payload]
    }

    /// The payload as text.
    ///
    /// # Errors
    /// A bad message if it is not UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(self.payload())
            .map_err(|error| Error::bad_message(format!("the payload is not text: {error}")))
    }

    /// The JSON text that a payload deserializer made of the payload, if one did.
    #[must_use]
    pub fn deserialized(&self) -> Option<&str> {
        let header = self.header();
        let json = &self.packed[self.packed.len() - header.json..];
        // It is made of a `str`, and no JSON text is empty.
        std::str::from_utf8(json).ok().filter(|json| !json.is_empty())
    }

    /// The message's JSON text: what a payload deserializer made of the payload, or without one
    /// the payload itself. Whether a payload is JSON has not been looked at.
    ///
    /// # Errors
    /// A bad message if it is not UTF-8.
    pub fn json_text(&self) -> Result<&str, Error> {
        self.deserialized().map_or_else(|| self.text(), Ok)
    }

    /// The message read as JSON: what a payload deserializer made of the payload, or without one
    /// the payload itself. What is read may borrow from the message (`&str`, `Cow<str>`).
    ///
    /// ```
    /// # use plugin_sdk::prelude::*;
    /// #[derive(serde::Deserialize)]
    /// struct Reading<'a> {
    ///     device: &'a str,
    /// }
    ///
    /// #[key_setter]
    /// fn key(message: &Message) -> Result<&str, Error> {
    ///     let reading: Reading = message.json()?;
    ///     Ok(reading.device)
    /// }
    /// # assert_eq!(key(&Message::new("t", r#"{"device": "dev42"}"#)).unwrap(), "dev42");
    /// ```
    ///
    /// # Errors
    /// A bad message if it is not JSON, or other JSON than the type asks for.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        let json = self.deserialized().map_or_else(|| self.payload(), str::as_bytes);
        serde_json::from_slice(json).map_err(|error| {
            Error::bad_message(format!("the payload's JSON does not fit: {error}"))
        })
    }

    /// The quality of service that the message was delivered with.
    #[must_use]
    pub fn qos(&self) -> Qos {
        match self.flags() & QOS {
            0 => Qos::AtMostOnce,
            1 => Qos::AtLeastOnce,
            _ => Qos::ExactlyOnce,
        }
    }

    /// Whether the broker sent this because of a new subscription, not because it was just
    /// published.
    #[must_use]
    pub fn retain(&self) -> bool {
        self.flags() & RETAIN != 0
    }

    /// Whether the broker marked this delivery as a possible duplicate.
    #[must_use]
    pub fn dup(&self) -> bool {
        self.flags() & DUP != 0
    }

    /// The packet id, absent at QoS 0. It is used again for later messages: never a key.
    #[must_use]
    pub fn packet_id(&self) -> Option<u16> {
        let id = u16::from_le_bytes([self.packed[18], self.packed[19]]);
        (id != 0).then_some(id)
    }

    /// When the host received the message, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn received_at_ms(&self) -> i64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.packed[8..16]);
        i64::from_le_bytes(bytes)
    }

    /// The message's MQTT 5 properties; there are none before MQTT 5.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        let header = self.header();
        Properties::new(&self.packed[HEADER + header.topic + header.payload..][..header.properties])
    }

    fn flags(&self) -> u8 {
        self.packed[20]
    }

    fn header(&self) -> Header {
        Header::of(&self.packed).unwrap_or_default()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic())
            .field("payload", &String::from_utf8_lossy(self.payload()))
            .field("qos", &self.qos())
            .field("retain", &self.retain())
            .field("dup", &self.dup())
            .field("packet_id", &self.packet_id())
            .field("received_at_ms", &self.received_at_ms())
            .field("properties", &self.properties())
            .field("deserialized", &self.deserialized())
            .finish()
    }
}

/// Sizes in bytes that a packed message begins with.
#[derive(Default, Clone, Copy)]
struct Header {
    payload: usize,
    properties: usize,
    topic: usize,
    json: usize,
}

impl Header {
    fn of(packed: &[u8]) -> Option<Self> {
        let header = packed.first_chunk::<HEADER>()?;
        let [p0, p1, p2, p3, r0, r1, r2, r3, .., j0, j1, j2, j3] = *header;
        let (t0, t1) = (header[16], header[17]);
        Some(Self {
            payload: u32::from_le_bytes([p0, p1, p2, p3]) as usize,
            properties: u32::from_le_bytes([r0, r1, r2, r3]) as usize,
            topic: u16::from_le_bytes([t0, t1]).into(),
            json: u32::from_le_bytes([j0, j1, j2, j3]) as usize,
        })
    }
}

#[cfg(test)]
mod tests;
