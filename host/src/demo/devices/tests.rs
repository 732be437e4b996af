use std::collections::HashSet;

use serde_json::Value;

use super::*;

const NOW: i64 = 1_700_000_000_500;

fn messages(count: usize) -> Vec<Message> {
    let mut devices = Devices::new(1);
    (0..count).map(|_| devices.next(NOW)).collect()
}

/// Messages that become dead letters, or others, of one fleet.
fn of(fleet: Fleet, broken: bool) -> Vec<Message> {
    let mut messages = messages(400);
    messages.retain(|message| {
        let dead = message.expected.kafka_topic.ends_with(".dead-letter");
        message.fleet == fleet && dead == broken
    });
    assert!(!messages.is_empty());
    messages
}

fn json(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).expect("a device sends JSON")
}

fn exactly(message: &Message) -> i64 {
    match message.expected.timestamp {
        Timestamp::Exactly(ms) => ms,
        Timestamp::NotBefore(_) => panic!("the payload names the time"),
    }
}

#[test]
fn the_same_seed_gives_the_same_messages_and_no_two_alike() {
    let first = messages(1000);
    assert_eq!(first, messages(1000));
    let values: HashSet<_> = first.iter().map(|message| &message.expected.value).collect();
    assert_eq!(values.len(), 1000);
    let numbers: Vec<_> = first.iter().map(|message| message.expected.number).collect();
    assert_eq!(numbers, (1..=1000).collect::<Vec<_>>());
}

#[test]
fn a_location_names_its_topic_and_the_second_of_its_fix() {
    for message in of(Fleet::OwnTracks, false) {
        let (payload, expected) = (json(&message), &message.expected);
        assert_eq!(payload["_type"], "location");
        assert_eq!(payload["topic"], *expected.mqtt_topic);
        assert_eq!(expected.mqtt_topic, format!("owntracks/{}", expected.key));
        let fixed = payload["tst"].as_i64().expect("seconds");
        assert_eq!(exactly(&message), fixed * 1000);
        assert!((NOW - 6000..=NOW).contains(&(fixed * 1000)));
        assert!(payload["lat"].is_f64() && payload["lon"].is_f64());
    }
}

#[test]
fn an_uplink_names_its_device_and_when_it_was_received() {
    for message in of(Fleet::Ttn, false) {
        let (payload, expected) = (json(&message), &message.expected);
        let ids = &payload["end_device_ids"];
        assert_eq!(ids["device_id"], *expected.key);
        assert_eq!(ids["dev_eui"].as_str().map(str::len), Some(16));
        assert_eq!(expected.mqtt_topic, format!("v3/farm@ttn/devices/{}/up", expected.key));
        let received = payload["received_at"].as_str().expect("a time");
        assert_eq!(received.len(), "2020-02-12T15:15:45.787123456Z".len());
        assert!(received.starts_with(&clock::readable(exactly(&message)).replace(' ', "T")));
        let raw = payload["uplink_message"]["frm_payload"].as_str().expect("base64");
        assert_eq!(BASE64.decode(raw).map(|raw| raw.len()), Ok(16));
        let id = payload["correlation_ids"][0].as_str().expect("an id");
        assert_eq!(id.len(), "as:up:01E0WZGT6Y7657CPFPE5WEYDSQ".len());
    }
}

#[test]
fn a_measurement_names_its_time_and_gets_its_topic_added() {
    for message in of(Fleet::Plant, false) {
        let (payload, expected) = (json(&message), &message.expected);
        assert_eq!(payload["_timestamp"].as_i64(), Some(exactly(&message)));
        assert_eq!(expected.mqtt_topic.split('/').nth(1), Some(&*expected.key));
        let mut value: Value = serde_json::from_slice(&expected.value).expect("JSON");
        let members = value.as_object_mut().expect("an object");
        assert_eq!(members.remove("topic"), Some(expected.mqtt_topic.clone().into()));
        assert_eq!(value, payload);
        assert_eq!(message.user_properties[0].0, "firmware");
    }
}

#[test]
fn an_uplink_that_was_cut_short_is_no_json_and_becomes_a_dead_letter_soon() {
    let broken = of(Fleet::Ttn, true);
    assert_eq!(broken[0].expected.number, FIRST_BROKEN);
    for message in broken {
        assert!(serde_json::from_slice::<Value>(&message.payload).is_err());
        assert_eq!(message.expected.key, message.expected.mqtt_topic);
        assert_eq!(message.expected.value, message.payload);
        assert_eq!(message.expected.timestamp, Timestamp::NotBefore(NOW));
    }
}
