//! MQTT packets as bytes: the hot ones (PUBLISH in, PUBACK out) by hand, without an allocation;
//! all others by rumqttc's codec for the connection's version.

use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use crate::message::{Properties, Publish, Qos};

/// Version of the protocol that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
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
pub fn publish<'a>(version: Version, frame: &Frame<'a>) -> Result<Publish<'a>, Malformed> {
    const SHORT: &str = "a PUBLISH packet ends before its payload";
    fn take<'a>(rest: &mut &'a [u8], size: usize) -> Result<&'a [u8], Malformed> {
        let (taken, left) = rest.split_at_checked(size).ok_or_else(|| Malformed::new(SHORT))?;
        *rest = left;
        Ok(taken)
    }
    fn number(rest: &mut &[u8]) -> Result<u16, Malformed> {
        take(rest, 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    let qos = Qos::from_number(frame.first >> 1 & 3)
        .ok_or_else(|| Malformed::new("a PUBLISH packet has QoS 3 (MQTT-3.3.1-4)"))?;
    let mut rest = frame.body;
    let size = number(&mut rest)?;
    let topic = std::str::from_utf8(take(&mut rest, size.into())?)
        .map_err(|_| Malformed::new("a PUBLISH packet's topic is not UTF-8 (MQTT-3.3.2-1)"))?;
    if topic.is_empty() || topic.bytes().any(|byte| matches!(byte, 0 | b'+' | b'#')) {
        return Err(Malformed::new(
            "a PUBLISH packet's topic is empty, or has a wildcard or a NUL (MQTT-3.3.2-2)",
        ));
    }
    let packet_id = if qos == Qos::AtMostOnce { 0 } else { number(&mut rest)? };
    if qos != Qos::AtMostOnce && packet_id == 0 {
        return Err(Malformed::new("a PUBLISH packet has the packet id 0 (MQTT-2.2.1-3)"));
    }
    let properties = if version == Version::V5 {
        let block = take_properties(&mut rest)?;
        Some(Properties::check(block).map_err(Malformed::new)?.as_bytes())
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

fn take_properties<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let mut length = 0;
    for index in 0..4 {
        let byte = *rest.get(index).ok_or_else(|| Malformed::new("no properties follow"))?;
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let start = index + 1;
            let block = rest
                .get(start..start + length)
                .ok_or_else(|| Malformed::new("a packet ends within its properties"))?;
            *rest = &rest[start + length..];
            return Ok(block);
        }
    }
    Err(Malformed::new("the length of a packet's properties takes more than four bytes"))
}

/// A packet that is not PUBLISH, as far as a subscriber cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    ConnAck(ConnAck),
    /// For each filter, in the order subscribed: the granted QoS, or why not.
    SubAck {
        packet_id: u16,
        granted: Vec<Result<Qos, String>>,
    },
    /// The sender's half of QoS 2 (MQTT-4.3.3).
    PubRel(u16),
    PingResp,
    /// MQTT 5: the server says why it closes.
    Disconnect(String),
    /// Nothing that a subscriber that does not publish must answer.
    Other,
}

/// The server's answer to CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAck {
    pub session_present: bool,
    pub answer: Result<(), Refusal>,
    /// MQTT 5: the keep-alive that the server wants instead, in seconds.
    pub server_keep_alive: Option<u16>,
}

/// Why a server refused a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: String,
    /// Trying again with the same options cannot help.
    pub permanent: bool,
}

/// Reads any packet but PUBLISH.
pub fn incoming(version: Version, frame: &Frame<'_>) -> Result<Incoming, Malformed> {
    match (frame.first >> 4, frame.body) {
        (6, [high, low, ..]) => return Ok(Incoming::PubRel(u16::from_be_bytes([*high, *low]))),
        (13, []) => return Ok(Incoming::PingResp),
        // rumqttc takes a DISCONNECT without a reason for malformed; it is a normal one (MQTT 5, 3.14.2.1).
        (14, []) => return Ok(Incoming::Disconnect("it gave no reason".to_owned())),
        _ => {}
    }
    let mut bytes = BytesMut::from(frame.whole);
    match version {
        Version::V3_1_1 => {
            let packet = v4::Packet::read(&mut bytes, frame.whole.len());
            packet.map(incoming_v4).map_err(|error| Malformed::new(error.to_string()))
        }
        Version::V5 => {
            let packet = v5::Packet::read(&mut bytes, None);
            packet.map(incoming_v5).map_err(|error| Malformed::new(format!("{error:?}")))
        }
    }
}

