//! From arguments and environment to values, and every way in which they can be wrong.

mod file;
mod routes;
mod schema;
mod show;
mod swap;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::CommandFactory;

use super::*;

/// What every run needs.
const REQUIRED: [&str; 12] = [
    "--topic",
    "plant/#",
    "--client-id",
    "plant-1",
    "--server",
    "127.0.0.1",
    "--port",
    "1883",
    "--broker-address",
    "127.0.0.1:9092",
    "--kafka-topic",
    "plant",
];

fn read_with(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Command, String> {
    let arguments = std::iter::once(&"host").chain(arguments).map(OsString::from);
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    read(arguments, environment).map_err(|refusal| refusal.to_string())
}

fn bridge_of(command: Command) -> Config {
    match command {
        Command::Bridge(config) => *config,
        other => panic!("the bridge was asked for, not {other:?}"),
    }
}

/// The configuration of what is required and these arguments.
fn config(arguments: &[&str]) -> Config {
    let arguments = [&REQUIRED, arguments].concat();
    bridge_of(read_with(&arguments, &[]).expect("a valid configuration"))
}

/// The first line of what is said about these arguments beside what is required.
fn problem(arguments: &[&str]) -> String {
    let arguments = [&REQUIRED, arguments].concat();
    let text = read_with(&arguments, &[]).expect_err("a wrong configuration");
    text.lines().next().expect("a line").to_owned()
}

/// Like [`problem`], but with the value of a required option replaced.
fn problem_with(flag: &str, value: &str) -> String {
    let mut arguments = REQUIRED.to_vec();
    let at = arguments.iter().position(|argument| *argument == flag).expect("a required option");
    arguments[at + 1] = value;
    let text = read_with(&arguments, &[]).expect_err("a wrong configuration");
    text.lines().next().expect("a line").to_owned()
}

#[track_caller]
fn assert_says(problem: &str, words: &[&str]) {
    for word in words {
        assert!(problem.contains(word), "{problem:?} does not say {word:?}");
    }
}

/// A file that is gone when the test ends, however it ends.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("host-config-{}-{name}", std::process::id()));
        fs::write(&path, content).expect("a temporary file can be written");
        Self(path)
    }

    /// With a name that no other test uses.
    fn unique(content: &[u8]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        Self::new(&NUMBER.fetch_add(1, Ordering::Relaxed).to_string(), content)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap_or_default();
    }
}

#[test]
fn verify_cli() {
    cli::Cli::command().debug_assert();
}

/// Of plugins of which nothing is said.
const LIMITS: PluginLimits = PluginLimits {
    time: Duration::from_millis(50),
    memory: 64 << 20,
    output: 16 << 20,
    records: 1_000,
    log_lines_per_second: 100,
    failures: 10,
};

#[test]
fn what_is_required_is_enough() {
    let config = config(&[]);
    let source = &config.source;
    assert_eq!(source.topics, ["plant/#"]);
    assert_eq!(
        (source.client_id.as_str(), source.server.as_str(), source.port),
        ("plant-1", "127.0.0.1", 1883)
    );
    assert_eq!((source.username.is_none(), source.password.is_none()), (true, true));
    assert_eq!(source.connections, 1);
    assert_eq!(source.protocol, Protocol::V311);
    assert!(source.tls.as_ref().is_some_and(|tls| tls.ca_file.is_none()));
    assert_eq!((source.qos, source.clean_session), (Qos::AtLeastOnce, false));
    assert_eq!((source.max_packet_size, source.keep_alive_secs), (16 << 20, 30));
    assert_eq!(source.max_delay, Duration::from_millis(3));
    let on_error = OnError::DeadLetter { topic: "plant.dead-letter".into() };
    let route = Route {
        topics: Vec::new(),
        proceed: false,
        kafka_topic: KafkaTopic::named("plant"),
        transform: Transform { json: true, headers: HeaderPolicy::Properties },
        plugins: Vec::new(),
        on_plugin_broken: OnPluginBroken::Pause,
        on_error: on_error.clone(),
    };
    assert_eq!((config.routes, config.unrouted), (vec![route], on_error));
    assert_eq!(config.plugin_limits, LIMITS);
    let swap = Swap { watch: false, self_test: Vec::new(), errors_limit: 5, changes_limit: 100 };
    assert_eq!(config.swap, swap);
    assert_eq!(config.sink.brokers, "127.0.0.1:9092");
    assert!(config.sink.properties.is_empty());
    assert_eq!((config.max_in_flight_bytes, config.print), (128 << 20, Print::Off));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(30));
    assert_eq!(config.control_socket, None);
    assert_eq!(config.log, Log { format: LogFormat::Human, filter: None });
}

