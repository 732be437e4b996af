//! Packets to the server.

use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::{Malformed, Version};
use crate::message::Qos;

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
