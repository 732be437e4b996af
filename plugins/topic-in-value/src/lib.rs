//! Adds the MQTT topic to a JSON object as its last member: `{"t": 21.5}` becomes
//! `{"t": 21.5,"topic":"plant/dev42/temp"}`. The rest of the text stays as it is, number formats
//! and spaces included. A payload that is no object, or has a `topic` already, is left alone. With
//! a payload deserializer, the object is the JSON that this made of the payload.

use std::collections::BTreeMap;

use plugin_sdk::prelude::*;
use serde_json::value::RawValue;

/// Names are all that is of interest.
type Members<'a> = BTreeMap<String, &'a RawValue>;

#[value_setter]
fn value(message: &Message) -> Result<Option<String>, Error> {
    let Ok(members) = message.json::<Members<'_>>() else {
        return Ok(None);
    };
    // It is valid JSON, so the last thing in it is the brace that ends the object.
    let Some(text) = message.json_text()?.trim_ascii_end().strip_suffix('}') else {
        return Ok(None);
    };
    if members.contains_key("topic") {
        return Ok(None);
    }
    let comma = if members.is_empty() { "" } else { "," };
    let topic = serde_json::to_string(message.topic())?;
    Ok(Some(format!("{text}{comma}\"topic\":{topic}}}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(payload: &str) -> Option<String> {
        value(&Message::new("plant/dev42/temp", payload)).expect("no payload is an error")
    }

    #[test]
    fn the_topic_is_added_and_nothing_else_changes() {
        let added = value_of("{ \"t\": 21.50, \"n\":{\"topic\":1e400} }\n");
        let expected = r#"{ "t": 21.50, "n":{"topic":1e400} ,"topic":"plant/dev42/temp"}"#;
        assert_eq!(added.as_deref(), Some(expected));
    }

    #[test]
    fn the_topic_is_added_to_what_a_deserializer_made_of_the_payload() {
        let message = Message::new("plant/dev42", b"\xa0").with_json("{}");
        assert_eq!(value(&message), Ok(Some(r#"{"topic":"plant/dev42"}"#.to_owned())));
    }

    #[test]
    fn an_empty_object_gets_its_first_member() {
        assert_eq!(value_of("{}").as_deref(), Some(r#"{"topic":"plant/dev42/temp"}"#));
    }

    #[test]
    fn any_depth_of_nesting_is_survived() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(
            value_of(&deep)
                .is_some_and(|added| added.ends_with("]],\"topic\":\"plant/dev42/temp\"}"))
        );
    }

    #[test]
    fn a_topic_is_escaped_as_json_wants_it() {
        let added = value(&Message::new("a/\"b\"\\", "{}")).expect("no payload is an error");
        assert_eq!(added.as_deref(), Some(r#"{"topic":"a/\"b\"\\"}"#));
    }

    #[test]
    fn whatever_is_no_object_or_has_a_topic_is_left_alone() {
        for payload in ["", "21.5", "[]", "[null]", "{", "{}}", "{\"a\":1,}", r#"{"topic":"x"}"#] {
            assert_eq!(value_of(payload), None, "{payload}");
        }
        assert_eq!(value(&Message::new("t", b"{\"a\":\"\xff\"}")), Ok(None));
    }
}
