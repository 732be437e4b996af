//! Plugins decide about records, and a bad one spoils only the message it fails on.

use tests::kafka::{Kafka, Record};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::wire::Publish;
use tests::{SOON, eventually, host::Host};

/// Carries messages through one plugin; the answer is the records, all in one partition.
fn carry(plugin: &str, messages: &[Publish]) -> Vec<Record> {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic(plugin);
    kafka.create_topic(&topic, 1, &[]);
    let host = Host::between(&mosquitto, "#", kafka, &topic).plugin(plugin).start();
    Publisher::connect(mosquitto.port(), "publisher").publish(messages);
    let records = kafka.wait_for(&topic, messages.len(), SOON);
    assert_eq!(host.stop().assert_clean().delivered, messages.len() as u64);
    records
}

fn keys(records: &[Record]) -> Vec<Option<&str>> {
    records.iter().map(Record::key_text).collect()
}

#[test]
fn a_plugin_takes_the_key_from_a_topic_level() {
    let messages = [
        Publish::new("plant/dev42/temp", r#"{"_key":"not this"}"#),
        Publish::new("plant/Ger\u{e4}t 7/temp", "21.5"),
        Publish::new("plant", r#"{"_key":"default"}"#),
        Publish::new("plant", "21.5").qos(0),
    ];
    let records = carry("topic-level-key", &messages);
    let expected = [Some("dev42"), Some("Ger\u{e4}t 7"), Some("default"), Some("plant")];
    assert_eq!(keys(&records), expected);
}

#[test]
fn a_plugin_keys_and_dates_owntracks_locations() {
    let location = r#"{"_type":"location","lat":51.4,"lon":-0.1,"tid":"JP","tst":1700000000}"#;
    let messages = [
        Publish::new("owntracks/jane/phone", location),
        Publish::new("owntracks/jane/phone", r#"{"_type":"lwt","tst":1700000000}"#),
    ];
    let records = carry("owntracks", &messages);
    assert_eq!(keys(&records), [Some("jane/phone"), Some("owntracks/jane/phone")]);
    assert_eq!(records[0].timestamp, 1_700_000_000_000);
    assert!(records[1].timestamp > 1_700_000_000_000, "the time of arrival");
}

#[test]
fn a_plugin_keys_and_dates_uplinks_of_the_things_network() {
    let uplink = r#"{"end_device_ids":{"device_id":"soil-7"},
        "received_at":"2020-02-12T15:15:45.787123456Z","uplink_message":{"f_port":1}}"#;
    let records = carry("ttn-uplink", &[Publish::new("v3/farm@ttn/devices/soil-7/up", uplink)]);
    assert_eq!(keys(&records), [Some("soil-7")]);
    assert_eq!(records[0].timestamp, 1_581_520_545_787);
}

#[test]
fn a_plugin_writes_the_value() {
    let messages = [Publish::new("plant/a", r#"{"t": 21.50}"#), Publish::new("plant/a", "21.5")];
    let records = carry("topic-in-value", &messages);
    assert_eq!(records[0].value_text(), Some(r#"{"t": 21.50,"topic":"plant/a"}"#));
    assert_eq!(records[1].value_text(), Some("21.5"));
}

#[test]
fn plugins_with_different_abilities_work_together() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("together");
    let host = Host::between(&mosquitto, "#", kafka, &topic)
        .plugin("topic-level-key")
        .plugin("topic-in-value")
        .start();
    let message = Publish::new("plant/dev42", r#"{"_timestamp":1700000000001}"#);
    Publisher::connect(mosquitto.port(), "publisher").publish(&[message]);
    let records = kafka.wait_for(&topic, 1, SOON);
    assert_eq!(keys(&records), [Some("dev42")]);
    let value = r#"{"_timestamp":1700000000001,"topic":"plant/dev42"}"#;
    assert_eq!(records[0].value_text(), Some(value));
    assert_eq!(records[0].timestamp, 1_700_000_000_001);
    host.stop().assert_clean();
}

/// Carries one bad message between good ones, and says what its dead letter must look like.
fn only_the_bad_message_is_rejected(payload: &str, reason: &str, error: &str) {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("misbehave");
    kafka.create_topic(&topic, 1, &[]);
    kafka.create_topic(&tests::kafka::dead_letters(&topic), 1, &[]);
    // Filling its memory takes long on a busy machine.
    let host = Host::between(&mosquitto, "#", kafka, &topic)
        .plugin("misbehave")
        .flag("plugin-time-limit", 1_000)
        .start();

    let good: Vec<String> = (0..100).map(|number| format!("good-{number}")).collect();
    let mut messages: Vec<_> =
        good.iter().map(|payload| Publish::new("plant/a", payload.as_str())).collect();
    messages.insert(50, Publish::new("plant/a", payload));
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);

    let records = kafka.wait_for(&topic, good.len(), SOON);
    let arrived: Vec<_> = records.iter().filter_map(Record::key_text).collect();
    assert_eq!(arrived, good, "its neighbours, in order");
    let letters = kafka.wait_for(&tests::kafka::dead_letters(&topic), 1, SOON);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (100, 1));

    let [letter] = letters.as_slice() else { panic!("{} dead letters", letters.len()) };
    assert_eq!(letter.key_text(), Some("plant/a"));
    assert_eq!(letter.value_text(), Some(payload));
    assert_eq!(letter.header("reject.reason"), Some(reason));
    let said = letter.header("reject.error").expect("an error");
    assert!(said.contains(error), "{said:?} does not say {error:?}");
    assert_eq!(letter.header("reject.plugin"), Some("misbehave"));
    assert_eq!(letter.header("reject.plugin-sha256").map(str::len), Some(64));
    assert_eq!(letter.header("reject.kafka-topic"), Some(topic.as_str()));
    let arrived_at: i64 = letter.header("reject.arrived-at").unwrap().parse().unwrap();
    assert_eq!(arrived_at, letter.timestamp);
    assert_eq!(letter.header("mqtt.topic"), Some("plant/a"));
    assert_eq!(letter.header("mqtt.qos"), Some("1"));
    assert_eq!(letter.header("mqtt.retain"), Some("false"));
}

#[test]
fn a_plugin_that_panics_on_a_message_spoils_only_that() {
    only_the_bad_message_is_rejected("panic as asked", "trap", "");
}

#[test]
fn a_plugin_that_loops_on_a_message_spoils_only_that() {
    only_the_bad_message_is_rejected("loop", "time-out", "");
}

#[test]
fn a_plugin_that_eats_memory_on_a_message_spoils_only_that() {
    only_the_bad_message_is_rejected("eat", "memory-limit", "");
}

#[test]
fn a_plugin_that_recurses_without_end_on_a_message_spoils_only_that() {
    only_the_bad_message_is_rejected("recurse", "trap", "");
}

#[test]
fn a_plugin_that_answers_too_much_for_a_message_spoils_only_that() {
    only_the_bad_message_is_rejected("huge", "bad-output", "");
}

#[test]
fn a_message_that_a_plugin_calls_bad_is_rejected_with_what_it_said() {
    only_the_bad_message_is_rejected("bad luck", "bad-message", "bad luck");
}

#[test]
fn what_a_panic_says_is_in_the_log() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("panic");
    let host = Host::between(&mosquitto, "#", kafka, &topic).plugin("misbehave").start();
    Publisher::connect(mosquitto.port(), "publisher").publish(&[Publish::new("a", "panic at 7")]);
    host.wait_for_line("the text of the panic", |line| line.contains("at 7"));
    host.stop().assert_clean();
}

#[test]
fn messages_that_a_plugin_skips_are_counted() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("skip");
    let host = Host::between(&mosquitto, "#", kafka, &topic).plugin("misbehave").start();
    let messages = ["one", "skip it", "two"].map(|payload| Publish::new("a", payload));
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
    kafka.wait_for(&topic, 2, SOON);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.delivered, ledger.skipped), (3, 2, 1));
    assert!(kafka.read_dead_letters(&topic).is_empty());
}

