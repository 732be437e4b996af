//! A session with very many messages waiting is drained in order and in little memory, although
//! mosquitto sends far more at once than its own window allows.

use std::time::Duration;

use tests::host::{Builder, Host};
use tests::kafka::Kafka;
use tests::load::{assert_carried, messages};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::wire::Publish;
use tests::{A_WHILE, eventually, heavy};

const BACKLOG: usize = 200_000;

/// Resident memory that `host` may take, in bytes.
const MEMORY: u64 = 200 << 20;

/// Makes the session, and fills it while `host` is away.
fn fill(command: &Builder, mosquitto: &Mosquitto) -> Vec<Publish> {
    command.start().stop().assert_clean();
    let published = messages("plant", 16, BACKLOG, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    published
}

/// Waits until all of it is there, and ends the host.
fn assert_drained(host: Host, published: &[Publish], kafka: &Kafka, topic: &str) {
    let records = kafka.wait_for(topic, published.len(), A_WHILE);
    let peak = host.peak_resident_bytes();
    assert_carried(published, &records);
    host.stop().assert_clean();
    assert!(peak < MEMORY, "host took {} MiB", peak >> 20);
}

#[test]
fn a_backlog_of_200_000_messages_is_drained_in_order() {
    let _alone = heavy();
    // As a mosquitto is out of the box: 20 at once, it says.
    let mosquitto = Mosquitto::builder().setting("max_inflight_messages", 20).start();
    let kafka = Kafka::shared();
    let topic = kafka.topic("backlog");
    let command = Host::between(&mosquitto, "plant/#", kafka, &topic);
    let published = fill(&command, &mosquitto);
    assert_drained(command.start(), &published, kafka, &topic);
}

#[test]
fn a_backlog_is_drained_although_kafka_pauses_in_the_middle() {
    let _alone = heavy();
    let (kafka, mosquitto) = (Kafka::to_disturb(), Mosquitto::start());
    let topic = kafka.topic("backlog-paused");
    let command = Host::between(&mosquitto, "plant/#", &kafka, &topic);
    let published = fill(&command, &mosquitto);

    let host = command.start();
    eventually("a part of the backlog is there", A_WHILE, || {
        (kafka.count(&topic) > BACKLOG / 20).then_some(())
    });
    kafka.pause();
    std::thread::sleep(Duration::from_secs(5));
    kafka.resume();
    assert_drained(host, &published, &kafka, &topic);
}

#[test]
fn a_backlog_is_drained_when_few_bytes_may_be_in_flight() {
    let _alone = heavy();
    let (kafka, mosquitto) = (Kafka::to_disturb(), Mosquitto::start());
    let topic = kafka.topic("backlog-tight");
    let command =
        Host::between(&mosquitto, "plant/#", &kafka, &topic).flag("max-in-flight-bytes", 1 << 20);
    let published = fill(&command, &mosquitto);

    // While Kafka is stopped what mosquitto sends has nowhere to go.
    let host = command.start();
    kafka.pause();
    std::thread::sleep(Duration::from_secs(2));
    kafka.resume();
    assert_drained(host, &published, &kafka, &topic);
}
