//! The setters that work where no plugin does.
//!
//! | | what it is | otherwise |
//! |---|---|---|
//! | key | `_key` of a JSON object | the topic |
//! | value | the payload | |
//! | timestamp | `_timestamp` of a JSON object | the time of arrival |
//!
//! A payload that is not JSON is no error: it has neither member. Where a plugin has made JSON of the
//! payload, the members are that JSON's.

use std::borrow::Cow;

use super::json::{Fields, Value};
use super::time;
use crate::message::Message;

/// The built-in setters, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    json: bool,
}

/// What the built-in setters are asked for; a plugin decides the rest. A payload is scanned only
/// if something is asked for that could be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub key: bool,
    pub timestamp: bool,
}

impl Wanted {
    pub const ALL: Self = Self { key: true, timestamp: true };
}

/// What the built-in setters decided about one message. What was not asked for holds the
/// fall-back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'a> {
    /// `None` is Kafka's null, which a `null` asks for.
    pub key: Option<Cow<'a, [u8]>>,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// There was a `_timestamp`, but it names no time between 1970 and the end of 9999, so the
    /// time of arrival took its place.
    pub timestamp_unusable: bool,
}

impl Builtin {
    /// Setters that read JSON payloads, or, if not `json`, look at no payload at all.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Decides what is wanted of a message.
    pub fn decide<'a>(self, message: &Message<'a>, wanted: Wanted) -> Decision<'a> {
        let fields = if self.json && (wanted.key || wanted.timestamp) {
            let json = message.json().map_or_else(|| message.payload(), str::as_bytes);
            Fields::of(json).unwrap_or_default()
        } else {
            Fields::default()
        };
        let timestamp = fields.timestamp.filter(|_| wanted.timestamp);
        let usable = timestamp.and_then(time::milliseconds);
        Decision {
            key: match fields.key.filter(|_| wanted.key) {
                Some(value) => key(value),
                None => Some(Cow::Borrowed(message.topic().as_bytes())),
            },
            timestamp_ms: usable.unwrap_or_else(|| message.received_at_ms()),
            timestamp_unusable: timestamp.is_some() && usable.is_none(),
        }
    }

    /// The record's value: the payload, byte for byte, also where a plugin has made JSON of it. An
    /// empty one is empty, not a tombstone.
    pub fn value<'a>(self, message: &Message<'a>) -> &'a [u8] {
        message.payload()
    }
}

