//! The file: what it may say, how it stands between the environment and the defaults, and what is
//! said about every way in which it can be wrong.

use std::path::Path;

use super::*;

/// What every run needs.
pub(super) const ENOUGH: &str = "\
topic = [\"plant/#\"]
client_id = \"plant-1\"
server = \"127.0.0.1\"
port = 1883
broker_address = \"127.0.0.1:9092\"
kafka_topic = \"plant\"
";

/// What is read with a file of this text, where messages call the file `host.toml`.
pub(super) fn read_file(
    text: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<Command, String> {
    let file = TemporaryFile::unique(text.as_bytes());
    let arguments = [&["--config", file.path()], arguments].concat();
    read_with(&arguments, environment).map_err(|error| error.replace(file.path(), "host.toml"))
}

/// The configuration of a file with what is required and this text.
pub(super) fn config_of_file(text: &str) -> Config {
    bridge_of(read_file(&format!("{ENOUGH}{text}"), &[], &[]).expect("a valid configuration"))
}

/// What is said about a file; what is required stands at its end, where there is no table.
fn problem_of(text: &str) -> String {
    read_file(text, &[], &[]).map(|_| ()).expect_err("a wrong configuration")
}

/// The same where the text has all keys that are wrong, in front of those that are required.
fn problem_before_enough(text: &str) -> String {
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(" =").next()).collect();
    let rest: Vec<&str> = ENOUGH
        .lines()
        .filter(|line| !names.contains(&line.split(" =").next().unwrap_or_default()))
        .collect();
    problem_of(&format!("{text}\n{}", rest.join("\n")))
}

#[test]
fn a_file_may_say_everything_that_options_say() {
    let config = config_of_file(
        r#"
        username = "u"
        password = "p"
        mqtt_version = "5"
        tls_enabled = false
        qos = 0
        clean_session = true
        max_packet_size = "1MiB"
        keep_alive = 0x10
        max_delay = 0
        payload_deserializer = "none"
        headers = "all"
        print = true
        plugin_time_limit = 7
        plugin_memory_limit = 1_073_741_824
        plugin_output_limit = "2KiB"
        plugin_records_limit = 3
        plugin_log_limit = 4
        on_error = "dead-letter"
        dead_letter_topic = "bad"
        max_in_flight_bytes = 65536
        shutdown_timeout = 0
        log = "debug"
        log_format = "json"
        [property]
        receive-maximum = 20
        user.site = ["b", "c"]
        user."a b" = "d"
        [kafka_config]
        linger.ms = 1.5
        "sasl.password" = "x"
        socket.keepalive.enable = true
        "#,
    );
    let source = &config.source;
    assert_eq!(source.topics, ["plant/#"]);
    assert_eq!((source.client_id.as_str(), source.port), ("plant-1", 1883));
    assert_eq!(source.password.as_ref().map(Secret::reveal), Some("p"));
    assert!(source.tls.is_none() && source.clean_session);
    assert_eq!((source.qos, source.max_packet_size), (Qos::AtMostOnce, 1 << 20));
    assert_eq!((source.keep_alive_secs, source.max_delay), (16, Duration::ZERO));
    let Protocol::V5(properties) = &source.protocol else { panic!("{:?}", source.protocol) };
    assert_eq!(properties.receive_maximum, 20);
    let user = [("site", "b"), ("site", "c"), ("a b", "d")];
    assert_eq!(properties.user, user.map(|(name, value)| (name.into(), value.into())));
    let properties =
        [("linger.ms", "1.5"), ("sasl.password", "x"), ("socket.keepalive.enable", "true")];
    assert_eq!(
        config.sink.properties,
        properties.map(|(name, value)| (name.into(), Secret::new(value)))
    );
    assert_eq!(config.print, Print::On);
    let limits = config.plugin_limits;
    assert_eq!((limits.time, limits.memory), (Duration::from_millis(7), 1 << 30));
    assert_eq!((limits.output, limits.records, limits.log_lines_per_second), (2048, 3, 4));
    assert_eq!(config.max_in_flight_bytes, 65_536);
    assert_eq!(config.shutdown_timeout, Duration::ZERO);
    assert_eq!(config.log, Log { format: LogFormat::Json, filter: Some("debug".into()) });
}

