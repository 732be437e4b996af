//! Payloads that are not JSON, and plugins that make JSON of them for everybody else.

use tests::SOON;
use tests::host::{Builder, Host};
use tests::kafka::{Kafka, dead_letters};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::wire::Publish;

/// A metric "Supply Voltage" of type Float and 12.3 volts, sent at 1486144502122 as number 2.
const NDATA: &[u8] = b"\x08\xea\xf2\xf5\xa8\xa0\x2b\x12\x1e\
    \x0a\x0eSupply Voltage\x18\xea\xf2\xf5\xa8\xa0\x2b\x20\x09\x65\xcd\xcc\x44\x41\x18\x02";

/// `{"_key": "dev42", "_timestamp": 1700000000001, "t": h'ff'}`
const CBOR: &[u8] =
    b"\xa3\x64_key\x65dev42\x6a_timestamp\x1b\x00\x00\x01\x8b\xcf\xe5\x68\x01\x61t\x41\xff";

/// To a Kafka topic with one partition, so that records come in order.
fn through(mosquitto: &Mosquitto, topic: &str) -> Builder {
    let kafka = Kafka::shared();
    kafka.create_topic(topic, 1, &[]);
    kafka.create_topic(&dead_letters(topic), 1, &[]);
    Host::between(mosquitto, "#", kafka, topic)
}

#[test]
fn sparkplug_payloads_have_their_own_time_and_a_key_from_their_json() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("sparkplug");
    let host = through(&mosquitto, &topic)
        .plugin("sparkplug-b")
        .plugin("json-key")
        .flag("plugin-config", r#"{"json_key": {"pointer": "/metrics/0/name"}}"#)
        .start();
    let state = r#"{"online":true,"timestamp":1486144502122}"#;
    let messages = [
        Publish::new("spBv1.0/Plant/NDATA/Press 3", NDATA),
        Publish::new("spBv1.0/Plant/NDATA/Press 3", &NDATA[..20]),
        Publish::new("spBv1.0/STATE/scada", state),
        Publish::new("spBv1.0/Plant/DDATA/Press 3/Motor", NDATA),
    ];
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);

    let records = kafka.wait_for(&topic, 3, SOON);
    let [node, state_record, device] = &records[..] else { panic!("{records:?}") };
    for record in [node, device] {
        assert_eq!(record.key_text(), Some("Supply Voltage"));
        assert_eq!(record.timestamp, 1_486_144_502_122);
        assert_eq!(record.value.as_deref(), Some(NDATA), "the value is the payload");
    }
    assert_eq!(state_record.key_text(), Some("spBv1.0/STATE/scada"));
    assert_eq!(state_record.value_text(), Some(state));
    assert!(state_record.timestamp > 1_700_000_000_000, "the time of arrival");

    let letters = kafka.wait_for(&dead_letters(&topic), 1, SOON);
    assert_eq!(letters[0].value.as_deref(), Some(&NDATA[..20]));
    assert_eq!(letters[0].header("reject.reason"), Some("bad-message"));
    assert_eq!(letters[0].header("reject.plugin"), Some("sparkplug_b"));
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (3, 1));
}

#[test]
fn cbor_payloads_work_with_the_built_in_setters() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("cbor");
    let host = through(&mosquitto, &topic).plugin("cbor").start();
    let messages = [
        Publish::new("plant/a", CBOR),
        Publish::new("plant/b", br#"{"_key":"json is not CBOR"}"#),
        Publish::new("plant/c", b"\x83\x01\x02\x03"),
    ];
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);

    let records = kafka.wait_for(&topic, 2, SOON);
    assert_eq!(records[0].key_text(), Some("dev42"));
    assert_eq!(records[0].timestamp, 1_700_000_000_001);
    assert_eq!(records[0].value.as_deref(), Some(CBOR), "the value is the payload");
    assert_eq!(records[1].key_text(), Some("plant/c"), "a list has no `_key`");
    let letters = kafka.wait_for(&dead_letters(&topic), 1, SOON);
    assert_eq!(letters[0].key_text(), Some("plant/b"));
    host.stop().assert_clean();
}

/// `{"_key": "a", "t": [NaN, Infinity, -Infinity]}`, in half, single and double precision
const NO_NUMBERS: &[u8] = b"\xa2\x64_key\x61a\x61t\x83\xf9\x7e\x00\xfa\x7f\x80\x00\x00\xfb\xff\xf0\x00\x00\x00\x00\x00\x00";

/// `{"_key": NaN, "_timestamp": Infinity}`
const NO_KEY: &[u8] = b"\xa2\x64_key\xf9\x7e\x00\x6a_timestamp\xf9\x7c\x00";

#[test]
fn cbor_numbers_that_json_does_not_have_are_null_and_spoil_neither_message_nor_neighbours() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("cbor-nan");
    let host = through(&mosquitto, &topic).plugin("cbor").plugin("topic-in-value").start();
    let messages = [CBOR, NO_NUMBERS, NO_KEY, CBOR].map(|payload| Publish::new("p", payload));
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);

    let records = kafka.wait_for(&topic, 4, SOON);
    let keys: Vec<_> = records.iter().map(|record| record.key_text()).collect();
    assert_eq!(keys, [Some("dev42"), Some("a"), None, Some("dev42")]);
    let values: Vec<_> = records.iter().filter_map(|record| record.value_text()).collect();
    let neighbour = r#"{"_key":"dev42","_timestamp":1700000000001,"t":"_w","topic":"p"}"#;
    assert_eq!(
        values,
        [
            neighbour,
            r#"{"_key":"a","t":[null,null,null],"topic":"p"}"#,
            r#"{"_key":null,"_timestamp":null,"topic":"p"}"#,
            neighbour
        ]
    );
    assert!(records[2].timestamp > 1_700_000_000_001, "the time of arrival");
    assert_eq!(host.stop().assert_clean().delivered, 4);
}

#[test]
fn a_value_setter_may_write_the_json_of_a_deserializer() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("cbor-value");
    let host = through(&mosquitto, &topic).plugin("cbor").plugin("topic-in-value").start();
    Publisher::connect(mosquitto.port(), "publisher").publish(&[Publish::new("plant/a", CBOR)]);
    let records = kafka.wait_for(&topic, 1, SOON);
    let value = r#"{"_key":"dev42","_timestamp":1700000000001,"t":"_w","topic":"plant/a"}"#;
    assert_eq!(records[0].value_text(), Some(value));
    assert_eq!(records[0].key_text(), Some("dev42"));
    host.stop().assert_clean();
}

#[test]
fn a_deserializer_that_answers_no_json_panics_or_skips_spoils_only_that_message() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("no-json");
    let host = through(&mosquitto, &topic).plugin("scripted").start();
    let payloads = ["one", "json {\"a\":", "two", "panic as asked", "skip it", "loop", "three"];
    let messages = payloads.map(|payload| Publish::new("plant/a", payload));
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);

    let records = kafka.wait_for(&topic, 3, SOON);
    let keys: Vec<_> = records.iter().map(|record| record.key_text()).collect();
    assert_eq!(keys, [Some("one"), Some("two"), Some("three")]);
    let letters = kafka.wait_for(&dead_letters(&topic), 3, SOON);
    let mut reasons: Vec<_> =
        letters.iter().map(|letter| letter.header("reject.reason").expect("a reason")).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["bad-output", "time-out", "trap"]);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered, ledger.skipped), (3, 3, 1));
}
