//! A plugin that does harm in every way it can, in a `host` that goes on carrying the innocent messages
//! in between, in order.

use tests::A_WHILE;
use tests::host::Host;
use tests::kafka::{Kafka, Record, dead_letters};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scratch::Folder;
use tests::wire::Publish;

/// What `tests/guests/hostile.wat` does with a payload that begins so, and why it is rejected then.
const HARM: [(&str, &str, &str); 14] = [
    ("trap", "trap", "unreachable"),
    ("loop", "time-out", "ran longer than"),
    ("host calls for ever", "time-out", "ran longer than"),
    ("Host calls for ever with much", "time-out", "ran longer than"),
    ("recursion", "trap", "call stack exhausted"),
    ("eating memory", "memory-limit", "64 MiB"),
    ("Tables", "memory-limit", "64 MiB"),
    ("garbage", "bad-output", "9 is no answer of a key setter"),
    ("out of range", "bad-output", "ends too early"),
    ("utf-8 it is not", "bad-output", "not UTF-8"),
    ("short", "bad-output", "ends too early"),
    ("more", "bad-output", "5 bytes follow"),
    ("pointer", "bad-output", "nonsense"),
    ("zeppelin", "bad-output", "nonsense"),
];

const ROUNDS: usize = 5;
/// Innocent messages before each guilty one.
const BETWEEN: usize = 5;

fn values(records: &[Record]) -> Vec<&str> {
    records.iter().filter_map(Record::value_text).collect()
}

#[test]
fn no_harm_that_a_plugin_does_reaches_the_messages_around_it() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = Kafka::unused_topic("hostile");
    kafka.create_topic(&topic, 1, &[]);
    kafka.create_topic(&dead_letters(&topic), 1, &[]);
    let folder = Folder::new("hostile");
    let text = include_str!("../../guests/hostile.wat");
    let plugin = folder.write("hostile.wasm", wat::parse_str(text).expect("WebAssembly text"));
    let host =
        Host::between(&mosquitto, "#", kafka, &topic).flag("plugin", plugin.display()).start();

    let harms = || (0..ROUNDS).flat_map(|_| HARM);
    let innocent: Vec<String> =
        (0..ROUNDS * HARM.len() * BETWEEN).map(|number| format!("innocent-{number}")).collect();
    let mut messages = Vec::new();
    for (good, (harm, ..)) in innocent.chunks(BETWEEN).zip(harms()) {
        messages.extend(good.iter().map(|payload| Publish::new("plant/a", payload.as_str())));
        messages.push(Publish::new("plant/a", harm));
    }
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);

    let records = kafka.wait_for(&topic, innocent.len(), A_WHILE);
    assert_eq!(values(&records), innocent);
    assert!(records.iter().all(|record| record.key_text() == record.value_text()));
    let dead = kafka.wait_for(&dead_letters(&topic), ROUNDS * HARM.len(), A_WHILE);
    for (letter, (harm, reason, error)) in dead.iter().zip(harms()) {
        assert_eq!(letter.value_text(), Some(harm));
        assert_eq!(letter.header("reject.reason"), Some(reason), "{harm}");
        let said = letter.header("reject.error").expect("an error");
        assert!(said.contains(error), "{harm}: {said}");
    }
    let ledger = host.stop().assert_clean();
    assert_eq!(ledger.delivered, innocent.len() as u64);
    assert_eq!(ledger.dead_lettered, (ROUNDS * HARM.len()) as u64);
}
