//! Packets to the server.

use bytes::{BufMut, Bytes, BytesMut};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::{Malformed, Version};
use crate::message::Qos;

/// What CONNECT says.
#[derive(Debug, Clone)]
pub struct Hello {
    pub version: Version,
    pub client_id: String,
    pub clean_session: bool,
    /// Seconds; 0 turns it off.
    pub keep_alive: u16,
    pub username: Option<String>,
    pub password: Option<String>,
    pub will: Option<Will>,
    /// Only for MQTT 5.
    pub properties: ConnectProperties,
}

/// The message that the server publishes when the connection ends without a DISCONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: Qos,
    pub retain: bool,
}

/// Properties of CONNECT (MQTT 5, 3.1.2.11).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectProperties {
    /// How long the server keeps the session after the connection, in seconds.
    pub session_expiry: u32,
    /// How many unacknowledged messages the server may send; not 0.
    pub receive_maximum: u16,
    /// In bytes; announced so that the server does not send larger packets.
    pub max_packet_size: u32,
    pub request_response_information: Option<bool>,
    pub request_problem_information: Option<bool>,
    pub user: Vec<(String, String)>,
    pub authentication_method: Option<String>,
    /// Only with a method.
    pub authentication_data: Option<Vec<u8>>,
}

/// Appends a CONNECT packet.
pub fn connect(hello: &Hello, out: &mut BytesMut) -> Result<(), Malformed> {
    let user = hello.username.clone();
    let login = (user.is_some() || hello.password.is_some())
        .then(|| (user.unwrap_or_default(), hello.password.clone().unwrap_or_default()));
    if hello.version == Version::V5 {
        return connect_v5(hello, login, out);
    }
    let mut connect = v4::Connect::new(hello.client_id.clone());
    connect.keep_alive = hello.keep_alive;
    connect.clean_session = hello.clean_session;
    connect.login = login.map(|(username, password)| v4::Login { username, password });
    connect.last_will = hello.will.as_ref().map(|will| {
        v4::LastWill::new(will.topic.clone(), will.payload.clone(), qos_v4(will.qos), will.retain)
    });
    let mut packet = BytesMut::new();
    connect.write(&mut packet).map_err(|error| Malformed::new(error.to_string()))?;
    if hello.version == Version::V3_1 {
        as_3_1(&packet, out);
    } else {
        out.unsplit(packet);
    }
    Ok(())
}

/// MQTT 3.1 names the protocol otherwise, and agrees with 3.1.1 in all else that CONNECT says.
fn as_3_1(packet: &[u8], out: &mut BytesMut) {
    const NAME_3_1_1: &[u8] = b"\0\x04MQTT\x04";
    const NAME_3_1: &[u8] = b"\0\x06MQIsdp\x03";
    let header = 1 + packet[1..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let rest = &packet[header + NAME_3_1_1.len()..];
    out.put_u8(packet[0]);
    let mut length = NAME_3_1.len() + rest.len();
    while length > 0x7f {
        out.put_u8(length as u8 | 0x80);
        length >>= 7;
    }
    out.put_u8(length as u8);
    out.put_slice(NAME_3_1);
    out.put_slice(rest);
}

fn connect_v5(
    hello: &Hello,
    login: Option<(String, String)>,
    out: &mut BytesMut,
) -> Result<(), Malformed> {
    let properties = &hello.properties;
    let connect = v5::Connect {
        keep_alive: hello.keep_alive,
        client_id: hello.client_id.clone(),
        clean_start: hello.clean_session,
        properties: Some(v5::ConnectProperties {
            session_expiry_interval: Some(properties.session_expiry),
            receive_maximum: Some(properties.receive_maximum),
            max_packet_size: Some(properties.max_packet_size),
            topic_alias_max: None,
            request_response_info: properties.request_response_information.map(u8::from),
            request_problem_info: properties.request_problem_information.map(u8::from),
            user_properties: properties.user.clone(),
            authentication_method: properties.authentication_method.clone(),
            authentication_data: properties.authentication_data.clone().map(Bytes::from),
        }),
    };
    let login = login.map(|(username, password)| v5::Login { username, password });
    let will = hello.will.as_ref().map(|will| {
        let (topic, payload) = (will.topic.clone(), will.payload.clone());
        v5::LastWill::new(topic, payload, qos_v5(will.qos), will.retain, None)
    });
    let written = connect.write(&will, &login, out);
    written.map(drop).map_err(|error| Malformed::new(format!("{error:?}")))
}

/// Appends a SUBSCRIBE packet.
///
/// With MQTT 5 it asks for retained messages only where the subscription is new to the session:
/// a connection that is made again would get all of them again (MQTT 5, 3.8.3.1).
pub fn subscribe(
    version: Version,
    packet_id: u16,
    filters: &[String],
    qos: Qos,
    out: &mut BytesMut,
) -> Result<(), Malformed> {
    if version == Version::V5 {
        let filters = filters.iter().map(|path| v5::Filter {
            retain_forward_rule: v5::RetainForwardRule::OnNewSubscribe,
            ..v5::Filter::new(path.clone(), qos_v5(qos))
        });
        let mut packet = v5::Subscribe::new_many(filters, None);
        packet.pkid = packet_id;
        return packet.write(out).map(drop).map_err(|error| Malformed::new(format!("{error:?}")));
    }
    let filters = filters.iter().map(|path| v4::SubscribeFilter::new(path.clone(), qos_v4(qos)));
    let mut packet = v4::Subscribe::new_many(filters);
    packet.pkid = packet_id;
    packet.write(out).map(drop).map_err(|error| Malformed::new(error.to_string()))
}

/// Appends an UNSUBSCRIBE packet.
pub fn unsubscribe(
    version: Version,
    packet_id: u16,
    filters: &[String],
    out: &mut BytesMut,
) -> Result<(), Malformed> {
    let topics = filters.to_vec();
    if version == Version::V5 {
        let packet = v5::Unsubscribe { pkid: packet_id, filters: topics, properties: None };
        return packet.write(out).map(drop).map_err(|error| Malformed::new(format!("{error:?}")));
    }
    let packet = v4::Unsubscribe { pkid: packet_id, topics };
    packet.write(out).map(drop).map_err(|error| Malformed::new(error.to_string()))
}

const fn qos_v4(qos: Qos) -> rumqttc::QoS {
    match qos {
        Qos::AtMostOnce => rumqttc::QoS::AtMostOnce,
        Qos::AtLeastOnce => rumqttc::QoS::AtLeastOnce,
        Qos::ExactlyOnce => rumqttc::QoS::ExactlyOnce,
    }
}

const fn qos_v5(qos: Qos) -> rumqttc::v5::mqttbytes::QoS {
    use rumqttc::v5::mqttbytes::QoS;
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
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
