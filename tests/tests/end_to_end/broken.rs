//! A plugin that keeps failing: if the messages are to blame they become dead letters and nothing waits;
//! if it is, its messages wait, do without it or end the program, and none is lost.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tests::host::{Builder, Host};
use tests::kafka::{Kafka, Record, dead_letters};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scratch::Folder;
use tests::scripted::ScriptedServer;
use tests::wire::{Publish, Version};
use tests::{SOON, eventually};

/// A topic with one partition, and so have its dead letters.
fn topic(kafka: &Kafka, name: &str) -> String {
    let topic = Kafka::unused_topic(name);
    kafka.create_topic(&topic, 1, &[]);
    kafka.create_topic(&dead_letters(&topic), 1, &[]);
    topic
}

/// A `host` whose key setter panics where the payload says so, which makes it broken after so many.
fn fragile(port: u16, kafka: &Kafka, topic: &str, failures: u32) -> Builder {
    Host::between_ports(port, "#", kafka.address(), topic)
        .plugin("misbehave")
        .flag("plugin-failures-limit", failures)
}

fn panics(count: usize) -> Vec<Publish> {
    (0..count).map(|number| Publish::new("a", format!("panic {number}"))).collect()
}

fn good(count: usize) -> Vec<Publish> {
    (0..count).map(|number| Publish::new("a", format!("good-{number}"))).collect()
}

fn values(records: &[Record]) -> Vec<&str> {
    records.iter().filter_map(Record::value_text).collect()
}

fn payloads(messages: &[Publish]) -> Vec<&str> {
    messages.iter().map(|message| std::str::from_utf8(&message.payload).unwrap()).collect()
}

fn wait_until_it_failed(host: &Host, messages: usize) -> String {
    let words = format!("is broken: its key setter failed for {messages} messages in a row");
    host.wait_for_line("that the plugin is broken", |line| line.contains(&words))
}

#[test]
fn messages_wait_for_a_plugin_that_keeps_failing_and_go_on_in_order_when_it_recovers() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = topic(kafka, "broken-pause");
    let host = fragile(mosquitto.port(), kafka, &topic, 3).start();
    let (bad, well) = (panics(5), good(12));
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&[bad.as_slice(), &well].concat());

    // It has handled nothing yet, so who knows.
    let warning = wait_until_it_failed(&host, 3);
    assert!(warning.contains("misbehave") && warning.contains("wait"), "{warning}");
    // What is good among those that wait shows that it works, and the others are to blame.
    host.wait_for_line("that it works again", |line| line.contains("works again, after"));
    publisher.publish(&[Publish::new("a", "last")]);

    let records = kafka.wait_for(&topic, 13, SOON);
    assert_eq!(values(&records), [payloads(&well), vec!["last"]].concat());
    assert!(records.iter().all(|record| record.key == record.value), "the plugin's keys");
    let letters = kafka.wait_for(&dead_letters(&topic), 5, SOON);
    assert_eq!(values(&letters), payloads(&bad));
    assert!(letters.iter().all(|letter| letter.header("reject.plugin") == Some("misbehave")));
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.delivered, ledger.dead_lettered), (18, 13, 5));
}

#[test]
fn other_routes_go_on_while_one_waits_and_acknowledgements_stay_in_order() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let (broken, sound) = (topic(kafka, "broken-route"), topic(kafka, "sound-route"));
    let folder = Folder::new("broken");
    let plugin = tests::plugin::plugin("misbehave");
    let routes = format!(
        "[[route]]\ntopic = \"a\"\nkafka_topic = \"{broken}\"\nplugin = [{{ file = \"{}\", \
         limits = {{ failures = 2 }} }}]\n[[route]]\ntopic = \"b\"\nkafka_topic = \"{sound}\"\n",
        plugin.display()
    );
    let file = folder.write("host.toml", routes);
    let host = Host::between_ports(server.port(), "#", kafka.address(), &broken)
        .without("topic")
        .without("kafka-topic")
        .flag("config", file.display())
        .argument("--print")
        .launch();
    let mut connection = server.accept_and_subscribe(false);
    let messages = [
        Publish::new("a", "panic"),
        Publish::new("a", "panic"),
        Publish::new("a", "waits"),
        Publish::new("b", "one"),
        Publish::new("a", "waits, too"),
        Publish::new("b", "two"),
    ];
    for (id, message) in (1..).zip(&messages) {
        connection.publish(id, message);
    }
    assert_eq!(connection.acknowledged(6), [1, 2, 3, 4, 5, 6]);
    host.terminate();
    connection.wait_for_end();
    let ended = host.wait(SOON);
    assert_eq!(ended.assert_clean().delivered, 4);
    let printed = |value: &str| {
        let value = format!("\"value\":\"{value}\"");
        ended.output.lines().position(|line| line.contains(&value)).expect("a line for the record")
    };
    let order = ["one", "two", "waits", "waits, too"].map(printed);
    assert!(order.is_sorted(), "another route is not held up: {}", ended.output);
}

