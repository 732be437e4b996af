//! Whoever waits costs next to nothing.

use std::time::{Duration, Instant};

use tests::host::Host;
use tests::kafka::Kafka;
use tests::load::messages;
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scratch::free_port;
use tests::scripted::ScriptedServer;
use tests::usage::Usage;
use tests::{A_WHILE, eventually, heavy};

/// Of one processor.
const NEXT_TO_NOTHING: f64 = 0.005;

/// # Panics
/// If it costs more, measured when it has settled.
fn assert_idle(host: &Host) {
    std::thread::sleep(Duration::from_secs(2));
    let (start, before) = (Instant::now(), Usage::of(host.id()).cpu);
    std::thread::sleep(Duration::from_secs(8));
    let spent = Usage::of(host.id()).cpu.saturating_sub(before);
    let share = spent.as_secs_f64() / start.elapsed().as_secs_f64();
    assert!(share < NEXT_TO_NOTHING, "{spent:?} in {:?}", start.elapsed());
}

#[test]
fn a_host_with_nothing_to_do_costs_next_to_nothing() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("idle");
    let host = Host::between(&mosquitto, "#", kafka, &topic).start();
    assert_idle(&host);
    host.stop().assert_clean();
}

#[test]
fn a_host_whose_kafka_is_away_costs_next_to_nothing_while_messages_wait() {
    let _alone = heavy();
    let (kafka, mosquitto) = (Kafka::to_disturb(), Mosquitto::start());
    let topic = kafka.topic("idle-kafka-away");
    let host = Host::between(&mosquitto, "#", &kafka, &topic).start();
    kafka.kill();
    let published = messages("plant", 3, 500, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    assert_idle(&host);
    kafka.start_again();
    assert_eq!(kafka.wait_for(&topic, published.len(), A_WHILE).len(), published.len());
    host.stop().assert_clean();
}

#[test]
fn a_host_whose_kafka_is_not_there_yet_costs_next_to_nothing() {
    let server = ScriptedServer::start();
    let kafka = format!("127.0.0.1:{}", free_port());
    let host = Host::between_ports(server.port(), "#", &kafka, "idle").launch();
    host.wait_for_line("that Kafka is away", |line| line.contains(&kafka));
    assert_idle(&host);
    host.kill();
}

#[test]
fn a_host_whose_mqtt_server_is_away_costs_next_to_nothing() {
    let (kafka, mut mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("idle-mqtt-away");
    let host = Host::between(&mosquitto, "#", kafka, &topic).start();
    mosquitto.kill();
    assert_idle(&host);
    host.stop().assert_clean();
}

/// A line at least every half a minute, with a reason; a little more on a machine that is busy.
#[test]
fn a_kafka_that_is_away_is_said_again_and_again_with_the_reason_while_nothing_waits() {
    let _alone = heavy();
    let (kafka, mosquitto) = (Kafka::to_disturb(), Mosquitto::start());
    let topic = kafka.topic("idle-said");
    let host = Host::between(&mosquitto, "#", &kafka, &topic).start();
    kafka.kill();
    let said = |seconds: std::ops::Range<u32>| {
        eventually("a line that Kafka is away, since when, and why", A_WHILE, || {
            let errors = host.errors();
            let mut lines = errors.lines().filter_map(|line| {
                let (_, rest) = line.split_once("no broker of Kafka has been connected for ")?;
                rest.split_once(" s: ")
            });
            let wanted = lines.any(|(since, why)| {
                since.parse().is_ok_and(|since| seconds.contains(&since))
                    && why.contains("Connection refused")
            });
            wanted.then_some(())
        });
    };
    said(10..16);
    said(40..47);
    kafka.start_again();
    host.wait_for_line("that it is back", |line| line.contains("Kafka works again"));
    host.stop().assert_clean();
}
