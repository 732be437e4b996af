//! Which partition a record goes to: the one where other producers of the same topic put its key.

use std::collections::{HashMap, HashSet};

use tests::host::Host;
use tests::kafka::{Kafka, Record};
use tests::scripted::ScriptedServer;
use tests::wire::Publish;
use tests::{SOON, eventually};

/// Short and long ones of every length modulo four, which Murmur2 treats differently, with bytes
/// below and above 127, which a careless hash takes for negative.
fn keys() -> Vec<String> {
    let mut keys = vec![String::new(), "\u{0}".to_owned(), "x".repeat(10_000), "ü".repeat(3_333)];
    for number in 0..60 {
        keys.push(format!("device-{number}"));
        keys.push("é€🙂\u{7f}"[..].repeat(number / 10) + &number.to_string());
        keys.push("abcdefgh".chars().cycle().take(number + 1).collect());
    }
    let unique: HashSet<_> = keys.drain(..).collect();
    unique.into_iter().collect()
}

/// Lets `host` carry a message with each key to a topic.
fn carry(topic: &str, keys: &[String], properties: &[&str]) -> HashMap<String, i32> {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let command = Host::between_ports(server.port(), "#", kafka.address(), topic);
    let command = properties.iter().fold(command, |command, with| command.kafka_property(*with));
    let host = command.launch();
    let mut connection = server.accept_and_subscribe(false);
    for (id, key) in (1..).zip(keys) {
        let payload = serde_json::json!({ "_key": key }).to_string();
        connection.publish(id, &Publish::new("plant", payload));
    }
    connection.acknowledged(keys.len());
    host.stop().assert_clean();
    let records = kafka.wait_for(topic, keys.len(), SOON);
    let placed = |record: &Record| (record.key_text().expect("text").to_owned(), record.partition);
    records.iter().map(placed).collect()
}

fn new_topic(name: &str, partitions: i32) -> String {
    let topic = Kafka::unused_topic(name);
    Kafka::shared().create_topic(&topic, partitions, &[]);
    topic
}

#[test]
fn a_key_goes_where_kafkas_own_java_producer_puts_it() {
    let (kafka, keys) = (Kafka::shared(), keys());
    for partitions in [1, 3, 7, 12] {
        let (ours, javas) = (new_topic("ours", partitions), new_topic("javas", partitions));
        let placed = carry(&ours, &keys, &[]);
        let expected = kafka.placements_by_java(&javas, &keys);
        for (key, expected) in keys.iter().zip(expected) {
            let start: String = key.chars().take(20).collect();
            assert_eq!(placed[key], expected, "{start:?} among {partitions}");
        }
        let used: HashSet<_> = placed.values().collect();
        assert_eq!(used.len(), partitions as usize, "the keys are spread over all partitions");
    }
}

/// As librdkafka and its bindings do unless told otherwise.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn a_partitioner_may_be_chosen() {
    let mut keys = keys();
    // It spreads empty keys at random.
    keys.retain(|key| !key.is_empty());
    let placed = carry(&new_topic("crc32", 7), &keys, &["partitioner=consistent_random"]);
    for key in &keys {
        assert_eq!(placed[key], (crc32(key.as_bytes()) % 7) as i32, "{key:.20}");
    }
}

#[test]
fn records_without_a_key_are_spread_over_the_partitions() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = new_topic("no-keys", 7);
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    let mut next_id = 1;
    eventually("two partitions are used", SOON, || {
        connection.publish(next_id, &Publish::new("plant", r#"{"_key":null}"#));
        assert_eq!(connection.acknowledged(1), [next_id]);
        next_id += 1;
        let records = kafka.read(&topic);
        assert!(records.iter().all(|record| record.key.is_none()));
        let used: HashSet<_> = records.iter().map(|record| record.partition).collect();
        (used.len() > 1).then_some(())
    });
    host.stop().assert_clean();
}