#[test]
fn a_rejected_message_can_be_skipped_instead() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("on-error-skip");
    let host = Host::between(&mosquitto, "#", kafka, &topic)
        .plugin("misbehave")
        .flag("on-error", "skip")
        .start();
    let messages = ["one", "bad luck", "two"].map(|payload| Publish::new("a", payload));
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
    kafka.wait_for(&topic, 2, SOON);
    assert_eq!(host.stop().assert_clean().skipped, 1);
    assert!(kafka.read_dead_letters(&topic).is_empty());
}

#[test]
fn a_rejected_message_can_stop_the_host_and_stays_with_the_mqtt_server() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("on-error-stop");
    let command = Host::between(&mosquitto, "#", kafka, &topic).plugin("misbehave");
    let host = command.clone().flag("on-error", "stop").start();
    let messages = ["one", "bad luck", "two"].map(|payload| Publish::new("a", payload));
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
    host.wait(SOON).assert_failed(1, &["bad luck"]);

    let host = command.flag("on-error", "dead-letter").start();
    let letters = kafka.wait_for(&tests::kafka::dead_letters(&topic), 1, SOON);
    assert_eq!(letters[0].value_text(), Some("bad luck"));
    kafka.wait_for(&topic, 2, SOON);
    host.stop().assert_clean();
}

#[test]
fn a_plugin_that_cannot_work_at_all_stops_the_host_if_asked_to_and_makes_messages_wait_otherwise() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("fatal");
    let command = Host::between(&mosquitto, "#", kafka, &topic).plugin("misbehave");
    let host = command.clone().flag("on-plugin-broken", "stop").start();
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&[Publish::new("a", "fatal flaw")]);
    host.wait(SOON).assert_failed(1, &["misbehave", "fatal flaw", "--on-plugin-broken stop"]);

    // It comes again, and is tried again after a pause, and again.
    let host = command.start();
    let says = "is broken: its key setter says that it cannot work; the messages of its route wait";
    eventually("it was tried twice", SOON, || {
        (host.errors().matches(says).count() == 2).then_some(())
    });
    assert_eq!(kafka.read_dead_letters(&topic), []);
    // Another message shows that it can.
    publisher.publish(&[Publish::new("b", "fine")]);
    let records = kafka.wait_for(&topic, 1, SOON);
    assert_eq!(records[0].value_text(), Some("fine"));
    let letters = kafka.wait_for(&tests::kafka::dead_letters(&topic), 1, SOON);
    assert_eq!(letters[0].value_text(), Some("fatal flaw"));
    assert_eq!(letters[0].header("reject.reason"), Some("fatal"));
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (1, 1));
}
