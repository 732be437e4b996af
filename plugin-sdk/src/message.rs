//! [`Message`]: one MQTT message as the host packed it (`wit/plugin.wit`, "packed"). It is a view
//! of those bytes, so that nothing is copied or parsed that a setter does not ask for;
//! [`MessageBuf`] owns such bytes.

use std::fmt;
use std::ops::Deref;

use serde::Deserialize;

use crate::Error;
use crate::properties::{self, Properties};

/// Size of a packed message before its topic, in bytes.
const HEADER: usize = 24;

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
    #[expect(
        clippy::new_ret_no_self,
        reason = "an unsized type has an owned twin, as `Path` has"
    )]
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
            .checked_add(header.properties)?;
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

    /// The payload read as JSON. What is read may borrow from the message (`&str`, `Cow<str>`).
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
        serde_json::from_slice(self.payload()).map_err(|error| {
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
        Properties::new(&self.packed[HEADER + header.topic + header.payload..])
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
            .finish()
    }
}

/// Sizes in bytes that a packed message begins with.
#[derive(Default, Clone, Copy)]
struct Header {
    payload: usize,
    properties: usize,
    topic: usize,
}

impl Header {
    fn of(packed: &[u8]) -> Option<Self> {
        let [
            p0,
            p1,
            p2,
            p3,
            r0,
            r1,
            r2,
            r3,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            t0,
            t1,
            ..,
        ] = *packed.first_chunk::<HEADER>()?;
        Some(Self {
            payload: u32::from_le_bytes([p0, p1, p2, p3]) as usize,
            properties: u32::from_le_bytes([r0, r1, r2, r3]) as usize,
            topic: u16::from_le_bytes([t0, t1]).into(),
        })
    }
}

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

    /// Properties are what a packed message ends with, so one more goes to the end.
    fn with_property(mut self, identifier: u8, value: impl FnOnce(&mut Vec<u8>)) -> Self {
        let before = self.packed.len();
        self.packed.push(identifier);
        value(&mut self.packed);
        let size = self.header().properties + self.packed.len() - before;
        self.packed[4..8].copy_from_slice(&size_u32(size).to_le_bytes());
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

#[expect(
    clippy::expect_used,
    reason = "documented; MQTT itself allows no packet above 256 MiB"
)]
fn size_u32(size: usize) -> u32 {
    size.try_into().expect("a payload has at most 4 GiB")
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn a_message_says_what_it_was_made_of() {
        let message = Message::new("plant/dev42/temp", b"\xffbytes")
            .with_qos(Qos::ExactlyOnce)
            .with_dup(true)
            .with_packet_id(513)
            .with_received_at_ms(-1);
        assert_eq!(
            (message.topic(), message.payload()),
            ("plant/dev42/temp", &b"\xffbytes"[..])
        );
        assert_eq!(
            (message.qos(), message.retain(), message.dup()),
            (Qos::ExactlyOnce, false, true)
        );
        assert_eq!(
            (message.packet_id(), message.received_at_ms()),
            (Some(513), -1)
        );
        assert_eq!(message.properties().user_properties().count(), 0);
    }

    #[test]
    fn a_plain_message_is_qos_0_without_flags() {
        let message = Message::new("t", "");
        assert_eq!(
            (message.qos(), message.retain(), message.dup()),
            (Qos::AtMostOnce, false, false)
        );
        assert_eq!((message.packet_id(), message.received_at_ms()), (None, 0));
    }

    #[test]
    fn flags_can_be_taken_back() {
        let message = Message::new("t", "")
            .with_qos(Qos::ExactlyOnce)
            .with_retain(true)
            .with_qos(Qos::AtLeastOnce)
            .with_retain(false);
        assert_eq!((message.qos(), message.retain()), (Qos::AtLeastOnce, false));
    }

    #[test]
    fn levels_may_be_empty_and_there_is_always_one() {
        let levels = |topic| {
            Message::new(topic, "")
                .levels()
                .map(String::from)
                .collect::<Vec<_>>()
        };
        assert_eq!(levels("a/b"), ["a", "b"]);
        assert_eq!(levels("/a//"), ["", "a", "", ""]);
        assert_eq!(levels(""), [""]);
        assert_eq!(Message::new("ä/ö/ü", "").level(2), Some("ü"));
        assert_eq!(Message::new("a/b", "").level(2), None);
    }

    #[test]
    fn text_and_json_say_what_is_wrong_with_a_payload() {
        let text = Message::new("t", b"a\xff").text().map(String::from);
        assert!(
            text.expect_err("not UTF-8")
                .to_string()
                .starts_with("the payload is not text: ")
        );
        let json = Message::new("t", "{").json::<Vec<u8>>();
        let error = json.expect_err("not JSON").to_string();
        assert!(
            error.starts_with("the payload's JSON does not fit: "),
            "{error}"
        );
    }

    #[test]
    fn json_may_borrow_from_the_message() {
        #[derive(Deserialize)]
        struct Reading<'a> {
            device: &'a str,
            #[serde(borrow)]
            note: Cow<'a, str>,
        }
        let message = Message::new("t", r#"{"device":"dev42","note":"21\u00b0"}"#);
        let reading: Reading<'_> = message.json().expect("it is JSON");
        assert_eq!((reading.device, &*reading.note), ("dev42", "21°"));
        assert!(
            message
                .payload()
                .as_ptr_range()
                .contains(&reading.device.as_ptr())
        );
    }

    #[test]
    fn properties_are_what_was_added() {
        let message = Message::new("t", "payload")
            .with_payload_format(1)
            .with_message_expiry_secs(70_000)
            .with_content_type("text/plain")
            .with_response_topic("re/t")
            .with_correlation_data(b"\x00\xff")
            .with_user_property("a", "1")
            .with_user_property("b", "2")
            .with_user_property("a", "3");
        let properties = message.properties();
        assert_eq!(properties.payload_format(), Some(1));
        assert_eq!(properties.message_expiry_secs(), Some(70_000));
        assert_eq!(properties.content_type(), Some("text/plain"));
        assert_eq!(properties.response_topic(), Some("re/t"));
        assert_eq!(properties.correlation_data(), Some(&b"\x00\xff"[..]));
        let user: Vec<_> = properties.user_properties().collect();
        assert_eq!(user, [("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(
            (properties.user_property("a"), properties.user_property("c")),
            (Some("1"), None)
        );
        assert_eq!(message.payload(), b"payload");
    }

    #[test]
    #[should_panic(expected = "MQTT carries at most 65,535 bytes")]
    fn a_topic_that_mqtt_cannot_carry_is_refused() {
        let _ = Message::new("t".repeat(65_536), "");
    }

    #[test]
    fn debug_shows_the_message_and_not_its_bytes() {
        let shown = format!(
            "{:?}",
            Message::new("t", "21.5").with_content_type("text/plain")
        );
        assert_eq!(
            shown,
            "Message { topic: \"t\", payload: \"21.5\", qos: AtMostOnce, retain: false, dup: false, \
             packet_id: None, received_at_ms: 0, properties: [ContentType(\"text/plain\")] }"
        );
    }
}
