//! `host config show`, `check` and `schema`, as a user sees them.

use tests::SOON;
use tests::host::{Builder, Ended, Host};
use tests::kafka::{Door, Kafka, Secured, dead_letters};
use tests::mosquitto::Mosquitto;
use tests::publisher::Publisher;
use tests::scratch::{Folder, free_port};
use tests::scripted::ScriptedServer;
use tests::wire::Publish;

/// `host config ...`
fn config(what: &str, arguments: &[&str]) -> Builder {
    let command = Host::bare().argument("config").argument(what);
    arguments.iter().fold(command, |command, argument| command.argument(*argument))
}

/// A file with two routes and a plugin.
fn two_routes(mqtt: u16, kafka: &str, topic: &str) -> (Folder, String) {
    let folder = Folder::new("config");
    let plugin = tests::plugin::plugin("json-key").display().to_string();
    let file = folder.write(
        "host.toml",
        format!(
            "client_id = \"{topic}\"\nserver = \"127.0.0.1\"\nport = {mqtt}\ntls_enabled = false\n\
             broker_address = \"{kafka}\"\n\n\
             [[route]]\ntopic = \"plant/+/alarm\"\nkafka_topic = \"{topic}.alarms\"\n\
             dead_letter_topic = \"{topic}.dead-letter\"\n\
             plugin = [{{ file = \"{plugin}\", config = {{ pointer = \"/device/id\" }} }}]\n\n\
             [[route]]\ntopic = \"plant/#\"\nkafka_topic = \"{topic}\"\n"
        ),
    );
    let file = file.display().to_string();
    (folder, file)
}

fn lines(ended: &Ended) -> Vec<&str> {
    ended.output.lines().collect()
}

#[test]
fn a_right_file_is_said_to_be_right_without_any_connection() {
    let (_folder, file) = two_routes(free_port(), "127.0.0.1:1", "plant");
    let ended = config("check", &[&file]).run();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    ended.assert_says(&["json_key.wasm", "key setter", "sha256"]);
    ended.assert_says(&[&file, "no mistakes found"]);
    assert_eq!(lines(&ended).len(), 2);
    let named = config("check", &["--config", &file]).run();
    assert_eq!((named.code, lines(&named)[1]), (Some(0), lines(&ended)[1]));
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_its_place() {
    let (folder, file) = two_routes(free_port(), "127.0.0.1:1", "plant");
    let text = std::fs::read_to_string(&file).unwrap();
    for (right, wrong, words) in [
        ("client_id", "client_ident", &["host.toml:1:1", "unknown key client_ident"][..]),
        ("/device/id", "device", &["json_key.wasm", "begins with a slash"]),
        ("json_key.wasm", "no_key.wasm", &["no_key.wasm", "No such file"]),
        ("plant/+/alarm", "plant/#", &["host.toml:13:1", "no message reaches this route"]),
        ("tls_enabled = false", "ca_file = \"none.pem\"", &["host.toml:4:", "none.pem"]),
    ] {
        let wrong = folder.write("host.toml", text.replace(right, wrong)).display().to_string();
        let ended = config("check", &[&wrong]).run();
        ended.assert_failed(2, words);
        assert_eq!(ended.output, "");
    }
    config("check", &["no-such.toml"]).run().assert_failed(2, &["no-such.toml", "cannot be read"]);
    config("check", &[&file, "--config", &file]).run().assert_failed(2, &["--config"]);
}

#[test]
fn options_and_the_environment_are_checked_without_a_file_too() {
    let right = Host::between_ports(1, "plant/#", "127.0.0.1:1", "plant");
    let ended = right.clone().subcommand("config check").run();
    assert_eq!(
        (ended.code, lines(&ended)),
        (Some(0), vec!["the configuration: no mistakes found"])
    );
    let ended = right.environment("HOST_KEEP_ALIVE", "1").subcommand("config check").run();
    ended.assert_failed(2, &["HOST_KEEP_ALIVE 1", "5 to 65535"]);
}

#[test]
fn trying_both_ends_leaves_no_trace_and_disturbs_no_running_host() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("tried");
    kafka.create_topic(&format!("{topic}.alarms"), 1, &[]);
    let (_folder, file) = two_routes(mosquitto.port(), kafka.address(), &topic);
    let host = Host::bare().flag("config", &file).start();
    let mut publisher = Publisher::connect(mosquitto.port(), "publisher");
    publisher.publish(&[Publish::new("plant/a", "before").retained()]);
    kafka.wait_for(&topic, 1, SOON);

    let ended = config("check", &[&file, "--connect"]).run();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    let id = format!("\"{topic}-check\"");
    ended.assert_says(&["MQTT server", &id, "subscription to plant/#"]);
    ended.assert_says(&[&format!("\"{topic}\""), "3 partitions"]);
    ended.assert_says(&[&format!("\"{topic}.alarms\""), "1 partition"]);
    ended.assert_says(&[&dead_letters(&topic), "1 partition"]);

    publisher.publish(&[Publish::new("plant/a", "after")]);
    let records = kafka.wait_for(&topic, 2, SOON);
    let values: Vec<_> = records.iter().filter_map(|record| record.value_text()).collect();
    assert_eq!(values, ["before", "after"]);
    let log = mosquitto.log();
    let left = |line: &str| line.contains("Client") && line.contains(&format!("{topic}-check"));
    assert!(log.lines().any(|line| left(line) && line.contains("disconnected")), "{log}");
    assert!(!host.errors().contains("another client"), "{}", host.errors());
    host.stop().assert_clean();
}

