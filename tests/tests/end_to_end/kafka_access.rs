//! Every way into a Kafka that does not let everybody in, and every way to get it wrong: each wrong
//! one is a line that names the cure.

use std::time::Duration;

use tests::host::{Builder, Ended, Host};
use tests::kafka::{Door, PASSWORD, Secured, USER, password};
use tests::scratch::Folder;
use tests::scripted::ScriptedServer;
use tests::usage::shares;
use tests::wire::Publish;
use tests::{A_WHILE, SOON};

/// Of a client's key.
const KEY_PASSWORD: &str = "xyzzy-key,=";

/// Through a door, to a topic, with properties of Kafka's client.
fn through(door: Door, mqtt: u16, topic: &str, properties: &[&str]) -> Builder {
    let command = Host::between_ports(mqtt, "#", &Secured::shared().address(door), topic);
    properties.iter().fold(command, |command, property| command.kafka_property(*property))
}

fn with_password(protocol: &str, mechanism: &str, password: &str) -> [String; 4] {
    [
        format!("security.protocol={protocol}"),
        format!("sasl.mechanisms={mechanism}"),
        format!("sasl.username={USER}"),
        format!("sasl.password={password}"),
    ]
}

/// The broker's authority.
fn authority() -> String {
    format!("ssl.ca.location={}", Secured::shared().certificates().authority_file().display())
}

/// A message comes through, and the password is not seen on the way, whatever is logged.
fn assert_carries(door: Door, properties: &[&str]) {
    let (kafka, server) = (Secured::shared(), ScriptedServer::start());
    let topic = kafka.open_topic("access");
    let host = through(door, server.port(), &topic, properties)
        .kafka_property("debug=all")
        .environment("RUST_LOG", "trace")
        .launch();
    let mut connection = server.accept_and_subscribe(false);
    connection.publish(1, &Publish::new("plant/a", "1"));
    assert_eq!(connection.acknowledged(1), [1]);
    assert_eq!(kafka.wait_for(&topic, 1, SOON).len(), 1);
    let ended = host.stop();
    ended.assert_clean();
    assert!(!ended.errors.contains("xyzzy"), "the password is in the log");
}

/// It ends by itself, with a line that has all of `words`, and no password in any.
fn assert_refused(door: Door, properties: &[&str], words: &[&str]) {
    let ended = through(door, 1, "open-refused", properties).run();
    ended.assert_failed(1, words);
    assert_calm(&ended);
}

fn assert_calm(ended: &Ended) {
    assert!(ended.errors.lines().count() < 8, "it writes little:\n{}", ended.errors);
    assert!(!ended.errors.contains("xyzzy"), "{}", ended.errors);
}

#[test]
fn a_password_lets_in_with_every_mechanism() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let properties = with_password("sasl_plaintext", mechanism, password(mechanism));
        assert_carries(Door::Password, &properties.each_ref().map(String::as_str));
    }
}

#[test]
fn tls_lets_in_with_the_file_of_the_authority() {
    assert_carries(Door::Tls, &["security.protocol=ssl", &authority()]);
}

#[test]
fn a_certificate_of_the_client_lets_in() {
    let certificates = Secured::shared().certificates();
    let certificate =
        format!("ssl.certificate.location={}", certificates.server.certificate.display());
    let key = format!("ssl.key.location={}", certificates.server.key.display());
    let properties = ["security.protocol=ssl", &authority(), &certificate, &key];
    assert_carries(Door::MutualTls, &properties);
}

#[test]
fn a_password_over_tls_lets_in() {
    let properties = with_password("sasl_ssl", "SCRAM-SHA-512", password("SCRAM-SHA-512"));
    let [protocol, mechanism, name, password] = properties.each_ref().map(String::as_str);
    let properties = [protocol, mechanism, name, password, &authority()];
    assert_carries(Door::TlsAndPassword, &properties);
}

