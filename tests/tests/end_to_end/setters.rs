//! What the built-in setters make of a message: every line of their rules.

use std::time::{SystemTime, UNIX_EPOCH};

use tests::kafka::{Kafka, Record};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::wire::{Publish, text};
use tests::{SOON, host::Host};

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Publishes each payload on a topic of its own; the answer is what becomes of each.
fn carry(payloads: &[&[u8]], flags: &[(&str, &str)]) -> Vec<Record> {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("setters");
    let mut command = Host::between(&mosquitto, "rules/#", kafka, &topic).flag("headers", "all");
    for (name, value) in flags {
        command = command.flag(name, value);
    }
    let host = command.start();
    let messages: Vec<_> = payloads
        .iter()
        .enumerate()
        .map(|(index, payload)| Publish::new(format!("rules/{index}"), *payload))
        .collect();
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);

    let records = kafka.wait_for(&topic, messages.len(), SOON);
    assert_eq!(host.stop().assert_clean().delivered, messages.len() as u64);
    messages
        .iter()
        .map(|message| {
            let of = |record: &&Record| record.header("mqtt.topic") == Some(&message.topic);
            let record = records.iter().find(of).expect("each message has its record").clone();
            assert_eq!(record.value.as_ref(), Some(&message.payload), "the value is the payload");
            record
        })
        .collect()
}