fn files(config: &Config) -> Vec<PathBuf> {
    config.routes[0].plugins.iter().map(|plugin| plugin.file.clone()).collect()
}

/// The configuration of what is required and a line of arguments.
fn config_of(line: &str) -> Config {
    config(&line.split_whitespace().collect::<Vec<_>>())
}

#[test]
fn every_option_of_the_source_is_taken() {
    let config = config_of(
        "--topic $share/g/other/+ --username u --password p --mqtt-version 5 --tls-enabled=false
         --property session-expiry-interval=4294967295 --property receive-maximum=20
         --property user.a=b=c --property user.a= --property maximum-packet-size=128
         --property request-response-information=1 --property request-problem-information=0
         --property authentication-method=K8S-SAT --property authentication-data=base64:AP8=
         --unsubscribe old/# --unsubscribe $share/g/old --will-topic state/plant-1
         --will-payload gone --will-qos 1 --will-retain --qos 0 --clean-session
         --max-packet-size 268435460 --keep-alive 0 --max-delay 100",
    );
    let source = &config.source;
    assert_eq!(source.topics, ["plant/#", "$share/g/other/+"]);
    assert_eq!(source.username.as_deref(), Some("u"));
    assert_eq!(source.password.as_ref().map(Secret::reveal), Some("p"));
    let properties = ConnectProperties {
        session_expiry_secs: u32::MAX,
        receive_maximum: 20,
        max_packet_size: 128,
        request_response_information: Some(true),
        request_problem_information: Some(false),
        user: vec![("a".into(), "b=c".into()), ("a".into(), String::new())],
        authentication_method: Some("K8S-SAT".into()),
        authentication_data: Some(vec![0, 0xff]),
    };
    assert_eq!(source.unsubscribe, ["old/#", "$share/g/old"]);
    let will = Will {
        topic: "state/plant-1".into(),
        payload: "gone".into(),
        qos: Qos::AtLeastOnce,
        retain: true,
    };
    assert_eq!(source.will, Some(will));
    assert_eq!(source.protocol, Protocol::V5(properties));
    assert!(source.tls.is_none() && source.clean_session);
    assert_eq!(source.qos, Qos::AtMostOnce);
    assert_eq!(source.max_packet_size, 268_435_460);
    assert_eq!(source.keep_alive_secs, 0);
    assert_eq!(source.max_delay, Duration::from_millis(100));
}

#[test]
fn every_other_option_is_taken() {
    let config = config_of(
        "--payload-deserializer none --headers all --plugin a.wasm --plugin b.wasm
         --plugin-time-limit 7 --plugin-memory-limit 1GiB --plugin-output-limit 2KiB
         --plugin-records-limit 3 --plugin-log-limit 4 --plugin-failures-limit 5
         --on-plugin-broken stop --watch-plugins --self-test a.jsonl --self-test b.jsonl
         --swap-errors-limit 100 --swap-changes-limit 7 --plugin-clock --max-in-flight-bytes 64KiB
         -X linger.ms=1 --kafka-config sasl.password=x --dead-letter-topic bad --print
         --log-format json --log debug --shutdown-timeout 0
         --control-socket run/host.sock",
    );
    let limits = PluginLimits {
        time: Duration::from_millis(7),
        memory: 1 << 30,
        output: 2048,
        records: 3,
        log_lines_per_second: 4,
        failures: 5,
    };
    let plugin =
        |file: &str| Plugin { file: file.into(), sha256: None, config: None, limits, clock: true };
    let on_error = OnError::DeadLetter { topic: "bad".into() };
    let route = Route {
        topics: Vec::new(),
        proceed: false,
        kafka_topic: KafkaTopic::named("plant"),
        transform: Transform { json: false, headers: HeaderPolicy::All },
        plugins: vec![plugin("a.wasm"), plugin("b.wasm")],
        on_plugin_broken: OnPluginBroken::Stop,
        on_error: on_error.clone(),
    };
    assert_eq!((config.routes, config.unrouted), (vec![route], on_error));
    assert_eq!(config.plugin_limits, limits);
    let self_test = vec!["a.jsonl".into(), "b.jsonl".into()];
    assert_eq!(config.swap, Swap { watch: true, self_test, errors_limit: 100, changes_limit: 7 });
    assert_eq!(config.max_in_flight_bytes, 64 << 10);
    let properties = [("linger.ms", "1"), ("sasl.password", "x")];
    assert_eq!(
        config.sink.properties,
        properties.map(|(name, value)| (name.into(), Secret::new(value)))
    );
    assert_eq!(config.shutdown_timeout, Duration::ZERO);
    assert_eq!(config.control_socket, Some("run/host.sock".into()));
    assert_eq!(config.print, Print::On);
    let expected = Log { format: LogFormat::Json, filter: Some("debug".into()) };
    assert_eq!(config.log, expected);
}