#[test]
fn a_password_may_come_from_a_file_or_the_environment() {
    let (kafka, server) = (Secured::shared(), ScriptedServer::start());
    let topic = kafka.open_topic("password");
    let folder = Folder::new("password");
    let secret = folder.write("secret", format!("{PASSWORD}\n"));
    let lines = with_password("sasl_plaintext", "PLAIN", PASSWORD).join("\n");
    let file = folder.write("client.properties", format!("# Kafka\n\n{lines}\n"));
    let command = through(Door::Password, server.port(), &topic, &[]);
    let named = with_password("sasl_plaintext", "PLAIN", PASSWORD)[..3]
        .iter()
        .fold(command.clone(), Builder::kafka_property);
    for command in [
        named.clone().flag("kafka-secret", format!("sasl.password={}", secret.display())),
        named.environment("HOST_KAFKA_CONFIG", &format!("sasl.password={PASSWORD}\n")),
        command.clone().flag("kafka-config-file", file.display()),
        command.environment("HOST_KAFKA_CONFIG", &lines),
    ] {
        let host = command.environment("RUST_LOG", "debug").launch();
        let connection = server.accept_and_subscribe(false);
        host.terminate();
        connection.wait_for_end();
        let ended = host.wait(SOON);
        ended.assert_clean();
        assert!(!ended.errors.contains("xyzzy"), "{}", ended.errors);
    }
}

#[test]
fn a_wrong_password_ends_the_program_and_names_the_property() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let properties = with_password("sasl_plaintext", mechanism, "xyzzy");
        let properties = properties.each_ref().map(String::as_str);
        assert_refused(
            Door::Password,
            &properties,
            &["refuses these credentials", "sasl.password"],
        );
    }
}

#[test]
fn a_mechanism_that_kafka_does_not_offer_is_named() {
    // This Kafka offers every mechanism of its client that needs nothing but a password.
    let properties = with_password("sasl_plaintext", "OAUTHBEARER", "xyzzy");
    let mut properties = properties.each_ref().map(String::as_str).to_vec();
    properties.push("enable.sasl.oauthbearer.unsecure.jwt=true");
    properties.push("sasl.oauthbearer.config=principal=carrier");
    assert_refused(Door::Password, &properties, &["sasl.mechanisms", "OAUTHBEARER"]);
}

#[test]
fn a_certificate_of_an_authority_that_is_not_trusted_is_refused() {
    let stranger = Secured::shared().elsewhere().authority_file().display().to_string();
    let stranger = format!("ssl.ca.location={stranger}");
    for properties in [&["security.protocol=ssl"][..], &["security.protocol=ssl", &stranger]] {
        assert_refused(Door::Tls, properties, &["certificate", "-X ssl.ca.location"]);
    }
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Secured::shared().elsewhere().authority_file().display().to_string();
    let properties = ["security.protocol=ssl", &format!("ssl.ca.location={authority}")];
    assert_refused(Door::Elsewhere, &properties, &["127.0.0.1", "certificate", "--broker-address"]);
}

#[test]
fn a_certificate_that_has_expired_is_refused_and_is_to_be_renewed_at_the_broker() {
    let properties = ["security.protocol=ssl", &authority()];
    assert_refused(Door::Expired, &properties, &["certificate", "expired", "renew it"]);
}

#[test]
fn a_missing_certificate_of_the_client_is_named() {
    let properties = ["security.protocol=ssl", &authority()];
    assert_refused(Door::MutualTls, &properties, &["ssl.certificate.location"]);
}

#[test]
fn a_certificate_of_the_client_that_kafka_does_not_trust_is_named() {
    let stranger = Secured::shared().elsewhere();
    let certificate = format!("ssl.certificate.location={}", stranger.server.certificate.display());
    let key = format!("ssl.key.location={}", stranger.server.key.display());
    let properties = ["security.protocol=ssl", &authority(), &certificate, &key];
    assert_refused(Door::MutualTls, &properties, &["ssl.certificate.location"]);
}

#[test]
fn a_key_that_does_not_match_the_certificate_is_refused_before_any_connection() {
    let (ours, theirs) = (Secured::shared().certificates(), Secured::shared().elsewhere());
    let certificate = format!("ssl.certificate.location={}", ours.server.certificate.display());
    let key = format!("ssl.key.location={}", theirs.server.key.display());
    let properties = ["security.protocol=ssl", &certificate, &key];
    let ended = through(Door::MutualTls, 1, "open-refused", &properties).run();
    ended.assert_failed(2, &["ssl.key.location"]);
}

/// The client's certificate with its key encrypted.
fn with_encrypted_key() -> [String; 4] {
    let certificates = Secured::shared().certificates();
    let key = certificates.server.encrypted_key(KEY_PASSWORD);
    [
        "security.protocol=ssl".to_owned(),
        authority(),
        format!("ssl.certificate.location={}", certificates.server.certificate.display()),
        format!("ssl.key.location={}", key.display()),
    ]
}