#[test]
fn messages_can_do_without_a_broken_plugin_until_it_works_again() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = topic(kafka, "broken-default");
    let host =
        fragile(mosquitto.port(), kafka, &topic, 2).flag("on-plugin-broken", "default").start();
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&[panics(4), vec![Publish::new("a", r#"{"_key":"built-in"}"#)]].concat());
    let records = kafka.wait_for(&topic, 3, SOON);
    assert_eq!(values(&records), ["panic 2", "panic 3", r#"{"_key":"built-in"}"#]);
    let keys: Vec<_> = records.iter().map(Record::key_text).collect();
    assert_eq!(keys, [Some("a"), Some("a"), Some("built-in")]);

    eventually("the plugin is tried again", SOON, || {
        publisher.publish(&[Publish::new("a", "own")]);
        host.errors().contains("works again, after").then_some(())
    });
    publisher.publish(&[Publish::new("a", "last")]);
    let ended = host.stop();
    let ledger = ended.assert_clean();
    assert_eq!(ledger.dead_lettered, 2);
    let records = kafka.wait_for(&topic, ledger.delivered as usize, SOON);
    let last = records.last().expect("a record");
    assert_eq!((last.key_text(), last.value_text()), (Some("last"), Some("last")));
}

#[test]
fn a_broken_plugin_can_end_the_program_and_nothing_is_acknowledged_that_is_not_in_kafka() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = topic(kafka, "broken-stop");
    let command = fragile(server.port(), kafka, &topic, 2);
    let host = command.clone().flag("on-plugin-broken", "stop").launch();
    let mut connection = server.accept_and_subscribe(false);
    let messages = ["panic one", "panic two", "behind"].map(|payload| Publish::new("a", payload));
    // The first is a dead letter, and the second in a row is one too many.
    connection.publish(1, &messages[0]);
    assert_eq!(connection.acknowledged(1), [1]);
    for (id, message) in (1..).zip(&messages).skip(1) {
        connection.publish(id, message);
    }
    host.wait(SOON).assert_failed(
        1,
        &["misbehave", "2 messages in a row", "panic", "two", "--on-plugin-broken pause"],
    );
    assert_eq!(connection.wait_for_end(), []);
    assert_eq!((kafka.read_dead_letters(&topic).len(), kafka.read(&topic).len()), (1, 0));

    // The others come again, and the plugin is trusted for longer.
    let host = command.without("plugin-failures-limit").launch();
    let mut connection = server.accept_and_subscribe(true);
    for (id, message) in (1..).zip(&messages).skip(1) {
        connection.publish(id, &message.clone().again());
    }
    assert_eq!(connection.acknowledged(2), [2, 3]);
    assert_eq!(values(&kafka.read(&topic)), ["behind"]);
    host.terminate();
    connection.wait_for_end();
    host.wait(SOON).assert_clean();
}

#[test]
fn a_message_that_waits_is_new_to_a_plugin_that_has_seen_it_before() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = topic(kafka, "broken-chain");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic)
        .plugin("dead-band")
        .flag("plugin-config", r#"{"dead_band": {"threshold": 0.5}}"#)
        .plugin("rewrite")
        .flag("plugin-failures-limit", 1)
        .launch();
    let mut connection = server.accept_and_subscribe(false);
    // Together, so that the dead band has seen both of them when the plugin behind it breaks.
    let messages = [Publish::new("a", "panic now"), Publish::new("a", "21.5")];
    let encoded = (1..).zip(&messages).map(|(id, message)| message.encode(Version::V311, id));
    connection.send(&encoded.collect::<Vec<_>>().concat());
    assert_eq!(connection.acknowledged(2), [1, 2]);
    assert_eq!(values(&kafka.read(&topic)), ["21.5"], "it is not taken for a repetition");
    host.terminate();
    connection.wait_for_end();
    let ledger = host.wait(SOON).assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (1, 1));
}

#[test]
fn a_topic_or_partition_that_a_plugin_cannot_know_of_does_not_make_it_broken() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = topic(kafka, "broken-choice");
    let host = Host::between(&mosquitto, "#", kafka, &topic)
        .plugin("rewrite")
        .flag("plugin-failures-limit", 1)
        .start();
    let payloads = ["topic elsewhere x", "partition 7 x", "topic elsewhere y", "good"];
    let messages = payloads.map(|payload| Publish::new("a", payload));
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
    assert_eq!(values(&kafka.wait_for(&topic, 1, SOON)), ["good"]);
    let letters = kafka.wait_for(&dead_letters(&topic), 3, SOON);
    let mut reasons: Vec<_> =
        letters.iter().filter_map(|letter| letter.header("reject.reason")).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["bad-output", "bad-topic", "bad-topic"]);
    assert!(letters.iter().all(|letter| letter.header("reject.plugin") == Some("rewrite")));
    let ended = host.stop();
    assert_eq!(ended.assert_clean().delivered, 1);
    assert!(!ended.errors.contains("is broken"), "{}", ended.errors);
}

