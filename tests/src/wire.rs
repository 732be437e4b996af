//! MQTT packets as bytes: as little of 3.1, 3.1.1 and 5 as the publisher and the scripted server need.
//!
//! Written out here, since a test that encodes with the library under test cannot see its errors,
//! and since some tests must send what no library would.

use std::io::{self, Read};

/// Size from which a "packet" is taken for rubbish, in bytes.
const LARGEST: usize = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V31,
    V311,
    V5,
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    /// The property block of MQTT 5, without its length.
    pub properties: Vec<u8>,
}

impl Publish {
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: 1,
            retain: false,
            dup: false,
            properties: Vec::new(),
        }
    }

    #[must_use]
    pub fn qos(self, qos: u8) -> Self {
        Self { qos, ..self }
    }

    #[must_use]
    pub fn retained(self) -> Self {
        Self { retain: true, ..self }
    }

    /// Marks it as possibly sent before.
    #[must_use]
    pub fn again(self) -> Self {
        Self { dup: true, ..self }
    }

    #[must_use]
    pub fn properties(self, properties: Vec<u8>) -> Self {
        Self { properties, ..self }
    }

    /// The packet; `id` does not count at quality of service 0.
    pub fn encode(&self, version: Version, id: u16) -> Vec<u8> {
        let mut body = text(&self.topic);
        if self.qos > 0 {
            body.extend(id.to_be_bytes());
        }
        if version == Version::V5 {
            body.extend(block(&self.properties));
        }
        body.extend(&self.payload);
        packet(0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain), &body)
    }
}

/// A packet with this first byte.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    packet.extend(variable(body.len()));
    packet.extend(body);
    packet
}

/// The flag of CONNECT that asks for a new session.
const CLEAN: u8 = 2;

/// A CONNECT packet of a clean session with a keep-alive of one minute.
pub fn connect(version: Version, client_id: &str, login: Option<(&str, &str)>) -> Vec<u8> {
    connect_with(CLEAN, version, client_id, login)
}

/// A CONNECT packet that goes on with the session that this client has, and leaves it to be gone on with.
pub fn resume(version: Version, client_id: &str) -> Vec<u8> {
    connect_with(0, version, client_id, None)
}

fn connect_with(
    flags: u8,
    version: Version,
    client_id: &str,
    login: Option<(&str, &str)>,
) -> Vec<u8> {
    let (name, level) = match version {
        Version::V31 => ("MQIsdp", 3),
        Version::V311 => ("MQTT", 4),
        Version::V5 => ("MQTT", 5),
    };
    let mut body = text(name);
    body.push(level);
    body.push(flags | if login.is_some() { 0xc0 } else { 0 });
    body.extend(60_u16.to_be_bytes());
    if version == Version::V5 {
        let is_kept = flags & CLEAN == 0;
        // Session Expiry Interval, in seconds.
        body.extend(if is_kept { &[5, 0x11, 0, 0, 0x0e, 0x10][..] } else { &[0] });
    }
    body.extend(text(client_id));
    if let Some((username, password)) = login {
        body.extend(text(username));
        body.extend(text(password));
    }
    packet(0x10, &body)
}

/// A CONNACK packet; MQTT 5 has a property block.
pub fn connack(version: Version, session_present: bool, code: u8, properties: &[u8]) -> Vec<u8> {
    let mut body = vec![u8::from(session_present), code];
    if version == Version::V5 {
        body.extend(block(properties));
    }
    packet(0x20, &body)
}

/// A SUBACK packet.
pub fn suback(version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    body.extend(codes);
    packet(0x90, &body)
}

/// An UNSUBACK packet; before MQTT 5 it has no reasons.
pub fn unsuback(version: Version, id: u16, reasons: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
        body.extend(reasons);
    }
    packet(0xb0, &body)
}

/// A DISCONNECT packet of MQTT 5.
pub fn disconnect(reason: u8, properties: &[u8]) -> Vec<u8> {
    packet(0xe0, &[&[reason][..], &block(properties)].concat())
}

/// A PUBREL packet.
pub fn pubrel(id: u16) -> Vec<u8> {
    packet(0x62, &id.to_be_bytes())
}

pub const PINGREQ: [u8; 2] = [0xc0, 0];
pub const PINGRESP: [u8; 2] = [0xd0, 0];

/// A text with its length, as topics and properties have it.
pub fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn block(properties: &[u8]) -> Vec<u8> {
    let mut bytes = variable(properties.len());
    bytes.extend(properties);
    bytes
}

/// A variable byte integer.
fn variable(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let more = number > 0x7f;
        bytes.push((number & 0x7f) as u8 | if more { 0x80 } else { 0 });
        number >>= 7;
        if !more {
            return bytes;
        }
    }
}

/// What a client sends, as far as the tests look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    Connect(Connect),
    Subscribe { id: u16, filters: Vec<(String, u8)> },
    Unsubscribe { id: u16, filters: Vec<String> },
    PubAck(u16),
    PubRec(u16),
    PubComp(u16),
    PingReq,
    Disconnect,
    Other(u8),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// 3 is MQTT 3.1, 4 is 3.1.1.
    pub level: u8,
    pub clean: bool,
    pub keep_alive: u16,
    /// Empty before MQTT 5.
    pub properties: Vec<u8>,
    pub client_id: String,
    pub will: Option<Publish>,
    pub username: Option<String>,
    pub password: Option<Vec<u8>>,
}