#[test]
fn an_encrypted_key_lets_in_with_its_password_from_an_option_or_a_file() {
    let files = with_encrypted_key();
    let mut properties = files.each_ref().map(String::as_str).to_vec();
    let password = format!("ssl.key.password={KEY_PASSWORD}");
    properties.push(&password);
    assert_carries(Door::MutualTls, &properties);

    let (kafka, server) = (Secured::shared(), ScriptedServer::start());
    let folder = Folder::new("key-password");
    let secret = folder.write("secret", format!("{KEY_PASSWORD}\n"));
    let files = files.each_ref().map(String::as_str);
    let host = through(Door::MutualTls, server.port(), &kafka.open_topic("key"), &files)
        .flag("kafka-secret", format!("ssl.key.password={}", secret.display()))
        .launch();
    let connection = server.accept_and_subscribe(false);
    host.terminate();
    connection.wait_for_end();
    let ended = host.wait(SOON);
    ended.assert_clean();
    assert!(!ended.errors.contains("xyzzy"), "{}", ended.errors);
}

#[test]
fn an_encrypted_key_with_another_password_or_none_is_refused_before_any_connection() {
    let files = with_encrypted_key();
    let files = files.each_ref().map(String::as_str);
    let folder = Folder::new("key-password");
    let secret = folder.write("secret", "xyzzy-wrong\n");
    let none = through(Door::MutualTls, 1, "open-refused", &files);
    for (command, words) in [
        (none.clone(), ["-X ssl.key.location", "is encrypted", "ssl.key.password"]),
        (
            none.clone().kafka_property("ssl.key.password=xyzzy-wrong"),
            ["-X ssl.key.location", "not the one", "ssl.key.password"],
        ),
        (
            none.flag("kafka-secret", format!("ssl.key.password={}", secret.display())),
            ["-X ssl.key.location", "not the one", "ssl.key.password"],
        ),
    ] {
        let ended = command.run();
        ended.assert_failed(2, &words);
        assert_calm(&ended);
    }
}

#[test]
fn tls_spoken_to_a_plain_text_port_is_named() {
    let host = through(Door::Password, 1, "open-refused", &["security.protocol=ssl"]).launch();
    host.wait_for_line("the property", |line| line.contains("security.protocol"));
    drop(host);
}

#[test]
fn plain_text_spoken_to_a_tls_port_is_named() {
    let host = through(Door::Tls, 1, "open-refused", &[]).launch();
    host.wait_for_line("the property", |line| line.contains("security.protocol"));
    drop(host);
}

#[test]
fn plain_text_without_a_password_to_a_port_that_wants_one_is_named() {
    let host = through(Door::Password, 1, "open-refused", &[]).launch();
    host.wait_for_line("the property", |line| line.contains("security.protocol"));
    drop(host);
}

#[test]
fn a_password_that_is_changed_while_it_runs_is_said_and_nothing_is_lost() {
    let (kafka, server) = (Secured::start(), ScriptedServer::start());
    let topic = kafka.open_topic("changed");
    let address = kafka.address(Door::Password);
    let host = with_password("sasl_plaintext", "PLAIN", PASSWORD)
        .iter()
        .fold(Host::between_ports(server.port(), "#", &address, &topic), |command, property| {
            command.kafka_property(property)
        })
        .launch();
    let mut connection = server.accept_and_subscribe(false);
    connection.publish(1, &Publish::new("plant/a", "1"));
    assert_eq!(connection.acknowledged(1), [1]);

    kafka.start_again_with_password("another");
    connection.publish(2, &Publish::new("plant/a", "2"));
    host.wait_for_line("that the credentials are refused", |line| {
        line.contains("WARN") && line.contains("sasl.password") && line.contains("nothing is lost")
    });
    connection.assert_silent(Duration::from_secs(1));
    let share = shares(&[host.id()], Duration::from_secs(8))[0];
    assert!(share < 0.005, "it does not spin: {share} of a processor");
    kafka.start_again_with_password(PASSWORD);
    assert_eq!(connection.acknowledged(1), [2]);
    let records = kafka.wait_for(&topic, 2, A_WHILE);
    let mut values: Vec<_> = records.iter().filter_map(|record| record.value_text()).collect();
    values.sort_unstable();
    assert_eq!(values, ["1", "2"]);
    let ended = host.stop();
    ended.assert_clean();
    assert!(!ended.errors.contains(PASSWORD), "{}", ended.errors);
}
