//! `host plugin replay --redeliver`: dead letters that are carried again, by the path that messages take.

use std::net::TcpListener;

use tests::host::{Builder, Ended, Host};
use tests::kafka::{Kafka, Record, dead_letters};
use tests::mosquitto::Mosquitto;
use tests::plugin::plugin;
use tests::publisher::Publisher;
use tests::scratch::Folder;
use tests::wire::Publish;
use tests::{A_WHILE, SOON, eventually};

/// `host plugin replay` for the dead letters of a topic, with a plugin's file.
fn replay(kafka: &Kafka, topic: &str, package: &str) -> Builder {
    Host::bare()
        .argument("plugin")
        .argument("replay")
        .flag("broker-address", kafka.address())
        .flag("kafka-topic", topic)
        .plugin(package)
}

fn redeliver(kafka: &Kafka, topic: &str, package: &str) -> Builder {
    replay(kafka, topic, package).argument("--redeliver")
}

/// Carries messages with the plugin `misbehave`, which rejects those that tell it to; so many of them.
fn rejected(kafka: &Kafka, topic: &str, messages: &[Publish], count: u64) {
    let mosquitto = Mosquitto::start();
    let host = Host::between(&mosquitto, "plant/#", kafka, topic)
        .plugin("misbehave")
        .flag("plugin-failures-limit", 1_000_000)
        .start();
    Publisher::connect(mosquitto.port(), "publisher").publish(messages);
    kafka.wait_for(&dead_letters(topic), count as usize, A_WHILE);
    assert_eq!(host.stop().assert_clean().dead_lettered, count);
}

/// A redelivery of so many dead letters, each of a device of its own, of which some have been carried;
/// a few at a time, so that it takes ten seconds or so.
fn under_way(kafka: &Kafka, topic: &str, count: u64) -> Host {
    let payload = format!("bad day {}", "x".repeat(1024));
    let message = |number| Publish::new(format!("plant/dev{number}/a"), payload.as_str());
    let messages: Vec<_> = (0..count).map(message).collect();
    rejected(kafka, topic, &messages, count);
    let running = redeliver(kafka, topic, "topic-level-key")
        .flag("max-in-flight-bytes", "1KiB")
        .kafka_property("linger.ms=600")
        .launch();
    eventually("some are carried", A_WHILE, || (kafka.count(topic) > 0).then_some(()));
    running
}

fn assert_ended(ended: &Ended, code: i32, sum: &str) {
    assert_eq!(ended.code, Some(code), "{}", ended.errors);
    assert_eq!(ended.output.trim_end(), sum, "{}", ended.errors);
}

fn keys(records: &[Record]) -> Vec<&str> {
    let mut keys: Vec<_> = records.iter().filter_map(Record::key_text).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn letters_that_are_good_now_become_records_and_the_others_are_there_for_the_next_time() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("redelivery");
    let messages = [
        Publish::new("plant/dev1/a", "panic at once"),
        Publish::new("plant/dev2/a", "fine"),
        Publish::new("plant/dev3/a", "bad day"),
    ];
    rejected(kafka, &topic, &messages, 2);
    let first = kafka.read_dead_letters(&topic);

    let ended = redeliver(kafka, &topic, "misbehave").run();
    let sum = "2 dead letters: 0 are delivered now, 0 skipped by plugins, 2 rejected again";
    assert_ended(&ended, 1, sum);
    let letters = kafka.read_dead_letters(&topic);
    assert_eq!((letters.len(), kafka.count(&topic)), (4, 1));
    let of = |letter: &Record, name: &str| letter.header(name).map(str::to_owned);
    for letter in &letters {
        let same = first.iter().find(|first| first.key == letter.key).expect("the same message");
        assert_eq!((&letter.value, letter.timestamp), (&same.value, same.timestamp));
        for name in ["mqtt.topic", "mqtt.qos", "reject.reason", "reject.arrived-at"] {
            assert_eq!(of(letter, name), of(same, name), "{name}");
        }
    }

    // The plugin has been corrected. Those that have been done with are not carried once more.
    let ended = redeliver(kafka, &topic, "topic-level-key").run();
    let sum = "2 dead letters: 2 are delivered now, 0 skipped by plugins, 0 rejected again";
    assert_ended(&ended, 0, sum);
    let records = kafka.read(&topic);
    assert_eq!(keys(&records), ["dev1", "dev3", "fine"]);
    let record = records.iter().find(|record| record.key_text() == Some("dev1")).expect("dev1");
    assert_eq!(record.value_text(), Some("panic at once"));
    let letter = first.iter().find(|letter| letter.key_text() == Some("plant/dev1/a"));
    assert_eq!(Some(record.timestamp), letter.map(|letter| letter.timestamp), "of its arrival");

    let none = "0 dead letters: 0 are delivered now, 0 skipped by plugins, 0 rejected again";
    assert_ended(&redeliver(kafka, &topic, "topic-level-key").run(), 0, none);
    let shown = replay(kafka, &topic, "topic-level-key").run();
    assert!(shown.output.starts_with("0 dead letters"), "{}", shown.output);
    let shown = replay(kafka, &topic, "topic-level-key").argument("--from-beginning").run();
    assert!(shown.output.contains("4 dead letters: 4 would be carried"), "{}", shown.output);
    assert_eq!(kafka.count(&topic), 3);
}