#[test]
fn the_environment_stands_in_for_any_option() {
    let environment = [
        ("HOST_TOPIC", "a/#, b/#"),
        ("HOST_CLIENT_ID", "c"),
        ("HOST_SERVER", "::1"),
        ("HOST_PORT", "8883"),
        ("HOST_BROKER_ADDRESS", "a:1,b:2"),
        ("HOST_KAFKA_TOPIC", "k"),
        ("HOST_PASSWORD", "a,b"),
        ("HOST_USERNAME", "u"),
        ("HOST_TLS_ENABLED", "false"),
        ("HOST_KAFKA_CONFIG", "linger.ms=1,client.id=x"),
        ("HOST_PRINT", "true"),
        ("HOST_QOS", ""),
        ("HOST_ON_ERROR", "stop"),
        ("HOST_LOG", "warn"),
        ("RUST_LOG", "trace"),
        ("KAFKA_TOPIC", "other"),
    ];
    let config = bridge_of(read_with(&[], &environment).expect("a valid configuration"));
    assert_eq!(config.source.topics, ["a/#", "b/#"]);
    assert_eq!((config.source.server.as_str(), config.source.port), ("::1", 8883));
    assert_eq!(config.source.password.as_ref().map(Secret::reveal), Some("a,b"));
    assert!(config.source.tls.is_none() && config.print == Print::On);
    assert_eq!(config.source.qos, Qos::AtLeastOnce);
    assert_eq!((config.sink.brokers.as_str(), config.sink.properties.len()), ("a:1,b:2", 2));
    assert_eq!(config.routes[0].kafka_topic, KafkaTopic::named("k"));
    assert_eq!(config.routes[0].on_error, OnError::Stop);
    assert_eq!(config.log.filter.as_deref(), Some("warn"));
}

#[test]
fn the_command_line_wins_over_the_environment() {
    let environment = [
        ("HOST_TOPIC", "a,b"),
        ("HOST_PORT", "1"),
        ("HOST_TLS_ENABLED", "false"),
        ("RUST_LOG", "trace"),
    ];
    let config = bridge_of(
        read_with(&[&REQUIRED[..], &["--tls-enabled"]].concat(), &environment).expect("valid"),
    );
    assert_eq!(
        (config.source.topics.as_slice(), config.source.port),
        (&["plant/#".to_owned()][..], 1883)
    );
    assert!(config.source.tls.is_some());
    assert_eq!(config.log.filter.as_deref(), Some("trace"));
}

#[test]
fn values_from_the_environment_are_checked_too() {
    let problem = read_with(&REQUIRED, &[("HOST_QOS", "7")]).expect_err("a wrong value");
    assert_eq!(problem, "error: HOST_QOS 7: the qualities of service are 0, 1 and 2\n");
}

