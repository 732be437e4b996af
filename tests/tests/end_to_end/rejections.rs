//! What a real Kafka refuses for good, among much that it takes: only that is rejected, everything else
//! arrives as it was, in order.

use std::collections::HashMap;

use tests::host::{Builder, Host};
use tests::kafka::{Kafka, Record, dead_letters};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::wire::Publish;
use tests::{A_WHILE, SOON};

/// A topic that takes no record without a key.
const COMPACTED: [(&str, &str); 1] = [("cleanup.policy", "compact")];

/// When the first message is said to have been taken; each next one a second later.
const FIRST: i64 = 1_700_000_000_000;

/// Messages of some topics, each with a key, a time and headers of its own. `bad` says which carry
/// `harm`, the members of a JSON object that make Kafka refuse the record.
fn published(topics: usize, count: usize, bad: fn(usize) -> bool, harm: &str) -> Vec<Publish> {
    let message = |number: usize| {
        let harm = if bad(number) { harm } else { "" };
        let key = number % 7;
        let time = FIRST + number as i64 * 1_000;
        let payload = format!(
            r#"{{"_key":"k{key}","_timestamp":{time},"number":{number},"padding":"{number:0>100}"{harm}}}"#
        );
        let property = [&[0x26, 0, 1, b'n', 0, 6][..], format!("{number:06}").as_bytes()].concat();
        Publish::new(format!("plant/{}", number % topics), payload).qos(1).properties(property)
    };
    (0..count).map(message).collect()
}

/// The number in a record's value, after a look at everything else in it.
fn number_of(record: &Record) -> usize {
    let value = record.value_text().expect("the value is text");
    let (_, rest) = value.split_once("\"number\":").expect("it has a number");
    let digits = rest.split(',').next().expect("it ends");
    let number: usize = digits.parse().expect("it is a number");
    assert_eq!(record.key_text(), Some(format!("k{}", number % 7).as_str()), "the key of {number}");
    assert_eq!(record.timestamp, FIRST + number as i64 * 1_000, "the time of {number}");
    let header = (String::from("n"), format!("{number:06}").into_bytes());
    assert_eq!(record.headers, [header], "the headers of {number}");
    number
}

/// Everything good is in Kafka once, whole, and each MQTT topic in order within each partition; what is
/// bad is a dead letter.
fn assert_sorted_out(kafka: &Kafka, topic: &str, sent: &[Publish], bad: fn(usize) -> bool) {
    let good: Vec<_> = (0..sent.len()).filter(|number| !bad(*number)).collect();
    let records = kafka.wait_for(topic, good.len(), A_WHILE);
    let mut last: HashMap<(i32, &str), usize> = HashMap::new();
    let mut numbers = Vec::with_capacity(records.len());
    for record in &records {
        let number = number_of(record);
        assert_eq!(record.value.as_deref(), Some(&sent[number].payload[..]));
        let before = last.insert((record.partition, &sent[number].topic), number);
        assert!(before.is_none_or(|before| before < number), "{number} came after {before:?}");
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, good, "each good one is there once");
    let rejected = sent.len() - good.len();
    let letters = kafka.wait_for(&dead_letters(topic), rejected, A_WHILE);
    assert_eq!(letters.len(), rejected, "each bad one has one dead letter");
    let mut left: Vec<_> = sent.iter().enumerate().filter(|(number, _)| bad(*number)).collect();
    for letter in &letters {
        let it = left.iter().position(|(_, sent)| letter.value.as_ref() == Some(&sent.payload));
        let (number, sent) = left.remove(it.expect("each bad one has one dead letter, whole"));
        assert_eq!(letter.key_text(), Some(sent.topic.as_str()));
        assert_eq!(letter.header("n"), Some(format!("{number:06}").as_str()));
        let arrived = letter.timestamp.to_string();
        assert_eq!(letter.header("reject.arrived-at"), Some(arrived.as_str()));
        assert_eq!(letter.header("reject.reason"), Some("invalid-record"));
        assert_eq!(letter.header("reject.kafka-topic"), Some(topic));
    }
}

/// Carries messages that Kafka takes and some that it refuses into a topic with these settings.
fn sort_out(name: &str, settings: &[(&str, &str)], bad: fn(usize) -> bool, harm: &str) {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic(name);
    kafka.create_topic(&topic, 2, settings);
    kafka.create_topic(&dead_letters(&topic), 1, &[]);
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).flag("mqtt-version", 5).start();
    let sent = published(3, 20_000, bad, harm);
    Publisher::connect_v5(mosquitto.port(), "publisher").publish(&sent);
    assert_sorted_out(kafka, &topic, &sent, bad);
    let ledger = host.stop().assert_clean();
    let rejected = (0..sent.len()).filter(|number| bad(*number)).count() as u64;
    assert_eq!((ledger.received, ledger.dead_lettered), (20_000, rejected));
}

