//! Has all three setters. The value is a description of everything that the plugin sees of a
//! message, for tests that it sees the same through the typed and the packed interfaces.

use plugin_sdk::prelude::*;

#[key_setter]
fn key(message: &Message) -> Option<&str> {
    message.properties().user_property("key")
}

#[value_setter]
fn value(message: &Message) -> Value {
    if message.payload().is_empty() {
        return Value::Null;
    }
    format!("{message:?}").into()
}

/// The number in the user property `timestamp`, else one more than the time of arrival. The
/// number 0 is answered with a skip.
#[timestamp_setter]
fn timestamp(message: &Message) -> Result<Timestamp, Error> {
    match message.properties().user_property("timestamp") {
        Some("default") => Ok(Timestamp::Default),
        Some("0") => Ok(Timestamp::Skip("0 is no time".into())),
        Some("fatal") => Err(Error::fatal("no clock")),
        Some(text) => Ok(Timestamp::EpochMs(text.parse()?)),
        None => Ok(Timestamp::EpochMs(message.received_at_ms() + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_names_all_parts_of_a_message() {
        let message = Message::new("a/b", "payload").with_retain(true).with_user_property("n", "v");
        let value = value(&message);
        let described = "Message { topic: \"a/b\", payload: \"payload\", qos: AtMostOnce, \
            retain: true, dup: false, packet_id: None, received_at_ms: 0, \
            properties: [User(\"n\", \"v\")], deserialized: None }";
        assert_eq!(value, described.into());
    }

    #[test]
    fn user_properties_set_key_and_timestamp() {
        let plain = Message::new("t", "").with_received_at_ms(6);
        assert_eq!((key(&plain), timestamp(&plain)), (None, Ok(Timestamp::EpochMs(7))));
        let told = plain.with_user_property("key", "k").with_user_property("timestamp", "-5");
        assert_eq!((key(&told), timestamp(&told)), (Some("k"), Ok(Timestamp::EpochMs(-5))));
    }
}
