//! The nouns of the data path: a [`Message`] as MQTT delivered it, a [`Batch`] of them as they
//! travel together, and the [`Verdict`] that becomes a Kafka record.
//!
//! A batch keeps its messages in one buffer, in the very layout that plugins get
//! (`plugin-sdk/wit/plugin.wit`, "packed"): receiving a message costs one copy and no allocation
//! of its own, and handing a run of messages to a plugin costs nothing more. This module knows
//! neither MQTT's packets nor Kafka's client.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Size of a packed message before its topic, in bytes.
pub const HEADER: usize = 28;

const RETAIN: u8 = 1 << 2;
const DUP: u8 = 1 << 3;
const MQTT_5: u8 = 1 << 4;

/// Quality of service (MQTT-4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Qos {
    AtMostOnce = 0,
    AtLeastOnce = 1,
    ExactlyOnce = 2,
}

impl Qos {
    /// The quality of service that a number means, if any does.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// What a received PUBLISH packet says, borrowed from wherever it was read.
#[derive(Debug, Clone, Copy)]
pub struct Publish<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: Qos,
    pub retain: bool,
    pub dup: bool,
    /// 0 at QoS 0.
    pub packet_id: u16,
    /// The checked property block of MQTT 5, without its length; `None` before MQTT 5.
    pub properties: Option<&'a [u8]>,
}

impl Publish<'_> {
    /// Bytes that this message takes in a batch.
    #[must_use]
    pub fn packed_size(&self) -> usize {
        HEADER + self.topic.len() + self.payload.len() + self.properties.map_or(0, <[u8]>::len)
    }
}

/// Why a received message can only be rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Its packet is too large to be taken; only the start of the payload is there.
    TooLarge {
        /// Bytes that the payload has in all.
        payload: usize,
        /// Bytes that the packet has.
        packet: usize,
        /// Bytes that a packet may have.
        limit: usize,
    },
    /// Its packet breaks this rule of MQTT; what could not be read of it is left out.
    Malformed(&'static str),
}

impl Defect {
    /// Bytes that the payload has in all, if they are not all there.
    #[must_use]
    pub const fn payload_size(self) -> Option<usize> {
        match self {
            Self::TooLarge { payload, .. } => Some(payload),
            Self::Malformed(_) => None,
        }
    }

    /// What its dead letter says.
    #[must_use]
    pub fn rejection(self) -> Rejection {
        let (reason, error) = match self {
            Self::TooLarge { packet, limit, .. } => (
                Reason::TooLarge,
                format!("its packet of {packet} bytes is larger than --max-packet-size {limit}"),
            ),
            Self::Malformed(rule) => (Reason::BadPacket, rule.to_owned()),
        };
        Rejection { reason, error, plugin: None }
    }
}

/// Where a message stands in the order of everything that its source received.
pub type Sequence = u64;

/// What time it is, in milliseconds since the Unix epoch. A clock before 1970 is told as 1970.
#[must_use]
pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// When a message has arrived that does not say, where what becomes of it is compared: always the same,
/// so that answers are, too. 2023-11-14 22:13:20 UTC.
pub const ARRIVAL: i64 = 1_700_000_000_000;

#[derive(Debug, Clone, Copy)]
struct Entry {
    sequence: Sequence,
    at: usize,
    payload: u32,
    properties: u32,
    json: u32,
    topic: u16,
}

impl Entry {
    const fn end(&self) -> usize {
        let sizes = self.payload as usize + self.properties as usize + self.json as usize;
        self.at + HEADER + self.topic as usize + sizes
    }
}

