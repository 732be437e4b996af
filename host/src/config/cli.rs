//! The options, each declared once, in [`Options`].
//!
//! Its environment variable and its key in the file are not declared: they follow from the name, and
//! what may be written there from its type and the name of its value (see `kind`). Nor are its place
//! in `config show` and in the JSON Schema. What the values mean together is for `check` to say.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, value_parser};

use super::Secret;
use super::choice::{
    Deserializer, Format, Headers, MqttVersion, OnBrokenKind, OnErrorKind, TransportKind,
    in_flight_size, keep_alive, mqtt_version, packet_size, plugin_memory, plugin_output, print,
    qos,
};
use super::workbench::PluginSub;
use crate::message::Qos;
use crate::output::Print;

/// Carries MQTT messages into Kafka. None that Kafka has not confirmed is acknowledged.
///
/// Each MQTT message becomes one Kafka record. WebAssembly plugins may decide its key, value and
/// timestamp; where none does, the key is the member `_key` of a JSON payload or else the topic,
/// the value is the payload, and the timestamp is the member `_timestamp` or else the time of
/// arrival.
#[derive(Debug, Parser)]
#[command(name = "host", version, after_help = EXAMPLES, after_long_help = EXAMPLES_LONG)]
#[command(args_conflicts_with_subcommands = true, override_usage = USAGE)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub subcommand: Option<Sub>,
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    pub log: LogOptions,
}

/// What the bridge runs with: the same options, without subcommands.
///
/// What was written on all layers is put together and read with this.
#[derive(Debug, Parser)]
#[command(name = "host", override_usage = USAGE)]
pub struct Bridge {
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    pub log: LogOptions,
}

const USAGE: &str = "\
host --topic FILTER --client-id ID --server HOST --port PORT --broker-address HOST:PORT,...
            --kafka-topic TOPIC [OPTIONS]
       host --config FILE [OPTIONS]
       host config show|check|schema
       host plugin new|check|run|test|bench|watch|capture|replay|swap
       host demo";

const EXAMPLES: &str = "\
Try it:        host demo
All of it:     host --help
Environment:   any option but those of `demo` as HOST_ and its name, e.g. HOST_KAFKA_TOPIC
File:          any of them as a key of the TOML file --config names, e.g. kafka_topic = \"plant\"";

const EXAMPLES_LONG: &str = "\
Environment:
  Any option above can be given as an environment variable: HOST_ and its name in capitals, with
  '_' for '-', e.g. HOST_KAFKA_TOPIC=plant. Repeatable ones are separated by commas. An empty
  variable counts as none.

File:
  Any option above can be a key of the TOML file that --config names, with '_' for '-', e.g.
  kafka_topic = \"plant\"; more than one Kafka topic, each with plugins of its own, are [[route]]s there.
  The command line wins over the environment, that over the file, and that over the defaults.
  `host config show` says what came from where.

Examples:
  Everything embedded, nothing to install:
    host demo

  From a plain-text MQTT server to Kafka, both on this machine:
    host --topic 'plant/#' --client-id plant-1 --server 127.0.0.1 --port 1883 --tls-enabled=false \\
         --broker-address 127.0.0.1:9092 --kafka-topic plant --print

  With TLS, a password from a file, MQTT 5, and a plugin that decides the keys:
    host --topic 'plant/+/temp' --topic 'plant/+/alarm' --client-id plant-1 \\
         --server mqtt.example.com --port 8883 --username plant --password-file /run/secrets/mqtt \\
         --mqtt-version 5 --property session-expiry-interval=604800 --plugin key.wasm \\
         --broker-address kafka-1:9092,kafka-2:9092 --kafka-topic plant -X compression.type=zstd

Exit codes:
  0 stopped cleanly, 1 could not go on, 2 wrong usage or configuration";

/// What else there is to do.
#[derive(Debug, Subcommand)]
pub enum Sub {
    /// Show the whole path with embedded brokers, simulated devices and example plugins.
    Demo {
        /// How long to run, in seconds.
        #[arg(long, value_name = "N", default_value = "10", value_parser = value_parser!(u64).range(1..=86_400))]
        seconds: u64,
        /// How many messages to publish at most.
        #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
        messages: Option<u64>,
        /// Where the example plugins are; by default where `make plugins` puts them.
        #[arg(long, value_name = "DIR")]
        plugins: Option<PathBuf>,
    },
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        what: ConfigSub,
    },
    /// Begin, check, try, test, measure and swap plugins, record messages for that, and try dead letters again.
    Plugin {
        #[command(subcommand)]
        what: PluginSub,
    },
}

