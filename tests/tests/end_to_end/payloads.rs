//! Payloads and topics that are unusual, and records that Kafka does not take.

use tests::kafka::{Kafka, dead_letters};
use tests::load::{assert_carried_once, messages, noise};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::wire::Publish;
use tests::{A_WHILE, SOON, host::Host};

const MIB: usize = 1 << 20;

#[test]
fn unusual_payloads_arrive_byte_for_byte() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("unusual");
    let host = Host::between(&mosquitto, "#", kafka, &topic).start();
    let nested = "[".repeat(10_000) + &"]".repeat(10_000);
    let open = "{\"a\":".repeat(10_000);
    let large = noise(900_000);
    let payloads: [&[u8]; 9] = [
        b"",
        b"\0",
        b"before\0after",
        b"\xff\xfe not UTF-8 \x80",
        b"\r\n",
        nested.as_bytes(),
        open.as_bytes(),
        br#"{"_key":1e400,"_timestamp":1e400}"#,
        &large,
    ];
    let published: Vec<_> = payloads
        .iter()
        .enumerate()
        .map(|(index, payload)| Publish::new(format!("unusual/{index}"), *payload))
        .collect();
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);

    let records = kafka.wait_for(&topic, published.len(), SOON);
    for message in &published {
        let expected = if message.payload.starts_with(b"{\"_key\"") {
            "1e400".as_bytes()
        } else {
            message.topic.as_bytes()
        };
        let same = |record: &&tests::kafka::Record| record.value.as_ref() == Some(&message.payload);
        let record = records.iter().find(same).expect("each payload arrives");
        assert_eq!(record.key.as_deref(), Some(expected));
    }
    host.stop().assert_clean();
}

#[test]
fn topics_may_have_any_letters() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("letters");
    let host = Host::between(&mosquitto, "Werk M\u{fc}nchen/#", kafka, &topic).start();
    let published = ["Ger\u{e4}t-7", "\u{6e29}\u{5ea6}", "\u{1f600}/\u{5b9}", " ", ""]
        .map(|level| Publish::new(format!("Werk M\u{fc}nchen/{level}"), format!("on {level}")));
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
    host.stop().assert_clean();
}

#[test]
fn a_message_that_kafka_finds_too_large_becomes_a_dead_letter_of_64_kib() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("too-large");
    let host = Host::between(&mosquitto, "#", kafka, &topic).start();
    let large = noise(3 * MIB);
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&[
        Publish::new("a", "before"),
        Publish::new("a", large.clone()),
        Publish::new("a", "after"),
    ]);

    let records = kafka.wait_for(&topic, 2, SOON);
    let values: Vec<_> = records.iter().filter_map(|record| record.value_text()).collect();
    assert_eq!(values, ["before", "after"]);
    let letters = kafka.wait_for(&dead_letters(&topic), 1, SOON);
    let letter = &letters[0];
    assert_eq!(letter.key_text(), Some("a"));
    let value = letter.value.as_deref().expect("it has a value");
    assert!((63 * 1024..=64 * 1024).contains(&value.len()), "{} bytes", value.len());
    assert_eq!(value, &large[..value.len()]);
    assert_eq!(letter.header("reject.reason"), Some("too-large"));
    assert_eq!(letter.header("reject.payload-size"), Some("3145728"));
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (2, 1));
}

#[test]
fn a_message_of_one_mib_arrives_where_kafka_takes_it() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("one-mib");
    kafka.create_topic(&topic, 1, &[("max.message.bytes", "4000000")]);
    let host = Host::between(&mosquitto, "#", kafka, &topic)
        .argument("-X")
        .argument("message.max.bytes=4000000")
        .start();
    let published = [Publish::new("a", noise(MIB)), Publish::new("a", "after")];
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    assert_carried_once(&published, &kafka.wait_for(&topic, 2, SOON));
    host.stop().assert_clean();
}

#[test]
fn only_the_oversized_record_of_a_batch_is_rejected() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("oversized");
    kafka.create_topic(&topic, 1, &[("max.message.bytes", "10000")]);
    kafka.create_topic(&dead_letters(&topic), 1, &[]);
    let command = Host::between(&mosquitto, "#", kafka, &topic);
    command.start().stop().assert_clean();

    // They wait in the session, so that many come at once; together they are too large as well.
    let small: Vec<_> = (0..500)
        .map(|number| Publish::new("a", [format!("{number} ").into_bytes(), noise(200)].concat()))
        .collect();
    let mut published = small.clone();
    published.insert(250, Publish::new("a", noise(20_000)));
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    let host = command.start();

    assert_carried_once(&small, &kafka.wait_for(&topic, small.len(), A_WHILE));
    let letters = kafka.wait_for(&dead_letters(&topic), 1, SOON);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (500, 1));
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value.as_ref().map(Vec::len), Some(20_000), "with all of its bytes");
    assert_eq!(letters[0].header("reject.reason"), Some("too-large"));
    assert_eq!(letters[0].header("reject.plugin"), None);
}

#[test]
fn messages_for_a_missing_topic_wait_until_it_is_created() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let (topic, missing) = (kafka.topic("there"), Kafka::unused_topic("missing"));
    let command = Host::between(&mosquitto, "#", kafka, &topic);
    command.start().stop().assert_clean();
    let published = messages("plant", 2, 200, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);

    let host = command.without("kafka-topic").flag("kafka-topic", &missing).launch();
    host.wait_for_line("that the topic is missing", |line| {
        (line.contains("WARN") || line.contains("ERROR")) && line.contains(&missing)
    });
    kafka.create_topic(&missing, 3, &[]);

    assert_carried_once(&published, &kafka.wait_for(&missing, published.len(), A_WHILE));
    host.stop().assert_clean();
}

#[test]
fn a_missing_dead_letter_topic_loses_nothing() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("no-dead-letters");
    kafka.create_topic(&topic, 1, &[]);
    let host = Host::between(&mosquitto, "#", kafka, &topic).plugin("misbehave").start();
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&[Publish::new("a", "bad luck"), Publish::new("a", "after")]);
    host.wait_for_line("that the dead-letter topic is missing", |line| {
        (line.contains("WARN") || line.contains("ERROR")) && line.contains(&dead_letters(&topic))
    });
    kafka.create_topic(&dead_letters(&topic), 1, &[]);

    let letters = kafka.wait_for(&dead_letters(&topic), 1, A_WHILE);
    assert_eq!(letters[0].value_text(), Some("bad luck"));
    let records = kafka.wait_for(&topic, 1, SOON);
    assert_eq!(records[0].value_text(), Some("after"));
    host.stop().assert_clean();
}
