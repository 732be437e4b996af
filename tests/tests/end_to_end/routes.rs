//! `[[route]]`s: which messages go where, and what is acknowledged when.

use std::time::Duration;

use tests::SOON;
use tests::host::{Builder, Host};
use tests::kafka::{Kafka, Record, dead_letters};
use tests::load::{assert_carried_once, messages};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scratch::Folder;
use tests::scripted::ScriptedServer;
use tests::wire::Publish;

/// Long enough for an acknowledgement that should not come.
const SILENCE: Duration = Duration::from_secs(2);

/// A `host` with these routes; the folder has to stay.
fn host(port: u16, kafka: &Kafka, client: &str, routes: &str) -> (Builder, Folder) {
    let folder = Folder::new("routes");
    let file = folder.write("host.toml", routes);
    let builder = Host::between_ports(port, "", kafka.address(), client)
        .without("topic")
        .without("kafka-topic")
        .flag("config", file.display());
    (builder, folder)
}

fn publish(mosquitto: &Mosquitto, messages: &[Publish]) {
    Publisher::connect(mosquitto.port(), "publisher").publish(messages);
}

fn values(records: &[Record]) -> Vec<&str> {
    let mut values: Vec<_> = records.iter().map(|record| record.value_text().unwrap()).collect();
    values.sort_unstable();
    values
}

fn path(package: &str) -> String {
    tests::plugin::plugin(package).display().to_string()
}

#[test]
fn each_message_takes_the_first_route_that_matches_with_its_own_plugins_and_headers() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let (alarms, rest) = (kafka.topic("route-alarms"), kafka.topic("route-rest"));
    let routes = format!(
        "[[route]]\ntopic = \"plant/+/alarm\"\nkafka_topic = \"{alarms}\"\nheaders = \"all\"\n\
         plugin = [\"{}\"]\n[[route]]\ntopic = [\"plant/#\", \"other\"]\nkafka_topic = \"{rest}\"\n",
        path("topic-level-key")
    );
    let (command, _folder) = host(mosquitto.port(), kafka, &alarms, &routes);
    let host = command.start();
    publish(
        &mosquitto,
        &[
            Publish::new("plant/dev1/alarm", "1"),
            Publish::new("plant/dev1/temp", "2"),
            Publish::new("plant/dev1/alarm/x", "3"),
            Publish::new("plant", "4"),
            Publish::new("other", "5"),
            Publish::new("unheard/of", "6"),
        ],
    );
    let records = kafka.wait_for(&rest, 4, SOON);
    assert_eq!(values(&records), ["2", "3", "4", "5"]);
    let keys: Vec<_> = records.iter().filter_map(Record::key_text).collect();
    assert!(keys.contains(&"plant/dev1/temp"), "the built-in key: {keys:?}");
    assert!(records.iter().all(|record| record.headers.is_empty()));

    let records = kafka.wait_for(&alarms, 1, SOON);
    assert_eq!(values(&records), ["1"]);
    assert_eq!(records[0].key_text(), Some("dev1"));
    assert_eq!(records[0].header("mqtt.topic"), Some("plant/dev1/alarm"));
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.delivered), (5, 5));
}

#[test]
fn a_slow_plugin_does_not_hold_up_the_plugin_of_another_route() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let (slow, fast) = (kafka.topic("route-slow"), kafka.topic("route-fast"));
    let routes = format!(
        "plugin_time_limit = 10000\nplugin_clock = true\n\
         [[route]]\ntopic = \"slow/#\"\nkafka_topic = \"{slow}\"\nplugin = [\"{}\"]\n\
         [[route]]\ntopic = \"fast/#\"\nkafka_topic = \"{fast}\"\nplugin = [\"{}\"]\n",
        path("misbehave"),
        path("topic-level-key")
    );
    let (command, _folder) = host(mosquitto.port(), kafka, &slow, &routes);
    let host = command.argument("--print").start();
    let mut messages: Vec<_> =
        (0..50).map(|number| Publish::new("slow/a", format!("busy 40 {number}"))).collect();
    messages.push(Publish::new("fast/dev1/x", "fast"));
    publish(&mosquitto, &messages);
    kafka.wait_for(&slow, 50, SOON);
    let records = kafka.wait_for(&fast, 1, SOON);
    assert_eq!((records[0].key_text(), records[0].value_text()), (Some("dev1"), Some("fast")));
    let ended = host.stop();
    assert_eq!(ended.assert_clean().delivered, 51);
    let printed = |value: &str| {
        let value = format!("\"value\":\"{value}\"");
        ended.output.lines().position(|line| line.contains(&value)).expect("a line for the record")
    };
    assert!(printed("fast") < printed("busy 40 49"), "{}", ended.output);
}