/// Messages in the order they were received, packed one after the other.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Batch {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies a message to the end.
    ///
    /// MQTT bounds what is copied: a topic has at most 65,535 bytes, a packet 256 MiB.
    pub fn push(&mut self, sequence: Sequence, received_at_ms: i64, publish: &Publish<'_>) {
        let at = self.bytes.len();
        let properties = publish.properties.unwrap_or_default();
        let entry = Entry {
            sequence,
            at,
            payload: publish.payload.len() as u32,
            properties: properties.len() as u32,
            json: 0,
            topic: publish.topic.len() as u16,
        };
        let mut flags = publish.qos as u8;
        flags |= if publish.retain { RETAIN } else { 0 };
        flags |= if publish.dup { DUP } else { 0 };
        flags |= if publish.properties.is_some() { MQTT_5 } else { 0 };

        let mut header = [0; HEADER];
        header[0..4].copy_from_slice(&entry.payload.to_le_bytes());
        header[4..8].copy_from_slice(&entry.properties.to_le_bytes());
        header[8..16].copy_from_slice(&received_at_ms.to_le_bytes());
        header[16..18].copy_from_slice(&entry.topic.to_le_bytes());
        header[18..20].copy_from_slice(&publish.packet_id.to_le_bytes());
        header[20] = flags;

        self.bytes.reserve(publish.packed_size());
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(publish.topic.as_bytes());
        self.bytes.extend_from_slice(publish.payload);
        self.bytes.extend_from_slice(properties);
        self.entries.push(entry);
    }

    /// Copies a message of another batch to the end, with the JSON that its payload stands for, if
    /// a plugin said so. It must be a JSON text of at most 4 GiB.
    pub fn push_deserialized(&mut self, message: &Message<'_>, json: Option<&str>) {
        let (at, json) = (self.bytes.len(), json.unwrap_or_default());
        let entry = Entry { at, json: json.len() as u32, ..message.entry };
        let known = message.packed.len() - message.entry.json as usize;
        self.bytes.reserve(known + json.len());
        self.bytes.extend_from_slice(&message.packed[..known]);
        self.bytes[at + 24..at + HEADER].copy_from_slice(&entry.json.to_le_bytes());
        self.bytes.extend_from_slice(json.as_bytes());
        self.entries.push(entry);
    }

    /// A batch of some of the messages.
    ///
    /// # Panics
    /// If the range is not within the batch.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        let mut part = Self::new();
        for index in range {
            let message = self.message(index);
            part.push_deserialized(&message, message.json());
        }
        part
    }

    /// Copies a message of another batch to the end, with another payload and no JSON beside it. The
    /// payload has at most 4 GiB.
    pub fn push_changed(&mut self, message: &Message<'_>, payload: &[u8]) {
        let at = self.bytes.len();
        let old = message.entry;
        let entry = Entry { at, json: 0, payload: payload.len() as u32, ..old };
        let (head, rest) = message.packed.split_at(HEADER + old.topic as usize);
        let properties = &rest[old.payload as usize..][..old.properties as usize];
        self.bytes.extend_from_slice(head);
        self.bytes[at..at + 4].copy_from_slice(&entry.payload.to_le_bytes());
        self.bytes[at + 24..at + HEADER].copy_from_slice(&entry.json.to_le_bytes());
        self.bytes.extend_from_slice(payload);
        self.bytes.extend_from_slice(properties);
        self.entries.push(entry);
    }

    /// Forgets all messages and keeps the room for as many bytes at most.
    pub fn clear(&mut self, kept: usize) {
        self.entries.clear();
        self.bytes.clear();
        self.bytes.shrink_to(kept);
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes all messages take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The packed bytes of a run of messages, as plugins get them.
    ///
    /// # Panics
    /// If the range is not within the batch.
    #[must_use]
    pub fn packed(&self, range: Range<usize>) -> &[u8] {
        match self.entries[range].as_ref() {
            [] => &[],
            [first, .., last] => &self.bytes[first.at..last.end()],
            [only] => &self.bytes[only.at..only.end()],
        }
    }

    /// The message at a position.
    ///
    /// # Panics
    /// If there are not that many.
    #[must_use]
    pub fn message(&self, index: usize) -> Message<'_> {
        let entry = self.entries[index];
        Message { entry, packed: &self.bytes[entry.at..entry.end()] }
    }

    /// All messages, in order.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = Message<'_>> {
        (0..self.len()).map(|index| self.message(index))
    }
}

/// One MQTT message, a view into its [`Batch`].
#[derive(Clone, Copy)]
pub struct Message<'a> {
    entry: Entry,
    packed: &'a [u8],
}

impl<'a> Message<'a> {
    /// Where this message stands in the order of everything that its source received.
    #[must_use]
    pub const fn sequence(&self) -> Sequence {
        self.entry.sequence
    }

