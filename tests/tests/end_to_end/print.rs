//! `--print` shows every record that Kafka has confirmed, one line of JSON each.

use serde_json::{Value, json};
use tests::kafka::Kafka;
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::wire::Publish;
use tests::{SOON, host::Host};

#[test]
fn every_delivered_record_is_a_line_of_json() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("print");
    let host = Host::between(&mosquitto, "#", kafka, &topic).argument("--print").start();
    let payload = r#"{"_key":"dev \"42\"","_timestamp":1700000000001}"#;
    Publisher::connect(mosquitto.port(), "publisher").publish(&[
        Publish::new("plant/a", payload),
        Publish::new("plant/b", &b"\xff\0"[..]).qos(0),
        Publish::new("plant/c", r#"{"_key":null}"#),
    ]);
    let records = kafka.wait_for(&topic, 3, SOON);
    host.wait_for_line("the last record", |line| line.contains("plant/c"));
    let ended = host.stop();
    ended.assert_clean();

    let lines: Vec<Value> = ended
        .output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(lines.len(), 3, "one line a record:\n{}", ended.output);
    let of = |mqtt_topic: &str| {
        lines.iter().find(|line| line["mqtt_topic"] == mqtt_topic).expect("a line of this topic")
    };

    let text = of("plant/a");
    assert_eq!(text["kafka_topic"], topic);
    assert_eq!(text["key"], "dev \"42\"");
    assert_eq!(text["value"], payload);
    assert_eq!(text["timestamp"], 1_700_000_000_001_i64);
    assert_eq!((&text["qos"], &text["retain"]), (&json!(1), &json!(false)));
    assert!(text.get("headers").is_some(), "{text}");
    let record = records.iter().find(|record| record.timestamp == 1_700_000_000_001).unwrap();
    assert_eq!(text["partition"], record.partition);
    assert_eq!(text["offset"], record.offset);

    let binary = of("plant/b");
    assert_eq!(binary["value_base64"], "/wA=");
    assert_eq!((binary.get("value"), &binary["qos"]), (None, &json!(0)));
    assert_eq!(of("plant/c").get("key"), Some(&Value::Null));
}

#[test]
fn standard_output_stays_empty_without_it() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("quiet");
    let host = Host::between(&mosquitto, "#", kafka, &topic).start();
    let secret = "the payload is not for the log";
    Publisher::connect(mosquitto.port(), "publisher").publish(&[Publish::new("a", secret)]);
    kafka.wait_for(&topic, 1, SOON);
    let ended = host.stop();
    ended.assert_clean();
    assert_eq!(ended.output, "");
    assert!(!ended.errors.contains(secret), "{}", ended.errors);
}

#[test]
fn the_log_can_be_json() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("json-log");
    let command = Host::between(&mosquitto, "#", kafka, &topic).flag("log-format", "json");
    let host = command.start();
    host.wait_until_ready();
    let log = host.errors();
    host.stop();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(line.is_object(), "{line}");
    }
}
