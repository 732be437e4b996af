//! Quality of service 2: PUBREC only when Kafka has the record, and no second record while the
//! session lives.

use std::time::Duration;

use tests::host::{Builder, Host};
use tests::kafka::Kafka;
use tests::load::{assert_carried_once, messages};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scripted::{Connection, ScriptedServer};
use tests::wire::Publish;
use tests::{A_WHILE, SOON};

/// Long enough for an acknowledgement that should not come.
const SILENCE: Duration = Duration::from_secs(2);

fn at_qos_2(server: &ScriptedServer, kafka: &Kafka, topic: &str) -> Builder {
    Host::between_ports(server.port(), "#", kafka.address(), topic).flag("qos", 2)
}

fn publish(connection: &mut Connection, messages: &[Publish]) {
    for (id, message) in (1..).zip(messages) {
        connection.publish(id, message);
    }
}

fn again(messages: &[Publish]) -> Vec<Publish> {
    messages.iter().cloned().map(Publish::again).collect()
}

#[test]
fn every_version_carries_each_message_of_qos_2_once_from_mosquitto() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    for version in ["3.1", "3.1.1", "5"] {
        let topic = kafka.topic("qos-2");
        let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
            .flag("qos", 2)
            .flag("mqtt-version", version)
            .flag("headers", "all")
            .start();
        let published = messages("plant", 3, 2_000, 2);
        Publisher::connect(mosquitto.port(), "publisher").publish(&published);
        let mut records = kafka.wait_for(&topic, published.len(), SOON);
        for record in &mut records {
            let topic = record.key.clone().expect("a key");
            let header = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
            let all = [
                header("mqtt.topic", &topic),
                header("mqtt.qos", b"2"),
                header("mqtt.retain", b"false"),
                header("mqtt.dup", b"false"),
            ];
            assert_eq!(std::mem::take(&mut record.headers), all, "version {version}");
        }
        assert_carried_once(&published, &records);
        host.stop().assert_clean();
    }
}

#[test]
fn pubrec_waits_for_kafka_and_comes_in_order() {
    for version in ["3.1", "3.1.1", "5"] {
        let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
        let topic = kafka.topic("pubrec");
        let host = at_qos_2(&server, &kafka, &topic).flag("mqtt-version", version).launch();
        let mut connection = server.accept_and_subscribe(false);
        let published = messages("plant", 3, 50, 2);
        let ids: Vec<u16> = (1..=50).collect();

        kafka.pause();
        publish(&mut connection, &published);
        connection.assert_silent(SILENCE);
        kafka.resume();
        assert_eq!(connection.received(50), ids);
        assert_eq!(connection.release(&ids), ids);
        assert_carried_once(&published, &kafka.read(&topic));
        host.stop().assert_clean();
    }
}

#[test]
fn what_comes_again_before_kafka_has_it_becomes_one_record_and_is_acknowledged_once() {
    for version in ["3.1", "3.1.1", "5"] {
        let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
        let topic = kafka.topic("again");
        let host = at_qos_2(&server, &kafka, &topic).flag("mqtt-version", version).launch();
        let mut connection = server.accept_and_subscribe(false);
        let published = messages("plant", 1, 3, 2);

        kafka.pause();
        publish(&mut connection, &published);
        connection.assert_silent(Duration::from_millis(500));
        connection.hang_up();
        let mut connection = server.accept_and_subscribe(true);
        publish(&mut connection, &again(&published));
        // Within one connection too: servers of MQTT 3.1 do that.
        publish(&mut connection, &again(&published));
        connection.assert_silent(SILENCE);
        kafka.resume();

        assert_eq!(connection.received(3), [1, 2, 3]);
        assert_eq!(connection.release(&[1, 2, 3]), [1, 2, 3]);
        connection.assert_silent(Duration::from_millis(300));
        let mut published = published;
        let new =
            Publish::new("plant/new", "a new message with a packet id that is free again").qos(2);
        connection.publish(1, &new);
        published.push(new);
        assert_eq!(connection.received(1), [1]);
        assert_carried_once(&published, &kafka.read(&topic));
        host.stop().assert_clean();
    }
}

