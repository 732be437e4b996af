//! The MQTT server hears of a message only what is true: that Kafka has it.

use std::time::Duration;

use tests::kafka::Kafka;
use tests::load::{assert_carried, assert_carried_once, messages};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scripted::{Connection, ScriptedServer};
use tests::wire::Publish;
use tests::{SOON, eventually, host::Host};

/// Long enough for an acknowledgement that should not come.
const SILENCE: Duration = Duration::from_secs(2);

fn publish(connection: &mut Connection, first_id: u16, messages: &[Publish]) {
    for (id, message) in (first_id..).zip(messages) {
        connection.publish(id, message);
    }
}

/// Acknowledged messages show that the whole path works before it is disturbed.
fn warm_up(connection: &mut Connection) -> Vec<Publish> {
    let first = messages("before", 1, 3, 1);
    publish(connection, 1, &first);
    assert_eq!(connection.acknowledged(3), [1, 2, 3]);
    first
}

fn nothing_is_acknowledged_while_kafka_is_stopped(version: &str) {
    let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
    let topic = kafka.topic("stopped");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic)
        .flag("mqtt-version", version)
        .launch();
    let mut connection = server.accept_and_subscribe(false);
    let mut published = warm_up(&mut connection);

    kafka.pause();
    let held = messages("plant", 3, 200, 1);
    publish(&mut connection, 100, &held);
    connection.assert_silent(SILENCE);
    kafka.resume();

    let in_order: Vec<u16> = (100..300).collect();
    assert_eq!(connection.acknowledged(200), in_order);
    connection.assert_silent(Duration::from_millis(100));
    published.extend(held);
    assert_carried_once(&published, &kafka.read(&topic));
    host.stop().assert_clean();
}

#[test]
fn nothing_is_acknowledged_while_kafka_is_stopped_and_all_in_order_afterwards() {
    nothing_is_acknowledged_while_kafka_is_stopped("3.1.1");
}

#[test]
fn nothing_is_acknowledged_while_kafka_is_stopped_and_all_in_order_afterwards_with_mqtt_5() {
    nothing_is_acknowledged_while_kafka_is_stopped("5");
}

#[test]
fn an_acknowledgement_is_never_sent_on_a_later_connection() {
    let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
    let topic = kafka.topic("stale");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    let mut published = warm_up(&mut connection);

    kafka.pause();
    let old = messages("old", 1, 5, 1);
    publish(&mut connection, 1, &old);
    connection.assert_silent(Duration::from_millis(300));
    connection.hang_up();

    // This server has lost the session, so that the packet ids are free for other messages.
    let mut connection = server.accept_and_subscribe(false);
    let new = messages("new", 1, 3, 1);
    publish(&mut connection, 1, &new);
    connection.assert_silent(SILENCE);
    kafka.resume();

    assert_eq!(connection.acknowledged(3), [1, 2, 3]);
    connection.assert_silent(SILENCE);
    published.extend(old);
    published.extend(new);
    assert_carried(&published, &kafka.wait_for(&topic, published.len(), SOON));
    host.stop().assert_clean();
}

#[test]
fn an_acknowledgement_of_a_lost_connection_is_dropped_even_if_its_packet_id_is_free() {
    let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
    let topic = kafka.topic("dropped");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    let warm = warm_up(&mut connection);

    kafka.pause();
    publish(&mut connection, 1, &messages("old", 1, 5, 1));
    connection.assert_silent(Duration::from_millis(300));
    connection.hang_up();
    let mut connection = server.accept_and_subscribe(true);
    kafka.resume();
    kafka.wait_for(&topic, warm.len() + 5, SOON);
    connection.assert_silent(SILENCE);

    connection.publish(9, &Publish::new("next", "1"));
    assert_eq!(connection.acknowledged(1), [9]);
    host.stop().assert_clean();
}

#[test]
fn messages_sent_again_after_a_lost_connection_are_acknowledged() {
    let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
    let topic = kafka.topic("again");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    let mut published = warm_up(&mut connection);

    kafka.pause();
    let held = messages("plant", 1, 5, 1);
    publish(&mut connection, 1, &held);
    connection.assert_silent(Duration::from_millis(300));
    connection.hang_up();
    let mut connection = server.accept_and_subscribe(true);
    let again: Vec<_> = held.iter().cloned().map(Publish::again).collect();
    publish(&mut connection, 1, &again);
    kafka.resume();

    assert_eq!(connection.acknowledged(5), [1, 2, 3, 4, 5]);
    published.extend(held);
    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
    host.stop().assert_clean();
}

