//! Topics that are missing or may not be written, at the start and later: said loudly, nothing is
//! lost, and it goes on in order when the trouble is over.

use std::time::{Duration, Instant};

use tests::host::{Builder, Host};
use tests::kafka::{Door, Kafka, PASSWORD, Record, Secured, USER, dead_letters};
use tests::load::noise;
use tests::scripted::{Connection, ScriptedServer};
use tests::wire::Publish;
use tests::{A_WHILE, SOON};

/// As a user who may write only what was granted.
fn as_user(mqtt: u16, topic: &str) -> Builder {
    let kafka = Secured::shared().address(Door::Password);
    Host::between_ports(mqtt, "#", &kafka, topic)
        .kafka_property("security.protocol=sasl_plaintext")
        .kafka_property("sasl.mechanisms=PLAIN")
        .kafka_property(format!("sasl.username={USER}"))
        .kafka_property(format!("sasl.password={PASSWORD}"))
}

fn publish(connection: &mut Connection, ids: std::ops::Range<u16>) {
    for id in ids {
        connection.publish(id, &Publish::new("plant/a", id.to_string()));
    }
}

/// The values of all records, in the order of their partition: one key has one partition.
fn values(records: &[Record]) -> Vec<&str> {
    records.iter().filter_map(Record::value_text).collect()
}

fn numbers(range: std::ops::Range<u16>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn a_topic_that_is_missing_and_not_created_is_waited_for() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = Kafka::unused_topic("missing");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic).launch();
    for _ in 0..2 {
        host.wait_for_line("that the topic is missing", |line| {
            line.contains("does not exist") && line.contains("create it") && line.contains(&topic)
        });
    }
    kafka.create_topic(&topic, 1, &[]);
    let mut connection = server.accept_and_subscribe(false);
    publish(&mut connection, 1..4);
    assert_eq!(connection.acknowledged(3), [1, 2, 3]);
    assert_eq!(values(&kafka.wait_for(&topic, 3, SOON)), ["1", "2", "3"]);
    host.stop().assert_clean();
}

#[test]
fn a_topic_that_is_deleted_is_waited_for_and_everything_after_is_in_it_in_order() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = kafka.topic("deleted");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    publish(&mut connection, 1..2);
    assert_eq!(connection.acknowledged(1), [1]);

    kafka.delete_topic(&topic);
    publish(&mut connection, 2..50);
    // Kafka's client may notice first that the topic has no partition any more.
    host.wait_for_line("that the topic is missing", |line| {
        let missing =
            line.contains("does not exist") || line.contains("does not have that partition");
        missing && line.contains(&topic) && line.contains("nothing is lost")
    });
    connection.assert_silent(Duration::from_millis(500));
    kafka.create_topic(&topic, 1, &[]);
    assert_eq!(connection.acknowledged(48), (2..50).collect::<Vec<u16>>());
    let records = kafka.wait_for(&topic, 48, A_WHILE);
    assert_eq!(values(&records), numbers(2..50));
    host.stop().assert_clean();
}

#[test]
fn a_topic_that_may_not_be_written_at_the_start_is_waited_for() {
    let (kafka, server) = (Secured::shared(), ScriptedServer::start());
    let topic = kafka.topic("closed");
    let host = as_user(server.port(), &topic).launch();
    host.wait_for_line("that it may not", |line| {
        line.contains("may not use Kafka topic") && line.contains("Write") && line.contains(&topic)
    });
    kafka.grant(&topic);
    let mut connection = server.accept_and_subscribe(false);
    publish(&mut connection, 1..4);
    assert_eq!(connection.acknowledged(3), [1, 2, 3]);
    host.stop().assert_clean();
}

