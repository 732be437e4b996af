//! `--connections N`: sessions that share a subscription, one producer behind them.

use std::collections::HashMap;

use tests::host::{Builder, Host};
use tests::kafka::{Kafka, Record};
use tests::load::{Load, messages};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::relay::Relay;
use tests::scripted::{Connection, ScriptedServer};
use tests::wire::Publish;
use tests::{A_WHILE, SOON, eventually};

/// A `host` with so many connections to the MQTT server at this port.
fn host(connections: usize, port: u16, kafka: &Kafka, topic: &str) -> Builder {
    Host::between_ports(port, "$share/group/plant/#", kafka.address(), topic)
        .flag("connections", connections)
}

/// How often each message is there.
fn copies(published: &[Publish], records: &[Record]) -> Vec<usize> {
    let mut counts: HashMap<&[u8], usize> = HashMap::new();
    for record in records {
        *counts.entry(record.value.as_deref().unwrap()).or_default() += 1;
    }
    published.iter().map(|message| counts.get(&*message.payload).copied().unwrap_or(0)).collect()
}

fn assert_once(published: &[Publish], records: &[Record]) {
    let copies = copies(published, records);
    assert!(copies.iter().all(|&copies| copies == 1), "each message is there once: {copies:?}");
    assert_eq!(records.len(), published.len(), "nothing else is there");
}

/// Which of the client ids `host-TOPIC-1` to `-N` the server has let in since it started.
fn let_in(mosquitto: &Mosquitto, topic: &str, connections: usize) -> Vec<usize> {
    let log = mosquitto.log();
    let times = |number: usize| {
        let client = format!(" as host-{topic}-{number} (");
        log.lines().filter(|line| line.contains("New client") && line.contains(&client)).count()
    };
    (1..=connections).map(times).collect()
}

#[test]
fn several_connections_share_the_messages_and_each_arrives_once() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("connections");
    let host = host(3, mosquitto.port(), kafka, &topic).launch();
    host.wait_until_ready_again(3);
    assert_eq!(let_in(&mosquitto, &topic, 3), [1, 1, 1]);

    let published = messages("plant", 10, 3_000, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    assert_once(&published, &kafka.wait_for(&topic, published.len(), A_WHILE));
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.delivered), (3_000, 3_000));
}

#[test]
fn what_was_given_to_each_of_the_sessions_arrives_after_a_restart() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("connections-restart");
    let command = host(3, mosquitto.port(), kafka, &topic);
    let first = command.launch();
    first.wait_until_ready_again(3);
    first.stop().assert_clean();

    let published = messages("plant", 10, 300, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    // One connection alone gets only what the server gave to its session.
    let one =
        Host::between_ports(mosquitto.port(), "$share/group/plant/#", kafka.address(), &topic)
            .without("client-id")
            .flag("client-id", format!("host-{topic}-1"))
            .start();
    eventually("the session of the first connection has some of them", SOON, || {
        (kafka.count(&topic) > 0).then_some(())
    });
    let part = one.stop().assert_clean().delivered;
    assert!(part > 0 && part < 300, "each session has a part: {part}");

    let second = command.launch();
    second.wait_until_ready_again(3);
    assert_once(&published, &kafka.wait_for(&topic, published.len(), A_WHILE));
    assert_eq!(second.stop().assert_clean().delivered, 300 - part);
    assert_eq!(let_in(&mosquitto, &topic, 3), [3, 2, 2]);
}

#[test]
fn a_session_that_is_not_needed_any_more_leaves_the_group_and_hands_over_what_it_has() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("connections-fewer");
    let three = host(3, mosquitto.port(), kafka, &topic).launch();
    three.wait_until_ready_again(3);
    three.stop().assert_clean();
    let published = messages("plant", 10, 390, 1);
    let (while_down, while_up) = published.split_at(90);
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(while_down);

    let two = host(2, mosquitto.port(), kafka, &topic).launch();
    two.wait_until_ready_again(2);
    let last = Host::between_ports(mosquitto.port(), "unused", kafka.address(), &topic)
        .without("client-id")
        .flag("client-id", format!("host-{topic}-3"))
        .flag("unsubscribe", "$share/group/plant/#")
        .start();
    kafka.wait_for(&topic, while_down.len(), SOON);
    publisher.publish(while_up);
    assert_once(&published, &kafka.wait_for(&topic, published.len(), A_WHILE));
    assert_eq!(two.stop().assert_clean().delivered, 360);
    assert_eq!(last.stop().assert_clean().delivered, 30);
}

#[test]
fn a_connection_that_breaks_loses_nothing_and_leaves_the_others_alone() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("connections-cut");
    let relay = Relay::to(mosquitto.port());
    let host = host(3, relay.port(), kafka, &topic).launch();
    host.wait_until_ready_again(3);

    let published = messages("plant", 10, 6_000, 1);
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    for (number, part) in published.chunks(2_000).enumerate() {
        relay.cut(number);
        publisher.publish(part);
    }
    host.wait_until_ready_again(6);
    assert_eq!(let_in(&mosquitto, &topic, 3), [2, 2, 2]);
    eventually("every message is in Kafka", A_WHILE, || {
        let records = kafka.read(&topic);
        copies(&published, &records).iter().all(|&copies| copies > 0).then_some(())
    });
    let line = host.wait_for_line("which connection broke", |line| line.contains("trying again"));
    assert!(line.contains(&format!("host-{topic}-")), "{line}");
    let ledger = host.stop().assert_clean();
    assert_eq!(ledger.delivered, ledger.received);
}