#[test]
fn a_stop_waits_for_a_broken_plugin_as_it_does_for_kafka() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = topic(kafka, "broken-drain");
    let host = fragile(mosquitto.port(), kafka, &topic, 2).start();
    let messages = [panics(2), good(3)].concat();
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
    wait_until_it_failed(&host, 2);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (3, 2));
    assert_eq!(values(&kafka.wait_for(&topic, 3, SOON)), payloads(&good(3)));
}

#[test]
fn a_plugin_that_stays_broken_is_named_as_what_keeps_messages_out_of_kafka() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = topic(kafka, "broken-stuck");
    let command = fragile(mosquitto.port(), kafka, &topic, 1).flag("shutdown-timeout", 1);
    let host = command.start();
    let messages = panics(7);
    Publisher::connect(mosquitto.port(), "publisher").publish(&messages);
    for failed in 1..=5 {
        wait_until_it_failed(&host, failed);
    }
    host.wait_for_line("why nothing gets into Kafka", |line| {
        line.contains("2 messages wait") && line.contains("plugin misbehave is broken")
    });
    host.terminate();
    let ended = host.wait(SOON);
    ended.assert_failed(1, &["2 messages were not in Kafka, since plugin misbehave is broken"]);
    let ledger = ended.ledger();
    ledger.assert_balanced();
    assert_eq!((ledger.dead_lettered, ledger.in_flight), (5, 2));

    // They were not acknowledged.
    let host = command.without("plugin-failures-limit").start();
    let letters = kafka.wait_for(&dead_letters(&topic), 7, SOON);
    assert_eq!(values(&letters), payloads(&messages));
    host.stop().assert_clean();
}

#[test]
fn a_second_signal_ends_at_once_while_a_plugin_is_broken() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = topic(kafka, "broken-second");
    let host = fragile(mosquitto.port(), kafka, &topic, 1).start();
    Publisher::connect(mosquitto.port(), "publisher").publish(&panics(5));
    wait_until_it_failed(&host, 4);
    host.terminate();
    host.wait_for_line("that it stops", |line| line.contains("stopping:"));
    host.terminate();
    let ended = host.wait(SOON);
    ended.assert_failed(1, &["asked to stop a second time", "1 messages were not in Kafka"]);
    assert!(!ended.errors.contains("works again"), "it did not wait for the end of the pause");
}