#[test]
fn a_topic_that_may_be_seen_and_not_written_is_waited_for_with_what_was_taken() {
    let (kafka, server) = (Secured::shared(), ScriptedServer::start());
    let topic = kafka.topic("seen");
    kafka.grant_sight(&topic);
    let host = as_user(server.port(), &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    publish(&mut connection, 1..50);
    host.wait_for_line("that it may not", |line| {
        line.contains("WARN") && line.contains("Write") && line.contains("nothing is lost")
    });
    connection.assert_silent(Duration::from_millis(500));
    kafka.grant(&topic);
    assert_eq!(connection.acknowledged(49), (1..50).collect::<Vec<u16>>());
    assert_eq!(values(&kafka.wait_for(&topic, 49, SOON)), numbers(1..50));
    host.stop().assert_clean();
}

#[test]
fn a_right_that_is_revoked_while_it_runs_is_waited_for_and_the_order_stays() {
    let (kafka, server) = (Secured::shared(), ScriptedServer::start());
    let topic = kafka.topic("revoked");
    kafka.grant(&topic);
    let host = as_user(server.port(), &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    publish(&mut connection, 1..10);
    assert_eq!(connection.acknowledged(9), (1..10).collect::<Vec<u16>>());

    kafka.revoke(&topic);
    publish(&mut connection, 10..60);
    host.wait_for_line("that it may not", |line| {
        line.contains("WARN") && line.contains("not authorised") && line.contains("nothing is lost")
    });
    connection.assert_silent(Duration::from_millis(500));
    kafka.grant(&topic);
    assert_eq!(connection.acknowledged(50), (10..60).collect::<Vec<u16>>());
    assert_eq!(values(&kafka.wait_for(&topic, 59, SOON)), numbers(1..60));
    host.stop().assert_clean();
}

#[test]
fn a_dead_letter_topic_that_may_not_be_written_is_waited_for() {
    let (kafka, server) = (Secured::shared(), ScriptedServer::start());
    let topic = Kafka::unused_topic("no-dead-letters");
    kafka.create_topic(&topic, 1, &[("max.message.bytes", "2000")]);
    kafka.create_topic(&dead_letters(&topic), 1, &[]);
    kafka.grant(&topic);
    let host = as_user(server.port(), &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    connection.publish(1, &Publish::new("plant/large", noise(50_000)));
    host.wait_for_line("that it may not", |line| {
        line.contains("WARN") && line.contains("Write") && line.contains(&dead_letters(&topic))
    });
    publish(&mut connection, 2..5);
    connection.assert_silent(Duration::from_millis(500));
    kafka.grant(&dead_letters(&topic));
    assert_eq!(connection.acknowledged(4), [1, 2, 3, 4]);
    assert_eq!(kafka.read_dead_letters(&topic).len(), 1);
    assert_eq!(values(&kafka.wait_for(&topic, 3, SOON)), ["2", "3", "4"]);
    assert_eq!(host.stop().assert_clean().dead_lettered, 1);
}

#[test]
fn a_topic_that_only_a_message_has_named_is_that_messages_fault_if_it_may_not_be_written() {
    let (kafka, server) = (Secured::shared(), ScriptedServer::start());
    let base = kafka.topic("template");
    let to = |level: &str| format!("{base}.is-{level}");
    for level in ["open", "seen", "closed"] {
        kafka.create_topic(&to(level), 1, &[]);
    }
    kafka.grant(&dead_letters(&base));
    kafka.grant(&to("open"));
    kafka.grant_sight(&to("seen"));
    let host = as_user(server.port(), &to("{1}"))
        .flag("kafka-topics-allowed", to("*"))
        .flag("dead-letter-topic", dead_letters(&base))
        .launch();
    let mut connection = server.accept_and_subscribe(false);
    let level = |id: u16| match id % 10 {
        3 => "seen",
        7 => "closed",
        _ => "open",
    };
    for id in 1..=100 {
        let topic = format!("plant/{}", level(id));
        connection.publish(id, &Publish::new(topic, id.to_string()));
    }
    assert_eq!(connection.acknowledged(100), (1..=100).collect::<Vec<u16>>());

    let open = (1..=100).filter(|&id| level(id) == "open").map(|id| id.to_string());
    assert_eq!(values(&kafka.read(&to("open"))), open.collect::<Vec<_>>());
    let dead = kafka.read_dead_letters(&base);
    assert_eq!(dead.len(), 20);
    for record in &dead {
        let id = record.value_text().and_then(|id| id.parse().ok()).expect("the payload");
        assert_eq!(record.header("reject.reason"), Some("bad-topic"));
        assert_eq!(record.header("reject.kafka-topic"), Some(to(level(id)).as_str()));
        let error = record.header("reject.error").expect("an error");
        assert!(error.contains("not authorised") && error.contains("Write"), "{error}");
    }
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.delivered, ledger.dead_lettered), (80, 20));
}

/// When new lines about a topic came, for a while.
fn times_of_lines(hosts: [(&Host, &str); 2], time: Duration) -> [Vec<Instant>; 2] {
    let start = Instant::now();
    let mut times = [vec![start], vec![start]];
    while start.elapsed() < time {
        for ((host, topic), times) in hosts.iter().zip(&mut times) {
            let errors = host.errors();
            let lines = errors.lines().filter(|line| {
                line.contains("WARN") && line.contains(topic) && line.contains("does not exist")
            });
            times.resize_with(times.len().max(1 + lines.count()), Instant::now);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    times.map(|times| times.into_iter().chain([Instant::now()]).collect())
}

#[test]
fn what_is_waited_for_is_said_at_least_every_half_minute_with_the_reason() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let missing = Kafka::unused_topic("said-missing");
    let waiting = Host::between_ports(1, "#", kafka.address(), &missing).launch();
    let deleted = kafka.topic("said-deleted");
    let running = Host::between_ports(server.port(), "#", kafka.address(), &deleted).launch();
    let mut connection = server.accept_and_subscribe(false);
    kafka.delete_topic(&deleted);
    publish(&mut connection, 1..5);
    let hosts = [(&waiting, missing.as_str()), (&running, deleted.as_str())];
    for times in times_of_lines(hosts, Duration::from_secs(75)) {
        let silences: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let longest = silences.iter().max().expect("two moments");
        assert!(*longest < Duration::from_secs(30), "{silences:?}");
    }
    kafka.create_topic(&deleted, 1, &[]);
    assert_eq!(connection.acknowledged(4), [1, 2, 3, 4]);
    running.stop().assert_clean();
    waiting.kill();
}

#[test]
fn letters_that_may_not_be_read_are_not_carried_and_the_rights_that_lack_are_named() {
    let kafka = Secured::shared();
    let topic = kafka.topic("unread");
    kafka.grant(&topic);
    kafka.grant(&dead_letters(&topic));
    let replay = as_user(1, &topic).subcommand("plugin replay").argument("--redeliver");
    replay.run().assert_failed(
        1,
        &["cannot read Kafka topic", &dead_letters(&topic), "Describe and Read rights", "group"],
    );
    assert_eq!(kafka.count(&topic), 0);
}