#[test]
fn many_messages_of_many_topics_keep_their_order_on_each_route() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let (even, odd) = (kafka.topic("route-even"), kafka.topic("route-odd"));
    let routes = format!(
        "[[route]]\ntopic = \"even/#\"\nkafka_topic = \"{even}\"\n\
         [[route]]\ntopic = \"odd/#\"\nkafka_topic = \"{odd}\"\n"
    );
    let (command, _folder) = host(mosquitto.port(), kafka, &even, &routes);
    let host = command.start();
    let (to_even, to_odd) = (messages("even", 7, 5_000, 1), messages("odd", 5, 5_000, 1));
    let mixed: Vec<_> =
        to_even.iter().zip(&to_odd).flat_map(|(one, other)| [one.clone(), other.clone()]).collect();
    publish(&mosquitto, &mixed);
    assert_carried_once(&to_even, &kafka.wait_for(&even, to_even.len(), SOON));
    assert_carried_once(&to_odd, &kafka.wait_for(&odd, to_odd.len(), SOON));
    assert_eq!(host.stop().assert_clean().delivered, 10_000);
}

/// Everything goes to both topics.
fn both(first: &str, second: &str) -> String {
    format!(
        "[[route]]\ntopic = \"plant/#\"\nkafka_topic = \"{first}\"\ncontinue = true\n\
         [[route]]\ntopic = \"plant/+\"\nkafka_topic = \"{second}\"\n"
    )
}

#[test]
fn a_route_that_continues_makes_a_record_on_the_next_one_too_and_the_message_counts_once() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let (first, second) = (kafka.topic("continue-1"), kafka.topic("continue-2"));
    let (command, _folder) = host(mosquitto.port(), kafka, &first, &both(&first, &second));
    let host = command.start();
    let published = messages("plant", 4, 1_000, 1);
    publish(&mosquitto, &published);
    assert_carried_once(&published, &kafka.wait_for(&first, published.len(), SOON));
    assert_carried_once(&published, &kafka.wait_for(&second, published.len(), SOON));
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.delivered), (1_000, 1_000));
}

#[test]
fn a_message_is_acknowledged_only_when_its_records_on_all_routes_are_in_kafka() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let (first, second) = (kafka.topic("copies-1"), kafka.topic("copies-2"));
    let (command, _folder) = host(server.port(), kafka, &first, &both(&first, &second));
    let killed = command.launch();
    let mut connection = server.accept_and_subscribe(false);
    connection.publish(1, &Publish::new("plant/a", "before"));
    assert_eq!(connection.acknowledged(1), [1]);

    kafka.delete_topic(&second);
    connection.publish(2, &Publish::new("plant/a", "one"));
    connection.publish(3, &Publish::new("plant/b", "two"));
    kafka.wait_for(&first, 3, SOON);
    killed.wait_for_line("that the topic is missing", |line| line.contains(&second));
    connection.assert_silent(SILENCE);
    killed.kill();
    assert_eq!(connection.wait_for_end(), []);

    // They come again.
    kafka.create_topic(&second, 3, &[]);
    let host = command.launch();
    let mut connection = server.accept_and_subscribe(true);
    connection.publish(7, &Publish::new("plant/a", "one").again());
    connection.publish(8, &Publish::new("plant/b", "two").again());
    assert_eq!(connection.acknowledged(2), [7, 8]);
    assert_eq!(values(&kafka.read(&second)), ["one", "two"]);
    host.terminate();
    connection.wait_for_end();
    let ledger = host.wait(SOON).assert_clean();
    assert_eq!((ledger.received, ledger.delivered), (2, 2));
}

#[test]
fn copies_that_are_refused_together_are_all_sent_again_in_order() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let (first, second) = (kafka.topic("refused-1"), kafka.topic("refused-2"));
    let (command, _folder) = host(server.port(), kafka, &first, &both(&first, &second));
    let host = command.launch();
    let mut connection = server.accept_and_subscribe(false);
    for topic in [&first, &second] {
        kafka.delete_topic(topic);
    }
    let all = messages("plant", 4, 20, 1);
    for (id, message) in (1..).zip(&all) {
        connection.publish(id, message);
    }
    host.wait_for_line("that a topic is missing", |line| line.contains("nothing is lost"));
    for topic in [&first, &second] {
        kafka.create_topic(topic, 3, &[]);
    }
    assert_eq!(connection.acknowledged(20), (1..=20).collect::<Vec<u16>>());
    for topic in [&first, &second] {
        assert_carried_once(&all, &kafka.wait_for(topic, 20, SOON));
    }
    host.terminate();
    connection.wait_for_end();
    assert_eq!(host.wait(SOON).assert_clean().delivered, 20);
}

