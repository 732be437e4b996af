//! What {{name}} decides about messages.

use plugin_sdk::prelude::*;
{{#timestamp}}
use serde::Deserialize;
{{/timestamp}}
{{#deserializer}}
use serde_json::json;

/// Seven bytes: 1, seconds since the Unix epoch, tenths of a degree, big-endian. What is something else
/// stays as it is.
#[payload_deserializer]
fn deserialize(message: &Message) -> Option<serde_json::Value> {
    let &[1, a, b, c, d, x, y] = message.payload() else { return None };
    let (seconds, tenths) = (u32::from_be_bytes([a, b, c, d]), i16::from_be_bytes([x, y]));
    let milliseconds = u64::from(seconds) * 1000;
    Some(json!({ "_timestamp": milliseconds, "celsius": f64::from(tenths) / 10.0 }))
}
{{/deserializer}}
{{#key}}

/// plant/dev42/temp -> dev42
#[key_setter]
fn key(message: &Message) -> Option<&str> {
    message.level(1)
}
{{/key}}
{{#value}}

/// The payload as text, without blanks around it.
#[value_setter]
fn value(message: &Message) -> Result<String, Error> {
    Ok(message.text()?.trim().to_owned())
}
{{/value}}
{{#timestamp}}

#[derive(Deserialize)]
struct Reading {
    /// Seconds since the Unix epoch.
    time: i64,
}

/// The member `time` of a JSON payload.
#[timestamp_setter]
fn timestamp(message: &Message) -> Option<i64> {
    let reading: Reading = message.json().ok()?;
    Some(reading.time * 1000)
}
{{/timestamp}}
{{#transformer}}

/// A record for each line of text; none for an empty payload.
#[transformer]
fn lines(message: &Message) -> Result<Vec<Record>, Error> {
    Ok(message.text()?.lines().map(|line| Record::new().value(line)).collect())
}
{{/transformer}}

#[cfg(test)]
mod tests {
    use super::*;
{{#deserializer}}

    #[test]
    fn seven_bytes_become_json_and_all_else_stays() {
        let json = json!({ "_timestamp": 5000, "celsius": -0.5 });
        assert_eq!(deserialize(&Message::new("t", [1, 0, 0, 0, 5, 255, 251])), Some(json));
        assert_eq!(deserialize(&Message::new("t", "{}")), None);
    }
{{/deserializer}}
{{#key}}

    #[test]
    fn the_key_is_the_second_level() {
        assert_eq!(key(&Message::new("plant/dev42/temp", "21.5")), Some("dev42"));
    }
{{/key}}
{{#value}}

    #[test]
    fn the_value_has_no_blanks_around_it() {
        assert_eq!(value(&Message::new("t", " 21.5 ")), Ok("21.5".to_owned()));
    }
{{/value}}
{{#timestamp}}

    #[test]
    fn the_timestamp_is_the_time() {
        assert_eq!(timestamp(&Message::new("t", r#"{"time": 5}"#)), Some(5000));
        assert_eq!(timestamp(&Message::new("t", "{}")), None);
    }
{{/timestamp}}
{{#transformer}}

    #[test]
    fn each_line_becomes_a_record() {
        assert_eq!(lines(&Message::new("t", "a\nb")).map(|records| records.len()), Ok(2));
        assert_eq!(lines(&Message::new("t", "")).map(|records| records.len()), Ok(0));
    }
{{/transformer}}
}
