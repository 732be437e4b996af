//! Somebody is killed under load, comes back, and nothing is lost.

use tests::kafka::Kafka;
use tests::load::{Load, assert_carried_once, messages, wait_until_carried};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::{A_WHILE, SOON, heavy, host::Host};

/// Messages a second that the publishers of these tests send.
const RATE: u32 = 2_000;

#[test]
fn host_killed_five_times_under_load_loses_nothing() {
    let _alone = heavy();
    let (kafka, mosquitto) = (Kafka::to_disturb(), Mosquitto::start());
    let topic = kafka.topic("host-killed");
    let command = Host::between(&mosquitto, "plant/#", &kafka, &topic);

    let mut host = command.start();
    let load = Load::start(mosquitto.port(), "plant", RATE);
    for round in 0..5 {
        load.wait_for_more(1_500);
        if round % 2 == 1 {
            // So that there is much that only the host has when it dies.
            kafka.pause();
            load.wait_for_more(500);
        }
        host.kill();
        kafka.resume();
        load.wait_for_more(500);
        host = command.start();
    }
    let published = load.stop();

    wait_until_carried(&published, &kafka, &topic, A_WHILE);
    host.stop().assert_clean();
}

#[test]
fn a_broker_that_is_fenced_again_and_again_gets_every_message_in_between() {
    // It is taken for dead half of the time, and names no broker then, not even itself.
    let kafka = Kafka::start_with(
        "auto.create.topics.enable=false\nbroker.session.timeout.ms=1500\nbroker.heartbeat.interval.ms=3000\n",
    );
    let mosquitto = Mosquitto::start();
    let topic = kafka.topic("fenced");
    let host = Host::between(&mosquitto, "plant/#", &kafka, &topic).start();
    let load = Load::start(mosquitto.port(), "plant", 200);
    // Some ten times as long as until it is fenced.
    load.wait_for_more(200 * 20);
    let published = load.stop();
    let duplicates = wait_until_carried(&published, &kafka, &topic, A_WHILE);
    assert_eq!(duplicates, 0, "an idempotent producer that lives writes nothing twice");
    host.stop().assert_clean();
}

#[test]
fn kafka_killed_and_restarted_under_load_loses_nothing() {
    let _alone = heavy();
    let (kafka, mosquitto) = (Kafka::to_disturb(), Mosquitto::start());
    let topic = kafka.topic("kafka-killed");
    let host = Host::between(&mosquitto, "plant/#", &kafka, &topic).start();

    let load = Load::start(mosquitto.port(), "plant", RATE);
    for _ in 0..2 {
        load.wait_for_more(2_000);
        kafka.kill();
        load.wait_for_more(2_000);
        kafka.start_again();
    }
    load.wait_for_more(2_000);
    let published = load.stop();

    let duplicates = wait_until_carried(&published, &kafka, &topic, A_WHILE);
    assert_eq!(duplicates, 0, "an idempotent producer that lives writes nothing twice");
    host.stop().assert_clean();
}

#[test]
fn kafka_paused_under_load_loses_nothing() {
    let _alone = heavy();
    let (kafka, mosquitto) = (Kafka::to_disturb(), Mosquitto::start());
    let topic = kafka.topic("kafka-paused");
    let host = Host::between(&mosquitto, "plant/#", &kafka, &topic).start();

    let load = Load::start(mosquitto.port(), "plant", RATE);
    for _ in 0..2 {
        load.wait_for_more(2_000);
        kafka.pause();
        load.wait_for_more(6_000);
        kafka.resume();
    }
    let published = load.stop();

    wait_until_carried(&published, &kafka, &topic, A_WHILE);
    host.stop().assert_clean();
}

#[test]
fn an_mqtt_server_restarted_with_its_sessions_goes_on_where_it_was() {
    let (kafka, mut mosquitto) = (Kafka::shared(), Mosquitto::builder().persistent().start());
    let topic = kafka.topic("mqtt-restarted");
    let command = Host::between(&mosquitto, "plant/#", kafka, &topic);
    command.start().stop().assert_clean();

    let published = messages("plant", 3, 1_000, 1);
    let (while_down, while_up) = published.split_at(500);
    Publisher::connect(mosquitto.port(), "publisher").publish(while_down);
    mosquitto.stop();
    mosquitto.start_again();
    let host = command.start();
    kafka.wait_for(&topic, while_down.len(), SOON);
    mosquitto.stop();
    mosquitto.start_again();
    host.wait_until_ready_again(2);
    Publisher::connect(mosquitto.port(), "publisher").publish(while_up);

    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
    host.stop().assert_clean();
}

#[test]
fn an_mqtt_server_restarted_without_its_sessions_is_subscribed_again_with_a_warning() {
    let (kafka, mut mosquitto) = (Kafka::shared(), Mosquitto::builder().persistent().start());
    let topic = kafka.topic("mqtt-forgot");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).start();

    let published = messages("plant", 3, 1_000, 1);
    let (before, after) = published.split_at(500);
    Publisher::connect(mosquitto.port(), "publisher").publish(before);
    kafka.wait_for(&topic, before.len(), SOON);
    mosquitto.stop();
    mosquitto.forget();
    mosquitto.start_again();
    host.wait_until_ready_again(2);
    host.wait_for_line("a warning that the session is lost", |line| {
        line.contains("WARN") && line.contains("session")
    });
    Publisher::connect(mosquitto.port(), "publisher").publish(after);

    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
    host.stop().assert_clean();
}

#[test]
fn an_mqtt_server_killed_under_load_is_connected_to_again() {
    let (kafka, mut mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("mqtt-killed");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).start();
    for times in 2..5 {
        mosquitto.kill();
        mosquitto.start_again();
        host.wait_until_ready_again(times);
    }
    let published = messages("plant", 3, 100, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);

    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
    host.stop().assert_clean();
}