#[test]
fn an_end_that_cannot_be_used_is_said_and_the_other_one_is_tried_all_the_same() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("half-right");
    let (nobody, nowhere) = (free_port(), format!("127.0.0.1:{}", free_port()));

    let only_kafka = Host::between_ports(nobody, "plant/#", kafka.address(), &topic);
    let ended = only_kafka.argument("--connect").subcommand("config check").run();
    ended.assert_failed(1, &[&format!("MQTT server 127.0.0.1:{nobody}"), "refused"]);
    ended.assert_says(&[&topic, "3 partitions"]);

    let only_mqtt = Host::between_ports(mosquitto.port(), "plant/#", &nowhere, &topic);
    let ended = only_mqtt.argument("--connect").subcommand("config check").run();
    ended.assert_failed(1, &[&nowhere, "does not answer"]);
    ended.assert_says(&["MQTT server", "plant/#"]);
}

#[test]
fn what_the_mqtt_server_refuses_is_said() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("refused");
    let mosquitto = Mosquitto::builder().password("me", "xyzzy").start();
    let command = Host::between(&mosquitto, "plant/#", kafka, &topic).argument("--connect");
    let wrong = command.clone().flag("username", "me").flag("password", "plugh");
    let ended = wrong.subcommand("config check").run();
    ended.assert_failed(1, &["MQTT server", "--username", "--password"]);
    assert!(!ended.errors.contains("plugh"), "{}", ended.errors);

    let server = ScriptedServer::start();
    let command = Host::between_ports(server.port(), "plant/#", kafka.address(), &topic);
    let checked = command.argument("--connect").subcommand("config check").launch();
    let mut connection = server.accept();
    connection.accept_connect(false);
    connection.refuse_subscription(0x80);
    checked.wait(SOON).assert_failed(1, &["the subscription to \"plant/#\" is refused"]);
}

#[test]
fn a_shared_subscription_is_not_tried_since_that_would_take_messages_away() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let topic = kafka.topic("shared-untried");
    let filter = "$share/group/plant/#";
    let host = Host::between(&mosquitto, filter, kafka, &topic).start();
    let command = Host::between(&mosquitto, filter, kafka, &topic).flag("connections", 2);
    let ended = command.argument("--connect").subcommand("config check").run();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    ended.assert_says(&["not subscribed to $share/group/plant/#", "from the others"]);
    host.stop().assert_clean();
}

#[test]
fn topics_that_kafka_does_not_have_are_said_and_not_created() {
    let (kafka, mosquitto) = (Kafka::shared(), Mosquitto::start());
    let missing = Kafka::unused_topic("check-missing");
    let command = Host::between(&mosquitto, "plant/#", kafka, &missing).argument("--connect");
    let ended = command.clone().subcommand("config check").run();
    ended.assert_failed(1, &[&format!("{missing:?}"), "does not exist", "create it"]);
    ended.assert_failed(1, &[&dead_letters(&missing), "does not exist"]);

    let creating = Kafka::start_with("auto.create.topics.enable=true\n");
    let command = Host::between(&mosquitto, "plant/#", &creating, &missing).argument("--connect");
    // Asking twice shows that asking creates nothing; more often, that every answer is understood:
    // one in ten comes before librdkafka knows which broker it has connected to.
    for _ in 0..20 {
        let ended = command.clone().subcommand("config check").run();
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        ended.assert_says(&[&missing, "the broker creates it"]);
    }
}

#[test]
fn a_kafka_that_lets_this_client_not_in_is_said() {
    let (kafka, mosquitto) = (Secured::shared(), Mosquitto::start());
    let command =
        Host::between_ports(mosquitto.port(), "#", &kafka.address(Door::Password), "open-check")
            .argument("--connect")
            .kafka_property("security.protocol=sasl_plaintext")
            .kafka_property("sasl.mechanisms=PLAIN")
            .kafka_property("sasl.username=me")
            .kafka_property("sasl.password=xyzzy");
    let ended = command.subcommand("config check").run();
    ended.assert_failed(1, &["refuses these credentials", "sasl.password"]);
    assert!(!ended.errors.contains("xyzzy"), "{}", ended.errors);
}

#[test]
fn what_is_shown_is_a_file_again_and_what_is_wrong_ends_with_2() {
    let (folder, file) = two_routes(free_port(), "127.0.0.1:1", "plant");
    let shown = config("show", &["--config", &file, "--keep-alive", "7"]).run();
    assert_eq!((shown.code, shown.errors.as_str()), (Some(0), ""));
    shown.assert_says(&["keep_alive = 7", "# --keep-alive"]);
    shown.assert_says(&["kafka_topic = \"plant.alarms\"", "host.toml:9"]);
    let again = folder.write("again.toml", &shown.output).display().to_string();
    assert_eq!(config("check", &[&again]).run().code, Some(0));
    let ended = config("show", &["--config", &file, "--keep-alive", "1"]).run();
    ended.assert_failed(2, &["--keep-alive", "5 to 65535"]);
    assert_eq!(ended.output, "");
    config("show", &["--config", "no-such.toml"]).run().assert_failed(2, &["no-such.toml"]);
    Host::bare().argument("config").run().assert_failed(2, &["host config"]);
}

#[test]
fn the_schema_is_the_one_of_the_documentation() {
    let ended = config("schema", &[]).run();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    let documented = tests::target::package().join("../docs/host.schema.json");
    assert_eq!(ended.output, std::fs::read_to_string(documented).unwrap());
}
