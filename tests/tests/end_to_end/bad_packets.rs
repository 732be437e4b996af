//! PUBLISH packets that break the rules of MQTT and that a lenient server passes on: rejected, not met
//! again on each connection.

use tests::SOON;
use tests::host::{Host, READY};
use tests::kafka::{Kafka, dead_letters};
use tests::scripted::{Connection, ScriptedServer};
use tests::wire::{self, Publish};

/// A topic as its packet has it, what becomes of it, the properties of MQTT 5, and the rule.
const BAD: [(&[u8], &str, &[u8], &str); 6] = [
    (b"plant/\xff", "plant/\u{fffd}", b"", "not UTF-8"),
    (b"plant/\0", "plant/\0", b"", "NUL"),
    (b"plant/+", "plant/+", b"", "wildcard"),
    (b"plant/#", "plant/#", b"", "wildcard"),
    (b"plant/a", "plant/a", &[0x03, 0, 1, 0xff], "not UTF-8"),
    (b"plant/a", "plant/a", &[0x7f], "property that it may not have"),
];

fn send(
    connection: &mut Connection,
    version: &str,
    qos: u8,
    (id, topic, properties): (u16, &[u8], &[u8]),
) {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend(topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    if version == "5" {
        body.push(properties.len() as u8);
        body.extend(properties);
    }
    body.extend(format!("payload {id}").bytes());
    connection.send(&wire::packet(0x30 | qos << 1, &body));
}

#[test]
fn a_packet_that_breaks_the_rules_becomes_a_dead_letter_and_the_connection_goes_on() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    for (version, qos) in
        [("3.1", 1), ("3.1.1", 0), ("3.1.1", 1), ("3.1.1", 2), ("5", 0), ("5", 1), ("5", 2)]
    {
        let topic = Kafka::unused_topic("bad-packet");
        kafka.create_topic(&topic, 1, &[]);
        kafka.create_topic(&dead_letters(&topic), 1, &[]);
        let host = Host::between_ports(server.port(), "#", kafka.address(), &topic)
            .flag("mqtt-version", version)
            .flag("qos", qos)
            .launch();
        let mut connection = server.accept_and_subscribe(false);
        let bad = if version == "5" { &BAD[..] } else { &BAD[..4] };
        for (id, (raw, _, properties, _)) in (1..).zip(bad) {
            send(&mut connection, version, qos, (id, raw, properties));
        }
        let good = Publish::new("plant/good", "good").qos(1);
        connection.publish(100, &good);
        let ids: Vec<u16> = (1..=bad.len() as u16).collect();
        match qos {
            0 => {}
            1 => assert_eq!(connection.acknowledged(bad.len()), ids),
            _ => assert_eq!(connection.received(bad.len()), ids),
        }
        assert_eq!(connection.acknowledged(1), [100]);

        let records = kafka.wait_for(&topic, 1, SOON);
        assert_eq!(records[0].value_text(), Some("good"));
        let letters = kafka.wait_for(&dead_letters(&topic), bad.len(), SOON);
        assert_eq!(letters.len(), bad.len());
        for ((id, (_, topic, _, rule)), letter) in (1..).zip(bad).zip(&letters) {
            assert_eq!(letter.key_text(), Some(*topic));
            assert_eq!(letter.value_text(), Some(format!("payload {id}").as_str()));
            assert_eq!(letter.header("reject.reason"), Some("bad-packet"));
            assert_eq!(letter.header("mqtt.topic"), Some(*topic));
            assert_eq!(letter.header("mqtt.qos"), Some(qos.to_string().as_str()));
            let error = letter.header("reject.error").expect("the header reject.error");
            assert!(error.contains(rule), "{error}");
            let arrived = letter.header("reject.arrived-at").expect("the header");
            assert_eq!(arrived, letter.timestamp.to_string());
        }
        let ended = host.stop();
        let ledger = ended.assert_clean();
        assert_eq!((ledger.delivered, ledger.dead_lettered), (1, bad.len() as u64));
        assert_eq!(ended.errors.matches(READY).count(), 1, "one connection");
    }
}

#[test]
fn a_packet_whose_message_cannot_be_acknowledged_ends_the_connection() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = kafka.topic("worse-packet");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic).launch();
    let mut connection = server.accept_and_subscribe(false);
    send(&mut connection, "3.1.1", 1, (0, b"plant/a", b""));
    host.wait_for_line("why", |line| line.contains("packet id 0") && line.contains("trying again"));
    let mut connection = server.accept_and_subscribe(true);
    connection.publish(1, &Publish::new("plant/a", "good"));
    assert_eq!(connection.acknowledged(1), [1]);
    host.stop().assert_clean();
}