#[test]
fn connections_that_share_little_room_lose_nothing_when_the_host_is_killed_under_load() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("connections-killed");
    let command = host(3, mosquitto.port(), kafka, &topic).flag("max-in-flight-bytes", "32KiB");
    let killed = command.launch();
    killed.wait_until_ready_again(3);
    let load = Load::start(mosquitto.port(), "plant", 5_000);
    load.wait_for_more(3_000);
    killed.kill();
    load.wait_for_more(1_000);
    let host = command.launch();
    host.wait_until_ready_again(3);
    load.wait_for_more(3_000);
    let published = load.stop();
    eventually("every message is in Kafka", A_WHILE, || {
        let records = kafka.read(&topic);
        copies(&published, &records).iter().all(|&copies| copies > 0).then_some(())
    });
    let ledger = host.stop().assert_clean();
    assert_eq!(ledger.delivered, ledger.received);
}

/// Two connections that have subscribed, and send the same packet ids.
fn two(server: &ScriptedServer) -> [Connection; 2] {
    let mut connections = [server.accept(), server.accept()];
    for connection in &mut connections {
        connection.accept_connect(false);
        connection.grant_subscription();
    }
    connections
}

fn publish(connections: &mut [Connection; 2], messages: [&[Publish]; 2]) {
    for (connection, messages) in connections.iter_mut().zip(messages) {
        for (id, message) in (1..).zip(messages) {
            connection.publish(id, message);
        }
    }
}

#[test]
fn each_connection_is_told_of_its_own_messages_alone() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = kafka.topic("connections-own");
    let host = host(2, server.port(), kafka, &topic).launch();
    let mut connections = two(&server);

    let all = messages("plant", 4, 8, 1);
    publish(&mut connections, [&all[..5], &all[5..]]);
    assert_eq!(connections[0].acknowledged(5), [1, 2, 3, 4, 5]);
    assert_eq!(connections[1].acknowledged(3), [1, 2, 3]);
    assert_once(&all, &kafka.wait_for(&topic, all.len(), SOON));

    host.terminate();
    for connection in connections {
        connection.wait_for_end();
    }
    assert_eq!(host.wait(SOON).assert_clean().delivered, 8);
}

#[test]
fn refused_records_of_several_connections_are_all_sent_again() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = kafka.topic("connections-refused");
    let host = host(2, server.port(), kafka, &topic).launch();
    let mut connections = two(&server);
    kafka.delete_topic(&topic);

    // The first message of one connection has the same number as that of the other.
    let all = messages("plant", 4, 40, 1);
    publish(&mut connections, [&all[..20], &all[20..]]);
    host.wait_for_line("that the topic is missing", |line| line.contains("does not exist"));
    kafka.create_topic(&topic, 3, &[]);

    let expected: Vec<u16> = (1..=20).collect();
    for connection in &connections {
        assert_eq!(connection.acknowledged(20), expected);
    }
    assert_once(&all, &kafka.wait_for(&topic, all.len(), SOON));
    host.terminate();
    for connection in connections {
        connection.wait_for_end();
    }
    assert_eq!(host.wait(SOON).assert_clean().delivered, 40);
}

#[test]
fn messages_that_are_not_in_kafka_at_the_end_stay_unacknowledged_on_every_connection() {
    let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
    let topic = kafka.topic("connections-drain");
    let host = host(2, server.port(), &kafka, &topic).flag("shutdown-timeout", 1).launch();
    let mut connections = two(&server);
    let all = messages("plant", 4, 10, 1);
    publish(&mut connections, [&all[..2], &all[2..4]]);
    for connection in &connections {
        assert_eq!(connection.acknowledged(2), [1, 2]);
    }

    kafka.pause();
    publish(&mut connections, [&all[4..8], &all[8..]]);
    host.wait_for_line("that Kafka is silent", |line| line.contains("6 messages wait"));
    host.terminate();
    let ended = host.wait(SOON);
    kafka.resume();
    ended.assert_failed(1, &["6 messages were not in Kafka"]);
    let ledger = ended.ledger();
    ledger.assert_balanced();
    assert_eq!((ledger.received, ledger.delivered, ledger.in_flight), (10, 4, 6));
    for connection in connections {
        assert_eq!(connection.wait_for_end(), []);
    }
}

#[test]
fn a_connection_that_is_refused_for_good_at_the_start_ends_the_program() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = kafka.topic("connections-no-entry");
    let host = host(2, server.port(), kafka, &topic).launch();
    let mut first = server.accept();
    first.accept_connect(false);
    first.grant_subscription();
    server.accept().refuse_connect(5);
    let client = format!("connection host-{topic}-");
    host.wait(SOON).assert_failed(1, &[&client, "MQTT server 127.0.0.1", "refused"]);
}

#[test]
fn several_connections_without_a_shared_subscription_are_refused() {
    Host::between_ports(1, "plant/#", "127.0.0.1:1", "topic")
        .flag("connections", 2)
        .run()
        .assert_failed(2, &["--connections 2", "2 times", "'$share/plant/plant/#'"]);
}