fn incoming_v4(packet: v4::Packet) -> Incoming {
    match packet {
        v4::Packet::ConnAck(ack) => Incoming::ConnAck(ConnAck {
            session_present: ack.session_present,
            answer: match ack.code {
                v4::ConnectReturnCode::Success => Ok(()),
                code => Err(refusal_v4(code)),
            },
            server_keep_alive: None,
        }),
        v4::Packet::SubAck(ack) => Incoming::SubAck {
            packet_id: ack.pkid,
            granted: ack
                .return_codes
                .into_iter()
                .map(|code| match code {
                    v4::SubscribeReasonCode::Success(qos) => granted(qos as u8),
                    v4::SubscribeReasonCode::Failure => Err("not allowed".to_owned()),
                })
                .collect(),
        },
        _ => Incoming::Other,
    }
}

fn granted(qos: u8) -> Result<Qos, String> {
    Qos::from_number(qos).ok_or_else(|| format!("the server granted QoS {qos}"))
}

fn refusal_v4(code: v4::ConnectReturnCode) -> Refusal {
    use v4::ConnectReturnCode::{
        BadClientId, BadUserNamePassword, NotAuthorized, RefusedProtocolVersion,
        ServiceUnavailable, Success,
    };
    let (reason, permanent) = match code {
        RefusedProtocolVersion => {
            ("it does not speak this protocol version; try another --mqtt-version", true)
        }
        BadClientId => ("it does not accept this --client-id", true),
        BadUserNamePassword => {
            ("the user name or password is wrong; see --username and --password", true)
        }
        NotAuthorized => (
            "this client is not authorised; see --username, --password and the server's access rules",
            true,
        ),
        ServiceUnavailable => ("its MQTT service is not available", false),
        Success => ("no reason", false),
    };
    Refusal { reason: reason.to_owned(), permanent }
}

fn incoming_v5(packet: v5::Packet) -> Incoming {
    match packet {
        v5::Packet::ConnAck(ack) => {
            let properties = ack.properties.unwrap_or_else(no_connack_properties);
            Incoming::ConnAck(ConnAck {
                session_present: ack.session_present,
                answer: match ack.code {
                    v5::ConnectReturnCode::Success => Ok(()),
                    code => Err(refusal_v5(code, properties.reason_string)),
                },
                server_keep_alive: properties.server_keep_alive,
            })
        }
        v5::Packet::SubAck(ack) => Incoming::SubAck {
            packet_id: ack.pkid,
            granted: ack
                .return_codes
                .into_iter()
                .map(|code| match code {
                    v5::SubscribeReasonCode::Success(qos) => granted(qos as u8),
                    other => Err(words(&format!("{other:?}"))),
                })
                .collect(),
        },
        v5::Packet::Disconnect(disconnect) => {
            let text = disconnect.properties.and_then(|properties| properties.reason_string);
            Incoming::Disconnect(with_text(&words(&format!("{:?}", disconnect.reason_code)), text))
        }
        _ => Incoming::Other,
    }
}

const fn no_connack_properties() -> v5::ConnAckProperties {
    v5::ConnAckProperties {
        session_expiry_interval: None,
        receive_max: None,
        max_qos: None,
        retain_available: None,
        max_packet_size: None,
        assigned_client_identifier: None,
        topic_alias_max: None,
        reason_string: None,
        user_properties: Vec::new(),
        wildcard_subscription_available: None,
        subscription_identifiers_available: None,
        shared_subscription_available: None,
        server_keep_alive: None,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    }
}

fn refusal_v5(code: v5::ConnectReturnCode, text: Option<String>) -> Refusal {
    use v5::ConnectReturnCode::{
        BadUserNamePassword, Banned, ClientIdentifierNotValid, NotAuthorized,
        UnsupportedProtocolVersion,
    };
    let (cure, permanent) = match code {
        BadUserNamePassword => ("; see --username and --password", true),
        NotAuthorized => ("; see --username, --password and the server's access rules", true),
        UnsupportedProtocolVersion => ("; try another --mqtt-version", true),
        ClientIdentifierNotValid => ("; choose another --client-id", true),
        Banned => ("", true),
        _ => ("", false),
    };
    Refusal { reason: with_text(&words(&format!("{code:?}")), text) + cure, permanent }
}

fn with_text(reason: &str, text: Option<String>) -> String {
    text.map_or_else(|| reason.to_owned(), |text| format!("{reason} ({text:?})"))
}

/// `SessionTakenOver` becomes "session taken over".
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// What CONNECT and SUBSCRIBE say.
#[derive(Debug, Clone)]
pub struct Hello {
    pub version: Version,
    pub client_id: String,
    pub clean_session: bool,
    /// Seconds; 0 turns it off.
    pub keep_alive: u16,
    pub username: Option<String>,
    pub password: Option<String>,
    /// MQTT 5; announced so that the server does not send larger ones.
    pub max_packet_size: u32,
    /// MQTT 5, in seconds.
    pub session_expiry: u32,
    /// MQTT 5: how many unacknowledged messages the server may send.
    pub receive_maximum: u16,
    /// MQTT 5 user properties of CONNECT.
    pub user_properties: Vec<(String, String)>,
}