#[test]
fn keep_alives_go_on_while_kafka_is_stopped_and_no_more_can_be_taken() {
    let (kafka, mosquitto) = (Kafka::to_disturb(), Mosquitto::start());
    let topic = kafka.topic("keep-alive");
    let host = Host::between(&mosquitto, "plant/#", &kafka, &topic)
        .flag("keep-alive", 5)
        .flag("max-in-flight-bytes", 64 << 10)
        .start();

    kafka.pause();
    let published = messages("plant", 3, 5_000, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    // mosquitto hangs up on a client that it has not heard of for one and a half keep-alives.
    std::thread::sleep(Duration::from_secs(10));
    let log = mosquitto.log();
    kafka.resume();

    assert!(!log.contains("exceeded timeout"), "mosquitto lost patience:\n{log}");
    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
    host.stop().assert_clean();
}

#[test]
fn at_qos_0_what_cannot_be_held_is_dropped_and_counted() {
    let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
    let topic = kafka.topic("dropped");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic)
        .flag("qos", 0)
        .flag("max-in-flight-bytes", 16 << 10)
        .launch();
    let mut connection = server.accept_and_subscribe(false);
    kafka.pause();
    // They come for longer than host waits for credit.
    for messages in messages("flood", 1, 2_000, 0).chunks(250) {
        publish(&mut connection, 0, messages);
        std::thread::sleep(Duration::from_secs(1));
    }
    kafka.resume();
    let after = Publish::new("after", "the flood").qos(0);
    eventually("messages arrive again", SOON, || {
        connection.publish(0, &after);
        let records = kafka.read(&topic);
        records.iter().any(|record| record.key_text() == Some("after")).then_some(())
    });

    let ledger = host.stop().assert_clean();
    assert!(ledger.dropped > 0 && ledger.delivered > 0, "{ledger:?}");
    let received = ledger.dropped + ledger.delivered;
    assert!(received > 2_000, "{ledger:?}");
    assert_eq!(kafka.count(&topic) as u64, ledger.delivered);
}

#[test]
fn messages_at_qos_0_that_find_no_room_do_not_hold_up_those_at_qos_1() {
    const PAIRS: u16 = 100;
    let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
    let topic = kafka.topic("mixed");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic)
        .flag("max-in-flight-bytes", 1 << 20)
        .launch();
    let mut connection = server.accept_and_subscribe(false);
    let mut published = warm_up(&mut connection);

    kafka.pause();
    // At most half of the bytes are for QoS 0.
    let large = Publish::new("large", vec![b'x'; 600 << 10]).qos(0);
    connection.publish(0, &large);
    let wanted = messages("wanted", 1, PAIRS.into(), 1);
    for (id, message) in (100..).zip(&wanted) {
        connection.publish(0, &Publish::new("unwanted", "no room").qos(0));
        connection.publish(id, message);
    }
    // The answer comes when all before it has been dealt with, and not a message each 5 s.
    assert_eq!(connection.release(&[9]), [9]);
    kafka.resume();
    assert_eq!(connection.acknowledged(PAIRS.into()), (100..100 + PAIRS).collect::<Vec<u16>>());
    published.push(large);
    published.extend(wanted);
    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
    let ledger = host.stop().assert_clean();
    assert_eq!(ledger.dropped, u64::from(PAIRS));
}

#[test]
fn a_server_that_hangs_up_on_a_client_that_reads_no_more_sends_everything_again() {
    let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
    let topic = kafka.topic("slow-reader");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic)
        .flag("max-in-flight-bytes", 64 << 10)
        .launch();
    let mut connection = server.accept_and_subscribe(false);
    let mut published = warm_up(&mut connection);

    kafka.pause();
    let held = messages("plant", 1, 1_000, 1);
    publish(&mut connection, 100, &held);
    connection.assert_silent(Duration::from_millis(300));
    connection.hang_up();
    kafka.resume();
    let mut connection = server.accept_and_subscribe(true);
    let again: Vec<_> = held.iter().cloned().map(Publish::again).collect();
    publish(&mut connection, 100, &again);

    assert_eq!(connection.acknowledged(1_000), (100..1_100).collect::<Vec<u16>>());
    published.extend(held);
    assert_carried(&published, &kafka.read(&topic));
    host.stop().assert_clean();
}
