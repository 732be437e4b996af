//! Plugins that make any number of records of a message.

use std::time::Duration;

use tests::host::{Builder, Host};
use tests::kafka::{Kafka, Record, dead_letters};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scripted::ScriptedServer;
use tests::wire::Publish;
use tests::{A_WHILE, SOON};

/// Long enough for an acknowledgement that should not come.
const SILENCE: Duration = Duration::from_secs(2);

/// A `host` whose transformer does what payloads say; it may choose topics that begin like its own.
fn rewriting(mqtt: u16, kafka: &Kafka, topic: &str) -> Builder {
    Host::between_ports(mqtt, "plant/#", kafka.address(), topic)
        .plugin("rewrite")
        .flag("kafka-topics-allowed", format!("{topic}-to-*"))
        .flag("kafka-topics-allowed", format!("{topic}-named"))
}

fn publish(mosquitto: &Mosquitto, payloads: &[&str]) {
    let messages: Vec<_> =
        payloads.iter().map(|payload| Publish::new("plant/a", *payload)).collect();
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
}

fn values(records: &[Record]) -> Vec<&str> {
    records.iter().filter_map(Record::value_text).collect()
}

#[test]
fn a_message_becomes_as_many_records_as_the_transformer_says_in_order_and_counts_once() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("transformed");
    let host = rewriting(mosquitto.port(), kafka, &topic).start();
    publish(&mosquitto, &["split a b c", "as it came", "drop", "skip it", "split d", "split e f"]);
    // One key, so one partition.
    let records = kafka.wait_for(&topic, 7, SOON);
    assert_eq!(values(&records), ["a", "b", "c", "as it came", "d", "e", "f"]);
    assert!(records.iter().all(|record| record.key_text() == Some("plant/a")));
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.delivered, ledger.skipped), (6, 4, 2));
}

#[test]
fn every_field_of_a_record_is_as_the_transformer_says() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("fields");
    let other = format!("{topic}-to-other");
    kafka.create_topic(&other, 1, &[]);
    let host = rewriting(mosquitto.port(), kafka, &topic).flag("headers", "all").start();
    publish(
        &mosquitto,
        &[
            "key k kv",
            "partition 0 p0",
            "partition 1 p1",
            "partition 2 p2",
            "time 1700000000000 t",
            "header h v",
            "bare",
            "null",
            &format!("topic {other} elsewhere"),
        ],
    );
    assert_eq!(values(&kafka.wait_for(&other, 1, SOON)), ["elsewhere"]);
    let records = kafka.wait_for(&topic, 8, SOON);
    let with = |value: &str| {
        let found = records.iter().find(|record| record.value_text() == Some(value));
        found.unwrap_or_else(|| panic!("no record is {value}"))
    };
    assert_eq!(with("kv").key_text(), Some("k"));
    for partition in 0..3 {
        assert_eq!(with(&format!("p{partition}")).partition, partition);
    }
    assert_eq!(with("t").timestamp, 1_700_000_000_000);
    assert_eq!(with("t").header("mqtt.topic"), Some("plant/a"));
    let headed = records.iter().find(|record| record.header("h").is_some()).expect("a header");
    assert_eq!((headed.value_text(), headed.header("mqtt.topic")), (Some("v"), None));
    let bare = with("");
    assert!(bare.headers.is_empty(), "{:?}", bare.headers);
    let null = records.iter().find(|record| record.value_text().is_none()).expect("a tombstone");
    assert_eq!(null.key_text(), None);
    assert_eq!(host.stop().assert_clean().delivered, 9);
}

#[test]
fn a_message_is_acknowledged_only_when_all_of_its_records_are_in_kafka() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = kafka.topic("fan-out");
    let named = format!("{topic}-named");
    kafka.create_topic(&named, 1, &[]);
    let host = rewriting(server.port(), kafka, &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    connection.publish(1, &Publish::new("plant/a", "split a b"));
    assert_eq!(connection.acknowledged(1), [1]);

    kafka.delete_topic(&named);
    let topics = format!("topics {topic} {named} {topic}");
    connection.publish(2, &Publish::new("plant/a", topics.as_str()));
    connection.publish(3, &Publish::new("plant/a", "split c"));
    host.wait_for_line("that the topic is missing", |line| line.contains(&named));
    connection.assert_silent(SILENCE);
    kafka.create_topic(&named, 1, &[]);
    assert_eq!(connection.acknowledged(2), [2, 3]);
    assert_eq!(values(&kafka.wait_for(&named, 1, SOON)), [named.as_str()]);
    let expected = ["a", "b", topic.as_str(), topic.as_str(), "c"];
    assert_eq!(values(&kafka.wait_for(&topic, 5, SOON)), expected);
    host.terminate();
    connection.wait_for_end();
    let ledger = host.wait(SOON).assert_clean();
    assert_eq!((ledger.received, ledger.delivered), (3, 3));
}

#[test]
fn a_topic_that_is_deleted_while_a_plugin_chooses_its_partitions_is_waited_for() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = kafka.topic("placed-and-deleted");
    let host = rewriting(server.port(), kafka, &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    let payload = |number: u16| format!("partition 0 {number}");
    connection.publish(1, &Publish::new("plant/a", payload(1)));
    assert_eq!(connection.acknowledged(1), [1]);

    kafka.delete_topic(&topic);
    for number in 2..20 {
        connection.publish(number, &Publish::new("plant/a", payload(number)));
    }
    host.wait_for_line("that the topic is missing", |line| {
        line.contains("does not exist") && line.contains(&topic) && line.contains("nothing is lost")
    });
    connection.assert_silent(SILENCE);
    kafka.create_topic(&topic, 1, &[]);
    assert_eq!(connection.acknowledged(18), (2..20).collect::<Vec<u16>>());
    let carried: Vec<_> = (2..20).map(|number: u16| number.to_string()).collect();
    assert_eq!(values(&kafka.wait_for(&topic, 18, A_WHILE)), carried);
    host.terminate();
    connection.wait_for_end();
    let ledger = host.wait(SOON).assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (19, 0));
}

