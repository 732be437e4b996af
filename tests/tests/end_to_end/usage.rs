//! Wrong usage ends with code 2 and a line that says what is wrong, before any connection.

use tests::host::{Builder, Host};
use tests::scratch::Folder;

/// A command line with nothing wrong; nobody listens where it points to.
fn right() -> Builder {
    Host::between_ports(1, "plant/#", "127.0.0.1:1", "plant")
}

/// # Panics
/// If it is not refused with a line that has all of `words`.
fn refused(command: &Builder, words: &[&str]) {
    command.run().assert_failed(2, words);
}

#[test]
fn an_unknown_flag_is_named() {
    refused(&right().argument("--nonsense"), &["--nonsense"]);
}

#[test]
fn missing_flags_are_named() {
    for name in ["topic", "client-id", "server", "port", "broker-address", "kafka-topic"] {
        refused(&right().without(name), &[&format!("--{name}")]);
    }
}

#[test]
fn values_out_of_range_are_refused() {
    for (name, value) in [
        ("port", "70000"),
        ("port", "0"),
        ("qos", "3"),
        ("mqtt-version", "4"),
        ("tls-enabled", "maybe"),
        ("keep-alive", "-1"),
        ("headers", "some"),
        ("on-error", "ignore"),
        ("max-packet-size", "0"),
    ] {
        refused(&right().without(name).flag(name, value), &[name]);
    }
}

#[test]
fn an_empty_client_id_is_refused() {
    refused(&right().without("client-id").flag("client-id", ""), &["client-id"]);
}

#[test]
fn a_malformed_filter_is_refused() {
    for filter in ["", "plant/#/temp", "plant#", "pl+ant"] {
        refused(&right().without("topic").flag("topic", filter), &["topic"]);
    }
}

#[test]
fn a_password_needs_a_user_name_before_mqtt_5() {
    refused(&right().flag("password", "secret"), &["--username"]);
}

#[test]
fn a_password_and_a_password_file_contradict_each_other() {
    let folder = Folder::new("password");
    let file = folder.write("password", "secret");
    let command = right()
        .flag("username", "me")
        .flag("password", "secret")
        .flag("password-file", file.display());
    refused(&command, &["--password", "--password-file"]);
}

#[test]
fn properties_need_mqtt_5() {
    let command = right().flag("property", "session-expiry-interval=60");
    refused(&command, &["--mqtt-version"]);
    let command = command.flag("mqtt-version", "5").flag("property", "nonsense=1");
    refused(&command, &["nonsense"]);
}

#[test]
fn kafka_settings_that_would_break_a_promise_are_refused() {
    for setting in ["enable.idempotence=false", "acks=1"] {
        let name = setting.split('=').next().unwrap();
        refused(&right().argument("-X").argument(setting), &[name]);
    }
    for (setting, words) in [
        ("no.such.setting=1", ["no.such.setting", "No such"]),
        ("sasl.jaas.config=xyzzy", ["sasl.jaas.config", "sasl.username"]),
        ("ssl.ca.location=/no/such.pem", ["ssl.ca.location", "cannot be read"]),
        ("security.protocol=sasl_ssl", ["GSSAPI", "sasl.mechanisms"]),
    ] {
        refused(&right().kafka_property(setting), &words);
    }
    let folder = Folder::new("properties");
    let file = folder.write("client.properties", "linger.ms=1\nacks=1\n");
    let command = right().flag("kafka-config-file", file.display());
    refused(&command, &["client.properties:2:", "acks", "in-sync"]);
    refused(
        &right().flag("kafka-secret", "sasl.password=/no/such"),
        &["/no/such", "cannot be read"],
    );
}

#[test]
fn a_plugin_must_be_there_and_be_a_plugin() {
    let folder = Folder::new("plugins");
    let missing = folder.path().join("missing.wasm");
    refused(&right().flag("plugin", missing.display()), &["missing.wasm"]);
    let text = folder.write("text.wasm", "not WebAssembly");
    refused(&right().flag("plugin", text.display()), &["text.wasm"]);
    let empty = folder.write("empty.wasm", b"\0asm\x01\0\0\0");
    refused(&right().flag("plugin", empty.display()), &["empty.wasm"]);
}

#[test]
fn two_plugins_for_the_same_job_are_both_named() {
    let command = right().plugin("topic-level-key").plugin("owntracks");
    refused(&command, &["topic_level_key", "owntracks"]);
}

#[test]
fn two_payload_deserializers_are_both_named() {
    refused(&right().plugin("cbor").plugin("sparkplug-b"), &["payload deserializer", "cbor.wasm"]);
}

#[test]
fn a_payload_deserializer_does_not_go_with_none() {
    let command = right().plugin("cbor").flag("payload-deserializer", "none");
    refused(&command, &["cbor.wasm", "--payload-deserializer none", "leave out one"]);
}

#[test]
fn what_a_plugin_says_of_its_configuration_is_shown() {
    let key = right().plugin("json-key");
    refused(&key, &["json_key.wasm", "does not start without", "missing field `pointer`"]);
    let config = |config: &str| key.clone().flag("plugin-config", config);
    let wrong = config(r#"{"json_key": {"pointer": "id"}}"#);
    refused(&wrong, &["json_key.wasm: does not accept its configuration", "begins with a slash"]);
    let unknown = config(r#"{"json_key": {"pointer": "/id", "ponter": 1}}"#);
    refused(&unknown, &["json_key.wasm", "unknown field `ponter`"]);
    let needless = right().plugin("cbor").flag("plugin-config", r#"{"cbor": {"strict": true}}"#);
    refused(&needless, &["cbor.wasm", "takes none"]);
}

#[test]
fn help_and_version_are_no_errors() {
    let help = Host::bare().argument("--help").run();
    assert_eq!(help.code, Some(0));
    for flag in ["--topic", "--client-id", "--tls-enabled", "--kafka-topic", "--plugin"] {
        assert!(help.output.contains(flag), "--help tells of {flag}");
    }
    assert_eq!(Host::bare().argument("--version").run().code, Some(0));
}

#[test]
fn help_does_not_show_a_password_of_the_environment() {
    let help = Host::bare().argument("--help").environment("HOST_PASSWORD", "xyzzy").run();
    assert!(!help.output.contains("xyzzy") && !help.errors.contains("xyzzy"));
}
