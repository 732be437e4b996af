//! Whoever waits costs next to nothing.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use tests::certificates::Authority;
use tests::host::{Builder, Host};
use tests::kafka::{Door, Kafka, Secured};
use tests::load::{messages, noise};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::raw::raw;
use tests::relay::{Flow, Way};
use tests::scratch::free_port;
use tests::scripted::ScriptedServer;
use tests::usage::shares;
use tests::wire::{self, Packet, Publish, Version};
use tests::{A_WHILE, SOON, eventually, heavy};

/// Of one processor.
const NEXT_TO_NOTHING: f64 = 0.005;

/// How long it is measured.
const WINDOW: Duration = Duration::from_secs(8);

/// # Panics
/// If it costs more, measured when it has settled.
fn assert_idle(host: &Host) {
    std::thread::sleep(Duration::from_secs(2));
    let share = shares(&[host.id()], WINDOW)[0];
    assert!(share < NEXT_TO_NOTHING, "{share} of a processor");
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
fn a_host_whose_kafka_answers_nothing_costs_next_to_nothing_while_batches_wait() {
    let _alone = heavy();
    let (kafka, relay) = Kafka::start_behind_relay("auto.create.topics.enable=false\n");
    let mosquitto = Mosquitto::builder().setting("max_inflight_messages", 0).start();
    let topic = kafka.topic("idle-unanswered");
    let address = format!("127.0.0.1:{}", relay.port());
    let host = Host::between_ports(mosquitto.port(), "#", &address, &topic)
        .flag("mqtt-version", 5)
        .start();
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&[Publish::new("plant/a", "first").qos(1)]);
    kafka.wait_for(&topic, 1, SOON);
    // Some records are under way, the others wait for them.
    relay.set(Way::ToClient, Flow::Hold);
    let payload = noise(200);
    let wait: Vec<_> = (0..30_000).map(|_| Publish::new("plant/a", &payload[..]).qos(1)).collect();
    publisher.publish(&wait);
    // Once these are answered the others leave, and are not answered any more.
    let is_large = |request: &[u8]| request.get(4..6) == Some(&[0, 0]) && request.len() > 2_000;
    relay.hold_after(is_large, Way::ToClient);
    relay.set(Way::ToClient, Flow::Pass);
    eventually("a batch leaves", SOON, || relay.holds(Way::ToClient).then_some(()));
    assert_idle(&host);
    relay.set(Way::ToClient, Flow::Pass);
    let count = 1 + wait.len();
    assert_eq!(kafka.wait_for(&topic, count, A_WHILE).len(), count);
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

/// Whether it says that it is tried again after so many seconds or more.
fn pauses_for(line: &str, least: f32) -> bool {
    let after = line.split_once("trying again in ").and_then(|(_, rest)| rest.split_once(" s"));
    after.and_then(|(pause, _)| pause.parse().ok()).is_some_and(|pause: f32| pause >= least)
}

fn next(client: &mut TcpStream, version: Version) -> Option<Packet> {
    let (first, body) = wire::read(client).ok()??;
    Some(wire::decode(version, first, &body))
}

/// An MQTT server that answers each client's CONNECT with these bytes, and hangs up.
fn answering(bytes: Vec<u8>) -> u16 {
    raw(move |mut client, _| {
        next(&mut client, Version::V311);
        drop(client.write_all(&bytes));
    })
}

/// One that lets each client in, and at once says that another has taken its session.
fn taking_over() -> u16 {
    raw(|mut client, _| {
        next(&mut client, Version::V5);
        drop(client.write_all(&wire::connack(Version::V5, true, 0, &[])));
        if let Some(Packet::Subscribe { id, .. }) = next(&mut client, Version::V5) {
            drop(client.write_all(&wire::suback(Version::V5, id, &[1])));
            drop(client.write_all(&wire::disconnect(0x8e, &[])));
        }
    })
}

/// One that takes connections, and never says a word.
fn silent() -> u16 {
    let mut kept = Vec::new();
    raw(move |client, _| kept.push(client))
}

/// A way to wait.
struct Waiting {
    what: &'static str,
    command: Builder,
    /// It has settled once it says that it pauses for so many seconds. Where an attempt takes as
    /// long as the window, the first pause will do.
    pause: f32,
    /// Of one processor.
    bound: f64,
}

impl Waiting {
    fn new(what: &'static str, command: Builder, pause: f32) -> Self {
        Self { what, command, pause, bound: NEXT_TO_NOTHING }
    }
}

fn waiting_for_mqtt(authority: &Authority) -> Vec<Waiting> {
    let kafka = Kafka::shared();
    let to = |port| Host::between_ports(port, "#", kafka.address(), &kafka.topic("idle"));
    let unnamed = to(1883).without("server").flag("server", "no-such-host.invalid");
    let nonsense = to(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()));
    let busy = to(answering(wire::connack(Version::V311, false, 3, &[])));
    let stalled = to(silent()).without("tls-enabled").flag("ca-file", authority.file.display());
    vec![
        Waiting::new("its name does not resolve", unnamed, 3.0),
        Waiting::new("its port is closed", to(free_port()), 3.0),
        Waiting::new("it says nothing", to(silent()), 0.0),
        Waiting::new("it talks nonsense", nonsense, 3.0),
        Waiting::new("it is busy", busy, 3.0),
        Waiting::new("the session is taken over", to(taking_over()).flag("mqtt-version", 5), 3.0),
        Waiting::new("its TLS handshake stalls", stalled, 0.0),
    ]
}

/// An attempt takes five seconds here, in which Kafka's client connects once a second.
fn waiting_for_kafka() -> Vec<Waiting> {
    const CONNECTING: f64 = 0.01;
    let to = |kafka: &str, topic: &str| Host::between_ports(1, "#", kafka, topic);
    let shared = Kafka::shared().address();
    let missing = to(shared, &Kafka::unused_topic("idle-missing"));
    let plain = to(&Secured::shared().address(Door::Tls), "open-idle");
    let tls = to(shared, "idle").kafka_property("security.protocol=ssl");
    vec![
        Waiting::new("the Kafka topic is missing", missing, 2.0),
        Waiting { bound: CONNECTING, ..Waiting::new("Kafka wants TLS", plain, 0.3) },
        Waiting { bound: CONNECTING, ..Waiting::new("Kafka wants no TLS", tls, 0.3) },
    ]
}

#[test]
fn a_host_costs_next_to_nothing_whatever_it_waits_for() {
    let authority = Authority::new();
    let cases: Vec<_> =
        waiting_for_mqtt(&authority).into_iter().chain(waiting_for_kafka()).collect();
    let hosts: Vec<_> = cases.iter().map(|case| case.command.launch()).collect();
    for (case, host) in cases.iter().zip(&hosts) {
        let what = format!("that it waits, since {}", case.what);
        host.wait_for_line(&what, |line| pauses_for(line, case.pause));
    }
    let ids: Vec<_> = hosts.iter().map(Host::id).collect();
    let measured: Vec<_> = cases.iter().zip(shares(&ids, WINDOW)).collect();
    let said: Vec<_> = measured.iter().map(|(case, share)| (case.what, *share)).collect();
    assert!(measured.iter().all(|(case, share)| *share < case.bound), "{said:#?}");
    for host in hosts {
        host.stop().assert_clean();
    }
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
    said(35..42);
    kafka.start_again();
    host.wait_for_line("that it is back", |line| line.contains("Kafka works again"));
    host.stop().assert_clean();
}