#[test]
fn letters_that_are_not_whole_stay_where_they_are_and_the_sum_is_json_where_asked_for() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("redelivery");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
        .plugin("misbehave")
        .flag("max-packet-size", "100KiB")
        .start();
    let messages = [
        Publish::new("plant/a", vec![b'x'; 200_000]),
        Publish::new("plant/a", "skip it"),
        Publish::new("plant/a", "bad day"),
    ];
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
    kafka.wait_for(&dead_letters(&topic), 2, SOON);
    host.stop();
    // A record that is no dead letter.
    let foreign = Host::between(&mosquitto, "foreign/#", kafka, &dead_letters(&topic)).start();
    Publisher::connect(mosquitto.port(), "publisher").publish(&[Publish::new("foreign/a", "x")]);
    kafka.wait_for(&dead_letters(&topic), 3, SOON);
    foreign.stop();

    let ended = redeliver(kafka, &topic, "topic-level-key").argument("--json").run();
    let sum: serde_json::Value = serde_json::from_str(&ended.output).expect("JSON");
    let expected = serde_json::json!({
        "dead_letters": 2, "delivered": 1, "skipped": 0, "rejected": 0, "cut": 1, "foreign": 1,
    });
    assert_eq!((ended.code, sum), (Some(1), expected), "{}", ended.errors);
    assert!(ended.errors.contains("stays where it is: only the start"), "{}", ended.errors);
    assert_eq!((kafka.count(&dead_letters(&topic)), kafka.count(&topic)), (3, 1));
}

#[test]
fn a_letter_takes_the_route_that_it_took_and_no_other() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let (raw, keyed) = (kafka.topic("redelivery-raw"), kafka.topic("redelivery-keyed"));
    let folder = Folder::new("redelivery");
    let write = |package: &str| {
        let routes = format!(
            "[[route]]\ntopic = \"plant/#\"\nkafka_topic = \"{raw}\"\ncontinue = true\n\
             [[route]]\ntopic = \"plant/#\"\nkafka_topic = \"{keyed}\"\nplugin = [\"{}\"]\n",
            plugin(package).display()
        );
        folder.write("host.toml", routes).display().to_string()
    };
    let file = write("misbehave");
    let host = Host::between(&mosquitto, "", kafka, &raw)
        .without("topic")
        .without("kafka-topic")
        .flag("config", &file)
        .start();
    Publisher::connect(mosquitto.port(), "publisher")
        .publish(&[Publish::new("plant/dev1/a", "panic at once")]);
    kafka.wait_for(&dead_letters(&keyed), 1, SOON);
    assert_eq!(host.stop().assert_clean().dead_lettered, 1);
    assert_eq!((kafka.count(&raw), kafka.count(&keyed)), (1, 0));

    write("topic-level-key");
    let ended = Host::bare()
        .argument("plugin")
        .argument("replay")
        .argument("--redeliver")
        .flag("broker-address", kafka.address())
        .flag("config", &file)
        .run();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert_eq!((kafka.count(&raw), keys(&kafka.read(&keyed))), (1, vec!["dev1"]));
}

#[test]
fn no_letter_is_lost_if_it_is_killed_on_the_way() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("redelivery");
    let count = 1_000;
    let running = under_way(kafka, &topic, count);
    running.kill();
    let ended = redeliver(kafka, &topic, "topic-level-key").run();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let records = kafka.read(&topic);
    let mut carried = keys(&records);
    carried.dedup();
    assert_eq!(carried.len() as u64, count, "{} records", records.len());
}

