//! MQTT packets as bytes: the hot ones (PUBLISH in, PUBACK out) by hand, without an allocation;
//! all others by rumqttc's codec for the connection's version.

mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

pub use incoming::{ConnAck, Incoming, Refusal, ServerLimits, incoming, with_text};
pub use outgoing::{
    ConnectProperties, DISCONNECT, Hello, PING, Will, acknowledge, complete, connect, subscribe,
    unsubscribe,
};

use std::borrow::Cow;

use crate::message::{Properties, Publish, Qos};

/// Version of the protocol that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V3_1,
    V3_1_1,
    V5,
}

/// What a server sent that is not as the specification says, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("a packet of {size} bytes is larger than --max-packet-size {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("{0}")]
    Packet(String),
}

impl Malformed {
    fn new(what: impl Into<String>) -> Self {
        Self::Packet(what.into())
    }
}

/// One whole packet at the start of what was received.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Type and flags.
    pub first: u8,
    /// What follows the fixed header.
    pub body: &'a [u8],
    /// The packet with its fixed header.
    pub whole: &'a [u8],
}

/// Finds the packet at the start of `bytes` (MQTT-2.1).
///
/// `Ok(Err(n))`: not all of it is there yet; at least `n` bytes are needed in all.
///
/// # Errors
/// If the packet is larger than `limit`, or its length is not one.
pub fn frame(bytes: &[u8], limit: usize) -> Result<Result<Frame<'_>, usize>, Malformed> {
    let mut length = 0;
    for index in 0..4 {
        let Some(byte) = bytes.get(1 + index) else {
            return Ok(Err(2 + index));
        };
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let start = 2 + index;
            let size = start + length;
            if size > limit {
                return Err(Malformed::TooLarge { size, limit });
            }
            return Ok(bytes.get(..size).map_or(Err(size), |whole| {
                Ok(Frame { first: whole[0], body: &whole[start..], whole })
            }));
        }
    }
    Err(Malformed::new("a packet's length takes more than four bytes (MQTT-2.1.4)"))
}

/// Whether a first byte is that of a PUBLISH packet.
pub const fn is_publish(first: u8) -> bool {
    first >> 4 == 3
}

/// Reads a PUBLISH packet (MQTT-3.3).
///
/// # Errors
/// Which rule it breaks.
pub fn publish<'a>(version: Version, frame: &Frame<'a>) -> Result<Publish<'a>, &'static str> {
    let Head { qos, topic, packet_id, mut rest } = head(frame)?;
    let topic = std::str::from_utf8(topic)
        .map_err(|_| "a PUBLISH packet's topic is not UTF-8 (MQTT-3.3.2-1)")?;
    if topic.is_empty() || topic.bytes().any(|byte| matches!(byte, 0 | b'+' | b'#')) {
        return Err("a PUBLISH packet's topic is empty, or has a wildcard or a NUL (MQTT-3.3.2-2)");
    }
    let properties = if version == Version::V5 {
        let block = take_properties(&mut rest)?;
        Some(Properties::check(block)?.as_bytes())
    } else {
        None
    };
    Ok(Publish {
        topic,
        payload: rest,
        qos,
        retain: frame.first & 1 != 0,
        dup: frame.first & 8 != 0,
        packet_id,
        properties,
    })
}

/// What must be readable of a PUBLISH packet so that its message can be acknowledged.
struct Head<'a> {
    qos: Qos,
    topic: &'a [u8],
    packet_id: u16,
    /// What follows.
    rest: &'a [u8],
}

fn head<'a>(frame: &Frame<'a>) -> Result<Head<'a>, &'static str> {
    fn take<'a>(rest: &mut &'a [u8], size: usize) -> Result<&'a [u8], &'static str> {
        const SHORT: &str = "a PUBLISH packet ends before its payload";
        let (taken, left) = rest.split_at_checked(size).ok_or(SHORT)?;
        *rest = left;
        Ok(taken)
    }
    fn number(rest: &mut &[u8]) -> Result<u16, &'static str> {
        take(rest, 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    let qos = Qos::from_number(frame.first >> 1 & 3)
        .ok_or("a PUBLISH packet has QoS 3 (MQTT-3.3.1-4)")?;
    let mut rest = frame.body;
    let size = number(&mut rest)?;
    let topic = take(&mut rest, size.into())?;
    let packet_id = if qos == Qos::AtMostOnce { 0 } else { number(&mut rest)? };
    if qos != Qos::AtMostOnce && packet_id == 0 {
        return Err("a PUBLISH packet has the packet id 0 (MQTT-2.2.1-3)");
    }
    Ok(Head { qos, topic, packet_id, rest })
}

/// What can be read of a PUBLISH packet that breaks a rule.
#[derive(Debug)]
pub struct Salvaged<'a> {
    topic: Cow<'a, str>,
    rest: Publish<'a>,
}

impl Salvaged<'_> {
    /// Its message, with a topic that is text.
    pub fn publish(&self) -> Publish<'_> {
        Publish { topic: &self.topic, ..self.rest }
    }
}

/// Reads what it can of a PUBLISH packet that [`publish`] does not take; `None` if not even QoS, topic
/// and packet id can be read. Properties that cannot be read are left out; where it is unknown where
/// they end, they count as payload.
pub fn salvage<'a>(version: Version, frame: &Frame<'a>) -> Option<Salvaged<'a>> {
    let Head { qos, topic, packet_id, rest: mut payload } = head(frame).ok()?;
    let mut topic = String::from_utf8_lossy(topic);
    if topic.len() > usize::from(u16::MAX) {
        let end = topic.floor_char_boundary(u16::MAX.into());
        topic = Cow::Owned(topic[..end].to_owned());
    }
    let properties = (version == Version::V5).then(|| {
        let block = take_properties(&mut payload).and_then(Properties::check);
        block.map(|properties| properties.as_bytes()).unwrap_or_default()
    });
    let (retain, dup) = (frame.first & 1 != 0, frame.first & 8 != 0);
    let rest = Publish { topic: "", payload, qos, retain, dup, packet_id, properties };
    Some(Salvaged { topic, rest })
}

/// The start of a PUBLISH packet of `size` bytes that is too large to be held: everything but the
/// payload, and of that at least `keep` bytes if it has as many.
///
/// # Errors
/// So many bytes of it have to be there.
pub fn start(bytes: &[u8], size: usize, keep: usize) -> Result<Frame<'_>, usize> {
    /// Room for the fixed header, the longest topic, a packet id and properties.
    const HEAD: usize = 5 + 2 + 65_535 + 2 + 65_536;
    let needed = size.min(HEAD + keep);
    let whole = bytes.get(..needed).ok_or(needed)?;
    let header = 2 + whole[1..].iter().take_while(|byte| **byte & 0x80 != 0).count();
    Ok(Frame { first: whole[0], body: &whole[header..], whole })
}

fn take_properties<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
    let mut length = 0;
    for index in 0..4 {
        let byte = *rest.get(index).ok_or("no properties follow")?;
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let start = index + 1;
            let block =
                rest.get(start..start + length).ok_or("a packet ends within its properties")?;
            *rest = &rest[start + length..];
            return Ok(block);
        }
    }
    Err("the length of a packet's properties takes more than four bytes")
}
