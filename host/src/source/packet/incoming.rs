//! Packets from the server that are not PUBLISH.

use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::{Frame, Malformed, Version};
use crate::message::Qos;

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

pub(super) fn with_text(reason: &str, text: Option<String>) -> String {
    text.map_or_else(|| reason.to_owned(), |text| format!("{reason} ({text:?})"))
}

/// `SessionTakenOver` becomes "session taken over".
pub(super) fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