#[test]
fn what_a_transformer_may_not_do_condemns_its_message_and_no_other() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("forbidden");
    let host = rewriting(mosquitto.port(), kafka, &topic);
    // What is all the same letter would become small.
    let host = host.flag("kafka-config", "compression.type=none").start();
    let wrong = [
        (format!("topics {topic} elsewhere"), "bad-topic", "\"elsewhere\", which is not among"),
        ("topic a/b v".to_owned(), "bad-topic", "characters"),
        (format!("topic {topic}-to-missing v"), "bad-topic", "does not exist"),
        ("partition 7 v".to_owned(), "bad-output", "does not have that partition"),
        ("time -1 v".to_owned(), "bad-output", "a timestamp is positive"),
        ("panic now".to_owned(), "trap", "now"),
        ("bad luck".to_owned(), "bad-message", "luck"),
        ("many 1001".to_owned(), "bad-output", "at most 1000"),
        ("huge 2000000".to_owned(), "too-large", "no record this large"),
    ];
    let mixed: Vec<String> = wrong
        .iter()
        .enumerate()
        .flat_map(|(number, (payload, ..))| [format!("split {number} {number}+"), payload.clone()])
        .collect();
    let mixed: Vec<&str> = mixed.iter().map(String::as_str).collect();
    publish(&mosquitto, &mixed);
    let dead = kafka.wait_for(&dead_letters(&topic), wrong.len(), A_WHILE);
    for (payload, reason, words) in &wrong {
        let record = dead.iter().find(|record| record.value_text() == Some(payload.as_str()));
        let record = record.unwrap_or_else(|| panic!("{payload} has no dead letter"));
        assert_eq!(record.header("reject.reason"), Some(*reason), "{payload}");
        let error = record.header("reject.error").unwrap();
        assert!(error.contains(words), "{payload}: {error}");
        // Whatever a plugin has said, the record is too large.
        let plugin = (*reason != "too-large").then_some("rewrite");
        assert_eq!(record.header("reject.plugin"), plugin, "{payload}");
    }
    let records = kafka.wait_for(&topic, 2 * wrong.len(), SOON);
    let expected: Vec<String> =
        (0..wrong.len()).flat_map(|number| [number.to_string(), format!("{number}+")]).collect();
    assert_eq!(values(&records), expected);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (9, 9));
}

#[test]
fn a_record_that_kafka_refuses_makes_a_dead_letter_of_its_message_beside_the_other_records() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("one-refused");
    let missing = format!("{topic}-to-missing");
    let host = rewriting(mosquitto.port(), kafka, &topic).start();
    let payload = format!("topics {topic} {missing} {topic}");
    publish(&mosquitto, &[&payload, "split after"]);
    let dead = kafka.wait_for(&dead_letters(&topic), 1, SOON);
    assert_eq!(dead[0].value_text(), Some(payload.as_str()));
    assert_eq!(dead[0].header("reject.reason"), Some("bad-topic"));
    let expected = [topic.as_str(), topic.as_str(), "after"];
    assert_eq!(values(&kafka.wait_for(&topic, 3, SOON)), expected);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.delivered, ledger.dead_lettered), (2, 1, 1));
}

#[test]
fn transformers_form_a_chain_and_a_dead_band_remembers_each_topic() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("chain");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
        .plugin("split-array")
        .plugin("dead-band")
        .flag("plugin-config", r#"{"dead_band": {"pointer": "/t", "threshold": 0.5}}"#)
        .start();
    let message = Publish::new;
    Publisher::connect(mosquitto.port(), "publisher").publish(&[
        message("plant/a", r#"[{"t":1},{"t":1.25},{"t":2,"_key":"k"}]"#),
        message("plant/b", r#"[{"t":2}]"#),
        message("plant/a", r#"[{"t":2.25},{"t":3}]"#),
        message("plant/a", r#"[{"t":3}]"#),
        message("plant/a", "[]"),
        message("plant/b", "no number"),
    ]);
    let records = kafka.wait_for(&topic, 5, SOON);
    let mut values = values(&records);
    values.sort_unstable();
    let expected = ["no number", r#"{"t":1}"#, r#"{"t":2,"_key":"k"}"#, r#"{"t":2}"#, r#"{"t":3}"#];
    assert_eq!(values, expected);
    let keyed = records.iter().find(|record| record.key_text() == Some("k")).expect("its key");
    assert_eq!(keyed.value_text(), Some(r#"{"t":2,"_key":"k"}"#));
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.delivered, ledger.skipped), (6, 4, 2));
}

#[test]
fn many_messages_that_become_many_records_keep_their_order() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("many-records");
    let host = rewriting(mosquitto.port(), kafka, &topic).start();
    let payloads: Vec<String> =
        (0..2_000).map(|number| format!("split {number} {number}+ {number}++")).collect();
    let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
    publish(&mosquitto, &payloads);
    let records = kafka.wait_for(&topic, 6_000, A_WHILE);
    let expected: Vec<String> =
        (0..2_000).flat_map(|number| ["", "+", "++"].map(|end| format!("{number}{end}"))).collect();
    assert_eq!(values(&records), expected);
    assert_eq!(host.stop().assert_clean().delivered, 2_000);
}