/// What there is to do with a configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigSub {
    /// Write what host would run with, as a file for --config, with the origin of each value.
    ///
    /// It takes all options of the bridge. Passwords are left out.
    Show {
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Say whether the configuration is right, plugins and certificates included.
    ///
    /// It takes all options of the bridge, and the environment counts, too. Nothing is connected to
    /// without --connect.
    Check {
        /// The TOML file to check, as --config names it.
        #[arg(value_name = "FILE", conflicts_with = "config")]
        file: Option<PathBuf>,
        /// Try the MQTT server and Kafka, too, in a session of its own that takes no message from anybody.
        ///
        /// The client id is the configured one and "-check". Nothing is written to Kafka.
        #[arg(long)]
        connect: bool,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Write the JSON Schema of the file, which tells editors what may stand there.
    Schema,
}

/// The options of the bridge. What is required is there once all layers are put together.
#[derive(Debug, Args)]
pub struct Options {
    /// TOML file with any of these options, and routes.
    ///
    /// Its keys are the options' names with '_' for '-'. Paths in it are relative to it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Topic filter to subscribe to; repeatable.
    ///
    /// May hold the wildcards '+' and '#', and may be a shared subscription, $share/GROUP/FILTER.
    #[arg(long, required = true, value_name = "FILTER", help_heading = MQTT)]
    pub topic: Vec<String>,

    /// Name of this client, and of its session in the MQTT server.
    ///
    /// Two running clients may not share it. A restart with the same name gets what was published in
    /// between.
    #[arg(long, required = true, value_name = "ID", help_heading = MQTT)]
    pub client_id: Option<String>,

    /// Host name or address of the MQTT server.
    #[arg(long, required = true, value_name = "HOST", help_heading = MQTT)]
    pub server: Option<String>,

    /// Port of the MQTT server, 1 to 65535; 8883 is usual for TLS and 1883 without.
    #[arg(long, required = true, value_name = "PORT", help_heading = MQTT)]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    pub port: Option<u16>,

    /// User name for the MQTT server.
    #[arg(long, value_name = "NAME", help_heading = MQTT)]
    pub username: Option<String>,

    /// Password for the MQTT server; other users of this machine can see it in the list of processes.
    ///
    /// Better use --password-file or the environment variable `HOST_PASSWORD`.
    #[arg(long, value_name = "PASSWORD", help_heading = MQTT, hide_default_value = true)]
    pub password: Option<Secret>,

    /// File that holds the password; its last newline is not part of it.
    #[arg(long, value_name = "FILE", help_heading = MQTT)]
    pub password_file: Option<PathBuf>,

    /// Version of MQTT.
    #[arg(long, value_name = "3.1|3.1.1|5", default_value = "3.1.1", value_parser = mqtt_version, help_heading = MQTT)]
    pub mqtt_version: MqttVersion,

    /// Use TLS; --tls-enabled=false for a plain-text server.
    #[arg(long, value_name = "true|false", default_value = "true", help_heading = MQTT)]
    #[arg(num_args = 0..=1, default_missing_value = "true", hide_possible_values = true)]
    #[arg(action = clap::ArgAction::Set)]
    pub tls_enabled: bool,

    /// PEM file of the certificate authorities to trust instead of the system's.
    #[arg(long, value_name = "FILE", help_heading = MQTT)]
    pub ca_file: Option<PathBuf>,

    /// PEM file of this client's certificate, for a server that asks for one; needs --key-file.
    ///
    /// Certificates between it and its authority follow in the same file. This file, --key-file and
    /// --ca-file are read again for each connection, so that renewed ones need no restart.
    #[arg(long, value_name = "FILE", help_heading = MQTT)]
    pub cert_file: Option<PathBuf>,

    /// PEM file of the private key of --cert-file, not encrypted: PKCS#8, RSA (PKCS#1) or EC (SEC1).
    #[arg(long, value_name = "FILE", help_heading = MQTT)]
    pub key_file: Option<PathBuf>,

    /// Name in the server's certificate, if it is not the one of --server; it is asked for, too (SNI).
    #[arg(long, value_name = "NAME", help_heading = MQTT)]
    pub tls_server_name: Option<String>,

    /// Application protocol to offer (ALPN), e.g. mqtt or x-amzn-mqtt-ca; repeatable. By default none is.
    #[arg(long, value_name = "PROTOCOL", help_heading = MQTT)]
    pub tls_alpn: Vec<String>,

    /// What carries MQTT: TCP, or a websocket over it. Either may have TLS.
    #[arg(long, value_name = "tcp|websocket", default_value = "tcp", hide_possible_values = true, help_heading = MQTT)]
    pub transport: TransportKind,

    /// Path of the websocket, with its query if it has one [default: /mqtt].
    #[arg(long, value_name = "PATH", help_heading = MQTT)]
    pub websocket_path: Option<String>,

    /// Topic filter that an earlier run subscribed to and that is not wanted any more; repeatable.
    ///
    /// The MQTT server goes on collecting messages for it in the session until it is unsubscribed.
    #[arg(long, value_name = "FILTER", help_heading = MQTT)]
    pub unsubscribe: Vec<String>,

    /// Topic of the last will, which the MQTT server publishes when the connection breaks.
    ///
    /// It is not published when this program stops cleanly.
    #[arg(long, value_name = "TOPIC", help_heading = MQTT)]
    pub will_topic: Option<String>,

    /// Payload of the last will; empty if not given.
    #[arg(long, value_name = "TEXT", help_heading = MQTT)]
    pub will_payload: Option<String>,

    /// Quality of service of the last will [default: 0].
    #[arg(long, value_name = "0|1|2", value_parser = qos, help_heading = MQTT)]
    pub will_qos: Option<Qos>,

    /// Have the last will retained [default: false].
    #[arg(long, value_name = "true|false", help_heading = MQTT)]
    #[arg(num_args = 0..=1, default_missing_value = "true", hide_possible_values = true)]
    #[arg(action = clap::ArgAction::Set)]
    pub will_retain: Option<bool>,

    /// Quality of service to subscribe with: 0 at most once, 1 at least once, 2 exactly once.
    ///
    /// At 1 and 2 the MQTT server sends again what was not yet safe in Kafka. At 2 nothing that it sends
    /// again becomes a second record while this program runs and the server keeps the session.
    #[arg(long, value_name = "0|1|2", default_value = "1", value_parser = qos, help_heading = MQTT)]
    pub qos: Qos,

    /// How many connections share the subscription, 1 to 64.
    ///
    /// Each has a session of its own: with 3, ID-1, ID-2 and ID-3. All filters must be shared
    /// subscriptions, $share/GROUP/FILTER. Messages of one topic may come on any of them, out of order.
    #[arg(long, value_name = "N", default_value = "1", value_parser = value_parser!(u16).range(1..=64), help_heading = MQTT)]
    pub connections: u16,

    /// Discard an earlier session of this client id when connecting.
    ///
    /// What was published while this client was not connected is lost then.
    #[arg(long, value_name = "true|false", default_value = "false", help_heading = MQTT)]
    #[arg(num_args = 0..=1, default_missing_value = "true", hide_possible_values = true)]
    #[arg(action = clap::ArgAction::Set)]
    pub clean_session: bool,

    /// Property of the MQTT 5 connection; repeatable.
    ///
    /// session-expiry-interval: seconds that the server keeps the session without a connection (default
    /// 86400, one day; 4294967295 for ever). receive-maximum: messages that it may send before they are
    /// acknowledged, 1 to 65535 (default 65535). maximum-packet-size: largest packet that it may send, in
    /// bytes (default and at most --max-packet-size). request-response-information and
    /// request-problem-information: 0 or 1. user.NAME: a user property. authentication-method, and
    /// authentication-data, a text or base64:DATA: for methods that take one step.
    #[arg(long, value_name = "NAME=VALUE", help_heading = MQTT)]
    pub property: Vec<String>,

    /// Largest MQTT packet to take, in bytes or with KiB, MiB; at most 268435460 bytes.
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = packet_size, help_heading = MQTT)]
    pub max_packet_size: u64,

    /// Longest silence before a sign of life is sent, in seconds: 5 to 65535, or 0 for never.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = keep_alive, help_heading = MQTT)]
    pub keep_alive: u16,

    /// How long a message may wait for others that leave with it, in milliseconds, 0 to 100.
    ///
    /// It waits half of that on average, and only where messages come so fast that others come
    /// meanwhile. More takes less processor time; 0 is for the lowest latency.
    #[arg(long, value_name = "MS", default_value = "3", value_parser = value_parser!(u64).range(0..=100), help_heading = MQTT)]
    pub max_delay: u64,

    /// Addresses of Kafka's bootstrap servers.
    #[arg(long, required = true, value_name = "HOST:PORT,...", help_heading = KAFKA)]
    pub broker_address: Option<String>,

    /// Kafka topic that records go to.
    ///
    /// It may take levels of the MQTT topic, counted from 0: 'plant.{1}' is plant.dev42 for the message
    /// plant/dev42/temp. Then --kafka-topics-allowed says where it may lead.
    #[arg(long, required = true, value_name = "TOPIC", help_heading = KAFKA)]
    pub kafka_topic: Option<String>,

    /// Kafka topic that a template may lead to or a plugin may choose, by name or by a pattern such as 'plant.*'; repeatable.
    ///
    /// A message that leads to another topic is rejected.
    #[arg(long, value_name = "TOPIC", help_heading = KAFKA)]
    pub kafka_topics_allowed: Vec<String>,

    /// Property of librdkafka, e.g. compression.type=zstd; repeatable.
    ///
    /// This is also how to use TLS and SASL with Kafka: security.protocol, sasl.mechanisms, and so on. A
    /// property that would break a guarantee is refused.
    #[arg(short = 'X', long, value_name = "NAME=VALUE", help_heading = KAFKA, hide_default_value = true)]
    pub kafka_config: Vec<Secret>,

    /// Property whose value is in a file, e.g. sasl.password=/run/secrets/kafka; repeatable.
    ///
    /// The file's last newline is not part of the value.
    #[arg(long, value_name = "NAME=FILE", help_heading = KAFKA)]
    pub kafka_secret: Vec<String>,

    /// File of properties, NAME=VALUE a line; repeatable.
    ///
    /// Lines that begin with '#' are comments. -X and --kafka-secret win over it.
    #[arg(long, value_name = "FILE", help_heading = KAFKA)]
    pub kafka_config_file: Vec<PathBuf>,

    /// How to read payloads: json looks for `_key` and `_timestamp`, none looks at nothing.
    #[arg(long, value_name = "json|none", default_value = "json", hide_possible_values = true, help_heading = RECORDS)]
    pub payload_deserializer: Deserializer,

    /// Record headers: MQTT 5 properties, or all for topic, QoS, retain and dup too.
    #[arg(long, value_name = "none|properties|all", default_value = "properties", hide_possible_values = true, help_heading = RECORDS)]
    pub headers: Headers,

    /// Write delivered records to standard output, as a JSON object a line.
    ///
    /// What its reader is too slow for is left out, and counted in the log. With wait nothing is left
    /// out: deliveries and acknowledgements wait for the reader.
    #[arg(long, value_name = "true|false|wait", default_value = "false", help_heading = RECORDS)]
    #[arg(num_args = 0..=1, default_missing_value = "true", hide_possible_values = true)]
    #[arg(action = clap::ArgAction::Set, value_parser = print)]
    pub print: Print,

    /// WebAssembly plugin that decides keys, values or timestamps, or makes records; repeatable.
    ///
    /// Transformers work one after the other, in the order given.
    #[arg(long, value_name = "FILE", help_heading = PLUGINS)]
    pub plugin: Vec<PathBuf>,

    #[command(flatten)]
    pub plugins: PluginOptions,

    /// After how many messages in a row that a plugin fails for it may be broken, 1 to 1000000.
    ///
    /// It is if it fails for messages, too, that it has handled well before. Failing is to trap, to take too
    /// much time or memory, or to answer what is not allowed; what a plugin itself calls a bad message
    /// does not count.
    #[arg(long, value_name = "N", default_value = "10", value_parser = value_parser!(u32).range(1..=1_000_000), help_heading = PLUGINS)]
    pub plugin_failures_limit: u32,

    /// What to do while a plugin is broken: pause its route, do without it (default), or stop.
    ///
    /// With pause and default it is tried again after 1 second, then after 2, and so on up to a minute,
    /// until it works.
    #[arg(long, value_name = "stop|default|pause", default_value = "pause", hide_possible_values = true, help_heading = PLUGINS)]
    pub on_plugin_broken: OnBrokenKind,

    /// Let a plugin whose file changes take over from the one that runs, once it has passed a self-test.
    ///
    /// Without this it does so only after SIGHUP. It has to offer what the running one offers.
    #[arg(long, value_name = "true|false", default_value = "false", help_heading = PLUGINS)]
    #[arg(num_args = 0..=1, default_missing_value = "true", hide_possible_values = true)]
    #[arg(action = clap::ArgAction::Set)]
    pub watch_plugins: bool,

    /// File of messages and what has to become of them, as `host plugin test` takes it; repeatable.
    ///
    /// Plugins have to pass it at the start and before they take over, e.g.
    /// {"topic": "plant/a", "payload": "7", "expect": {"key": "a"}}.
    #[arg(long, value_name = "FILE", help_heading = PLUGINS)]
    pub self_test: Vec<PathBuf>,

    /// By how many percent points errors may rise before the plugin that ran before comes back; 100 for never.
    ///
    /// Errors are messages that the plugin rejects or fails on.
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = value_parser!(u32).range(0..=100), help_heading = PLUGINS)]
    pub swap_errors_limit: u32,

    /// Of how many percent of the last messages a changed plugin may make something else; 100 for all.
    ///
    /// It is asked about them before it takes over, up to 64 for each thing that it decides.
    #[arg(long, value_name = "PERCENT", default_value = "100", value_parser = value_parser!(u32).range(0..=100), help_heading = PLUGINS)]
    pub swap_changes_limit: u32,

    /// What to do with a message that a plugin or Kafka refuses for good.
    #[arg(long, value_name = "dead-letter|skip|stop", default_value = "dead-letter", hide_possible_values = true, help_heading = REJECTED)]
    pub on_error: OnErrorKind,

    /// Kafka topic for such messages [default: the Kafka topic and ".dead-letter"].
    #[arg(long, value_name = "TOPIC", help_heading = REJECTED)]
    pub dead_letter_topic: Option<String>,

    /// Most bytes of messages that wait for Kafka's confirmation; 1KiB to 1GiB.
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = in_flight_size, help_heading = RUNNING)]
    pub max_in_flight_bytes: u64,

    /// How long to wait for confirmations after SIGTERM or SIGINT, in seconds, 0 to 86400.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = value_parser!(u64).range(0..=86_400), help_heading = RUNNING)]
    pub shutdown_timeout: u64,

    /// Listen for requests on this Unix domain socket, e.g. `host plugin swap`; by default nowhere.
    ///
    /// Only this user may use it. It is removed at the end.
    #[arg(long, value_name = "PATH", help_heading = RUNNING)]
    pub control_socket: Option<PathBuf>,
}

