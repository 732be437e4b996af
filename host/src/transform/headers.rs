//! The headers of a record: what MQTT says about a message beside its payload.
//!
//! Texts are borrowed from the message; a message without properties costs nothing.

use std::borrow::Cow;

use crate::message::{Header, Message, Property, Qos};

/// Which headers records get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderPolicy {
    None,
    /// The properties of MQTT 5 messages.
    Properties,
    /// The properties, then topic, quality of service and the two flags.
    All,
}

/// The headers of a message: properties in the order received, then, with [`HeaderPolicy::All`],
/// what every message has. A user property keeps its name, so a consumer that looks for the last
/// header of a name finds the host's `mqtt.topic` and not a publisher's.
pub fn headers<'a>(
    policy: HeaderPolicy,
    message: &Message<'a>,
) -> impl Iterator<Item = Header<'a>> + use<'a> {
    let properties = match policy {
        HeaderPolicy::None => None,
        HeaderPolicy::Properties | HeaderPolicy::All => message.properties(),
    };
    let about = (policy == HeaderPolicy::All).then(|| about(message, message.topic()));
    let properties = properties.into_iter().flat_map(|properties| properties.iter());
    properties.map(of_property).chain(about.into_iter().flatten())
}

fn of_property(property: Property<'_>) -> Header<'_> {
    match property {
        Property::User(name, value) => header(name, value.as_bytes()),
        Property::ContentType(text) => header("mqtt.content-type", text.as_bytes()),
        Property::ResponseTopic(topic) => header("mqtt.response-topic", topic.as_bytes()),
        Property::CorrelationData(bytes) => header("mqtt.correlation-data", bytes),
        Property::PayloadFormat(number) => {
            decimal("mqtt.payload-format-indicator", u32::from(number))
        }
        Property::MessageExpiry(seconds) => decimal("mqtt.message-expiry-interval", seconds),
    }
}

/// What every message has; `topic` is as much of the topic as is to be said.
pub fn about<'a>(message: &Message<'a>, topic: &'a str) -> [Header<'a>; 4] {
    let qos: &[u8] = match message.qos() {
        Qos::AtMostOnce => b"0",
        Qos::AtLeastOnce => b"1",
        Qos::ExactlyOnce => b"2",
    };
    [
        header("mqtt.topic", topic.as_bytes()),
        header("mqtt.qos", qos),
        header("mqtt.retain", flag(message.retain())),
        header("mqtt.dup", flag(message.dup())),
    ]
}

const fn flag(set: bool) -> &'static [u8] {
    if set { b"true" } else { b"false" }
}

const fn header<'a>(name: &'a str, value: &'a [u8]) -> Header<'a> {
    Header { name: Cow::Borrowed(name), value: Some(Cow::Borrowed(value)) }
}

fn decimal(name: &'static str, number: u32) -> Header<'static> {
    Header { name: Cow::Borrowed(name), value: Some(Cow::Owned(number.to_string().into_bytes())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Batch, Publish};

    /// User `b=1`, content type, payload format, user `a=` (twice), expiry, response topic,
    /// correlation data, in their wire format.
    const PROPERTIES: &[u8] =
        b"\x26\0\x01b\0\x011\x03\0\x0atext/plain\x01\x01\x26\0\x01a\0\0\x26\0\x01a\0\x02\xc3\xbc\
        \x02\0\x01\0\0\x08\0\x03r/t\x09\0\x02\0\xff";

    fn headers_of(policy: HeaderPolicy, properties: Option<&[u8]>) -> Vec<(String, Vec<u8>)> {
        let mut batch = Batch::new();
        let publish = Publish {
            topic: "plant/ü",
            payload: b"{}",
            qos: Qos::AtLeastOnce,
            retain: true,
            dup: false,
            packet_id: 1,
            properties,
        };
        batch.push(0, 0, &publish);
        headers(policy, &batch.message(0))
            .map(|header| (header.name.into_owned(), header.value.unwrap_or_default().into_owned()))
            .collect()
    }

    fn pairs(pairs: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect()
    }

    #[test]
    fn properties_become_headers_in_the_order_received() {
        let expected = pairs(&[
            ("b", b"1"),
            ("mqtt.content-type", b"text/plain"),
            ("mqtt.payload-format-indicator", b"1"),
            ("a", b""),
            ("a", "ü".as_bytes()),
            ("mqtt.message-expiry-interval", b"65536"),
            ("mqtt.response-topic", b"r/t"),
            ("mqtt.correlation-data", b"\0\xff"),
        ]);
        assert_eq!(headers_of(HeaderPolicy::Properties, Some(PROPERTIES)), expected);
    }

    #[test]
    fn a_message_without_properties_has_no_headers() {
        assert_eq!(headers_of(HeaderPolicy::Properties, None), []);
        assert_eq!(headers_of(HeaderPolicy::Properties, Some(&[])), []);
    }

    #[test]
    fn with_none_properties_are_left_out() {
        assert_eq!(headers_of(HeaderPolicy::None, Some(PROPERTIES)), []);
    }

    #[test]
    fn with_all_topic_qos_retain_and_dup_follow_the_properties() {
        let about = pairs(&[
            ("mqtt.topic", "plant/ü".as_bytes()),
            ("mqtt.qos", b"1"),
            ("mqtt.retain", b"true"),
            ("mqtt.dup", b"false"),
        ]);
        assert_eq!(headers_of(HeaderPolicy::All, None), about);
        let mut everything = headers_of(HeaderPolicy::Properties, Some(PROPERTIES));
        everything.extend(about);
        assert_eq!(headers_of(HeaderPolicy::All, Some(PROPERTIES)), everything);
    }
}
