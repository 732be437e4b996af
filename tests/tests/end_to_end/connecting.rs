//! Servers that refuse, are not there yet, or talk nonsense.

use std::time::Duration;

use tests::host::{Builder, Host};
use tests::kafka::Kafka;
use tests::load::{assert_carried_once, messages};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scratch::{Folder, free_port};
use tests::scripted::ScriptedServer;
use tests::wire::{Publish, Version};
use tests::{A_WHILE, SOON, eventually};

/// A word that must not be seen anywhere.
const PASSWORD: &str = "xyzzy";

fn to_a_server_with_a_password(mosquitto: &Mosquitto) -> Builder {
    let kafka = Kafka::shared();
    let topic = kafka.topic("password");
    Host::between(mosquitto, "plant/#", kafka, &topic).flag("username", "me")
}

#[test]
fn a_wrong_password_ends_the_program_and_is_not_shown() {
    let mosquitto = Mosquitto::builder().password("me", "secret").start();
    let ended = to_a_server_with_a_password(&mosquitto).flag("password", PASSWORD).run();
    ended.assert_failed(1, &["--username"]);
    assert!(!ended.errors.contains(PASSWORD), "{}", ended.errors);
}

#[test]
fn a_password_may_come_by_flag_file_or_environment() {
    let mosquitto = Mosquitto::builder().password("me", PASSWORD).start();
    let folder = Folder::new("password");
    let file = folder.write("password", format!("{PASSWORD}\n"));
    let command = to_a_server_with_a_password(&mosquitto);
    for command in [
        command.clone().flag("password", PASSWORD),
        command.clone().flag("password-file", file.display()),
        command.clone().environment("HOST_PASSWORD", PASSWORD),
    ] {
        let ended = command.environment("RUST_LOG", "debug").start().stop();
        ended.assert_clean();
        assert!(!ended.errors.contains(PASSWORD), "{}", ended.errors);
    }
}

#[test]
fn every_flag_may_come_by_environment() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("environment");
    let host = Host::bare()
        .environment("HOST_TOPIC", "plant/#,home/#")
        .environment("HOST_CLIENT_ID", "host-environment")
        .environment("HOST_SERVER", "127.0.0.1")
        .environment("HOST_PORT", &mosquitto.port().to_string())
        .environment("HOST_TLS_ENABLED", "false")
        .environment("HOST_BROKER_ADDRESS", kafka.address())
        .environment("HOST_KAFKA_TOPIC", &topic)
        .start();
    let published = [Publish::new("plant/a", "1"), Publish::new("home/b", "2")];
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    assert_carried_once(&published, &kafka.wait_for(&topic, 2, SOON));
    host.stop().assert_clean();
}

#[test]
fn a_refused_subscription_ends_the_program_and_names_the_filter() {
    for (version, code) in [("3.1.1", 0x80), ("5", 0x87)] {
        let server = ScriptedServer::start();
        let topic = Kafka::shared().topic("refused");
        let host = Host::between_ports(server.port(), "plant/#", Kafka::shared().address(), &topic)
            .flag("mqtt-version", version)
            .launch();
        let mut connection = server.accept();
        connection.accept_connect(false);
        connection.refuse_subscription(code);
        host.wait(SOON).assert_failed(1, &["plant/#"]);
    }
}

#[test]
fn refusals_that_time_does_not_cure_end_the_program() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("refusals");
    for (version, codes) in
        [("3.1.1", &[1_u8, 2, 4, 5][..]), ("5", &[0x84, 0x85, 0x86, 0x87, 0x8a])]
    {
        for &code in codes {
            let server = ScriptedServer::start();
            let host = Host::between_ports(server.port(), "plant/#", kafka.address(), &topic)
                .flag("mqtt-version", version)
                .launch();
            server.accept().refuse_connect(code);
            let ended = host.wait(SOON);
            assert_eq!(ended.code, Some(1), "{version} {code:#x}: it wrote:\n{}", ended.errors);
        }
    }
}

#[test]
fn refusals_that_time_may_cure_are_tried_again() {
    for (version, codes) in [("3.1.1", &[3_u8][..]), ("5", &[0x88, 0x89])] {
        for &code in codes {
            let server = ScriptedServer::start();
            let topic = Kafka::shared().topic("busy");
            let address = Kafka::shared().address();
            let host = Host::between_ports(server.port(), "plant/#", address, &topic)
                .flag("mqtt-version", version)
                .launch();
            server.accept().refuse_connect(code);
            let connection = server.accept_and_subscribe(false);
            host.wait_until_ready();
            host.terminate();
            connection.wait_for_end();
            host.wait(SOON).assert_clean();
        }
    }
}