/// Appends a CONNECT packet.
pub fn connect(hello: &Hello, out: &mut BytesMut) -> Result<(), Malformed> {
    let user = hello.username.clone();
    let login = (user.is_some() || hello.password.is_some())
        .then(|| (user.unwrap_or_default(), hello.password.clone().unwrap_or_default()));
    match hello.version {
        Version::V3_1_1 => {
            let mut connect = v4::Connect::new(hello.client_id.clone());
            connect.keep_alive = hello.keep_alive;
            connect.clean_session = hello.clean_session;
            connect.login = login.map(|(username, password)| v4::Login { username, password });
            connect.write(out).map(drop).map_err(|error| Malformed::new(error.to_string()))
        }
        Version::V5 => {
            let connect = v5::Connect {
                keep_alive: hello.keep_alive,
                client_id: hello.client_id.clone(),
                clean_start: hello.clean_session,
                properties: Some(v5::ConnectProperties {
                    session_expiry_interval: Some(hello.session_expiry),
                    receive_maximum: Some(hello.receive_maximum),
                    max_packet_size: Some(hello.max_packet_size),
                    topic_alias_max: None,
                    request_response_info: None,
                    request_problem_info: None,
                    user_properties: hello.user_properties.clone(),
                    authentication_method: None,
                    authentication_data: None,
                }),
            };
            let login = login.map(|(username, password)| v5::Login { username, password });
            let written = connect.write(&None, &login, out);
            written.map(drop).map_err(|error| Malformed::new(format!("{error:?}")))
        }
    }
}

/// Appends a SUBSCRIBE packet.
pub fn subscribe(
    version: Version,
    packet_id: u16,
    filters: &[String],
    qos: Qos,
    out: &mut BytesMut,
) -> Result<(), Malformed> {
    match version {
        Version::V3_1_1 => {
            let qos = match qos {
                Qos::AtMostOnce => rumqttc::QoS::AtMostOnce,
                Qos::AtLeastOnce => rumqttc::QoS::AtLeastOnce,
                Qos::ExactlyOnce => rumqttc::QoS::ExactlyOnce,
            };
            let filters = filters.iter().map(|path| v4::SubscribeFilter::new(path.clone(), qos));
            let mut packet = v4::Subscribe::new_many(filters);
            packet.pkid = packet_id;
            packet.write(out).map(drop).map_err(|error| Malformed::new(error.to_string()))
        }
        Version::V5 => {
            use rumqttc::v5::mqttbytes::QoS;
            let qos = match qos {
                Qos::AtMostOnce => QoS::AtMostOnce,
                Qos::AtLeastOnce => QoS::AtLeastOnce,
                Qos::ExactlyOnce => QoS::ExactlyOnce,
            };
            let filters = filters.iter().map(|path| v5::Filter::new(path.clone(), qos));
            let mut packet = v5::Subscribe::new_many(filters, None);
            packet.pkid = packet_id;
            packet.write(out).map(drop).map_err(|error| Malformed::new(format!("{error:?}")))
        }
    }
}

/// Appends PUBACK, or PUBREC for QoS 2. Both versions write success in these four bytes.
pub fn acknowledge(packet_id: u16, qos: Qos, out: &mut BytesMut) {
    let first = if qos == Qos::ExactlyOnce { 0x50 } else { 0x40 };
    let [high, low] = packet_id.to_be_bytes();
    out.extend_from_slice(&[first, 2, high, low]);
}

/// Appends PUBCOMP, the answer to PUBREL.
pub fn complete(packet_id: u16, out: &mut BytesMut) {
    let [high, low] = packet_id.to_be_bytes();
    out.extend_from_slice(&[0x70, 2, high, low]);
}

/// PINGREQ.
pub const PING: [u8; 2] = [0xc0, 0];