/// The key that a `_key` asks for: what a string says, nothing for `null`, else the JSON text.
fn key(value: Value<'_>) -> Option<Cow<'_, [u8]>> {
    match value.string() {
        Some(Cow::Borrowed(text)) => Some(Cow::Borrowed(text.as_bytes())),
        Some(Cow::Owned(text)) => Some(Cow::Owned(text.into_bytes())),
        None if value.text() == "null" => None,
        None => Some(Cow::Borrowed(value.text().as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Batch, Publish, Qos};

    const ARRIVAL: i64 = 1_600_000_000_000;

    /// Decides with the given setters about a message on topic `plant/ü` with this payload.
    fn decide_with(builtin: Builtin, payload: &[u8], wanted: Wanted) -> Decision<'static> {
        let mut batch = Batch::new();
        let publish = Publish {
            topic: "plant/ü",
            payload,
            qos: Qos::AtMostOnce,
            retain: false,
            dup: false,
            packet_id: 0,
            properties: None,
        };
        batch.push(0, ARRIVAL, &publish);
        let message = batch.message(0);
        assert_eq!(builtin.value(&message), payload);
        let decision = builtin.decide(&message, wanted);
        Decision { key: decision.key.map(|key| Cow::Owned(key.into_owned())), ..decision }
    }

    fn decide(payload: impl AsRef<[u8]>) -> Decision<'static> {
        decide_with(Builtin::new(true), payload.as_ref(), Wanted::ALL)
    }

    fn key_of(payload: impl AsRef<[u8]>) -> Option<String> {
        let key = decide(payload).key?;
        Some(String::from_utf8(key.into_owned()).expect("a key of this test is text"))
    }

    #[track_caller]
    fn assert_falls_back(payload: impl AsRef<[u8]>) {
        let expected = Decision {
            key: Some(Cow::Borrowed("plant/ü".as_bytes())),
            timestamp_ms: ARRIVAL,
            timestamp_unusable: false,
        };
        assert_eq!(decide(payload), expected);
    }

    #[test]
    fn a_string_key_is_what_the_string_says() {
        assert_eq!(key_of(r#"{"_key":"dev42"}"#).as_deref(), Some("dev42"));
        assert_eq!(key_of(r#"{"_key":""}"#).as_deref(), Some(""));
        assert_eq!(key_of(r#"{"_key":"zürich 🚋"}"#).as_deref(), Some("zürich 🚋"));
        assert_eq!(
            key_of(r#"{"_key":"a\"\\\/\b\f\n\r\tz\u0000\u00fc\ud83d\udE8B"}"#).as_deref(),
            Some("a\"\\/\u{8}\u{c}\n\r\tz\0ü🚋")
        );
    }

    #[test]
    fn half_a_surrogate_pair_in_a_key_becomes_a_replacement_character() {
        for (json, expected) in [
            (r"\ud83d", "\u{fffd}"),
            (r"\ude8b", "\u{fffd}"),
            (r"\ud83dx", "\u{fffd}x"),
            (r"\ud83d\n", "\u{fffd}\n"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\ud83d\ud83d\ude8b", "\u{fffd}🚋"),
            (r"\ude8b\ud83d", "\u{fffd}\u{fffd}"),
        ] {
            let payload = format!("{{\"_key\":\"{json}\"}}");
            assert_eq!(key_of(payload).as_deref(), Some(expected), "{json}");
        }
    }

    #[test]
    fn a_null_key_is_a_null_key() {
        assert_eq!(key_of(r#"{"_key":null}"#), None);
        assert_eq!(key_of(r#"{"_key":"null"}"#).as_deref(), Some("null"));
    }

    #[test]
    fn any_other_key_is_its_json_text_as_it_stands() {
        for text in [
            "1",
            "-0",
            "1.0e5",
            "1.50",
            "12345678901234567890123",
            "true",
            "false",
            "[]",
            "{}",
            r#"{ "b" : 1,"a":[ 2 , {} ]}"#,
            "[1,\n 2]",
            r#"["\u00fc"]"#,
        ] {
            let payload = format!("{{ \"a\":0, \"_key\" : {text} , \"z\":0 }}");
            assert_eq!(key_of(payload).as_deref(), Some(text));
        }
    }

    #[test]
    fn without_a_key_the_topic_is_the_key() {
        assert_falls_back("{}");
        assert_falls_back(r#"{"key":"a","_keys":"b","_ke":"c","_KEY":"d"}"#);
        assert_eq!(key_of(r#"{"_timestamp":1}"#).as_deref(), Some("plant/ü"));
    }

    #[test]
    fn a_payload_that_is_not_a_json_object_has_neither_member() {
        for payload in [
            "",
            " ",
            "[]",
            r#"[{"_key":"a"}]"#,
            "\"_key\"",
            "1",
            "null",
            "true",
            "hello",
            "{",
            "}",
            r#"{"_key":"a""#,
            r#"{"_key":"a"}}"#,
            r#"{"_key":"a"} x"#,
            r#"{"_key":"a"}{"_key":"b"}"#,
            r#"{"_key":"a",}"#,
            r#"{"_key":"a","b":[1,]}"#,
            r#"{"_key":"a" "b":1}"#,
            r#"{"_key" "a"}"#,
            r#"{_key:"a"}"#,
            "{'_key':'a'}",
            r#"{"_key":"a","b":NaN}"#,
            r#"{"_key":"a","b":Infinity}"#,
            r#"{"_key":"a","b":01}"#,
            r#"{"_key":"a","b":+1}"#,
            r#"{"_key":"a","b":1.}"#,
            "{\"_key\":\"a\nb\"}",
            "{\"_key\":\"a\",\"b\":\"\0\"}",
            r#"{"_key":"a","b":"\x"}"#,
            r#"{"_key":"a"}/**/"#,
            "\u{feff}{\"_key\":\"a\"}",
            "{\"_key\":\"a\"}\0",
            "{\"_key\":\"a\"}\u{a0}",
            r#"{"_timestamp":1700000000001,"b":}"#,
        ] {
            assert_falls_back(payload);
        }
    }

    #[test]
    fn invalid_utf_8_counts_in_names_and_in_the_two_values() {
        assert_falls_back(b"{\"_key\":\"\xff\"}");
        assert_falls_back(b"{\"_key\":[\"\xff\"]}");
        assert_falls_back(b"{\"_key\":\"a\",\"_timestamp\":\"\xff\"}");
        assert_falls_back(b"{\"_key\":\"a\",\"\xff\":1}");
        assert_falls_back(b"\xff\xfe");
        assert_eq!(key_of(b"{\"_key\":\"a\",\"b\":\"\xff\"}").as_deref(), Some("a"));
    }

    #[test]
    fn blanks_around_anything_are_fine() {
        let payload = " \t\r\n{ \"_key\"\t:\n\"a\"\r, \"_timestamp\" : 1700000000001 } \r\n\t ";
        let decision = decide(payload);
        assert_eq!(decision.key.as_deref(), Some(&b"a"[..]));
        assert_eq!(decision.timestamp_ms, 1_700_000_000_001);
    }

    #[test]
    fn names_may_be_written_with_escapes() {
        assert_eq!(key_of(r#"{"\u005fkey":"a"}"#).as_deref(), Some("a"));
        assert_eq!(key_of(r#"{"_\u006B\u0065y":"a"}"#).as_deref(), Some("a"));
        assert_eq!(key_of(r#"{"_key\u0000":"a"}"#).as_deref(), Some("plant/ü"));
        assert_eq!(decide(r#"{"\u005ftimestamp":1700000000001}"#).timestamp_ms, 1_700_000_000_001);
        assert_eq!(key_of(r#"{"\ud800":"a","_key":"b"}"#).as_deref(), Some("b"));
    }

    #[test]
    fn nested_members_do_not_count() {
        assert_falls_back(r#"{"a":{"_key":"b","_timestamp":0},"c":[{"_key":"d"}]}"#);
        assert_eq!(key_of(r#"{"_key":"a","b":{"_key":"c"}}"#).as_deref(), Some("a"));
    }

    #[test]
    fn of_duplicate_members_the_last_one_counts() {
        assert_eq!(key_of(r#"{"_key":"a","_key":"b"}"#).as_deref(), Some("b"));
        assert_eq!(key_of(r#"{"_key":"a","\u005fkey":null}"#), None);
        let decision = decide(r#"{"_timestamp":true,"_timestamp":1700000000001}"#);
        assert_eq!(
            (decision.timestamp_ms, decision.timestamp_unusable),
            (1_700_000_000_001, false)
        );
        let decision = decide(r#"{"_timestamp":1700000000001,"_timestamp":true}"#);
        assert_eq!((decision.timestamp_ms, decision.timestamp_unusable), (ARRIVAL, true));
    }

    #[test]
    fn any_nesting_depth_is_survived_and_understood() {
        for depth in [1, 63, 64, 65, 127, 128, 129, 200, 10_000, 1_000_000] {
            let nested = format!("{}1{}", "{\"a\":[".repeat(depth), "]}".repeat(depth));
            assert_eq!(key_of(format!("{{\"_key\":\"a\",\"b\":{nested}}}")).as_deref(), Some("a"));
            let open = &nested[..nested.len() - 1];
            assert_falls_back(format!("{{\"_key\":\"a\",\"b\":{open}}}"));
            let crossed = format!("{}1{}", "{\"a\":[".repeat(depth), "}]".repeat(depth));
            assert_falls_back(format!("{{\"_key\":\"a\",\"b\":{crossed}}}"));
        }
        assert_falls_back("{\"a\":".repeat(1_000_000));
        assert_falls_back("[".repeat(1_000_000));
    }

    #[test]
    fn without_a_timestamp_a_message_has_its_time_of_arrival() {
        let decision = decide(r#"{"timestamp":1700000000001}"#);
        assert_eq!((decision.timestamp_ms, decision.timestamp_unusable), (ARRIVAL, false));
    }

    #[test]
    fn timestamps_are_numbers_numeric_strings_or_rfc_3339() {
        for json in [
            "1700000000001",
            "1700000000001.9",
            "1.7000000000012e12",
            "\"1700000000001\"",
            "\"1700000000001.9\"",
            "\"2023-11-14T22:13:20.001Z\"",
            "\"2023-11-15T00:13:20.0019+02:00\"",
        ] {
            let decision = decide(format!("{{\"_timestamp\":{json}}}"));
            assert_eq!(
                (decision.timestamp_ms, decision.timestamp_unusable),
                (1_700_000_000_001, false),
                "{json}"
            );
        }
    }

    #[test]
    fn an_unusable_timestamp_is_replaced_by_the_arrival_and_reported() {
        for json in [
            "0",
            "-5",
            "0.5",
            "1e30",
            "null",
            "true",
            "[1700000000001]",
            "{\"a\":1}",
            "\"\"",
            "\"soon\"",
            "\"2023-11-14T22:13:20\"",
            "253402300800000",
        ] {
            let decision = decide(format!("{{\"_key\":\"a\",\"_timestamp\":{json}}}"));
            assert_eq!(
                (decision.timestamp_ms, decision.timestamp_unusable),
                (ARRIVAL, true),
                "{json}"
            );
            assert_eq!(decision.key.as_deref(), Some(&b"a"[..]));
        }
    }

    #[test]
    fn without_the_json_deserializer_a_payload_is_not_looked_at() {
        let payload = br#"{"_key":"a","_timestamp":true}"#;
        let decision = decide_with(Builtin::new(false), payload, Wanted::ALL);
        assert_eq!(decision.key.as_deref(), Some("plant/ü".as_bytes()));
        assert_eq!((decision.timestamp_ms, decision.timestamp_unusable), (ARRIVAL, false));
    }

    #[test]
    fn what_a_plugin_decides_is_not_looked_at() {
        let payload = br#"{"_key":"a","_timestamp":true}"#;
        let builtin = Builtin::new(true);
        let only_key = decide_with(builtin, payload, Wanted { key: true, timestamp: false });
        assert_eq!(
            (only_key.key.as_deref(), only_key.timestamp_unusable),
            (Some(&b"a"[..]), false)
        );
        let only_time = decide_with(builtin, payload, Wanted { key: false, timestamp: true });
        assert_eq!(only_time.key.as_deref(), Some("plant/ü".as_bytes()));
        assert!(only_time.timestamp_unusable);
    }
}
