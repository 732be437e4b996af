//! Servers that give out packet ids in use, or whose session comes back older than it was: what has
//! the packet id of another message, and is not marked as sent again with the same content, is
//! carried.

use std::time::Duration;

use tests::host::{Builder, Host};
use tests::kafka::{Kafka, Record};
use tests::scripted::ScriptedServer;
use tests::wire::Publish;
use tests::{SOON, eventually};

const VERSIONS: [&str; 3] = ["3.1", "3.1.1", "5"];

/// Long enough for an acknowledgement that should not come.
const SILENCE: Duration = Duration::from_secs(1);

/// A topic with one partition.
fn topic(kafka: &Kafka, name: &str) -> String {
    let topic = Kafka::unused_topic(name);
    kafka.create_topic(&topic, 1, &[]);
    topic
}

fn host(server: &ScriptedServer, kafka: &Kafka, topic: &str) -> Builder {
    Host::between_ports(server.port(), "#", kafka.address(), topic)
        .flag("qos", 2)
        .flag("headers", "all")
}

/// A message whose record has everything that its payload says.
fn message(number: i64, qos: u8) -> Publish {
    let payload =
        format!(r#"{{"_key":"key-{number}","_timestamp":{},"n":{number}}}"#, stamp(number));
    Publish::new(format!("plant/{number}"), payload).qos(qos)
}

const fn stamp(number: i64) -> i64 {
    1_700_000_000_000 + number
}

/// The records are those of these messages, whole and in this order, and no others.
fn assert_are(records: &[Record], messages: &[(i64, &Publish)]) {
    let expected: Vec<_> = messages
        .iter()
        .enumerate()
        .map(|(offset, (number, message))| Record {
            partition: 0,
            offset: offset as i64,
            key: Some(format!("key-{number}").into_bytes()),
            value: Some(message.payload.clone()),
            timestamp: stamp(*number),
            headers: [
                ("mqtt.topic", message.topic.clone()),
                ("mqtt.qos", message.qos.to_string()),
                ("mqtt.retain", message.retain.to_string()),
                ("mqtt.dup", message.dup.to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value.into_bytes()))
            .into(),
        })
        .collect();
    assert_eq!(records, expected);
}

fn assert_said_once(errors: &str, packet_id: u16) {
    let words = format!("gave the packet id {packet_id} to a message while another one");
    assert_eq!(errors.matches(&words).count(), 1, "{errors}");
    assert!(errors.contains("upgrade it"), "the cure:\n{errors}");
}

#[test]
fn at_qos_2_a_message_without_dup_is_carried_though_its_packet_id_is_in_use() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    for version in VERSIONS {
        let topic = topic(kafka, "id-in-use");
        let host = host(&server, kafka, &topic).flag("mqtt-version", version).launch();
        let mut connection = server.accept_and_subscribe(false);
        let messages = [1, 2, 3].map(|number| message(number, 2));
        for message in &messages {
            connection.publish(7, message);
            assert_eq!(connection.received(1), [7]);
        }
        assert_eq!(connection.release(&[7, 7, 7]), [7, 7, 7]);
        assert_are(&kafka.read(&topic), &[(1, &messages[0]), (2, &messages[1]), (3, &messages[2])]);
        let ended = host.stop();
        ended.assert_clean();
        assert_said_once(&ended.errors, 7);
        assert!(
            ended.errors.contains("2 messages a packet id that was in use"),
            "{}",
            ended.errors
        );
    }
}

#[test]
fn at_qos_2_a_message_without_dup_is_carried_after_the_session_came_back_older() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    for version in VERSIONS {
        let topic = topic(kafka, "older-session");
        let host = host(&server, kafka, &topic).flag("mqtt-version", version).launch();
        let messages = [1, 2].map(|number| message(number, 2));
        for message in &messages {
            let mut connection = server.accept_and_subscribe(true);
            connection.publish(7, message);
            assert_eq!(connection.received(1), [7]);
            connection.hang_up();
        }
        let mut connection = server.accept_and_subscribe(true);
        // The last one with this id is still known.
        connection.publish(7, &messages[1].clone().again());
        assert_eq!(connection.received(1), [7]);
        assert_eq!(connection.release(&[7]), [7]);
        assert_are(&kafka.read(&topic), &[(1, &messages[0]), (2, &messages[1])]);
        host.stop().assert_clean();
    }
}

#[test]
fn a_marked_message_with_another_payload_is_carried_though_kafka_has_not_confirmed_the_first() {
    for qos in [1, 2] {
        let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
        let topic = topic(&kafka, "marked");
        let host = host(&server, &kafka, &topic).launch();
        let mut connection = server.accept_and_subscribe(true);
        let messages = [1, 2].map(|number| message(number, qos).again());
        kafka.pause();
        for message in &messages {
            connection.publish(7, message);
        }
        connection.assert_silent(SILENCE);
        kafka.resume();
        let ids = if qos == 1 { connection.acknowledged(2) } else { connection.received(2) };
        assert_eq!(ids, [7, 7]);
        assert_are(&kafka.read(&topic), &[(1, &messages[0]), (2, &messages[1])]);
        let ended = host.stop();
        ended.assert_clean();
        assert_said_once(&ended.errors, 7);
    }
}

#[test]
fn at_qos_1_what_comes_again_while_kafka_is_slow_becomes_no_second_record() {
    for version in VERSIONS {
        let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
        let topic = topic(&kafka, "slow");
        let host = host(&server, &kafka, &topic).flag("mqtt-version", version).launch();
        let mut connection = server.accept_and_subscribe(false);
        let messages = [1, 2, 3].map(|number| message(number, 1));
        kafka.pause();
        for (id, message) in (1..).zip(&messages) {
            connection.publish(id, message);
        }
        connection.assert_silent(SILENCE);
        for _ in 0..2 {
            connection.hang_up();
            connection = server.accept_and_subscribe(true);
            for (id, message) in (1..).zip(&messages) {
                connection.publish(id, &message.clone().again());
            }
            connection.assert_silent(SILENCE);
        }
        kafka.resume();
        assert_eq!(connection.acknowledged(3), [1, 2, 3]);
        connection.assert_silent(SILENCE);
        assert_are(&kafka.read(&topic), &[(1, &messages[0]), (2, &messages[1]), (3, &messages[2])]);
        let ended = host.stop();
        assert_eq!(ended.assert_clean().received, 3);
        assert!(!ended.errors.contains("gave the packet id"), "{}", ended.errors);
    }
}

#[test]
fn what_kafka_confirmed_while_there_was_no_connection_is_acknowledged_on_the_next_one() {
    let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
    let topic = topic(&kafka, "between");
    let host = host(&server, &kafka, &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    let sent = message(1, 1);
    kafka.pause();
    connection.publish(1, &sent);
    connection.assert_silent(SILENCE);
    connection.hang_up();
    kafka.resume();
    eventually("the record is there", SOON, || (kafka.count(&topic) == 1).then_some(()));
    let mut connection = server.accept_and_subscribe(true);
    connection.publish(1, &sent.clone().again());
    assert_eq!(connection.acknowledged(1), [1]);
    assert_are(&kafka.read(&topic), &[(1, &sent)]);
    host.stop().assert_clean();
}