    #[must_use]
    pub fn topic(&self) -> &'a str {
        let bytes = &self.packed[HEADER..HEADER + self.entry.topic as usize];
        // A batch takes topics only as `str`, and never changes them.
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        let start = HEADER + self.entry.topic as usize;
        &self.packed[start..start + self.entry.payload as usize]
    }

    /// The properties of an MQTT 5 message, in their wire format; `None` before MQTT 5.
    #[must_use]
    pub fn properties(&self) -> Option<Properties<'a>> {
        let start = HEADER + self.entry.topic as usize + self.entry.payload as usize;
        let end = start + self.entry.properties as usize;
        (self.flags() & MQTT_5 != 0).then(|| Properties(&self.packed[start..end]))
    }

    /// The JSON text that a plugin made of the payload, if one did.
    #[must_use]
    pub fn json(&self) -> Option<&'a str> {
        let start = self.packed.len() - self.entry.json as usize;
        let json = std::str::from_utf8(&self.packed[start..]);
        // A batch takes JSON only as `str`, and no JSON text is empty.
        json.ok().filter(|json| !json.is_empty())
    }

    #[must_use]
    pub fn qos(&self) -> Qos {
        Qos::from_number(self.flags() & 3).unwrap_or(Qos::AtMostOnce)
    }

    #[must_use]
    pub fn retain(&self) -> bool {
        self.flags() & RETAIN != 0
    }

    #[must_use]
    pub fn dup(&self) -> bool {
        self.flags() & DUP != 0
    }

    /// 0 at QoS 0.
    #[must_use]
    pub fn packet_id(&self) -> u16 {
        u16::from_le_bytes([self.packed[18], self.packed[19]])
    }

    /// When the message was received, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn received_at_ms(&self) -> i64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.packed[8..16]);
        i64::from_le_bytes(bytes)
    }

    fn flags(&self) -> u8 {
        self.packed[20]
    }
}

/// Properties of an MQTT 5 PUBLISH packet, read as they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Properties<'a>(&'a [u8]);

/// One property (MQTT 5, 3.3.2.3). Topic aliases and subscription identifiers belong to the
/// connection, so they are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property<'a> {
    PayloadFormat(u8),
    MessageExpiry(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    User(&'a str, &'a str),
}

impl<'a> Properties<'a> {
    /// Checks a property block as it was received.
    ///
    /// # Errors
    /// If it is malformed, or holds what a PUBLISH packet may not hold: the text says what.
    pub fn check(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let mut rest = bytes;
        while !rest.is_empty() {
            next_property(&mut rest)?;
        }
        Ok(Self(bytes))
    }

    /// The wire format, without its length.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The properties in the order they were received.
    pub fn iter(&self) -> impl Iterator<Item = Property<'a>> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                if let Some(property) = next_property(&mut rest).ok()? {
                    return Some(property);
                }
            }
            None
        })
    }
}

/// Takes one property off the front; `Ok(None)` is one that belongs to the connection.
fn next_property<'a>(rest: &mut &'a [u8]) -> Result<Option<Property<'a>>, &'static str> {
    const SHORT: &str = "a PUBLISH packet's properties end in the middle of one";
    fn take<'a>(rest: &mut &'a [u8], size: usize) -> Result<&'a [u8], &'static str> {
        let (taken, left) = rest.split_at_checked(size).ok_or(SHORT)?;
        *rest = left;
        Ok(taken)
    }
    fn binary<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
        let size = take(rest, 2)?;
        take(rest, u16::from_be_bytes([size[0], size[1]]) as usize)
    }
    fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, &'static str> {
        std::str::from_utf8(binary(rest)?)
            .map_err(|_| "a PUBLISH packet's property is not UTF-8 (MQTT-1.5.4-1)")
    }
    fn variable_int(rest: &mut &[u8]) -> Result<(), &'static str> {
        for _ in 0..4 {
            if take(rest, 1)?[0] & 0x80 == 0 {
                return Ok(());
            }
        }
        Err("a subscription identifier is longer than four bytes (MQTT-1.5.5)")
    }

    Ok(Some(match take(rest, 1)?[0] {
        0x01 => Property::PayloadFormat(take(rest, 1)?[0]),
        0x02 => {
            let b = take(rest, 4)?;
            Property::MessageExpiry(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
        }
        0x03 => Property::ContentType(text(rest)?),
        0x08 => Property::ResponseTopic(text(rest)?),
        0x09 => Property::CorrelationData(binary(rest)?),
        0x26 => Property::User(text(rest)?, text(rest)?),
        0x0b => return variable_int(rest).map(|()| None),
        0x23 => return take(rest, 2).map(|_| None),
        _ => return Err("a PUBLISH packet has a property that it may not have (MQTT-3.3.2.3)"),
    }))
}