#[test]
fn records_without_a_key_in_a_compacted_topic_are_rejected_and_no_other_is_touched() {
    sort_out("compacted", &COMPACTED, |number| number % 1_000 == 17, r#","_key":null"#);
}

#[test]
fn many_records_that_kafka_refuses_do_not_put_the_others_out_of_order() {
    sort_out("compacted", &COMPACTED, |number| number % 50 < 1, r#","_key":null"#);
}

#[test]
fn the_first_record_of_a_partition_that_is_refused_is_not_overtaken_by_those_behind_it() {
    sort_out("compacted", &COMPACTED, |number| number < 30, r#","_key":null"#);
}

#[test]
fn a_timestamp_that_kafka_refuses_is_rejected_and_nothing_is_delivered_under_another_time() {
    let limit = [("message.timestamp.after.max.ms", "3600000")];
    sort_out("future", &limit, |number| number % 500 == 3, r#","_timestamp":4102444800000"#);
}

#[test]
fn a_limit_that_is_lowered_while_messages_pass_costs_neither_order_nor_time_stamps() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("lowered");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).flag("mqtt-version", 5).start();
    let mut publisher = Publisher::connect_v5(mosquitto.port(), "publisher");
    let sent = published(3, 20_000, |_| false, "");
    publisher.publish(&sent[..2_000]);
    kafka.wait_for(&topic, 2_000, A_WHILE);
    kafka.configure_topic(&topic, &[("max.message.bytes", "3000")]);
    publisher.publish(&sent[2_000..]);
    assert_sorted_out(kafka, &topic, &sent, |_| false);
    host.stop().assert_clean();
}

#[test]
fn a_message_with_megabytes_of_properties_becomes_a_dead_letter_that_fits() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("properties");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).flag("mqtt-version", 5).start();
    let noise = tests::load::noise(60_000);
    let text: String = noise.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    let size = (text.len() as u16).to_be_bytes();
    let property = [&[0x26, 0, 1, b'n'][..], &size, text.as_bytes()].concat();
    let large = Publish::new("plant/a", "whole").qos(1).properties(property.repeat(40));
    let after = Publish::new("plant/a", "after").qos(1);
    Publisher::connect_v5(mosquitto.port(), "publisher").publish(&[large, after]);

    let letters = kafka.wait_for(&dead_letters(&topic), 1, SOON);
    let letter = &letters[0];
    assert_eq!((letter.key_text(), letter.value_text()), (Some("plant/a"), Some("whole")));
    assert_eq!(letter.header("reject.properties"), Some("40"));
    assert_eq!(letter.header("reject.reason"), Some("too-large"));
    assert_eq!((letter.header("mqtt.topic"), letter.header("n")), (Some("plant/a"), None));
    let records = kafka.wait_for(&topic, 1, SOON);
    assert_eq!((records[0].value_text(), records.len()), (Some("after"), 1));
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (1, 1));
}

#[test]
fn a_dead_letter_that_is_refused_for_its_time_waits_and_stays_whole() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("late");
    kafka.create_topic(&topic, 1, &[("max.message.bytes", "1000")]);
    let letters = dead_letters(&topic);
    // A dead letter has the time at which its message arrived, which is over.
    kafka.create_topic(&letters, 1, &[("message.timestamp.before.max.ms", "0")]);
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).flag("mqtt-version", 5).start();
    let payload: Vec<u8> = tests::load::noise(3_000);
    let property = [&[0x26, 0, 1, b'n', 0, 5][..], b"whole"].concat();
    let large = Publish::new("plant/a", payload.clone()).qos(1).properties(property);
    Publisher::connect_v5(mosquitto.port(), "publisher").publish(&[large]);
    host.wait_for_line("why nothing is written", |line| {
        line.contains(&letters) && line.contains("Kafka refuses this record")
    });
    let for_ever = i64::MAX.to_string();
    kafka.configure_topic(&letters, &[("message.timestamp.before.max.ms", &for_ever)]);

    let letter = &kafka.wait_for(&letters, 1, SOON)[0];
    assert_eq!(letter.value.as_deref(), Some(&payload[..]));
    assert_eq!((letter.key_text(), letter.header("n")), (Some("plant/a"), Some("whole")));
    assert_eq!(letter.header("reject.properties"), None);
    assert_eq!(host.stop().assert_clean().dead_lettered, 1);
}

/// A host whose messages name their Kafka topic with the first level, one that they may name and that is
/// there, and the dead-letter topic.
fn named_by_messages(kafka: &Kafka, mosquitto: &Mosquitto) -> (Builder, String, String) {
    let [good, dead_letters] = ["made", "dead"].map(Kafka::unused_topic);
    for topic in [&good, &dead_letters] {
        kafka.create_topic(topic, 1, &[]);
    }
    let command = Host::between(mosquitto, "#", kafka, "{0}")
        .without("client-id")
        .flag("client-id", &good)
        .flag("kafka-topics-allowed", "made*")
        .flag("kafka-topics-allowed", "no-such*")
        .flag("dead-letter-topic", &dead_letters);
    (command, good, dead_letters)
}