#[test]
fn secrets_in_files_are_a_table_of_paths_seen_from_the_file() {
    let secret = TemporaryFile::unique(b"hunter2\n");
    let name = Path::new(secret.path()).file_name().and_then(|name| name.to_str()).expect("a name");
    let config = config_of_file(&format!(
        "[kafka_secret]\nsasl.password = {name:?}\n\"ssl.key.password\" = {:?}\n",
        secret.path()
    ));
    let properties = ["sasl.password", "ssl.key.password"];
    assert_eq!(
        config.sink.properties,
        properties.map(|name| (name.to_owned(), Secret::new("hunter2")))
    );
    let arguments = ["--kafka-secret", "sasl.password=/no/such"];
    let text = format!("{ENOUGH}[kafka_secret]\nsasl.password = {name:?}\n");
    let problem = read_file(&text, &arguments, &[]).expect_err("the command line wins");
    assert_says(&problem, &["--kafka-secret sasl.password (/no/such) cannot be read"]);
    for (text, words) in [
        (
            "[kafka_secret]\nsasl.password = 1",
            ["host.toml:2:17", "takes a path in quotes, not a number"],
        ),
        (
            "kafka_secret = [\"sasl.password=x\"]",
            [
                "host.toml:1:16",
                "takes a table, not a list: write [kafka_secret] and below it NAME = \"FILE\"",
            ],
        ),
    ] {
        assert_says(&problem_of(text), &words);
    }
}

#[test]
fn a_list_of_one_needs_no_brackets() {
    let text = ENOUGH.replace("[\"plant/#\"]", "\"plant/#\"");
    let config = bridge_of(read_file(&text, &[], &[]).expect("valid"));
    assert_eq!(config.source.topics, ["plant/#"]);
}

#[test]
fn the_command_line_wins_over_the_environment_over_the_file_over_the_defaults() {
    let text = format!("{ENOUGH}keep_alive = 5\nshutdown_timeout = 5\nqos = 0\n");
    let environment = [("HOST_KEEP_ALIVE", "6"), ("HOST_SHUTDOWN_TIMEOUT", "6")];
    let command = read_file(&text, &["--keep-alive", "7", "--topic", "a"], &environment);
    let config = bridge_of(command.expect("a valid configuration"));
    assert_eq!(config.source.keep_alive_secs, 7);
    assert_eq!(config.shutdown_timeout, Duration::from_secs(6));
    assert_eq!(config.source.qos, Qos::AtMostOnce);
    assert_eq!(config.source.max_packet_size, 16 << 20);
    assert_eq!(config.source.topics, ["a"], "a list is replaced");
}

#[test]
fn tables_are_put_together_name_by_name() {
    let text =
        format!("{ENOUGH}[kafka_config]\nlinger.ms = 1\nretries = 2147483647\nacks = \"all\"");
    let environment = [("HOST_KAFKA_CONFIG", "linger.ms=2,acks=-1")];
    let command = read_file(&text, &["-X", "linger.ms=3"], &environment);
    let mut properties = bridge_of(command.expect("a valid configuration")).sink.properties;
    properties.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [("acks", "-1"), ("linger.ms", "3"), ("retries", "2147483647")];
    assert_eq!(properties, expected.map(|(name, value)| (name.into(), Secret::new(value))));
}

#[test]
fn the_file_may_be_named_by_the_environment() {
    let file = TemporaryFile::unique(ENOUGH.as_bytes());
    let environment = [("HOST_CONFIG", file.path())];
    let config = bridge_of(read_with(&[], &environment).expect("a valid configuration"));
    assert_eq!(config.source.client_id, "plant-1");
    let other = TemporaryFile::unique(ENOUGH.replace("plant-1", "plant-2").as_bytes());
    let config = bridge_of(read_with(&["--config", other.path()], &environment).expect("valid"));
    assert_eq!(config.source.client_id, "plant-2");
}

