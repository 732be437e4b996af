//! `config show`: what it prints can be read back, and says where everything comes from.

use super::file::read_file;
use super::*;

const WHOLE: &str = r#"
topic = ["plant/#", "home/+"]
client_id = "plant \"1\""
server = "127.0.0.1"
port = 1883
username = "u"
password = "hunter2"
mqtt_version = "5"
qos = 0
tls_enabled = false
broker_address = "127.0.0.1:9092"
kafka_topic = "plant"
plugin = ["/key.wasm", { file = "/value.wasm", sha256 = "abababababababababababababababababababababababababababababababab", config = { token = "hunter2", level = 2 }, limits = { time = 7, memory = "2MiB" }, clock = true }]
max_packet_size = "1MiB"
[property]
receive-maximum = 20
user.site = ["a", "b"]
[kafka_config]
sasl.password = "hunter2"
sasl.username = "me"
compression.type = "zstd"
[[route]]
topic = "home/+"
kafka_topic = "home.{1}"
kafka_topics_allowed = ["home.*"]
dead_letter_topic = "bad"
plugin = []
continue = true
[[route]]
topic = "plant/a"
headers = "none"
on_plugin_broken = "stop"
"#;

fn shown(text: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let arguments = [&["config", "show"], arguments].concat();
    match read_file_for(text, &arguments, environment) {
        Ok(Command::Print(shown)) => shown,
        other => panic!("{other:?}"),
    }
}

fn read_file_for(
    text: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<Command, String> {
    let file = TemporaryFile::unique(text.as_bytes());
    let arguments = [arguments, &["--config", file.path()]].concat();
    let command = read_with(&arguments, environment);
    match command {
        Ok(Command::Print(shown)) => Ok(Command::Print(shown.replace(file.path(), "host.toml"))),
        other => other,
    }
}

#[test]
fn what_is_shown_can_be_read_back_and_is_the_same_but_for_secrets() {
    let shown = shown(WHOLE, &["--keep-alive", "7"], &[("HOST_SHUTDOWN_TIMEOUT", "5")]);
    let again = format!("password = \"hunter2\"\n{shown}");
    let again = again.replace("[kafka_config]", "[kafka_config]\nsasl.password = \"hunter2\"");
    let again = again.replace("level = 2", "level = 2, token = \"hunter2\"");
    let again = bridge_of(read_file(&again, &[], &[]).expect(&shown));
    let environment = [("HOST_SHUTDOWN_TIMEOUT", "5")];
    let before = bridge_of(read_file(WHOLE, &["--keep-alive", "7"], &environment).expect("valid"));
    assert_eq!(format!("{again:?}"), format!("{before:?}"));
    assert_eq!(again.source.keep_alive_secs, 7);
    // As it stands it is a valid file, too.
    read_file(&shown, &[], &[]).expect("a valid file");
}

#[test]
fn each_value_has_its_origin_beside_it() {
    let shown = shown(WHOLE, &["--keep-alive", "7"], &[("HOST_SHUTDOWN_TIMEOUT", "5")]);
    for (line, origin) in [
        ("topic = [\"plant/#\", \"home/+\"]", "host.toml:2"),
        ("client_id = \"plant \\\"1\\\"\"", "host.toml:3"),
        ("port = 1883", "host.toml:5"),
        ("# password is hidden", "host.toml:7"),
        ("mqtt_version = \"5\"", "host.toml:8"),
        ("qos = 0", "host.toml:9"),
        ("keep_alive = 7", "--keep-alive"),
        ("shutdown_timeout = 5", "HOST_SHUTDOWN_TIMEOUT"),
        ("max_in_flight_bytes = \"128MiB\"", "default"),
        ("{ file = \"/key.wasm\" },", "host.toml:13"),
        ("receive-maximum = \"20\"", "host.toml:16"),
        ("\"user.site\" = [\"a\", \"b\"]", "host.toml:17"),
        ("# \"sasl.password\" is hidden", "host.toml:19"),
        ("\"sasl.username\" = \"me\"", "host.toml:20"),
        ("[[route]]", "host.toml:22"),
        ("kafka_topic = \"home.{1}\"", "host.toml:24"),
    ] {
        let found = shown.lines().any(|found| {
            let (left, right) = found.rsplit_once(" # ").unwrap_or((found, ""));
            left.trim() == line && right == origin
        });
        assert!(found, "{line} # {origin} is not in:\n{shown}");
    }
    assert!(shown.contains("# not set: password_file, ca_file"), "{shown}");
    assert!(shown.contains("# The file is host.toml (--config)."), "{shown}");
    assert!(shown.contains("; token left out"), "{shown}");
}

#[test]
fn no_secret_is_shown() {
    let shown = shown(
        &WHOLE.replace("password = \"hunter2\"\nmqtt", "mqtt"),
        &[
            "-X",
            "ssl.key.password=hunter2",
            "--plugin-config",
            r#"{"key": {"api_token": "hunter2"}}"#,
        ],
        &[("HOST_PASSWORD", "hunter2")],
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    for (key, origin) in [("password", "HOST_PASSWORD"), ("\"ssl.key.password\"", "--kafka-config")]
    {
        let line = format!("# {key} is hidden");
        assert!(
            shown.lines().any(|found| found.starts_with(&line) && found.ends_with(origin)),
            "{shown}"
        );
    }
    let file = TemporaryFile::unique(b"hunter2");
    let shown = self::shown(
        &WHOLE.replace("password = \"hunter2\"\nmqtt", "mqtt"),
        &["--password-file", file.path()],
        &[],
    );
    assert!(shown.contains(&format!("password_file = {:?}", file.path())), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn what_is_wrong_is_said_instead() {
    assert!(read_file_for("port = 0", &["config", "show"], &[]).is_err());
    let shown = read_with(&[&["config", "show"], &REQUIRED[..]].concat(), &[]);
    assert!(matches!(shown, Ok(Command::Print(text)) if text.contains("port = 1883")));
}