#[test]
fn it_ends_in_good_order_when_asked_to_and_goes_on_from_there() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("redelivery");
    let count = 1_000;
    let running = under_way(kafka, &topic, count);
    running.interrupt();
    let ended = running.wait(SOON);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let ended = redeliver(kafka, &topic, "topic-level-key").run();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let records = kafka.read(&topic);
    assert_eq!((keys(&records).len(), records.len() as u64), (records.len(), count), "each once");
}

#[test]
fn it_waits_for_a_kafka_that_goes_away_and_loses_nothing() {
    let kafka = Kafka::to_disturb();
    let topic = kafka.topic("redelivery");
    let count = 1_000;
    let running = under_way(&kafka, &topic, count);
    kafka.kill();
    running.wait_for_line("it has waited", |line| line.contains("confirmed nothing for 10 s"));
    kafka.start_again();
    let ended = running.wait(A_WHILE);
    let sum = "1000 dead letters: 1000 are delivered now, 0 skipped by plugins, 0 rejected again";
    assert_ended(&ended, 0, sum);
    let carried = keys(&kafka.read(&topic)).len();
    assert_eq!(carried as u64, count);
    let again = redeliver(&kafka, &topic, "topic-level-key").run();
    assert!(again.output.starts_with("0 dead letters"), "{}", again.output);
}

#[test]
fn it_ends_at_once_when_asked_to_while_kafka_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let running = Host::bare()
        .argument("plugin")
        .argument("replay")
        .argument("--redeliver")
        .flag("broker-address", silent.local_addr().expect("an address"))
        .flag("kafka-topic", "plant")
        .launch();
    let _connection = silent.accept().expect("it connects");
    running.interrupt();
    let sum = "0 dead letters: 0 are delivered now, 0 skipped by plugins, 0 rejected again";
    assert_ended(&running.wait(SOON), 0, sum);
}

#[test]
fn recorded_messages_show_what_another_version_of_a_plugin_would_change() {
    let folder = Folder::new("redelivery");
    let copy = |folder: &Folder, package: &str| {
        let bytes = std::fs::read(plugin(package)).expect("a built plugin");
        folder.write("key.wasm", bytes).display().to_string()
    };
    let other = Folder::new("redelivery");
    let (configured, candidate) = (copy(&folder, "misbehave"), copy(&other, "topic-level-key"));
    let lines = "{\"topic\": \"plant/dev1/a\", \"payload\": \"dev1\"}\n\
                 {\"topic\": \"plant/dev2/a\", \"payload\": \"bad day\"}\n\
                 {\"topic\": \"plant/dev3/a\", \"payload\": \"x\"}\n";
    let input = folder.write("messages.jsonl", lines).display().to_string();
    // Neither end is needed.
    let replay = || {
        Host::bare()
            .argument("plugin")
            .argument("replay")
            .flag("input", &input)
            .flag("plugin", &configured)
    };
    let ended = replay().run();
    assert_eq!(ended.code, Some(1), "one is rejected: {}", ended.errors);
    assert!(ended.output.ends_with("3 messages: 2 carried, 1 rejected\n"), "{}", ended.output);

    let ended = replay().flag("with", &candidate).run();
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    let lines: Vec<_> = ended.output.lines().collect();
    assert!(lines[0].ends_with("messages.jsonl:2: plant/dev2/a  bad day"), "{}", ended.output);
    assert!(lines[1].starts_with("  then, in "), "{}", ended.output);
    assert!(lines[2].starts_with("  rejected by key (bad-message)"), "{}", ended.output);
    assert!(ended.output.contains("messages.jsonl:3"), "{}", ended.output);
    assert!(!ended.output.contains("messages.jsonl:1:"), "it stays the same: {}", ended.output);
    assert!(
        ended.output.ends_with("3 messages: of 2 something else would become\n"),
        "{}",
        ended.output
    );
    assert_eq!(replay().flag("with", &configured).run().code, Some(0), "nothing changes");

    let ended = replay().flag("with", "/nowhere/other.wasm").run();
    ended.assert_failed(2, &["--with /nowhere/other.wasm", "no configured plugin", "key.wasm"]);
}
