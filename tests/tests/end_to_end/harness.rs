//! What the other tests rely on.

use std::time::Duration;

use tests::SOON;
use tests::certificates::Certificates;
use tests::kafka::Kafka;
use tests::load::messages;
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scripted::ScriptedServer;
use tests::wire::{Packet, Publish, Version};

#[test]
fn mosquitto_confirms_what_is_published() {
    let mosquitto = Mosquitto::builder().password("user", "secret").start();
    let login = Some(("user", "secret"));
    let mut publisher = Publisher::connect_as(mosquitto.port(), "me", Version::V5, login);
    publisher.publish(&messages("plant", 3, 2_500, 1));
    publisher.publish(&messages("plant", 3, 2_500, 0));
    assert!(mosquitto.log().contains("as me"), "the log is there:\n{}", mosquitto.log());
}

#[test]
fn mosquitto_comes_back_on_its_port() {
    let mut mosquitto = Mosquitto::builder().persistent().tls(Certificates::make()).start();
    let port = mosquitto.port();
    mosquitto.stop();
    mosquitto.forget();
    mosquitto.start_again();
    mosquitto.kill();
    mosquitto.start_again();
    assert_eq!(mosquitto.port(), port);
}

#[test]
fn kafka_comes_back_with_its_topics() {
    let kafka = Kafka::to_disturb();
    let topic = kafka.topic("harness");
    kafka.pause();
    assert_eq!(kafka.count(&topic), 0);
    kafka.resume();
    kafka.kill();
    kafka.start_again();
    assert!(kafka.wait_for(&topic, 0, SOON).is_empty());
    assert!(kafka.read_dead_letters(&topic).is_empty());
}

#[test]
fn the_scripted_server_shows_what_a_client_sends() {
    let server = ScriptedServer::start();
    let port = server.port();
    let client = std::thread::spawn(move || {
        Publisher::connect(port, "me").try_publish(&[Publish::new("plant", "one")]).unwrap()
    });
    let mut connection = server.accept();
    assert_eq!(connection.connect.client_id, "me");
    connection.accept_connect(false);
    assert_eq!(connection.next(SOON), Some(Packet::Other(0x32)));
    connection.assert_silent(Duration::from_millis(50));
    connection.send(&[0x40, 2, 0, 1]);
    assert_eq!(client.join().unwrap(), 1);
    assert!(connection.wait_for_end().is_empty());
}