/// How plugins are run, by the bridge and by the workbench.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "they are the options' names")]
pub struct PluginOptions {
    /// Configuration of plugins: a JSON object with one member per plugin, named by its file's stem.
    ///
    /// '@' and a path instead names a file that holds it.
    #[arg(long, value_name = "JSON|@FILE", help_heading = PLUGINS)]
    pub plugin_config: Option<String>,

    /// Longest time that one call of a plugin may take, in milliseconds, 1 to 60000.
    #[arg(long, value_name = "MS", default_value = "50", value_parser = value_parser!(u64).range(1..=60_000), help_heading = PLUGINS)]
    pub plugin_time_limit: u64,

    /// Most memory that a plugin may have, in bytes or with KiB, MiB, GiB; 1MiB to 4GiB.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = plugin_memory, help_heading = PLUGINS)]
    pub plugin_memory_limit: u64,

    /// Most bytes that a plugin may answer for one message, in bytes or with KiB, MiB; 1KiB to 256MiB.
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = plugin_output, help_heading = PLUGINS)]
    pub plugin_output_limit: u64,

    /// Most records that a transformer may make of one, 1 to 65536.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = value_parser!(u32).range(1..=65_536), help_heading = PLUGINS)]
    pub plugin_records_limit: u32,

    /// Most lines that a plugin may log in a second; more are counted and dropped.
    #[arg(long, value_name = "N", default_value = "100", value_parser = value_parser!(u32), help_heading = PLUGINS)]
    pub plugin_log_limit: u32,

    /// Let plugins know the time. Without this they only know when each message arrived.
    ///
    /// A plugin that asks all the same fails for that message.
    // Files of plugins follow it on the workbench, so a value needs its '='.
    #[arg(long, value_name = "true|false", default_value = "false", help_heading = PLUGINS)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true, action = clap::ArgAction::Set)]
    pub plugin_clock: bool,
}

/// How to log, also for subcommands.
#[derive(Debug, Args)]
pub struct LogOptions {
    /// What to log, as in `RUST_LOG`: error, warn, info, debug, trace, or by module: warn,host=debug.
    ///
    /// The environment variable `RUST_LOG` works too. The default is info, and warn for libraries.
    #[arg(long, global = true, value_name = "FILTER", help_heading = RUNNING)]
    pub log: Option<String>,

    /// Form of the log lines on standard error.
    #[arg(long, global = true, value_name = "human|json", default_value = "human", hide_possible_values = true, help_heading = RUNNING)]
    pub log_format: Format,
}

/// The options that a `[[route]]` may have for itself.
pub const OF_ROUTES: [&str; 9] = [
    "topic",
    "kafka-topic",
    "kafka-topics-allowed",
    "plugin",
    "on-plugin-broken",
    "headers",
    "payload-deserializer",
    "on-error",
    "dead-letter-topic",
];

const MQTT: &str = "MQTT";
const KAFKA: &str = "Kafka";
const RECORDS: &str = "Records";
const PLUGINS: &str = "Plugins";
const REJECTED: &str = "Rejected messages";
const RUNNING: &str = "Running";