/// A name and a value that Kafka keeps beside a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header<'a> {
    pub name: Cow<'a, str>,
    /// `None` is Kafka's null.
    pub value: Option<Cow<'a, [u8]>>,
}

impl<'a> Header<'a> {
    /// A header whose value is text.
    pub fn text(name: &'a str, value: impl Into<Cow<'a, str>>) -> Self {
        let value = match value.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self { name: Cow::Borrowed(name), value: Some(value) }
    }
}

/// What setters decided about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Becomes this record.
    Record(Record<'a>),
    /// Becomes these records, in this order; a plugin made them.
    Records(Vec<Record<'a>>),
    /// Becomes no record; a plugin said why.
    Skip(Cow<'a, str>),
    /// Cannot be carried as it is.
    Reject(Rejection),
    /// A plugin cannot work at all, and said why.
    Fatal(Rejection),
    /// A plugin that is needed for it is broken: it has to wait, and all behind it.
    Wait,
}

/// A Kafka record in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// `None` is Kafka's null.
    pub key: Option<Cow<'a, [u8]>>,
    /// `None` is Kafka's null, a tombstone.
    pub value: Option<Cow<'a, [u8]>>,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// What a plugin has chosen beside that; rare, and kept out of the way of the others.
    pub choice: Option<Box<Choice<'a>>>,
}

impl Record<'_> {
    /// The partition that a plugin has chosen.
    #[must_use]
    pub fn partition(&self) -> Option<i32> {
        self.choice.as_ref()?.partition
    }
}

/// What only a plugin chooses of a record; by default it is as for any other message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice<'a> {
    /// A Kafka topic, not checked yet.
    pub topic: Option<Cow<'a, str>>,
    /// The plugin that has last chosen the topic, or the partition.
    pub placed_by: Option<&'a Arc<PluginName>>,
    /// At most `i32::MAX`. Otherwise the key decides.
    pub partition: Option<i32>,
    /// All headers.
    pub headers: Option<Vec<Header<'a>>>,
}

/// News of the connection to the MQTT server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionEvent {
    /// `HOST:PORT`, as configured.
    pub server: String,
    pub client_id: String,
    /// Which attempt this was since the last connection: 1 for the first one.
    pub attempt: u32,
    /// Whether there has been a connection since the program started.
    pub reconnect: bool,
    pub outcome: ConnectionOutcome,
}

/// What has become of an attempt to connect, or of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionOutcome {
    /// The server has accepted the connection and granted the subscription.
    Connected {
        /// It had kept the session of this client id (always false before MQTT 3.1.1).
        session_present: bool,
    },
    Failed {
        /// What happened, in one line.
        reason: String,
        /// Trying again with the same options cannot help.
        permanent: bool,
        /// The connection had been in use; otherwise the attempt to make one failed.
        lost: bool,
    },
}

/// Why one message cannot be carried, for its dead letter and for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub reason: Reason,
    /// What happened, in one line.
    pub error: String,
    /// The plugin at fault, if one is.
    pub plugin: Option<Arc<PluginName>>,
}

impl Rejection {
    /// ` by plugin NAME`, for the log, if it is one.
    #[must_use]
    pub fn by(&self) -> String {
        let plugin = self.plugin.as_ref();
        plugin.map_or_else(String::new, |plugin| format!(" by plugin {}", plugin.name))
    }
}

/// The kinds of [`Rejection`], as the header `reject.reason` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    BadMessage,
    Trap,
    TimeOut,
    MemoryLimit,
    BadOutput,
    Fatal,
    TooLarge,
    InvalidRecord,
    /// Its MQTT packet breaks the rules.
    BadPacket,
    /// Its MQTT topic leads to no Kafka topic that is allowed.
    BadTopic,
    /// No route takes it.
    NoRoute,
}

impl Reason {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadMessage => "bad-message",
            Self::Trap => "trap",
            Self::TimeOut => "time-out",
            Self::MemoryLimit => "memory-limit",
            Self::BadOutput => "bad-output",
            Self::Fatal => "fatal",
            Self::TooLarge => "too-large",
            Self::InvalidRecord => "invalid-record",
            Self::BadPacket => "bad-packet",
            Self::BadTopic => "bad-topic",
            Self::NoRoute => "no-route",
        }
    }
}