#[test]
fn paths_in_the_file_are_relative_to_it() {
    let file =
        TemporaryFile::unique(format!("{ENOUGH}plugin = [\"a.wasm\", \"/b.wasm\"]").as_bytes());
    let config = bridge_of(read_with(&["--config", file.path()], &[]).expect("valid"));
    let folder = file.0.parent().expect("a folder");
    assert_eq!(files(&config), [folder.join("a.wasm"), "/b.wasm".into()]);
}

#[test]
fn plugins_have_their_hash_and_their_configuration_beside_them() {
    let hash = "AB".repeat(32);
    let config = config_of_file(&format!(
        "plugin = [\"/a.wasm\", {{ file = \"/b.wasm\", sha256 = \"{hash}\", config = {{ level = 2, at = 07:32:00 }} }}]
         [plugin_config.a]
         names = [\"x\", {{ y = 1.5 }}]"
    ));
    let expected = [
        Plugin {
            file: "/a.wasm".into(),
            sha256: None,
            config: Some(r#"{"names":["x",{"y":1.5}]}"#.into()),
            limits: LIMITS,
            clock: false,
        },
        Plugin {
            file: "/b.wasm".into(),
            sha256: Some("ab".repeat(32)),
            config: Some(r#"{"at":"07:32:00","level":2}"#.into()),
            limits: LIMITS,
            clock: false,
        },
    ];
    assert_eq!(config.routes[0].plugins, expected);
}

#[test]
fn a_plugin_has_the_limits_beside_it_and_otherwise_those_of_all() {
    let own = "limits = { time = 200, memory = \"256MiB\", output = 1024, records = 5, log = 0, failures = 3 }";
    let text = format!(
        "{ENOUGH}plugin = [\"/a.wasm\", {{ file = \"/b.wasm\", {own} }}, {{ file = \"/c.wasm\", limits.time = 7 }}]
         plugin_records_limit = 2
         [[route]]
         topic = \"plant/a\"
         [[route]]
         topic = \"plant/b\"
         plugin = {{ file = \"/b.wasm\", limits = {{ log = 1 }} }}
         on_plugin_broken = \"default\""
    );
    let config = bridge_of(read_file(&text, &["--plugin-time-limit", "60"], &[]).expect("valid"));
    let all = PluginLimits { time: Duration::from_millis(60), records: 2, ..LIMITS };
    let whole = PluginLimits {
        time: Duration::from_millis(200),
        memory: 256 << 20,
        output: 1024,
        records: 5,
        log_lines_per_second: 0,
        failures: 3,
    };
    let limits = |route: usize| -> Vec<_> {
        config.routes[route].plugins.iter().map(|plugin| plugin.limits).collect()
    };
    let quick = PluginLimits { time: Duration::from_millis(7), ..all };
    for above in [0, 2] {
        assert_eq!(limits(above), [all, whole, quick]);
        assert_eq!(config.routes[above].on_plugin_broken, OnPluginBroken::Pause);
    }
    assert_eq!(limits(1), [PluginLimits { log_lines_per_second: 1, ..all }]);
    assert_eq!(config.routes[1].on_plugin_broken, OnPluginBroken::Default);
    assert_eq!(config.plugin_limits, all);
}

#[test]
fn a_plugin_may_know_the_time_if_its_table_says_so_and_otherwise_as_all_plugins() {
    let tables = r#"[
        "/a.wasm", { file = "/b.wasm", clock = true }, { file = "/c.wasm", clock = false },
    ]"#;
    let text = format!("{ENOUGH}plugin = {tables}");
    let clocks = |text: &str, arguments: &[&str], environment: &[(&str, &str)]| -> Vec<bool> {
        let config = bridge_of(read_file(text, arguments, environment).expect("valid"));
        config.routes[0].plugins.iter().map(|plugin| plugin.clock).collect()
    };
    assert_eq!(clocks(&text, &[], &[]), [false, true, false]);
    for all in [
        clocks(&text, &["--plugin-clock"], &[]),
        clocks(&text, &[], &[("HOST_PLUGIN_CLOCK", "true")]),
        clocks(&format!("{text}\nplugin_clock = true"), &[], &[]),
    ] {
        assert_eq!(all, [true, true, false]);
    }
}

#[test]
fn the_configuration_of_a_plugin_may_come_from_the_command_line() {
    let text = format!(
        "{ENOUGH}plugin = [\"/a.wasm\", \"/b.wasm\"]\nplugin_config = {{ a = {{ x = 1 }}, b.y = 2 }}"
    );
    let command = read_file(&text, &["--plugin-config", r#"{"b": {"c": null}}"#], &[]);
    let config = bridge_of(command.expect("a valid configuration"));
    let configs: Vec<_> =
        config.routes[0].plugins.iter().map(|plugin| plugin.config.clone()).collect();
    assert_eq!(configs, [Some(r#"{"x":1}"#.into()), Some(r#"{"c":null}"#.into())]);
}

#[test]
fn a_configuration_that_fits_no_plugin_is_refused() {
    for (text, expected) in [
        (
            "plugin_config.kye = {}\nplugin = [\"key.wasm\", \"value.wasm\"]",
            "1:15: plugin_config has kye, which names no plugin; there are key and value",
        ),
        (
            "plugin_config.key = {}\nplugin = [{ file = \"key.wasm\", config = {} }]",
            "1:15: key has a config beside its file already: keep one",
        ),
        (
            "plugin_config.key = {}\nplugin = [\"/a/key.wasm\", \"/b/key.wasm\"]",
            "1:15: plugin_config has key, which is both /a/key.wasm and /b/key.wasm: give these their \
             config beside their file, in the file of --config",
        ),
        (
            "plugin_config.key = 1\nplugin = [\"key.wasm\"]",
            "1:21: plugin_config takes a table for each plugin: write [plugin_config.key] and below it \
             NAME = VALUE",
        ),
        (
            "plugin_config = 1",
            "1:17: plugin_config takes a table for each plugin: write [plugin_config.NAME], NAME being \
             its file's without .wasm",
        ),
    ] {
        let problem = problem_before_enough(text);
        assert_eq!(problem, format!("error: host.toml:{expected}\n"), "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let problem = read_with(&["--config", "/no/such/host.toml"], &[]).expect_err("no file");
    assert_eq!(
        problem,
        "error: /no/such/host.toml cannot be read: No such file or directory (os error 2); \
         --config takes the path of a TOML file\n"
    );
}

/// # Panics
/// If one of the texts is not refused with exactly its line.
#[track_caller]
fn assert_problems(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let problem = problem_before_enough(text);
        let problem = problem.lines().next().unwrap_or_default();
        assert_eq!(problem, format!("error: host.toml:{expected}"), "{text}");
    }
}

#[test]
fn every_wrong_key_and_value_is_said_with_its_place_and_the_cure() {
    assert_problems(&[
        ("tls_enable = false", "1:1: unknown key tls_enable; did you mean tls_enabled?"),
        ("tls-enabled = false", "1:1: unknown key tls-enabled; did you mean tls_enabled?"),
        (
            "# broker\nbootstrap = 1",
            "2:1: unknown key bootstrap; `host --help` lists the options, whose '-' is '_' here",
        ),
        ("config = \"x\"", "1:1: config cannot stand in a file: one file has it all"),
        ("continue = true", "1:1: continue is for a route: move it below its [[route]]"),
        ("port = \"1883\"", "1:8: port takes a whole number, not a text: write port = 1883"),
        ("port = 1.5", "1:8: port takes a whole number, not a number: write port = 1"),
        ("port = 70000", "1:8: port 70000: it takes 1 to 65535"),
        ("port = -1", "1:8: port -1: it takes 1 to 65535"),
        (
            "tls_enabled = \"false\"",
            "1:15: tls_enabled takes true or false, not a text: write tls_enabled = false",
        ),
        ("qos = 7", "1:7: qos 7: the qualities of service are 0, 1 and 2"),
        ("headers = \"some\"", "1:11: headers \"some\": it takes none, properties, all"),
        (
            "headers = \"al\"",
            "1:11: headers \"al\": it takes none, properties, all; did you mean all?",
        ),
        (
            "headers = []",
            "1:11: headers takes one of \"none\", \"properties\" and \"all\", not a list: write headers = \"properties\"",
        ),
        (
            "client_id = 5",
            "1:13: client_id takes a text in quotes, not a number: write client_id = \"5\"",
        ),
        (
            "password = 12345",
            "1:12: password takes a text in quotes, not a number: write password = \"PASSWORD\"",
        ),
        (
            "topic = [\"a\", 5]",
            "1:15: topic takes a list of texts, not a number: write topic = [\"5\"]",
        ),
        (
            "topic = [\n  \"a\",\n  \"b/#/c\",\n]",
            "3:3: topic \"b/#/c\" has levels after '#': '#' is only valid as the last level",
        ),
        (
            "max_packet_size = true",
            "1:19: max_packet_size takes a size, not true or false: write max_packet_size = \"16MiB\"",
        ),
        ("max_packet_size = 1", "1:19: max_packet_size 1: it takes 128 to 268435460 bytes"),
    ]);
}

#[test]
fn tables_plugins_and_contradictions_are_said_with_their_place_and_the_cure() {
    assert_problems(&[
        (
            "kafka_config = \"linger.ms=1\"",
            "1:16: kafka_config takes a table, not a text: write [kafka_config] and below it NAME = VALUE",
        ),
        (
            "kafka_config.acks = 1",
            "1:21: [kafka_config] acks is not yours to set this way: a message is acknowledged to MQTT \
             once all in-sync replicas have its record, so this stays \"all\"",
        ),
        (
            "kafka_config.bootstrap.servers = \"a:1\"",
            "1:34: [kafka_config] bootstrap.servers is not yours to set this way: use broker_address",
        ),
        (
            "kafka_config.linger.ms = 2020-01-01",
            "1:26: linger.ms in [kafka_config] takes a text, a number, or true or false, not a date",
        ),
        (
            "ca_file = \"/x\"\ntls_enabled = false",
            "1:11: ca_file has no use with tls_enabled = false: drop one of them",
        ),
        (
            "dead_letter_topic = \"x\"\non_error = \"skip\"",
            "1:21: dead_letter_topic has a use only with on_error = \"dead-letter\": drop one of them",
        ),
        (
            "property.receive-maximum = 3",
            "1:28: [property] is only possible with mqtt_version = \"5\"",
        ),
        (
            "property.session-expiry-interval = 3\nproperty.receive-maximum = 0\nmqtt_version = \"5\"",
            "2:28: [property] receive-maximum=0 is out of range: it takes a number from 1 to 65535",
        ),
        (
            "plugin = 5",
            "1:10: a plugin is a path or a table, not a number: write \"key.wasm\" or \
             { file = \"key.wasm\", sha256 = \"...\", config = { ... }, limits = { ... }, \
             clock = true }",
        ),
        (
            "plugin = [{ file = \"a.wasm\", clock = 1 }]",
            "1:38: clock takes true or false, not a number: write clock = true",
        ),
        (
            "plugin = [{ file = \"a.wasm\", sha256 = \"00\" }]",
            "1:39: sha256 takes 64 hexadecimal digits: `sha256sum FILE` says them",
        ),
        (
            "plugin = [{ file = \"a.wasm\", sha = \"00\" }]",
            "1:30: a plugin has no key sha; did you mean sha256?",
        ),
        (
            "plugin = [{ file = \"a.wasm\", limits = { tim = 1 } }]",
            "1:41: a plugin has no limit tim; did you mean time?",
        ),
        (
            "plugin = [{ file = \"a.wasm\", limits = { time = \"5\" } }]",
            "1:48: time takes a whole number, not a text: write time = 5",
        ),
        (
            "plugin = [{ file = \"a.wasm\", limits = { time = 50, memory = \"1KiB\" } }]",
            "1:61: plugin_memory_limit \"1KiB\": it takes 1MiB to 4GiB",
        ),
        (
            "plugin = [{ file = \"a.wasm\", limits = 5 }]",
            "1:39: limits takes a table, not a number: write limits = { time = 100 }",
        ),
        (
            "plugin = [{ file = \"a.wasm\", config = { limit = inf } }]",
            "1:49: this is not a number, or infinite, which JSON cannot say to the plugin",
        ),
        ("port = 1\nport = 2", "2:1: this key is there twice: keep one"),
        ("port =", "1:7: this is not TOML: string values must be quoted, expected literal string"),
    ]);
}

#[test]
fn all_problems_are_said_at_once_in_their_order() {
    let problem =
        problem_of("tls_enable = false\nport = \"x\"\nqos = 7\n[kafka_config]\nport = 1\n");
    let lines: Vec<&str> = problem.lines().collect();
    assert_eq!(
        lines,
        [
            "error: host.toml:1:1: unknown key tls_enable; did you mean tls_enabled?",
            "error: host.toml:2:8: port takes a whole number, not a text: write port = 1",
            "error: host.toml:5:1: port stands below [kafka_config], which makes it a part of that: \
             move it above every [...]",
        ]
    );
    let problem = problem_before_enough("qos = 7\nheaders = \"x\"\nkeep_alive = 1");
    assert_eq!(problem.lines().count(), 3, "{problem}");
}

#[test]
fn what_is_missing_is_listed_in_one_line() {
    assert_eq!(
        problem_of("port = 1\n"),
        "error: host.toml: topic, client_id, server, broker_address and kafka_topic are missing: add \
         what is missing to the file, the command line or the environment\n"
    );
    let one = ENOUGH.replace("port = 1883\n", "");
    assert_says(&problem_of(&one), &["host.toml: port is missing"]);
}

#[test]
fn problems_speak_of_what_the_user_wrote() {
    let said = |text: &str, arguments: &[&str], environment: &[(&str, &str)]| {
        let text = format!("{ENOUGH}{text}");
        let problem = read_file(&text, arguments, environment).expect_err("a wrong configuration");
        problem.lines().next().unwrap_or_default().to_owned()
    };
    let on_flag = said("tls_enabled = false", &["--ca-file", "/x"], &[]);
    assert_eq!(
        on_flag,
        "error: host.toml:7:15: --ca-file has no use with tls_enabled = false: drop one of them"
    );
    let on_variable = said("", &["--tls-enabled=false"], &[("HOST_CA_FILE", "/x")]);
    assert_eq!(
        on_variable,
        "error: HOST_CA_FILE has no use with --tls-enabled=false: drop one of them"
    );
    let without_place = said("password = \"x\"", &[], &[]);
    assert_eq!(
        without_place,
        "error: host.toml: a password without username is possible only with mqtt_version = \"5\""
    );
}

#[test]
fn secrets_of_the_file_are_never_shown() {
    let text =
        "username = \"u\"\npassword = \"hunter2\"\n[kafka_config]\nsasl.password = \"hunter2\"\n";
    let config = config_of_file(text);
    assert!(!format!("{config:?}").contains("hunter2"));
    for wrong in [
        "password = [\"hunter2\"]",
        "password = \"hunter2\"\n[kafka_config]\nacks = \"hunter2\"",
        "password = \"hunter2",
    ] {
        let problem = problem_of(wrong);
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}