#[test]
fn a_message_with_a_copy_on_its_way_at_the_end_counts_once_as_in_flight() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let (first, second) = (kafka.topic("half-1"), kafka.topic("half-2"));
    let (command, _folder) = host(server.port(), kafka, &first, &both(&first, &second));
    let host = command.flag("shutdown-timeout", 1).launch();
    let mut connection = server.accept_and_subscribe(false);
    connection.publish(1, &Publish::new("plant/a", "whole"));
    assert_eq!(connection.acknowledged(1), [1]);
    kafka.delete_topic(&second);
    connection.publish(2, &Publish::new("plant/a", "half"));
    // The other route does not take this one.
    connection.publish(3, &Publish::new("plant/a/b", "whole"));
    kafka.wait_for(&first, 3, SOON);
    host.terminate();
    let ended = host.wait(SOON);
    ended.assert_failed(1, &["1 messages were not in Kafka"]);
    let ledger = ended.ledger();
    ledger.assert_balanced();
    assert_eq!((ledger.received, ledger.delivered, ledger.in_flight), (3, 2, 1));
    assert_eq!(connection.wait_for_end(), []);
}

#[test]
fn a_message_that_one_of_its_routes_rejects_counts_as_dead_lettered() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let (first, second) = (kafka.topic("worst-1"), kafka.topic("worst-2"));
    let routes = format!(
        "[[route]]\ntopic = \"plant/#\"\nkafka_topic = \"{first}\"\ncontinue = true\n\
         [[route]]\ntopic = \"plant/#\"\nkafka_topic = \"{second}-{{2}}\"\n\
         kafka_topics_allowed = [\"{second}-*\"]\ndead_letter_topic = \"{}\"\n",
        dead_letters(&second)
    );
    let (command, _folder) = host(mosquitto.port(), kafka, &first, &routes);
    let host = command.start();
    publish(&mosquitto, &[Publish::new("plant/a", "1"), Publish::new("plant/b", "2")]);
    assert_eq!(values(&kafka.wait_for(&first, 2, SOON)), ["1", "2"]);
    let dead = kafka.wait_for(&dead_letters(&second), 2, SOON);
    assert_eq!(values(&dead), ["1", "2"]);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.delivered, ledger.dead_lettered), (2, 0, 2));
}

#[test]
fn a_template_leads_to_the_topics_that_are_allowed_and_anything_else_to_the_dead_letters() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let base = kafka.topic("template");
    for name in ["dev1", "dev2"] {
        kafka.create_topic(&format!("{base}.{name}"), 1, &[]);
    }
    let routes = format!(
        "[[route]]\ntopic = \"plant/#\"\nkafka_topic = \"{base}.{{1}}\"\n\
         kafka_topics_allowed = [\"{base}.dev*\"]\ndead_letter_topic = \"{}\"\n",
        dead_letters(&base)
    );
    let (command, _folder) = host(mosquitto.port(), kafka, &base, &routes);
    let host = command.start();
    let wrong = ["plant", "plant//temp", "plant/dev 1/temp", "plant/other/temp"];
    let wrong = wrong.map(|topic| Publish::new(topic, topic));
    publish(&mosquitto, &[Publish::new("plant/dev1/temp", "1")]);
    publish(&mosquitto, &wrong);
    publish(&mosquitto, &[Publish::new("plant/dev2", "2"), Publish::new("plant/dev1/x/y", "3")]);

    assert_eq!(values(&kafka.wait_for(&format!("{base}.dev1"), 2, SOON)), ["1", "3"]);
    assert_eq!(values(&kafka.wait_for(&format!("{base}.dev2"), 1, SOON)), ["2"]);
    let dead = kafka.wait_for(&dead_letters(&base), wrong.len(), SOON);
    for (record, (topic, why)) in dead.iter().zip([
        ("plant", "no level 1"),
        ("plant//temp", "level 1 is empty"),
        ("plant/dev 1/temp", "characters"),
        ("plant/other/temp", "not among the allowed"),
    ]) {
        assert_eq!((record.key_text(), record.value_text()), (Some(topic), Some(topic)));
        assert_eq!(record.header("reject.reason"), Some("bad-topic"));
        let error = record.header("reject.error").unwrap();
        assert!(error.contains(why), "{error}");
        let template = format!("{base}.{{1}}");
        assert_eq!(record.header("reject.kafka-topic"), Some(template.as_str()));
    }
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (3, 4));
}