/// Which plugin: its file's stem, and the SHA-256 of the file in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PluginName {
    pub name: String,
    pub sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish<'a>(topic: &'a str, payload: &'a [u8]) -> Publish<'a> {
        Publish {
            topic,
            payload,
            qos: Qos::AtLeastOnce,
            retain: true,
            dup: false,
            packet_id: 7,
            properties: None,
        }
    }

    #[test]
    fn a_batch_gives_back_what_was_pushed() {
        let mut batch = Batch::new();
        batch.push(3, 1_700_000_000_001, &publish("plant/a", b"one"));
        let properties = [0x03, 0, 2, b'a', b'b', 0x0b, 0x81, 0x01, 0x26, 0, 1, b'k', 0, 1, b'v'];
        batch.push(
            4,
            -1,
            &Publish { properties: Some(&properties), dup: true, ..publish("ü", b"") },
        );

        let (first, second) = (batch.message(0), batch.message(1));
        assert_eq!((first.topic(), first.payload(), first.sequence()), ("plant/a", &b"one"[..], 3));
        assert_eq!((first.qos(), first.retain(), first.dup()), (Qos::AtLeastOnce, true, false));
        assert_eq!((first.packet_id(), first.received_at_ms()), (7, 1_700_000_000_001));
        assert!(first.properties().is_none());
        assert_eq!(
            (second.topic(), second.payload(), second.received_at_ms()),
            ("ü", &b""[..], -1)
        );
        let found: Vec<_> = second.properties().expect("an MQTT 5 message").iter().collect();
        assert_eq!(found, [Property::ContentType("ab"), Property::User("k", "v")]);
    }

    #[test]
    fn a_run_of_messages_is_packed_without_gaps() {
        let mut batch = Batch::new();
        for index in 0..3 {
            batch.push(index, 0, &publish("t", b"payload"));
        }
        let one = HEADER + "t".len() + "payload".len();
        assert_eq!(batch.packed(0..3).len(), 3 * one);
        assert_eq!(batch.packed(1..2), &batch.packed(0..3)[one..2 * one]);
        assert!(batch.packed(1..1).is_empty());
    }

    #[test]
    fn a_message_gets_its_json_and_keeps_everything_else() {
        let mut batch = Batch::new();
        let properties = [0x03, 0, 1, b'a'];
        batch.push(7, 5, &publish("t", b"\xff"));
        batch.push(8, 6, &Publish { properties: Some(&properties), ..publish("u", b"x") });
        let mut with = Batch::new();
        with.push_deserialized(&batch.message(0), Some("{}"));
        with.push_deserialized(&batch.message(1), Some(r#"{"a":"ü"}"#));
        with.push_deserialized(&batch.message(1), None);

        let json: Vec<_> = with.messages().map(|message| message.json()).collect();
        assert_eq!(json, [Some("{}"), Some(r#"{"a":"ü"}"#), None]);
        for (message, original) in with.messages().zip([0, 1, 1].map(|index| batch.message(index)))
        {
            assert!(original.json().is_none());
            assert_eq!(message.topic(), original.topic());
            assert_eq!(message.payload(), original.payload());
            assert_eq!(message.sequence(), original.sequence());
            let properties =
                [message, original].map(|message| message.properties().map(|all| all.0));
            assert_eq!(properties[0], properties[1]);
        }
        assert_eq!(with.packed(2..3), batch.packed(1..2));
        let part = with.part(1..3);
        assert_eq!((part.len(), part.packed(0..2)), (2, with.packed(1..3)));
        assert_eq!((part.message(0).sequence(), part.message(0).json()), (8, json[1]));
        with.clear(0);
        assert!(with.is_empty() && with.size() == 0);
    }

    #[test]
    fn properties_that_end_early_or_do_not_belong_are_refused() {
        assert!(Properties::check(&[0x03, 0, 5, b'a']).is_err());
        assert!(Properties::check(&[0x03, 0, 1, 0xff]).is_err());
        assert!(Properties::check(&[0x11, 0, 0, 0, 1]).is_err());
        assert!(Properties::check(&[]).is_ok());
    }
}