#[test]
fn the_demo_needs_nothing() {
    let demo = |arguments: &[&str]| match read_with(arguments, &[("HOST_QOS", "0")]) {
        Ok(Command::Demo(demo)) => demo,
        other => panic!("{other:?}"),
    };
    let log = Log { format: LogFormat::Human, filter: None };
    let time = Duration::from_secs(10);
    assert_eq!(demo(&["demo"]), Demo { time, messages: None, plugins: None, log });
    let log = Log { format: LogFormat::Json, filter: Some("debug".into()) };
    assert_eq!(
        demo(&[
            "demo",
            "--seconds=3",
            "--messages=5",
            "--plugins=d",
            "--log=debug",
            "--log-format=json"
        ]),
        Demo { time: Duration::from_secs(3), messages: Some(5), plugins: Some("d".into()), log }
    );
    for arguments in [
        &["demo", "--seconds", "0"][..],
        &["demo", "--messages", "0"],
        &["demo", "--seconds", "x"],
        &["demo", "--qos", "1"],
    ] {
        assert!(read_with(arguments, &[]).is_err(), "{arguments:?}");
    }
}

#[test]
fn unknown_missing_and_repeated_options_are_named() {
    assert_says(&problem(&["--no-such-thing"]), &["--no-such-thing"]);
    assert_says(&problem(&["extra"]), &["extra"]);
    assert_says(&problem(&["--port", "1"]), &["--port", "multiple"]);
    assert_says(&problem(&["--plugin"]), &["--plugin", "value"]);
    for missing in
        ["--topic", "--client-id", "--server", "--port", "--broker-address", "--kafka-topic"]
    {
        let pairs = REQUIRED.chunks(2).filter(|pair| pair[0] != missing);
        let problem =
            read_with(&pairs.collect::<Vec<_>>().concat(), &[]).expect_err("one is missing");
        assert_says(&problem, &["required", missing]);
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    for (flag, value, range) in [
        ("--port", "0", "1..=65535"),
        ("--port", "65536", "1..=65535"),
        ("--port", "mqtt", "digit"),
    ] {
        assert_says(&problem_with(flag, value), &[flag, value, range]);
    }
    for (flag, value, range) in [
        ("--qos", "3", "0, 1 and 2"),
        ("--qos", "x", "0, 1 and 2"),
        ("--mqtt-version", "4", "3.1, 3.1.1 and 5"),
        ("--connections", "0", "1..=64"),
        ("--connections", "65", "1..=64"),
        ("--keep-alive", "4", "5 to 65535"),
        ("--keep-alive", "65536", "5 to 65535"),
        ("--max-delay", "101", "0..=100"),
        ("--max-packet-size", "127", "128 to 268435460"),
        ("--max-packet-size", "257MiB", "128 to 268435460"),
        ("--max-packet-size", "16MB", "KiB"),
        ("--max-in-flight-bytes", "1", "1KiB to 1GiB"),
        ("--max-in-flight-bytes", "2GiB", "1KiB to 1GiB"),
        ("--plugin-memory-limit", "1KiB", "1MiB to 4GiB"),
        ("--plugin-memory-limit", "5GiB", "1MiB to 4GiB"),
        ("--plugin-output-limit", "1", "1KiB to 256MiB"),
        ("--plugin-records-limit", "0", "1..=65536"),
        ("--plugin-records-limit", "65537", "1..=65536"),
        ("--plugin-time-limit", "0", "1..=60000"),
        ("--plugin-time-limit", "60001", "1..=60000"),
        ("--shutdown-timeout", "86401", "0..=86400"),
        ("--tls-enabled", "maybe", "true, false"),
        ("--headers", "some", "none, properties, all"),
        ("--payload-deserializer", "xml", "json, none"),
        ("--on-error", "ignore", "dead-letter, skip, stop"),
        ("--log-format", "xml", "human, json"),
    ] {
        let arguments = [&REQUIRED[..], &[flag, value]].concat();
        let problem = read_with(&arguments, &[]).expect_err("out of range");
        assert_says(&problem, &[flag, value, range]);
    }
}

#[test]
fn a_last_will_is_whole_or_absent() {
    assert_eq!(config(&[]).source.will, None);
    for flag in ["--will-payload=x", "--will-qos=1", "--will-retain"] {
        let name = flag.split('=').next().expect("a name");
        assert_says(&problem(&[flag]), &[name, "--will-topic"]);
    }
    for (topic, words) in [("", "is empty"), ("a/#", "wildcard"), ("+", "wildcard")] {
        assert_says(&problem(&["--will-topic", topic]), &["--will-topic", words]);
    }
    let long = "x".repeat(65_536);
    let problem = problem(&["--will-topic", "t", "--will-payload", &long]);
    assert_says(&problem, &["--will-payload", "65536 bytes"]);
}

#[test]
fn a_filter_is_either_wanted_or_not() {
    let no_filter = problem(&["--unsubscribe", "a#"]);
    let problem = problem(&["--unsubscribe", "plant/#"]);
    assert_says(&problem, &["--unsubscribe", "plant/#", "keep one"]);
    assert_says(&no_filter, &["--unsubscribe", "'#'"]);
}

#[test]
fn names_that_are_not_valid_are_refused() {
    assert_says(&problem_with("--client-id", ""), &["--client-id is empty"]);
    assert_says(&problem_with("--topic", ""), &["--topic is empty"]);
    assert_says(&problem_with("--topic", "a/#/b"), &["--topic", "a/#/b", "last level"]);
    assert_says(&problem_with("--server", ""), &["--server", "is empty"]);
    assert_says(&problem_with("--server", "mqtt://a"), &["--server", "protocol"]);
    assert_says(&problem_with("--server", "a:1883"), &["--server", "--port"]);
    assert_says(&problem_with("--server", "a b"), &["--server", "neither a host name"]);
    assert_says(&problem_with("--broker-address", ""), &["--broker-address", "is empty"]);
    assert_says(&problem_with("--broker-address", "localhost"), &["--broker-address", "no port"]);
    assert_says(&problem_with("--kafka-topic", "a/b"), &["--kafka-topic", "a/b"]);
    assert_says(&problem_with("--kafka-topic", &"x".repeat(240)), &["--dead-letter-topic", "249"]);
    assert_says(&problem(&["--dead-letter-topic", ""]), &["--dead-letter-topic", "is empty"]);
    assert_says(&problem(&["--plugin", ""]), &["value is required", "--plugin"]);
}

#[test]
fn an_ipv6_server_may_have_brackets() {
    let mut arguments = REQUIRED.to_vec();
    for (written, server) in [("[::1]", "::1"), ("fe80::1%eth0", "fe80::1%eth0")] {
        arguments[5] = written;
        assert_eq!(bridge_of(read_with(&arguments, &[]).expect("valid")).source.server, server);
    }
    assert_says(&problem_with("--server", "fe80::1%"), &["--server"]);
}

#[test]
fn contradictions_are_refused() {
    assert_says(
        &problem(&["--dead-letter-topic", "plant"]),
        &["--dead-letter-topic", "the Kafka topic itself"],
    );
    assert_says(
        &problem(&["--dead-letter-topic", "x", "--on-error", "skip"]),
        &["--dead-letter-topic", "--on-error"],
    );
    assert_says(&problem(&["--password", "x"]), &["--username", "--mqtt-version 5"]);
    assert_says(
        &problem(&["--username", "u", "--password", "x", "--password-file", "f"]),
        &["--password", "--password-file", "keep one"],
    );
    assert_says(
        &problem(&["--property", "receive-maximum=1"]),
        &["--property", "--mqtt-version 5"],
    );
    assert_says(
        &problem(&["--mqtt-version", "5", "--property", "session-expiry-interval=0"]),
        &["session-expiry-interval=0", "--clean-session"],
    );
}

#[test]
fn several_connections_need_shared_subscriptions() {
    let mut arguments = REQUIRED.to_vec();
    arguments[1] = "$share/g/plant/#";
    arguments.extend(["--connections", "64"]);
    let config = bridge_of(read_with(&arguments, &[]).expect("valid"));
    assert_eq!(config.source.connections, 64);
    arguments.extend(["--topic", "other/#"]);
    let problem = read_with(&arguments, &[]).expect_err("a filter that is not shared");
    assert_says(
        &problem,
        &["--connections 64", "\"other/#\"", "64 times", "'$share/plant/other/#'"],
    );
}

#[test]
fn a_password_needs_no_user_name_with_mqtt_5() {
    let config = config(&["--mqtt-version", "5", "--password", "x"]);
    assert_eq!(config.source.password.as_ref().map(Secret::reveal), Some("x"));
    let day = ConnectProperties {
        session_expiry_secs: 86_400,
        receive_maximum: 65_535,
        max_packet_size: 16 << 20,
        request_response_information: None,
        request_problem_information: None,
        user: Vec::new(),
        authentication_method: None,
        authentication_data: None,
    };
    assert_eq!(config.source.protocol, Protocol::V5(day));
}

#[test]
fn connect_properties_are_checked() {
    for (property, words) in [
        ("receive-maximum=0", "from 1 to 65535"),
        ("receive-maximum=65536", "from 1 to 65535"),
        ("receive-maximum=", "from 1 to 65535"),
        ("session-expiry-interval=-1", "from 0 to 4294967295"),
        ("session-expiry-interval=4294967296", "from 0 to 4294967295"),
        ("topic-alias-maximum=1", "is not offered"),
        ("maximum-packet-size=16777217", "from 128 to 16777216"),
        ("maximum-packet-size=0", "from 128 to 16777216"),
        ("request-response-information=2", "from 0 to 1"),
        ("request-problem-information=yes", "from 0 to 1"),
        ("authentication-data=x", "authentication-method"),
        ("authentication-data=base64:?", "base64"),
        ("will-delay-interval=1", "is not known"),
        ("user.=x", "is not known"),
        ("receive-maximum", "NAME=VALUE"),
    ] {
        assert_says(
            &problem(&["--mqtt-version", "5", "--property", property]),
            &["--property", words],
        );
    }
    let twice = problem(&[
        "--mqtt-version",
        "5",
        "--property",
        "receive-maximum=1",
        "--property",
        "receive-maximum=2",
    ]);
    assert_says(&twice, &["receive-maximum", "twice"]);
}

#[test]
fn a_password_file_loses_only_its_last_newline() {
    for (name, content, expected) in [
        ("lf", "pass \n", "pass "),
        ("crlf", "pass\r\n", "pass"),
        ("none", "pass", "pass"),
        ("two", "pass\n\n", "pass\n"),
    ] {
        let file = TemporaryFile::new(name, content.as_bytes());
        let config = config(&["--username", "u", "--password-file", file.path()]);
        assert_eq!(config.source.password.as_ref().map(Secret::reveal), Some(expected));
    }
}

#[test]
fn a_password_file_that_is_of_no_use_is_refused() {
    let say = |path: &str, words: &str| {
        assert_says(
            &problem(&["--username", "u", "--password-file", path]),
            &["--password-file", path, words],
        );
    };
    say("/no/such/file", "cannot be read");
    say(TemporaryFile::new("empty", b"\n").path(), "is empty");
    say(TemporaryFile::new("binary", b"\xff").path(), "not UTF-8");
    let nul = TemporaryFile::new("nul", b"a\0b");
    let problem = problem(&["--username", "u", "--password-file", nul.path()]);
    assert_says(&problem, &["the password", "NUL"]);
}

#[test]
fn tls_takes_files_a_name_and_protocols() {
    let tls = |text: &str| config_of(text).source.tls.expect("TLS");
    let plain = Tls { ca_file: None, client: None, server_name: None, alpn: Vec::new() };
    assert_eq!(tls(""), plain);
    let client = ClientFiles { certificate: "c".into(), key: "k".into() };
    let expected = Tls {
        ca_file: Some("a".into()),
        client: Some(client),
        server_name: Some("mqtt.example".into()),
        alpn: vec!["x-amzn-mqtt-ca".into(), "mqtt".into()],
    };
    let given = "--ca-file a --cert-file c --key-file k --tls-server-name mqtt.example
                 --tls-alpn x-amzn-mqtt-ca --tls-alpn mqtt";
    assert_eq!(tls(given), expected);
}

#[test]
fn a_websocket_has_a_path() {
    let transport = |text: &str| config_of(text).source.transport;
    assert_eq!(transport(""), Transport::Tcp);
    assert_eq!(transport("--transport tcp --tls-enabled=false"), Transport::Tcp);
    let path = "/mqtt".to_owned();
    assert_eq!(transport("--transport websocket"), Transport::Websocket { path });
    let path = "/a/b?token=x%20y".to_owned();
    assert_eq!(
        transport("--transport websocket --websocket-path /a/b?token=x%20y"),
        Transport::Websocket { path }
    );
    for path in ["", "mqtt", "/a b", "/a#b", "/ä"] {
        let problem = problem(&["--transport", "websocket", "--websocket-path", path]);
        assert_says(&problem, &["--websocket-path", "/mqtt"]);
    }
    assert_says(&problem(&["--websocket-path", "/"]), &["--websocket-path", "--transport"]);
    assert_says(&problem(&["--transport", "udp"]), &["--transport", "udp"]);
}

#[test]
fn options_of_tls_that_make_no_sense_together_are_refused() {
    for flag in ["--ca-file", "--cert-file", "--key-file", "--tls-server-name", "--tls-alpn"] {
        let problem = problem(&["--tls-enabled=false", flag, "x"]);
        assert_says(&problem, &[flag, "--tls-enabled=false"]);
    }
    assert_says(&problem(&["--cert-file", "c"]), &["--cert-file", "add --key-file"]);
    assert_says(&problem(&["--key-file", "k"]), &["--key-file", "add --cert-file"]);
    assert_says(&problem(&["--tls-server-name", ""]), &["--tls-server-name", "is empty"]);
    for protocol in ["", &"x".repeat(256)] {
        let size = format!("{} bytes", protocol.len());
        assert_says(&problem(&["--tls-alpn", protocol]), &["--tls-alpn", &size, "1 to 255"]);
    }
}

#[test]
fn kafka_properties_that_break_a_promise_are_refused_with_the_reason() {
    assert_says(&problem(&["-X", "acks=1"]), &["-X acks", "in-sync"]);
    assert_says(&problem(&["--kafka-config", "bootstrap.servers=a:1"]), &["--broker-address"]);
    assert_says(&problem(&["-X", "linger.ms"]), &["NAME=VALUE"]);
}

#[test]
fn plugins_are_configured_by_the_names_of_their_files() {
    let json = r#"{"key": {"level": 2}}"#;
    let file = TemporaryFile::unique(json.as_bytes());
    for given in [json, &format!("@{}", file.path())] {
        let config =
            config(&["--plugin", "a/key.wasm", "--plugin", "b.wasm", "--plugin-config", given]);
        let configs: Vec<_> =
            config.routes[0].plugins.iter().map(|plugin| plugin.config.as_deref()).collect();
        assert_eq!(configs, [Some(r#"{"level":2}"#), None]);
    }
    let say = |given: &str, words: &[&str]| {
        assert_says(&problem(&["--plugin", "key.wasm", "--plugin-config", given]), words);
    };
    say("{", &["--plugin-config is not JSON", "one object per plugin"]);
    say("[]", &["--plugin-config is not an object of objects", "one object per plugin"]);
    say("@/no/such.json", &["--plugin-config @/no/such.json cannot be read"]);
    say(r#"{"key": 1}"#, &["--plugin-config is not an object of objects"]);
    say(
        r#"{"kye": {}}"#,
        &["--plugin-config", "\"kye\"", "names no plugin", "the only one is key"],
    );
    say(r#"{"key.wasm": {}}"#, &["names no plugin", "the only one is key"]);
}

#[test]
fn passwords_are_never_shown() {
    let secret = "hunter2";
    let arguments = ["--username", "u", "--password", secret, "-X", "sasl.password=hunter2"];
    assert!(!format!("{:?}", config(&arguments)).contains(secret));
    for problem in [problem(&["--password", secret]), problem(&["-X", secret])] {
        assert!(!problem.contains(secret), "{problem}");
    }
    let environment = [("HOST_PASSWORD", secret), ("HOST_KAFKA_CONFIG", "sasl.password=hunter2")];
    for help in ["-h", "--help"] {
        let text = read_with(&[help], &environment).expect_err("help");
        assert!(text.contains("--password-file") && !text.contains(secret));
    }
}

#[test]
fn help_says_every_group_and_ends_with_examples() {
    let help = read_with(&["--help"], &[]).expect_err("help");
    for part in [
        "MQTT:",
        "Kafka:",
        "Records:",
        "Plugins:",
        "Rejected messages:",
        "Running:",
        "Examples:",
        "HOST_",
        "demo",
    ] {
        assert!(help.contains(part), "{part}");
    }
}

#[test]
fn the_readme_has_every_option() {
    let readme = include_str!("../../../README.md");
    for option in cli::Cli::command().get_arguments().filter_map(clap::Arg::get_long) {
        assert!(
            readme.contains(&format!("`--{option}")) || readme.contains(&format!("--{option}`")),
            "--{option}"
        );
    }
}