/// What a key should be.
#[derive(Debug, Clone, Copy)]
enum Key {
    Topic,
    Null,
    Text(&'static str),
}

#[test]
fn the_key_is_the_field_key_of_an_object_and_else_the_topic() {
    use Key::{Null, Text, Topic};
    let deep = format!(r#"{{"x":{}1{},"_key":"deep"}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let rules: &[(&[u8], Key)] = &[
        (br#"{"_key":"dev42"}"#, Text("dev42")),
        (b" \t\r\n{ \"_key\" : \"spaced\" }\n", Text("spaced")),
        (br#"{"a":1,"_key":"second","b":[{}]}"#, Text("second")),
        (br#"{"_key":"a\u00e9\n\"\\\/\ud83d\ude00"}"#, Text("a\u{e9}\n\"\\/\u{1f600}")),
        ("{\"_key\":\"Ger\u{e4}t\"}".as_bytes(), Text("Ger\u{e4}t")),
        (br#"{"\u005fkey":"escaped name"}"#, Text("escaped name")),
        (br#"{"_key":""}"#, Text("")),
        (br#"{"_key":null}"#, Null),
        (br#"{"_key":1.50}"#, Text("1.50")),
        (br#"{"_key":-1E+2 }"#, Text("-1E+2")),
        (br#"{"_key":123456789012345678901234567890}"#, Text("123456789012345678901234567890")),
        (br#"{"_key":true}"#, Text("true")),
        (br#"{"_key":{"a": [1, 2]}}"#, Text(r#"{"a": [1, 2]}"#)),
        (br#"{"_key":"first","_key":"last"}"#, Text("last")),
        (br#"{"_key":"first","_key":null}"#, Null),
        (deep.as_bytes(), Text("deep")),
        (br#"{"nested":{"_key":"x"}}"#, Topic),
        (br#"{"key":"x"}"#, Topic),
        (b"{}", Topic),
        (br#"["_key"]"#, Topic),
        (br#""_key""#, Topic),
        (b"1", Topic),
        (b"null", Topic),
        (b"", Topic),
        (b"not json", Topic),
        (br#"{"_key":"a"} x"#, Topic),
        (br#"{"_key":"a"}{}"#, Topic),
        (br#"{"_key":"a",}"#, Topic),
        (br#"{"_key":"a""#, Topic),
        (br"{'_key':'a'}", Topic),
        (br#"{"_key":01}"#, Topic),
        (br#"{"_key":NaN}"#, Topic),
        (b"{\"_key\":\"\xff\"}", Topic),
    ];
    let payloads: Vec<_> = rules.iter().map(|(payload, _)| *payload).collect();
    for (index, (record, (payload, key))) in carry(&payloads, &[]).iter().zip(rules).enumerate() {
        let of_topic = format!("rules/{index}");
        let expected = match key {
            Topic => Some(of_topic.as_str()),
            Null => None,
            Text(text) => Some(*text),
        };
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(80)]);
        assert_eq!(record.key.as_deref(), expected.map(str::as_bytes), "the key of {shown}");
    }
}

#[test]
fn the_timestamp_is_the_field_timestamp_of_an_object_and_else_the_time_of_arrival() {
    let rules: &[(&str, Option<i64>)] = &[
        (r#"{"_timestamp":1700000000001}"#, Some(1_700_000_000_001)),
        (r#"{"_timestamp":1}"#, Some(1)),
        (r#"{"_timestamp":1700000000001.9}"#, Some(1_700_000_000_001)),
        (r#"{"_timestamp":1.7e12}"#, Some(1_700_000_000_000)),
        (r#"{"_timestamp":"1700000000001"}"#, Some(1_700_000_000_001)),
        (r#"{"_timestamp":"1700000000001.9"}"#, Some(1_700_000_000_001)),
        (r#"{"_timestamp":"2023-11-14T22:13:20.001Z"}"#, Some(1_700_000_000_001)),
        (r#"{"_timestamp":"2023-11-14T22:13:20.001999999Z"}"#, Some(1_700_000_000_001)),
        (r#"{"_timestamp":"2023-11-14T23:13:20+01:00"}"#, Some(1_700_000_000_000)),
        (r#"{"_timestamp":null,"_timestamp":1700000000001}"#, Some(1_700_000_000_001)),
        (r#"{"_timestamp":"2023-11-14T22:13:20"}"#, None),
        (r#"{"_timestamp":0}"#, None),
        (r#"{"_timestamp":-5}"#, None),
        (r#"{"_timestamp":1e30}"#, None),
        (r#"{"_timestamp":99999999999999999999999}"#, None),
        (r#"{"_timestamp":null}"#, None),
        (r#"{"_timestamp":true}"#, None),
        (r#"{"_timestamp":[1700000000001]}"#, None),
        (r#"{"_timestamp":{}}"#, None),
        (r#"{"_timestamp":"soon"}"#, None),
        (r#"{"_timestamp":""}"#, None),
        (r#"{"a":{"_timestamp":1700000000001}}"#, None),
        (r#"{"_timestamp":1700000000001} x"#, None),
        ("[]", None),
        ("", None),
    ];
    let payloads: Vec<_> = rules.iter().map(|(payload, _)| payload.as_bytes()).collect();
    let before = now_ms();
    let records = carry(&payloads, &[]);
    let after = now_ms();
    for (record, (payload, timestamp)) in records.iter().zip(rules) {
        match timestamp {
            Some(timestamp) => assert_eq!(record.timestamp, *timestamp, "of {payload}"),
            None => assert!(
                (before..=after).contains(&record.timestamp),
                "{payload} has {} instead of its arrival",
                record.timestamp
            ),
        }
    }
}

#[test]
fn without_a_deserializer_no_payload_is_looked_into() {
    let before = now_ms();
    let payload = br#"{"_key":"dev42","_timestamp":1700000000001}"#;
    let records = carry(&[payload], &[("payload-deserializer", "none")]);
    assert_eq!(records[0].key_text(), Some("rules/0"));
    assert!(records[0].timestamp >= before);
}

/// Carries one message with every property through MQTT 5; the answer is the record's headers.
fn headers_of(message: Publish, flags: &[(&str, &str)]) -> Vec<(String, String)> {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("headers");
    let mut command = Host::between(&mosquitto, "plant/#", kafka, &topic).flag("mqtt-version", "5");
    for (name, value) in flags {
        command = command.flag(name, value);
    }
    let host = command.start();
    Publisher::connect_v5(mosquitto.port(), "publisher").publish(&[message]);
    let records = kafka.wait_for(&topic, 1, SOON);
    host.stop().assert_clean();
    let headers = records[0].headers.iter();
    headers.map(|(name, value)| (name.clone(), String::from_utf8(value.clone()).unwrap())).collect()
}

/// Every property that a message can have; a name may occur twice.
fn properties() -> Vec<u8> {
    [
        &[0x01, 1][..],
        &[0x02, 0, 0, 0x0e, 0x10],
        &[0x03],
        &text("application/json"),
        &[0x08],
        &text("answers/here"),
        &[0x09],
        &text("request 7"),
        &[0x26],
        &text("site"),
        &text("north"),
        &[0x26],
        &text("site"),
        &text("s\u{fc}d"),
    ]
    .concat()
}

#[test]
fn properties_of_mqtt_5_become_headers() {
    let mut headers = headers_of(Publish::new("plant/a", "1").properties(properties()), &[]);
    // mosquitto says how much of the hour is left.
    let expiry = headers.iter().position(|(name, _)| name == "mqtt.message-expiry-interval");
    let (_, left) = headers.remove(expiry.expect("a header for the expiry"));
    assert!((3_540..=3_600).contains(&left.parse::<u32>().unwrap()), "{left} seconds are left");
    let sites: Vec<_> = headers.iter().filter(|(name, _)| name == "site").cloned().collect();
    headers.retain(|(name, _)| name != "site");
    headers.sort();

    assert_eq!(sites, pairs(&[("site", "north"), ("site", "s\u{fc}d")]), "in their order");
    let expected = [
        ("mqtt.content-type", "application/json"),
        ("mqtt.correlation-data", "request 7"),
        ("mqtt.payload-format-indicator", "1"),
        ("mqtt.response-topic", "answers/here"),
    ];
    assert_eq!(headers, pairs(&expected));
}

#[test]
fn a_message_without_properties_has_no_headers() {
    assert!(headers_of(Publish::new("plant/a", "1"), &[]).is_empty());
}

#[test]
fn headers_can_be_turned_off() {
    let message = Publish::new("plant/a", "1").properties(properties());
    assert!(headers_of(message, &[("headers", "none")]).is_empty());
}

#[test]
fn headers_can_tell_all_about_a_message() {
    let mut headers = headers_of(Publish::new("plant/a", "1"), &[("headers", "all")]);
    headers.sort();
    let expected = [
        ("mqtt.dup", "false"),
        ("mqtt.qos", "1"),
        ("mqtt.retain", "false"),
        ("mqtt.topic", "plant/a"),
    ];
    assert_eq!(headers, pairs(&expected));
}

#[test]
fn a_message_that_was_retained_is_marked() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("retained");
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&[Publish::new("plant/a", "old").retained()]);
    let command = Host::between(&mosquitto, "plant/#", kafka, &topic).flag("headers", "all");
    let host = command.start();
    publisher.publish(&[Publish::new("plant/a", "new").retained()]);

    let records = kafka.wait_for(&topic, 2, SOON);
    let marks: Vec<_> = records
        .iter()
        .map(|record| (record.value_text().unwrap(), record.header("mqtt.retain").unwrap()))
        .collect();
    assert_eq!(marks, [("old", "true"), ("new", "false")]);
    host.stop().assert_clean();
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