#[test]
fn a_message_that_names_a_topic_of_kafkas_own_is_rejected_and_stops_nothing() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let (command, good, dead_letters) = named_by_messages(kafka, &mosquitto);
    let host = command.flag("kafka-topics-allowed", "__*").start();
    let to = |topic: &str| Publish::new(format!("{topic}/x"), "payload").qos(1);
    let messages = [to("__consumer_offsets"), to(&good), to("no-such-topic"), to(&good)];
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
    assert_eq!(kafka.wait_for(&good, 2, SOON).len(), 2);
    let letters = kafka.wait_for(&dead_letters, 2, SOON);
    let mut reasons: Vec<_> =
        letters.iter().map(|letter| (letter.key_text(), letter.header("reject.reason"))).collect();
    reasons.sort_unstable();
    let bad = Some("bad-topic");
    assert_eq!(reasons, [(Some("__consumer_offsets/x"), bad), (Some("no-such-topic/x"), bad)]);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (2, 2));
}

#[test]
fn thousands_of_messages_to_one_missing_topic_are_rejected_and_others_go_on_with_the_same_producer()
{
    const EACH: usize = 3_000;
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let (command, good, dead_letters) = named_by_messages(kafka, &mosquitto);
    let host = command.flag("log", "info,host::sink=debug").start();
    let to = |topic: &str, number: usize| Publish::new(format!("{topic}/x"), number.to_string());
    let messages: Vec<_> =
        (0..EACH).flat_map(|number| [to("no-such-topic", number), to(&good, number)]).collect();
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
    let numbers = |records: &[Record]| -> Vec<usize> {
        let values = records.iter().filter_map(Record::value_text);
        values.filter_map(|value| value.parse().ok()).collect()
    };
    let all: Vec<_> = (0..EACH).collect();
    assert_eq!(numbers(&kafka.wait_for(&good, EACH, A_WHILE)), all);
    let letters = kafka.wait_for(&dead_letters, EACH, A_WHILE);
    let mut rejected = numbers(&letters);
    rejected.sort_unstable();
    assert_eq!(rejected, all);
    assert!(letters.iter().all(|letter| letter.header("reject.reason") == Some("bad-topic")));
    let ended = host.stop();
    let ledger = ended.assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (EACH as u64, EACH as u64));
    assert!(!ended.errors.contains("forgetting the names"), "{}", ended.errors);
}

/// Nothing that a broker names has to be searched for.
#[test]
fn messages_that_kafka_refuses_one_and_all_become_dead_letters() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("all-refused");
    kafka.create_topic(&topic, 2, &COMPACTED);
    kafka.create_topic(&dead_letters(&topic), 1, &[]);
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).flag("mqtt-version", 5).start();
    let sent = published(3, 2_000, |_| true, r#","_key":null"#);
    Publisher::connect_v5(mosquitto.port(), "publisher").publish(&sent);
    assert_sorted_out(kafka, &topic, &sent, |_| true);
    assert_eq!(host.stop().assert_clean().dead_lettered, 2_000);
}

#[test]
fn a_message_whose_records_are_all_refused_has_one_dead_letter() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("refused");
    kafka.create_topic(&topic, 1, &[("max.message.bytes", "1000")]);
    kafka.create_topic(&dead_letters(&topic), 1, &[]);
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).plugin("rewrite").start();
    let long: String =
        tests::load::noise(3_000).iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    let payload = format!("split {long} {long}x {long}y");
    let publish = Publish::new("plant/a", payload.clone()).qos(1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&[publish]);
    let letters = kafka.wait_for(&dead_letters(&topic), 1, SOON);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.dead_lettered), (1, 1));
    assert_eq!(kafka.count(&dead_letters(&topic)), 1);
    assert_eq!(letters[0].value_text(), Some(payload.as_str()));
    assert_eq!(kafka.count(&topic), 0);
}

#[test]
fn a_dead_letter_topic_that_is_missing_is_said_before_it_is_needed() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("early");
    kafka.create_topic(&topic, 1, &[]);
    let missing = format!("{:?}", dead_letters(&topic));
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).start();
    host.wait_for_line("which topic is missing", |line| {
        line.contains(&missing) && line.contains("it is for dead letters")
    });
    // Nothing else waits for it.
    Publisher::connect(mosquitto.port(), "publisher").publish(&[Publish::new("plant/1", "a")]);
    kafka.wait_for(&topic, 1, A_WHILE);
    let ended = host.stop();
    ended.assert_clean();
    assert_eq!(ended.errors.matches(&missing).count(), 1, "{}", ended.errors);
}
