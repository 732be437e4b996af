//! From the name of the MQTT server to a connection.

use tests::host::{Builder, Host};
use tests::kafka::Kafka;
use tests::load::{assert_carried_once, messages};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scratch::free_port;
use tests::{SOON, eventually};

fn to(server: &str, port: u16, topic: &str) -> Builder {
    Host::between_ports(port, "plant/#", Kafka::shared().address(), topic)
        .without("server")
        .flag("server", server)
}

#[test]
fn an_ipv6_address_is_connected_to_with_brackets_and_without() {
    if let Err(error) = std::net::TcpListener::bind("[::1]:0") {
        panic!(
            "this test needs IPv6 on loopback ({error}): sysctl net.ipv6.conf.lo.disable_ipv6=0; \
             in Docker: --sysctl net.ipv6.conf.lo.disable_ipv6=0"
        );
    }
    let mosquitto = Mosquitto::builder().at("::1").websockets().start();
    for server in ["::1", "[::1]"] {
        let (kafka, published) = (Kafka::shared(), messages("plant", 2, 20, 1));
        let topic = kafka.topic("ipv6");
        let host = to(server, mosquitto.port(), &topic).start();
        Publisher::connect_to("::1", mosquitto.port(), "publisher").publish(&published);
        assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
        host.stop().assert_clean();
    }
    let topic = Kafka::shared().topic("ipv6");
    let host = to("::1", mosquitto.websocket(), &topic).flag("transport", "websocket").start();
    host.stop().assert_clean();
    let port = free_port();
    let host = to("::1", port, &topic).launch();
    host.wait_for_line("the address in brackets", |line| {
        line.contains(&format!("MQTT server [::1]:{port}: ")) && line.contains("refused")
    });
}

#[test]
fn a_name_is_resolved() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("name");
    to("localhost", mosquitto.port(), &topic).start().stop().assert_clean();
}

#[test]
fn a_name_that_does_not_resolve_is_said_and_tried_again() {
    let topic = Kafka::shared().topic("no-name");
    let host = to("no-such-host.invalid", 1883, &topic).launch();
    let said = |line: &str| {
        line.contains("no-such-host.invalid:1883: the name cannot be resolved")
            && line.contains("--server")
            && line.contains("trying again")
    };
    host.wait_for_line("that the name does not resolve", said);
    eventually("it is tried again", SOON, || {
        (host.errors().lines().filter(|line| said(line)).count() >= 2).then_some(())
    });
    host.stop().assert_clean();
}
