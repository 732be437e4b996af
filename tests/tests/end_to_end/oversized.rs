//! Packets larger than --max-packet-size: rejected, not met again on each connection.

use tests::SOON;
use tests::host::{Builder, Host, READY};
use tests::kafka::{Kafka, Record, dead_letters};
use tests::load::{assert_carried_once, messages, noise};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scripted::ScriptedServer;
use tests::wire::Publish;

const LIMIT: usize = 100 * 1024;
const KEPT: usize = 64 * 1024;

/// To a mosquitto that has a large message among small ones.
fn limited(mosquitto: &Mosquitto, topic: &str) -> Builder {
    Host::between(mosquitto, "plant/#", Kafka::shared(), topic).flag("max-packet-size", LIMIT)
}

fn assert_is_the_start_of(large: &Publish, letter: &Record) {
    assert_eq!(letter.key.as_deref(), Some(large.topic.as_bytes()));
    assert_eq!(letter.value.as_deref(), Some(&large.payload[..KEPT]));
    assert_eq!(letter.header("reject.reason"), Some("too-large"));
    let size = large.payload.len().to_string();
    assert_eq!(letter.header("reject.payload-size"), Some(size.as_str()));
    let error = letter.header("reject.error").expect("the header reject.error");
    assert!(error.contains(&format!("--max-packet-size {LIMIT}")), "{error}");
}

#[test]
fn a_message_that_is_too_large_becomes_a_dead_letter_and_the_connection_goes_on() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    for version in ["3.1", "3.1.1"] {
        for qos in 0..=2 {
            let topic = kafka.topic("oversized");
            let host =
                limited(&mosquitto, &topic).flag("mqtt-version", version).flag("qos", qos).start();
            let large = Publish::new("plant/large", noise(3_000_000)).qos(qos);
            let mut published = messages("plant", 2, 20, qos);
            published.insert(10, large.clone());
            Publisher::connect(mosquitto.port(), "publisher").publish(&published);
            published.remove(10);
            assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
            let letters = kafka.wait_for(&dead_letters(&topic), 1, SOON);
            assert_is_the_start_of(&large, &letters[0]);
            let ended = host.stop();
            let ledger = ended.assert_clean();
            assert_eq!((ledger.delivered, ledger.dead_lettered), (20, 1));
            assert_eq!(ended.errors.matches(READY).count(), 1, "one connection");
        }
    }
}

#[test]
fn an_mqtt_5_server_is_told_the_limit_and_keeps_the_message_to_itself() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("told");
    let host = limited(&mosquitto, &topic).flag("mqtt-version", 5).start();
    let large = Publish::new("plant/large", noise(3_000_000));
    let mut published = messages("plant", 2, 20, 1);
    published.insert(10, large);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    published.remove(10);
    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
    let ended = host.stop();
    assert_eq!(ended.assert_clean().received, 20);
    assert_eq!(ended.errors.matches(READY).count(), 1, "one connection");
}

#[test]
fn a_server_that_does_not_respect_the_limit_is_no_worse_in_mqtt_5() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = kafka.topic("disrespect");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic)
        .flag("mqtt-version", 5)
        .flag("qos", 2)
        .flag("max-packet-size", LIMIT)
        .launch();
    let mut connection = server.accept_and_subscribe(false);
    let large = Publish::new("plant", noise(200_000)).qos(2);
    connection.publish(1, &large);
    connection.publish(2, &Publish::new("plant", "small").qos(2));
    assert_eq!(connection.received(2), [1, 2]);
    // It comes again, and is known.
    connection.hang_up();
    let mut connection = server.accept_and_subscribe(true);
    connection.publish(1, &large.clone().again());
    assert_eq!(connection.received(1), [1]);
    let letters = kafka.read(&dead_letters(&topic));
    assert_eq!(letters.len(), 1);
    assert_is_the_start_of(&large, &letters[0]);
    host.stop().assert_clean();
}

#[test]
fn a_message_that_is_too_large_ends_the_program_where_that_is_wanted() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("oversized-stop");
    let host = limited(&mosquitto, &topic).flag("on-error", "stop").start();
    let large = Publish::new("plant/large", noise(200_000));
    Publisher::connect(mosquitto.port(), "publisher").publish(&[large]);
    host.wait(SOON).assert_failed(1, &["bytes", &format!("--max-packet-size {LIMIT}")]);
}