#[test]
fn a_server_that_talks_nonsense_or_hangs_up_is_tried_again() {
    let server = ScriptedServer::start();
    let topic = Kafka::shared().topic("nonsense");
    let host =
        Host::between_ports(server.port(), "plant/#", Kafka::shared().address(), &topic).launch();
    server.accept().send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    server.accept().hang_up();
    let mut connection = server.accept_and_subscribe(false);
    connection.send(&[0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let mut connection = server.accept_and_subscribe(true);
    // A PUBLISH packet whose topic is longer than the packet.
    connection.send(&[0x32, 4, 0xff, 0xff, 0, 1]);
    let mut connection = server.accept_and_subscribe(true);
    connection.publish(7, &Publish::new("plant/a", "1"));
    assert_eq!(connection.acknowledged(1), [7]);
    host.terminate();
    host.wait(SOON).assert_clean();
}

#[test]
fn a_server_that_says_nothing_is_tried_again() {
    let server = ScriptedServer::start();
    let topic = Kafka::shared().topic("silence");
    let host =
        Host::between_ports(server.port(), "plant/#", Kafka::shared().address(), &topic).launch();
    let silent = server.accept();
    let mut connection = server.accept_and_subscribe(false);
    drop(silent);
    connection.publish(7, &Publish::new("plant/a", "1"));
    assert_eq!(connection.acknowledged(1), [7]);
    host.stop().assert_clean();
}

#[test]
fn an_mqtt_server_that_comes_later_is_waited_for() {
    let (kafka, port) = (Kafka::shared(), free_port());
    let topic = kafka.topic("mqtt-later");
    let host = Host::between_ports(port, "plant/#", kafka.address(), &topic).launch();
    host.wait_for_line("that the MQTT server is away", |line| line.contains(&port.to_string()));
    std::thread::sleep(Duration::from_secs(1));
    let mosquitto = Mosquitto::builder().start_on(port);
    host.wait_until_ready();
    let published = messages("plant", 2, 100, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    assert_carried_once(&published, &kafka.wait_for(&topic, published.len(), SOON));
    host.stop().assert_clean();
}

#[test]
fn a_kafka_that_comes_later_is_waited_for_before_anything_is_taken() {
    let (kafka, server) = (Kafka::to_disturb(), ScriptedServer::start());
    let topic = kafka.topic("kafka-later");
    kafka.kill();
    let host = Host::between_ports(server.port(), "plant/#", kafka.address(), &topic).launch();
    host.wait_for_line("that Kafka is away", |line| line.contains(kafka.address()));
    kafka.start_again();
    let mut connection = server.accept_and_subscribe(false);
    connection.publish(7, &Publish::new("plant/a", "1"));
    assert_eq!(connection.acknowledged(1), [7]);
    assert_eq!(kafka.wait_for(&topic, 1, A_WHILE).len(), 1);
    host.stop().assert_clean();
}

#[test]
fn what_the_client_asks_for_is_what_the_flags_say() {
    for (flag, version) in [("3.1.1", Version::V311), ("5", Version::V5)] {
        let server = ScriptedServer::start();
        let topic = Kafka::shared().topic("asked");
        let host = Host::between_ports(server.port(), "plant/#", Kafka::shared().address(), &topic)
            .flag("mqtt-version", flag)
            .flag("topic", "home/+")
            .flag("keep-alive", 17)
            .flag("username", "me")
            .flag("password", "secret")
            .launch();
        let mut connection = server.accept();
        let connect = connection.connect.clone();
        connection.accept_connect(false);
        let filters = connection.grant_subscription();
        host.terminate();
        host.wait(SOON).assert_clean();

        assert_eq!(connect.version(), version);
        assert_eq!((connect.client_id, connect.keep_alive), (format!("host-{topic}"), 17));
        assert_eq!((connect.username.as_deref(), connect.clean), (Some("me"), false));
        assert_eq!(connect.password.as_deref(), Some(&b"secret"[..]));
        assert_eq!(
            filters.iter().map(|(filter, _)| filter.as_str()).collect::<Vec<_>>(),
            ["plant/#", "home/+"]
        );
        assert!(filters.iter().all(|(_, options)| options & 3 == 1), "QoS 1: {filters:?}");
    }
}

#[test]
fn a_session_taken_over_by_another_client_is_taken_back() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("taken-over");
    let host = Host::between(&mosquitto, "plant/#", kafka, &topic).start();
    let thief = Publisher::connect(mosquitto.port(), &format!("host-{topic}"));
    host.wait_until_ready_again(2);
    drop(thief);
    let published = messages("plant", 2, 100, 1);
    Publisher::connect(mosquitto.port(), "publisher").publish(&published);
    let arrived = || (kafka.count(&topic) == published.len()).then_some(());
    eventually("the messages arrive", SOON, arrived);
    host.stop().assert_clean();
}

#[test]
fn a_kafka_that_refuses_the_credentials_ends_the_program_and_they_are_not_shown() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let mut command = Host::between_ports(server.port(), "#", kafka.address(), "credentials");
    for property in
        ["security.protocol=sasl_plaintext", "sasl.mechanisms=PLAIN", "sasl.username=me"]
    {
        command = command.argument("-X").argument(property);
    }
    let ended = command.argument("-X").argument(format!("sasl.password={PASSWORD}")).run();
    ended.assert_failed(1, &["refuses these credentials", "-X sasl.username"]);
    assert!(!ended.errors.contains(PASSWORD), "{}", ended.errors);
}

#[test]
fn a_server_that_has_worked_is_not_suspected_of_speaking_tls() {
    let (kafka, server) = (Kafka::shared(), ScriptedServer::start());
    let topic = kafka.topic("suspected");
    let host = Host::between_ports(server.port(), "#", kafka.address(), &topic).launch();
    let what = "it closed the connection instead of answering CONNECT";
    server.accept().hang_up();
    host.wait_for_line("what may be wrong", |line| line.contains(what) && line.contains("TLS"));
    server.accept_and_subscribe(false).hang_up();
    server.accept().hang_up();
    host.wait_for_line("no more than that", |line| line.contains(what) && !line.contains("TLS"));
    drop(server);
    host.stop().assert_clean();
}