#[test]
fn a_message_that_no_route_takes_goes_to_the_dead_letters() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("no-route");
    // The session keeps this subscription.
    Host::between(&mosquitto, "plant/#", kafka, &topic).start().stop().assert_clean();

    let routes = format!("[[route]]\ntopic = \"plant/a\"\nkafka_topic = \"{topic}\"\n");
    let (command, _folder) = host(mosquitto.port(), kafka, &topic, &routes);
    let host = command.start();
    publish(&mosquitto, &[Publish::new("plant/b", "2"), Publish::new("plant/a", "1")]);
    kafka.wait_for(&topic, 1, SOON);
    let dead = kafka.wait_for(&dead_letters(&topic), 1, SOON);
    assert_eq!((dead[0].key_text(), dead[0].value_text()), (Some("plant/b"), Some("2")));
    assert_eq!(dead[0].header("reject.reason"), Some("no-route"));
    assert_eq!(dead[0].header("reject.kafka-topic"), None);
    let ledger = host.stop().assert_clean();
    assert_eq!(ledger.dead_lettered, 1);
    assert!(kafka.read(&topic).iter().all(|record| record.value_text() == Some("1")));
}

#[test]
fn what_overlapping_subscriptions_bring_twice_is_carried_twice() {
    let kafka = Kafka::shared();
    // A message comes once for each subscription that matches.
    let mosquitto = Mosquitto::builder().setting("allow_duplicate_messages", true).start();
    let (first, second) = (kafka.topic("overlap-1"), kafka.topic("overlap-2"));
    let routes = format!(
        "[[route]]\ntopic = \"plant/+/temp\"\nkafka_topic = \"{first}\"\n\
         [[route]]\ntopic = \"plant/a/+\"\nkafka_topic = \"{second}\"\n"
    );
    let (command, _folder) = host(mosquitto.port(), kafka, &first, &routes);
    let host = command.start();
    let topics = ["plant/a/temp", "plant/b/temp", "plant/a/x"];
    publish(&mosquitto, &topics.map(|topic| Publish::new(topic, topic)));
    let records = kafka.wait_for(&first, 3, SOON);
    assert_eq!(values(&records), ["plant/a/temp", "plant/a/temp", "plant/b/temp"]);
    assert_eq!(values(&kafka.wait_for(&second, 1, SOON)), ["plant/a/x"]);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.delivered), (4, 4));
}

#[test]
fn a_topic_that_only_a_message_has_named_is_that_messages_fault_if_it_is_missing() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let base = kafka.topic("missing");
    kafka.create_topic(&format!("{base}.dev1"), 1, &[]);
    let routes = format!(
        "[[route]]\ntopic = \"plant/#\"\nkafka_topic = \"{base}.{{1}}\"\n\
         kafka_topics_allowed = [\"{base}.dev*\", \"{base}.named\"]\ndead_letter_topic = \"{}\"\n",
        dead_letters(&base)
    );
    let (command, _folder) = host(mosquitto.port(), kafka, &base, &routes);
    let host = command.start();
    let there = |number: usize| Publish::new("plant/dev1", number.to_string());
    let missing = |number: usize| Publish::new(format!("plant/dev2/{number}"), number.to_string());
    let mixed: Vec<_> = (0..100)
        .map(|number| if number % 10 == 3 { missing(number) } else { there(number) })
        .collect();
    publish(&mosquitto, &mixed);
    publish(&mosquitto, &[missing(103), there(104)]);

    let records = kafka.wait_for(&format!("{base}.dev1"), 91, SOON);
    let order: Vec<usize> =
        records.iter().map(|record| record.value_text().unwrap().parse().unwrap()).collect();
    assert!(order.is_sorted(), "{order:?}");
    let dead = kafka.wait_for(&dead_letters(&base), 11, SOON);
    for record in &dead {
        assert_eq!(record.header("reject.reason"), Some("bad-topic"));
        assert!(record.header("reject.error").unwrap().contains("does not exist"));
        assert_eq!(record.header("reject.kafka-topic"), Some(format!("{base}.dev2").as_str()));
    }

    // One that the user has named ought to be there: it is waited for.
    publish(&mosquitto, &[Publish::new("plant/named", "waits"), there(105)]);
    let named = format!("{base}.named");
    host.wait_for_line("that the topic is missing", |line| {
        line.contains(&named) && line.contains("nothing is lost")
    });
    kafka.create_topic(&named, 1, &[]);
    assert_eq!(values(&kafka.wait_for(&named, 1, SOON)), ["waits"]);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (93, 11));
    assert_eq!(kafka.read_dead_letters(&base).len(), 11);
}