impl Connect {
    pub fn version(&self) -> Version {
        match self.level {
            3 => Version::V31,
            4 => Version::V311,
            _ => Version::V5,
        }
    }
}

/// Reads one packet: its first byte and its body; `None` at the end of the connection.
pub fn read(from: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut byte = [0];
    if from.read(&mut byte)? == 0 {
        return Ok(None);
    }
    let first = byte[0];
    let (mut size, mut shift) = (0, 0);
    loop {
        from.read_exact(&mut byte)?;
        size |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
        if shift > 21 {
            return Err(io::Error::other("a packet's length is malformed"));
        }
    }
    if size > LARGEST {
        return Err(io::Error::other("a packet is absurdly large"));
    }
    let mut body = vec![0; size];
    from.read_exact(&mut body)?;
    Ok(Some((first, body)))
}

/// Understands a packet from a client.
///
/// # Panics
/// If a CONNECT, SUBSCRIBE or PUBACK packet is malformed: a test must fail then.
pub fn decode(version: Version, first: u8, body: &[u8]) -> Packet {
    match first >> 4 {
        1 => Packet::Connect(decode_connect(body)),
        4 => Packet::PubAck(u16::from_be_bytes([body[0], body[1]])),
        5 => Packet::PubRec(u16::from_be_bytes([body[0], body[1]])),
        7 => Packet::PubComp(u16::from_be_bytes([body[0], body[1]])),
        8 => {
            let (id, filters) = decode_filters(version, body, |rest| (filter(rest), byte(rest)));
            Packet::Subscribe { id, filters }
        }
        10 => {
            let (id, filters) = decode_filters(version, body, filter);
            Packet::Unsubscribe { id, filters }
        }
        12 => Packet::PingReq,
        14 => Packet::Disconnect,
        _ => Packet::Other(first),
    }
}

/// The packet id, and what SUBSCRIBE and UNSUBSCRIBE say of each filter.
fn decode_filters<T>(
    version: Version,
    mut rest: &[u8],
    next: impl Fn(&mut &[u8]) -> T,
) -> (u16, Vec<T>) {
    let id = number(&mut rest);
    if version == Version::V5 {
        take_block(&mut rest);
    }
    let mut filters = Vec::new();
    while !rest.is_empty() {
        filters.push(next(&mut rest));
    }
    (id, filters)
}

fn filter(rest: &mut &[u8]) -> String {
    String::from_utf8(take(rest)).expect("a filter is UTF-8")
}

fn decode_connect(body: &[u8]) -> Connect {
    let mut rest = body;
    let name = take(&mut rest);
    let level = byte(&mut rest);
    let expected: &[u8] = if level == 3 { b"MQIsdp" } else { b"MQTT" };
    assert_eq!(name, expected, "the name of the protocol in CONNECT");
    let flags = byte(&mut rest);
    let keep_alive = number(&mut rest);
    let properties = if level == 5 { take_block(&mut rest) } else { Vec::new() };
    let client_id = String::from_utf8(take(&mut rest)).expect("a client id is UTF-8");
    let will = (flags & 4 != 0).then(|| {
        if level == 5 {
            take_block(&mut rest);
        }
        let topic = String::from_utf8(take(&mut rest)).expect("a topic is UTF-8");
        let message = Publish::new(topic, take(&mut rest)).qos(flags >> 3 & 3);
        if flags & 0x20 == 0 { message } else { message.retained() }
    });
    let mut string = || String::from_utf8(take(&mut rest)).expect("a user name is UTF-8");
    let username = (flags & 0x80 != 0).then(&mut string);
    let password = (flags & 0x40 != 0).then(|| take(&mut rest));
    assert!(rest.is_empty(), "CONNECT has {} bytes too many", rest.len());
    let clean = flags & 2 != 0;
    Connect { level, clean, keep_alive, properties, client_id, will, username, password }
}

fn byte(rest: &mut &[u8]) -> u8 {
    let (&first, left) = rest.split_first().expect("the packet is long enough");
    *rest = left;
    first
}

fn number(rest: &mut &[u8]) -> u16 {
    u16::from_be_bytes([byte(rest), byte(rest)])
}

fn take(rest: &mut &[u8]) -> Vec<u8> {
    let size = usize::from(number(rest));
    let (taken, left) = rest.split_at(size);
    *rest = left;
    taken.to_vec()
}

pub(crate) fn take_block(rest: &mut &[u8]) -> Vec<u8> {
    let (mut size, mut shift) = (0, 0);
    loop {
        let byte = byte(rest);
        size |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let (taken, left) = rest.split_at(size);
    *rest = left;
    taken.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_of_every_length_of_length_is_read_back() {
        for size in [0, 127, 128, 16_383, 16_384, 2_097_152] {
            let bytes = packet(0x30, &vec![7; size]);
            let (first, body) = read(&mut &bytes[..]).unwrap().unwrap();
            assert_eq!((first, body.len()), (0x30, size));
        }
    }

    #[test]
    fn a_connect_packet_is_understood_in_each_version() {
        for version in [Version::V31, Version::V311, Version::V5] {
            let bytes = connect(version, "me", Some(("user", "secret")));
            let (first, body) = read(&mut &bytes[..]).unwrap().unwrap();
            let Packet::Connect(connect) = decode(version, first, &body) else {
                panic!("not a CONNECT packet");
            };
            assert_eq!((connect.version(), connect.client_id.as_str()), (version, "me"));
            assert_eq!(connect.password.as_deref(), Some(&b"secret"[..]));
            assert!(connect.clean && connect.keep_alive == 60);
        }
    }
}