#[test]
fn one_device_that_publishes_poison_holds_up_nobody() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = topic(kafka, "poison");
    let host = Host::between(&mosquitto, "#", kafka, &topic).plugin("rewrite").start();
    let bad = |kind: &str, round: usize, count: usize| -> Vec<Publish> {
        let payload = |number: usize| format!("{kind} {round}-{number}");
        (0..count).map(|number| Publish::new("poison", payload(number))).collect()
    };
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    // A timestamp out of range is never more than its message's fault.
    publisher.publish(&(0..30).map(|_| Publish::new("poison", "time -1")).collect::<Vec<_>>());
    let (mut poison, mut fine) = (vec!["time -1".to_owned(); 30], Vec::new());
    for round in 0..20 {
        let mut messages = vec![Publish::new("fine", format!("good-{round}"))];
        messages.extend(bad("panic", round, 15));
        messages.extend((0..15).map(|_| Publish::new("poison", "time -1")));
        messages.extend(bad("fatal", round, 2));
        publisher.publish(&messages);
        let mut texts = payloads(&messages).into_iter().map(str::to_owned);
        fine.extend(texts.next());
        poison.extend(texts);
    }
    let records = kafka.wait_for(&topic, fine.len(), SOON);
    let letters = kafka.wait_for(&dead_letters(&topic), poison.len(), SOON);
    assert_eq!(
        (values(&records), values(&letters)),
        (fine.iter().map(String::as_str).collect(), poison.iter().map(String::as_str).collect())
    );
    for letter in &letters {
        let reason = match letter.value_text().and_then(|text| text.split(' ').next()) {
            Some("time") => "bad-output",
            Some("fatal") => "fatal",
            _ => "trap",
        };
        assert_eq!(letter.header("reject.reason"), Some(reason));
        assert_eq!(letter.header("reject.plugin"), Some("rewrite"));
    }
    let ended = host.stop();
    let ledger = ended.assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (fine.len() as u64, poison.len() as u64));
    assert!(!ended.errors.contains("is broken"), "{}", ended.errors);
    let by = r#"a message on "poison" is rejected by plugin rewrite (bad-output): "#;
    assert!(ended.errors.contains(by), "{}", ended.errors);
}

#[test]
fn a_plugin_that_fails_for_what_it_has_handled_before_is_broken_until_it_works_again() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = topic(kafka, "breaks");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (from, to) = (now + Duration::from_secs(5), now + Duration::from_secs(10));
    let config = format!(
        r#"{{"scripted": {{"broken_from": {}, "broken_to": {}}}}}"#,
        from.as_millis(),
        to.as_millis()
    );
    let host = Host::between(&mosquitto, "#", kafka, &topic)
        .plugin("scripted")
        .flag("plugin-config", config)
        .argument("--plugin-clock")
        .start();
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    let mut published = 0;
    let mut publish = |count: usize| {
        let messages: Vec<_> = (published..published + count)
            .map(|number| Publish::new("a", number.to_string()))
            .collect();
        published += count;
        publisher.publish(&messages);
    };
    publish(5);
    kafka.wait_for(&topic, 5, SOON);
    eventually("it is broken", SOON, || {
        publish(3);
        host.errors().contains("is broken: its payload deserializer failed for 10").then_some(())
    });
    publish(100);
    host.wait_for_line("that it works again", |line| line.contains("works again, after"));
    let ended = host.stop();
    let ledger = ended.assert_clean();
    assert_eq!(ledger.delivered + ledger.dead_lettered, published as u64);
    // Ten in a row, and one at the end of each pause of a second or more.
    assert!((10..=15).contains(&ledger.dead_lettered), "{}", ledger.dead_lettered);
    let records = kafka.wait_for(&topic, ledger.delivered as usize, SOON);
    let letters = kafka.wait_for(&dead_letters(&topic), ledger.dead_lettered as usize, SOON);
    let numbers = |records: &[Record]| -> Vec<usize> {
        values(records).into_iter().map(|value| value.parse().unwrap()).collect()
    };
    let (carried, rejected) = (numbers(&records), numbers(&letters));
    assert!(carried.is_sorted() && rejected.is_sorted(), "{carried:?} {rejected:?}");
    let mut all = [carried, rejected].concat();
    all.sort_unstable();
    assert_eq!(all, (0..published).collect::<Vec<_>>(), "each once");
}
