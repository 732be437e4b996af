//! Nothing goes wrong, and every message becomes its record.

use tests::kafka::Kafka;
use tests::load::{assert_carried_once, messages};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::{A_WHILE, host::Host};

/// Publishes 10,000 messages with the wanted quality of service and looks at what becomes of them.
fn ten_thousand_messages_arrive(version: &str, qos: u8) {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("ten-thousand");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic)
        .flag("mqtt-version", version)
        .flag("qos", qos)
        .start();

    let published = messages("plant", 7, 10_000, qos);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);

    let records = kafka.wait_for(&topic, published.len(), A_WHILE);
    assert_carried_once(&published, &records);
    let ledger = host.stop().assert_clean();
    assert_eq!((ledger.received, ledger.delivered), (10_000, 10_000));
}

#[test]
fn ten_thousand_messages_at_qos_0_arrive_in_order() {
    ten_thousand_messages_arrive("3.1.1", 0);
}

#[test]
fn ten_thousand_messages_at_qos_1_arrive_in_order() {
    ten_thousand_messages_arrive("3.1.1", 1);
}

#[test]
fn ten_thousand_messages_at_qos_0_arrive_in_order_over_mqtt_5() {
    ten_thousand_messages_arrive("5", 0);
}

#[test]
fn ten_thousand_messages_at_qos_1_arrive_in_order_over_mqtt_5() {
    ten_thousand_messages_arrive("5", 1);
}

#[test]
fn several_filters_are_subscribed_and_nothing_else() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("filters");
    let host = Host::between(&mosquitto, "plant/+", kafka, &topic).flag("topic", "home/#").start();

    let wanted = [messages("plant", 2, 10, 1), messages("home/kitchen", 2, 10, 1)].concat();
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&messages("plant/deeper", 2, 10, 1));
    publisher.publish(&messages("elsewhere", 2, 10, 1));
    publisher.publish(&wanted);

    assert_carried_once(&wanted, &kafka.wait_for(&topic, wanted.len(), A_WHILE));
    assert_eq!(host.stop().assert_clean().received, 20);
}

#[test]
fn what_was_published_while_host_was_down_arrives() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("down");
    let command = Host::between(&mosquitto, "plant/#", kafka, &topic);
    command.start().stop().assert_clean();

    let published = messages("plant", 3, 500, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    let host = command.start();

    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), A_WHILE));
    host.stop().assert_clean();
}
