//! A payload that is a JSON array becomes a record per element, whose value is the element's JSON
//! text as it stands: `[{"_key": "dev1", "t": 21.50}, {"_key": "dev2", "t": 22}]` becomes two. The
//! members `_key` (a string) and `_timestamp` (a positive integer, milliseconds since the Unix epoch)
//! of an element decide the key and the timestamp of its record; without them these are as they
//! came, and so are topic, partition and headers. An empty array makes no record. A payload that is
//! no array stays as it came. With a payload deserializer, the array is the JSON that this made of
//! the payload.

use plugin_sdk::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Raw, so that the one is of use where the other is not.
#[derive(Deserialize, Default)]
struct Element<'a> {
    #[serde(rename = "_key", borrow)]
    key: Option<&'a RawValue>,
    #[serde(rename = "_timestamp", borrow)]
    timestamp: Option<&'a RawValue>,
}

#[transformer]
fn split(message: &Message) -> Transformed {
    message.json::<Vec<&RawValue>>().map_or(Transformed::Default, |elements| {
        Transformed::Records(elements.into_iter().map(record).collect())
    })
}

fn record(element: &RawValue) -> Record {
    let Element { key, timestamp } = serde_json::from_str(element.get()).unwrap_or_default();
    let mut record = Record::new().value(element.get());
    if let Some(key) = key.and_then(read::<String>) {
        record = record.key(key);
    }
    if let Some(milliseconds) = timestamp.and_then(read::<i64>).filter(|time| *time > 0) {
        record = record.timestamp_ms(milliseconds);
    }
    record
}

fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(payload: &str) -> Vec<Record> {
        match split(&Message::new("plant", payload)) {
            Transformed::Records(records) => records,
            other => panic!("{payload} is {other:?}"),
        }
    }

    #[test]
    fn each_element_becomes_a_record_with_its_key_and_timestamp() {
        let payload = r#"[{"_key": "dev1", "t": 21.50},
            {"_timestamp":1700000000000,"_key":"d\u00e9v2"}, 7]"#;
        let expected = [
            Record::new().key("dev1").value(r#"{"_key": "dev1", "t": 21.50}"#),
            Record::new()
                .key("dév2")
                .timestamp_ms(1_700_000_000_000)
                .value(r#"{"_timestamp":1700000000000,"_key":"d\u00e9v2"}"#),
            Record::new().value("7"),
        ];
        assert_eq!(records(payload), expected);
    }

    #[test]
    fn members_that_are_no_key_and_no_timestamp_decide_nothing() {
        for element in [
            r#"{"_key":7,"_timestamp":"1700000000000"}"#,
            r#"{"_key":null,"_timestamp":1.5}"#,
            r#"{"_key":{},"_timestamp":0}"#,
            r#""text""#,
            "null",
            "[[]]",
        ] {
            assert_eq!(records(&format!("[{element}]")), [Record::new().value(element)]);
        }
        let one_of_them = r#"{"_key":[],"_timestamp":1}"#;
        let expected = Record::new().value(one_of_them).timestamp_ms(1);
        assert_eq!(records(&format!("[{one_of_them}]")), [expected]);
    }

    #[test]
    fn an_empty_array_makes_no_record() {
        assert_eq!(records(" [ ] "), []);
    }

    #[test]
    fn whatever_is_no_array_stays_as_it_came() {
        for payload in ["", "21.5", r#"{"a":[1]}"#, "[1", "[1,]", "hello"] {
            assert_eq!(split(&Message::new("t", payload)), Transformed::Default, "{payload}");
        }
        assert_eq!(split(&Message::new("t", b"[\"\xff\"]")), Transformed::Default);
    }

    #[test]
    fn any_depth_of_nesting_is_survived() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(records(&format!("[{deep}]")), [Record::new().value(deep)]);
    }

    #[test]
    fn a_deserializer_may_have_made_the_array() {
        let message = Message::new("t", b"\x81\x01").with_json("[1]");
        assert_eq!(split(&message), Record::new().value("1").into());
    }
}