/// DISCONNECT, normal: the session stays, a last will is not sent.
pub const DISCONNECT: [u8; 2] = [0xe0, 0];

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    fn whole(bytes: &[u8]) -> Frame<'_> {
        frame(bytes, LIMIT).expect("a good length").expect("all of it is there")
    }

    fn written(version: Version, topic: &str, payload: &[u8], qos: u8) -> BytesMut {
        let mut bytes = BytesMut::new();
        match version {
            Version::V3_1_1 => {
                let qos = rumqttc::qos(qos).expect("a QoS");
                let mut packet = v4::Publish::new(topic, qos, payload);
                (packet.pkid, packet.retain, packet.dup) = (7, true, true);
                packet.write(&mut bytes).expect("a packet that rumqttc writes");
            }
            Version::V5 => {
                let qos = rumqttc::v5::mqttbytes::qos(qos).expect("a QoS");
                let properties = v5::PublishProperties {
                    content_type: Some("text".to_owned()),
                    subscription_identifiers: vec![1],
                    user_properties: vec![("k".to_owned(), "v".to_owned())],
                    ..v5::PublishProperties::default()
                };
                let payload = payload.to_vec();
                let mut packet = v5::Publish::new(topic, qos, payload, Some(properties));
                (packet.pkid, packet.retain, packet.dup) = (7, true, true);
                packet.write(&mut bytes).expect("a packet that rumqttc writes");
            }
        }
        bytes
    }

    #[test]
    fn what_rumqttc_writes_is_read_as_it_was_meant() {
        for version in [Version::V3_1_1, Version::V5] {
            for qos in 0..=2 {
                for size in [0, 1, 100, 127, 128, 16_384, 70_000] {
                    let payload = vec![b'x'; size];
                    let bytes = written(version, "plant/\u{fc}", &payload, qos);
                    let frame = whole(&bytes);
                    assert!(is_publish(frame.first) && frame.whole.len() == bytes.len());
                    let read = publish(version, &frame).expect("a good packet");
                    assert_eq!((read.topic, read.payload), ("plant/\u{fc}", &payload[..]));
                    assert_eq!((read.qos as u8, read.retain, read.dup), (qos, true, true));
                    assert_eq!(read.packet_id, if qos == 0 { 0 } else { 7 });
                    assert_eq!(read.properties.is_some(), version == Version::V5);
                }
            }
        }
    }

    #[test]
    fn a_packet_that_is_not_all_there_asks_for_more() {
        let bytes = written(Version::V3_1_1, "t", &[b'x'; 300], 1);
        for size in 0..bytes.len() {
            let needed = frame(&bytes[..size], LIMIT).expect("a good length");
            let needed = needed.expect_err("not all of it is there");
            assert!(needed > size && needed <= bytes.len(), "{needed} of {size}");
        }
    }

    #[test]
    fn a_packet_larger_than_the_limit_is_refused_before_it_is_read() {
        let bytes = written(Version::V3_1_1, "t", &[b'x'; 300], 1);
        let error = frame(&bytes[..5], 200).expect_err("too large");
        assert!(error.to_string().contains("--max-packet-size 200"), "{error}");
    }

    #[test]
    fn a_publish_that_breaks_the_rules_is_refused() {
        let cases: [(&[u8], &str); 6] = [
            (&[0x36, 5, 0, 1, b't', 0, 1], "QoS 3"),
            (&[0x32, 5, 0, 1, b't', 0, 0], "packet id 0"),
            (&[0x30, 2, 0, 0], "empty"),
            (&[0x30, 3, 0, 1, b'#'], "wildcard"),
            (&[0x30, 3, 0, 1, 0xff], "UTF-8"),
            (&[0x30, 3, 0, 9, b't'], "ends before"),
        ];
        for (bytes, rule) in cases {
            let error = publish(Version::V3_1_1, &whole(bytes)).expect_err("a bad packet");
            assert!(error.to_string().contains(rule), "{error}");
        }
    }

    #[test]
    fn rubbish_is_refused_and_never_panics() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        for _ in 0..200_000 {
            let size = usize::from(random() % 40);
            let mut bytes: Vec<u8> = (0..size + 2).map(|_| random()).collect();
            bytes[1] = size as u8;
            let frame = whole(&bytes);
            for version in [Version::V3_1_1, Version::V5] {
                if is_publish(frame.first) {
                    drop(publish(version, &frame));
                } else {
                    drop(incoming(version, &frame));
                }
            }
        }
    }

    #[test]
    fn acknowledgements_are_what_rumqttc_reads() {
        let mut out = BytesMut::new();
        acknowledge(258, Qos::AtLeastOnce, &mut out);
        acknowledge(259, Qos::ExactlyOnce, &mut out);
        complete(260, &mut out);
        let mut again = out.clone();
        let ids = |packet| match packet {
            v4::Packet::PubAck(ack) => (4, ack.pkid),
            v4::Packet::PubRec(ack) => (5, ack.pkid),
            v4::Packet::PubComp(ack) => (7, ack.pkid),
            other => panic!("{other:?}"),
        };
        for expected in [(4, 258), (5, 259), (7, 260)] {
            let packet = v4::Packet::read(&mut out, LIMIT).expect("a good packet");
            assert_eq!(ids(packet), expected);
            v5::Packet::read(&mut again, None).expect("a good packet of MQTT 5, too");
        }
    }

    #[test]
    fn reasons_are_words() {
        assert_eq!(words("SessionTakenOver"), "session taken over");
        assert_eq!(
            with_text("not authorized", Some("no\n".to_owned())),
            "not authorized (\"no\\n\")"
        );
    }
}
