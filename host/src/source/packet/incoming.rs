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
        /// What the server says about all of it (MQTT 5).
        text: Option<String>,
    },
    /// For each filter, in the order given: whether there was such a subscription, or why it could
    /// not be ended. Empty before MQTT 5, where the server does not say.
    UnsubAck {
        packet_id: u16,
        ended: Vec<Result<bool, String>>,
    },
    /// The sender's half of QoS 2 (MQTT-4.3.3).
    PubRel(u16),
    PingResp,
    /// MQTT 5: the server says why it closes.
    Disconnect {
        reason: String,
        /// Another client has connected with the same client id.
        taken_over: bool,
    },
    /// MQTT 5: the server wants a further step of authentication.
    Auth,
    /// Nothing that a subscriber that does not publish must answer.
    Other,
}

/// The server's answer to CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAck {
    /// Whether the server has kept the session; MQTT 3.1 does not say.
    pub session_present: Option<bool>,
    pub answer: Result<(), Refusal>,
    /// MQTT 5.
    pub limits: ServerLimits,
}

/// What the server says about itself in CONNACK (MQTT 5, 3.2.2.3), as far as a subscriber cares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerLimits {
    /// The keep-alive that the server wants instead, in seconds; 0 is none.
    pub keep_alive: Option<u16>,
    /// Largest packet that it takes, in bytes.
    pub max_packet_size: Option<u32>,
    /// How long it keeps the session, in seconds, if not as long as it was asked to.
    pub session_expiry: Option<u32>,
    /// It does not have shared subscriptions.
    pub no_shared_subscriptions: bool,
    /// It does not have wildcards in topic filters.
    pub no_wildcards: bool,
    /// The answer to a request for response information.
    pub response_information: Option<String>,
    pub reason: Option<String>,
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
        (14, []) => {
            let reason = "it gave no reason".to_owned();
            return Ok(Incoming::Disconnect { reason, taken_over: false });
        }
        (15, _) if version == Version::V5 => return Ok(Incoming::Auth),
        _ => {}
    }
    // A server that does not know MQTT 5 says so in a CONNACK of its own version (MQTT 5, 4.13.1).
    let version = match (frame.first >> 4, frame.body) {
        (2, [_, 1..=5]) => Version::V3_1_1,
        _ => version,
    };
    let mut bytes = BytesMut::from(frame.whole);
    match version {
        Version::V3_1 | Version::V3_1_1 => {
            let packet = v4::Packet::read(&mut bytes, frame.whole.len());
            let packet = packet.map_err(|error| Malformed::new(error.to_string()))?;
            Ok(incoming_v4(packet, version))
        }
        Version::V5 => {
            let packet = v5::Packet::read(&mut bytes, None);
            packet.map(incoming_v5).map_err(|error| Malformed::new(format!("{error:?}")))
        }
    }
}

fn incoming_v4(packet: v4::Packet, version: Version) -> Incoming {
    match packet {
        v4::Packet::ConnAck(ack) => Incoming::ConnAck(ConnAck {
            session_present: (version != Version::V3_1).then_some(ack.session_present),
            answer: match ack.code {
                v4::ConnectReturnCode::Success => Ok(()),
                code => Err(refusal_v4(code)),
            },
            limits: ServerLimits::default(),
        }),
        v4::Packet::UnsubAck(ack) => Incoming::UnsubAck { packet_id: ack.pkid, ended: Vec::new() },
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
            text: None,
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
        v5::Packet::ConnAck(ack) => Incoming::ConnAck(connack_v5(ack)),
        v5::Packet::UnsubAck(ack) => Incoming::UnsubAck {
            packet_id: ack.pkid,
            ended: ack
                .reasons
                .into_iter()
                .map(|reason| match reason {
                    v5::UnsubAckReason::Success => Ok(true),
                    v5::UnsubAckReason::NoSubscriptionExisted => Ok(false),
                    other => Err(words(&format!("{other:?}"))),
                })
                .collect(),
        },
        v5::Packet::SubAck(ack) => {
            let text = ack.properties.and_then(|properties| properties.reason_string);
            let granted = ack.return_codes.into_iter().map(|code| match code {
                v5::SubscribeReasonCode::Success(qos) => granted(qos as u8),
                other => Err(words(&format!("{other:?}"))),
            });
            Incoming::SubAck { packet_id: ack.pkid, granted: granted.collect(), text }
        }
        v5::Packet::Disconnect(disconnect) => {
            let code = disconnect.reason_code;
            let (text, reference) = disconnect
                .properties
                .map_or((None, None), |given| (given.reason_string, given.server_reference));
            Incoming::Disconnect {
                reason: with_text(&words(&format!("{code:?}")), text) + &referred(reference),
                taken_over: code == v5::DisconnectReasonCode::SessionTakenOver,
            }
        }
        _ => Incoming::Other,
    }
}

fn connack_v5(ack: v5::ConnAck) -> ConnAck {
    let mut limits = ServerLimits::default();
    let (mut text, mut reference) = (None, None);
    if let Some(given) = ack.properties {
        limits = ServerLimits {
            keep_alive: given.server_keep_alive,
            max_packet_size: given.max_packet_size,
            session_expiry: given.session_expiry_interval,
            no_shared_subscriptions: given.shared_subscription_available == Some(0),
            no_wildcards: given.wildcard_subscription_available == Some(0),
            response_information: given.response_information,
            reason: given.reason_string.clone(),
        };
        (text, reference) = (given.reason_string, given.server_reference);
    }
    ConnAck {
        session_present: Some(ack.session_present),
        answer: match ack.code {
            v5::ConnectReturnCode::Success => Ok(()),
            code => Err(refusal_v5(code, text, reference)),
        },
        limits,
    }
}

/// What to add where a server names another one to use.
fn referred(reference: Option<String>) -> String {
    reference.map_or_else(String::new, |other| format!("; it refers to {other:?}, see --server"))
}

fn refusal_v5(
    code: v5::ConnectReturnCode,
    text: Option<String>,
    reference: Option<String>,
) -> Refusal {
    use v5::ConnectReturnCode::{
        BadAuthenticationMethod, BadUserNamePassword, Banned, ClientIdentifierNotValid,
        NotAuthorized, UnsupportedProtocolVersion,
    };
    let (cure, permanent) = match code {
        BadUserNamePassword => ("; see --username and --password", true),
        NotAuthorized => ("; see --username, --password and the server's access rules", true),
        UnsupportedProtocolVersion => ("; try another --mqtt-version", true),
        ClientIdentifierNotValid => ("; choose another --client-id", true),
        BadAuthenticationMethod => ("; see --property authentication-method", true),
        Banned => ("", true),
        _ => ("", false),
    };
    let reason = with_text(&words(&format!("{code:?}")), text) + cure + &referred(reference);
    Refusal { reason, permanent }
}

/// A reason with what the server adds to it.
pub fn with_text(reason: &str, text: Option<String>) -> String {
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
