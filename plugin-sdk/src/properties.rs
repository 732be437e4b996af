//! [`Properties`]: the MQTT 5 properties of a message, read from their wire format as they are
//! asked for. The host has checked them, so whatever does not fit ends the reading.

use std::fmt;

pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
pub(crate) const CONTENT_TYPE: u8 = 0x03;
pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
pub(crate) const CORRELATION_DATA: u8 = 0x09;
pub(crate) const USER: u8 = 0x26;

// These belong to the connection. The host leaves them in the block, and they are read over.
const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
const TOPIC_ALIAS: u8 = 0x23;

/// The MQTT 5 properties of a message.
///
/// Each call reads the properties from the first on, and nothing is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Properties<'a> {
    /// The properties of a PUBLISH packet without their length (MQTT 5, 3.3.2.3).
    block: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property<'a> {
    PayloadFormat(u8),
    MessageExpiry(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    User(&'a str, &'a str),
    OfTheConnection,
}

impl<'a> Properties<'a> {
    pub(crate) const fn new(block: &'a [u8]) -> Self {
        Self { block }
    }

    /// The Payload Format Indicator: 0 unspecified bytes, 1 UTF-8 text.
    #[must_use]
    pub fn payload_format(&self) -> Option<u8> {
        self.iter().find_map(|property| match property {
            Property::PayloadFormat(format) => Some(format),
            _ => None,
        })
    }

    /// The Message Expiry Interval, in seconds.
    #[must_use]
    pub fn message_expiry_secs(&self) -> Option<u32> {
        self.iter().find_map(|property| match property {
            Property::MessageExpiry(seconds) => Some(seconds),
            _ => None,
        })
    }

    /// The Content Type.
    #[must_use]
    pub fn content_type(&self) -> Option<&'a str> {
        self.iter().find_map(|property| match property {
            Property::ContentType(text) => Some(text),
            _ => None,
        })
    }

    /// The Response Topic.
    #[must_use]
    pub fn response_topic(&self) -> Option<&'a str> {
        self.iter().find_map(|property| match property {
            Property::ResponseTopic(topic) => Some(topic),
            _ => None,
        })
    }

    /// The Correlation Data.
    #[must_use]
    pub fn correlation_data(&self) -> Option<&'a [u8]> {
        self.iter().find_map(|property| match property {
            Property::CorrelationData(data) => Some(data),
            _ => None,
        })
    }

    /// The value of the first user property with this name.
    #[must_use]
    pub fn user_property(&self, name: &str) -> Option<&'a str> {
        self.user_properties().find_map(|(found, value)| (found == name).then_some(value))
    }

    /// Names and values of all user properties in the order received; a name may occur more than
    /// once.
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter().filter_map(|property| match property {
            Property::User(name, value) => Some((name, value)),
            _ => None,
        })
    }

    fn iter(&self) -> impl Iterator<Item = Property<'a>> + use<'a> {
        let mut rest = self.block;
        std::iter::from_fn(move || next(&mut rest))
    }
}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_the_message = |property: &Property<'_>| *property != Property::OfTheConnection;
        f.debug_list().entries(self.iter().filter(of_the_message)).finish()
    }
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<Property<'a>> {
    Some(match *rest.split_off_first()? {
        PAYLOAD_FORMAT => Property::PayloadFormat(*rest.split_off_first()?),
        MESSAGE_EXPIRY => {
            let (bytes, left) = rest.split_first_chunk()?;
            *rest = left;
            Property::MessageExpiry(u32::from_be_bytes(*bytes))
        }
        CONTENT_TYPE => Property::ContentType(text(rest)?),
        RESPONSE_TOPIC => Property::ResponseTopic(text(rest)?),
        CORRELATION_DATA => Property::CorrelationData(binary(rest)?),
        USER => Property::User(text(rest)?, text(rest)?),
        SUBSCRIPTION_IDENTIFIER => {
            while rest.split_off_first()? & 0x80 != 0 {}
            Property::OfTheConnection
        }
        TOPIC_ALIAS => {
            rest.split_off(..2)?;
            Property::OfTheConnection
        }
        _ => return None,
    })
}

fn binary<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (size, left) = rest.split_first_chunk()?;
    *rest = left;
    rest.split_off(..usize::from(u16::from_be_bytes(*size)))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(binary(rest)?).ok()
}

/// Appends what [`binary`] reads.
pub(crate) fn push(block: &mut Vec<u8>, bytes: &[u8]) {
    block.extend_from_slice(&size_u16(bytes.len()).to_be_bytes());
    block.extend_from_slice(bytes);
}

#[expect(clippy::expect_used, reason = "documented where a caller can give more")]
pub(crate) fn size_u16(size: usize) -> u16 {
    size.try_into().expect("MQTT carries at most 65,535 bytes in a topic or a property")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_of_the_connection_are_read_over() {
        let block = [0x0b, 0x81, 0x01, 0x23, 0, 7, 0x03, 0, 2, b'a', b'b', 0x0b, 1];
        let properties = Properties::new(&block);
        assert_eq!(properties.content_type(), Some("ab"));
        assert_eq!(format!("{properties:?}"), "[ContentType(\"ab\")]");
    }

    #[test]
    fn reading_ends_where_the_properties_do_not_make_sense() {
        let whole = [0x26, 0, 1, b'k', 0, 1, b'v', 0x02, 0, 0, 0, 9, 0x09, 0, 2, 1, 2];
        for size in 0..whole.len() {
            let properties = Properties::new(&whole[..size]);
            assert_eq!(properties.user_property("k"), (size >= 7).then_some("v"), "{size}");
            assert_eq!(properties.message_expiry_secs(), (size >= 12).then_some(9), "{size}");
            assert_eq!(properties.correlation_data(), None, "{size}");
        }
        assert_eq!(Properties::new(&[0x11, 0, 0x01, 1]).payload_format(), None);
        assert_eq!(Properties::new(&[0x03, 0, 1, 0xff]).content_type(), None);
        assert_eq!(Properties::new(&[0x0b, 0x80]).content_type(), None);
    }
}