#[test]
fn what_comes_again_after_kafka_has_it_is_only_acknowledged() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = kafka.topic("lost-pubrec");
    let host = at_qos_2(&server, kafka, &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    let published = messages("plant", 1, 3, 2);
    publish(&mut connection, &published);
    assert_eq!(connection.received(3), [1, 2, 3]);
    // The server behaves as if PUBREC had been lost on the way.
    connection.hang_up();
    let mut connection = server.accept_and_subscribe(true);
    publish(&mut connection, &again(&published));
    assert_eq!(connection.received(3), [1, 2, 3]);
    assert_eq!(connection.release(&[1, 2, 3]), [1, 2, 3]);
    assert_carried_once(&published, &kafka.read(&topic));
    host.stop().assert_clean();
}

#[test]
fn pubrel_of_an_earlier_run_is_answered() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    for version in ["3.1", "3.1.1", "5"] {
        let topic = kafka.topic("pubrel");
        let host = at_qos_2(&server, kafka, &topic).flag("mqtt-version", version).launch();
        let mut connection = server.accept_and_subscribe(true);
        assert_eq!(connection.release(&[9, 65_535]), [9, 65_535]);
        connection.publish(9, &Publish::new("plant", "1").qos(2));
        assert_eq!(connection.received(1), [9]);
        host.stop().assert_clean();
    }
}

#[test]
fn the_packet_ids_of_a_lost_session_mean_nothing() {
    for (flag, session_present) in [("--clean-session", true), ("--clean-session=false", false)] {
        let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
        let topic = kafka.topic("lost-session");
        let host = at_qos_2(&server, &kafka, &topic).argument(flag).launch();
        let mut connection = server.accept_and_subscribe(false);
        kafka.pause();
        let mut published = messages("old", 1, 2, 2);
        publish(&mut connection, &published);
        connection.assert_silent(Duration::from_millis(500));
        connection.hang_up();

        let mut connection = server.accept_and_subscribe(session_present);
        let new = messages("new", 1, 2, 2);
        // Marked, so that nothing but the session tells that these are others.
        publish(&mut connection, &again(&new));
        kafka.resume();
        assert_eq!(connection.received(2), [1, 2]);
        published.extend(new);
        assert_carried_once(&published, &kafka.read(&topic));
        host.stop().assert_clean();
    }
}

#[test]
fn mqtt_3_1_servers_repeat_within_a_connection_and_are_acknowledged_once() {
    let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
    let topic = kafka.topic("impatient");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic)
        .flag("mqtt-version", "3.1")
        .launch();
    let mut connection = server.accept_and_subscribe(false);
    let published = messages("plant", 1, 3, 1);
    kafka.pause();
    publish(&mut connection, &published);
    publish(&mut connection, &again(&published));
    connection.assert_silent(Duration::from_millis(500));
    kafka.resume();
    assert_eq!(connection.acknowledged(3), [1, 2, 3]);
    // A second acknowledgement could be taken for that of another message.
    connection.assert_silent(Duration::from_millis(500));
    assert_carried_once(&published, &kafka.read(&topic));
    host.stop().assert_clean();
}

#[test]
fn a_restart_of_mosquitto_makes_no_second_record_at_qos_2() {
    let (kafka, mut mosquitto) = (Kafka::to_disturb(), Mosquitto::builder().persistent().start());
    let topic = kafka.topic("restart");
    let host = Host::between(&mosquitto, "plant/#", &kafka, &topic).flag("qos", 2).start();
    let published = messages("plant", 4, 3_000, 2);
    let (before, after) = published.split_at(1_500);
    let publisher = |mosquitto: &Mosquitto| Publisher::connect(mosquitto.port(), "publisher");
    // The first ones are in Kafka; PUBREC and PUBREL may be anywhere.
    publisher(&mosquitto).publish(&before[..1_000]);
    kafka.pause();
    publisher(&mosquitto).publish(&before[1_000..]);
    mosquitto.stop();
    mosquitto.start_again();
    host.wait_until_ready_again(2);
    publisher(&mosquitto).publish(after);
    kafka.resume();
    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), A_WHILE));
    host.stop().assert_clean();
}
