//! The record's key is a part of a JSON payload, which the configuration points to (RFC 6901): with
//! `{"pointer": "/device/id"}`, the payload `{"device": {"id": "dev42"}}` gets the key `dev42`. With
//! a payload deserializer, it is the JSON that this made of the payload.

use std::sync::OnceLock;

use plugin_sdk::prelude::*;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    pointer: String,
}

static CONFIG: OnceLock<Config> = OnceLock::new();

#[init]
fn init(config: Config) -> Result<(), Error> {
    if !config.pointer.starts_with('/') {
        return Err(Error::bad_message("`pointer` begins with a slash, as in /device/id"));
    }
    CONFIG.get_or_init(|| config);
    Ok(())
}

#[key_setter]
fn key(message: &Message) -> Key {
    // The host calls `init` first.
    CONFIG.get().map_or(Key::Default, |config| part(message, &config.pointer))
}

/// Without such a part the key is the default. What is no text becomes its JSON.
fn part(message: &Message, pointer: &str) -> Key {
    let Ok(payload) = message.json::<Value>() else {
        return Key::Default;
    };
    match payload.pointer(pointer) {
        None => Key::Default,
        Some(Value::Null) => Key::Null,
        Some(Value::String(text)) => text.as_str().into(),
        Some(other) => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_what_the_pointer_points_to() {
        let payload = r#"{"device": {"id": "dev42", "slots": [7, null]}}"#;
        let message = Message::new("t", payload);
        assert_eq!(part(&message, "/device/id"), "dev42".into());
        assert_eq!(part(&message, "/device/slots/0"), "7".into());
        assert_eq!(part(&message, "/device/slots/1"), Key::Null);
        assert_eq!(part(&message, "/device"), r#"{"id":"dev42","slots":[7,null]}"#.into());
        assert_eq!(part(&message, "/device/name"), Key::Default);
        assert_eq!(part(&Message::new("t", "\u{1}"), "/device/id"), Key::Default);
    }

    #[test]
    fn a_deserializer_may_have_made_the_json() {
        let message = Message::new("t", b"\xa1").with_json(r#"{"id": "dev42"}"#);
        assert_eq!(part(&message, "/id"), "dev42".into());
    }

    #[test]
    fn a_pointer_that_is_none_is_refused() {
        let refused = init(Config { pointer: "device.id".into() }).expect_err("it has no slash");
        assert_eq!(refused.to_string(), "`pointer` begins with a slash, as in /device/id");
        assert_eq!(init(Config { pointer: "/id".into() }), Ok(()));
        assert_eq!(key(&Message::new("t", r#"{"id": "dev42"}"#)), "dev42".into());
    }
}
