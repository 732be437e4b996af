//! From what the user wrote to values that are checked. Each problem is one line that names the
//! option, what is wrong with it, and the cure.

use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::choice::{Deserializer, MqttVersion, OnErrorKind, TransportKind};
use super::cli::{Bridge, LogOptions, Options};
use super::file::File;
use super::problem::Problem;
use super::routes::Routes;
use super::written::Written;
use super::{
    ClientFiles, Config, Log, OnError, Plugin, PluginLimits, Protocol, Route, Secret, Sink, Source,
    Swap, Tls, Transform, Transport, Will, Wording, control, kafka, mqtt, routes,
};
use crate::filter;
use crate::kafka_topic::KafkaTopic;
use crate::message::Qos;

type Checked<T> = Result<T, String>;

pub fn log(written: LogOptions) -> Log {
    Log { format: written.log_format.into(), filter: written.log }
}

/// What is wrong with values that are right each by itself.
#[derive(Debug)]
pub enum Wrong {
    /// Speaks of options as on the command line.
    Said(String),
    /// Says where each problem stands.
    Placed(Vec<Problem>),
}

impl From<String> for Wrong {
    fn from(problem: String) -> Self {
        Self::Said(problem)
    }
}

/// Checks everything together.
pub fn bridge(bridge: Bridge, all: &Arc<Written>, file: Option<&File>) -> Result<Config, Wrong> {
    let mut written = bridge.options;
    let Routes { list: routes, unrouted, topics } = routes::routes(&written, all, file)?;
    let control_socket = written.control_socket.take();
    control_socket.as_deref().map_or(Ok(()), control::check)?;
    Ok(Config {
        sink: sink(&mut written)?,
        unrouted,
        routes,
        plugin_limits: plugin_limits(&written),
        swap: Swap {
            watch: written.watch_plugins,
            self_test: written.self_test.clone(),
            errors_limit: written.swap_errors_limit,
            changes_limit: written.swap_changes_limit,
        },
        control_socket,
        max_in_flight_bytes: written.max_in_flight_bytes as usize,
        print: written.print,
        shutdown_timeout: Duration::from_secs(written.shutdown_timeout),
        log: log(bridge.log),
        wording: Wording::new(all),
        source: source(written, topics)?,
    })
}

/// What a plugin may use up with these options.
pub fn plugin_limits(written: &Options) -> PluginLimits {
    PluginLimits {
        time: Duration::from_millis(written.plugins.plugin_time_limit),
        memory: written.plugins.plugin_memory_limit as usize,
        output: written.plugins.plugin_output_limit as usize,
        records: written.plugins.plugin_records_limit as usize,
        log_lines_per_second: written.plugins.plugin_log_limit,
        failures: written.plugin_failures_limit,
    }
}

/// What becomes of messages of these topics, or of all where there are none.
pub fn route(written: &Options, plugins: Vec<Plugin>) -> Checked<Route> {
    let topic = written.kafka_topic.as_deref().ok_or("--kafka-topic is missing")?;
    let kafka_topic =
        KafkaTopic::parse(topic, &written.kafka_topics_allowed, !written.plugin.is_empty())
            .map_err(|problem| {
                let about_topic = problem.starts_with(&format!("{topic:?}"));
                let flag = if about_topic { "--kafka-topic" } else { "--kafka-topics-allowed" };
                format!("{flag} {problem}")
            })?;
    Ok(Route {
        topics: Vec::new(),
        proceed: false,
        on_error: on_error(written, &kafka_topic)?,
        kafka_topic,
        transform: Transform {
            json: matches!(written.payload_deserializer, Deserializer::Json),
            headers: written.headers.into(),
        },
        plugins,
        on_plugin_broken: written.on_plugin_broken.into(),
    })
}

/// What clap has made sure is there.
fn required<T>(flag: &str, value: Option<T>) -> Checked<T> {
    value.ok_or_else(|| format!("{flag} is missing"))
}

/// The source that subscribes to these topics.
fn source(mut written: Options, topics: Vec<String>) -> Checked<Source> {
    for filter in &written.unsubscribe {
        mqtt::check_filter("--unsubscribe", filter)?;
        if topics.contains(filter) {
            return Err(format!("--unsubscribe {filter:?} is a --topic as well: keep one"));
        }
    }
    let protocol = protocol(&written)?;
    let will = will(&mut written)?;
    connections(written.connections, &written.topic)?;
    let tls = tls(&mut written)?;
    let transport = transport(written.transport, written.websocket_path.take())?;
    let client_id = required("--client-id", written.client_id)?;
    if client_id.is_empty() {
        return Err("--client-id is empty: its session in the MQTT server needs a name, e.g. --client-id plant-1".into());
    }
    mqtt::check_text("--client-id", &client_id)?;
    if let Some(username) = &written.username {
        mqtt::check_text("--username", username)?;
    }
    let password = password(written.password, written.password_file.as_deref())?;
    let is_v5 = matches!(protocol, Protocol::V5(_));
    if password.is_some() && written.username.is_none() && !is_v5 {
        return Err("a password without --username is possible only with --mqtt-version 5".into());
    }
    Ok(Source {
        topics,
        client_id,
        connections: written.connections,
        server: server(&required("--server", written.server)?)?,
        port: required("--port", written.port)?,
        username: written.username,
        password,
        protocol,
        tls,
        transport,
        unsubscribe: written.unsubscribe,
        will,
        qos: written.qos,
        clean_session: written.clean_session,
        max_packet_size: written.max_packet_size as u32,
        keep_alive_secs: written.keep_alive,
        max_delay: Duration::from_millis(written.max_delay),
    })
}

/// Several connections get each message once only if they share the subscription.
fn connections(number: u16, filters: &[String]) -> Checked<()> {
    match filters.iter().find(|filter| number > 1 && !filter::is_shared(filter)) {
        None => Ok(()),
        Some(filter) => Err(format!(
            "--connections {number} with --topic {filter:?} would bring every message {number} times: \
             share the subscription, e.g. --topic '$share/plant/{filter}'"
        )),
    }
}

/// A host name or an address; an IPv6 address may have brackets.
fn server(written: &str) -> Checked<String> {
    let server =
        written.strip_prefix('[').and_then(|server| server.strip_suffix(']')).unwrap_or(written);
    let problem = match server {
        "" => "is empty",
        _ if server.contains("://") => "has a protocol, which --tls-enabled and --transport say",
        _ if is_ipv6(server) => return Ok(server.to_owned()),
        _ if server.contains(':') => "has a port, which --port says",
        _ if server.contains(char::is_whitespace) || server.contains(['/', '@', '[', ']']) => {
            "is neither a host name nor an address"
        }
        _ => return Ok(server.to_owned()),
    };
    Err(format!(
        "--server {written:?} {problem}: give it a host name or address alone, e.g. 127.0.0.1"
    ))
}

/// With a zone, such as `fe80::1%eth0`, or without.
fn is_ipv6(server: &str) -> bool {
    let (address, zone) = server.split_once('%').unwrap_or((server, "none"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty()
}

fn protocol(written: &Options) -> Checked<Protocol> {
    let version = written.mqtt_version;
    if version != MqttVersion::V5 && !written.property.is_empty() {
        return Err("--property is only possible with --mqtt-version 5".into());
    }
    match version {
        MqttVersion::V31 => return Ok(Protocol::V31),
        MqttVersion::V311 => return Ok(Protocol::V311),
        MqttVersion::V5 => {}
    }
    let properties = mqtt::connect_properties(&written.property, written.max_packet_size as u32)?;
    if properties.session_expiry_secs == 0 && !written.clean_session {
        return Err("--property session-expiry-interval=0 ends the session with every connection, so messages would be lost: \
                    give it some seconds, or add --clean-session if that is wanted"
            .into());
    }
    Ok(Protocol::V5(properties))
}

fn will(written: &mut Options) -> Checked<Option<Will>> {
    let Some(topic) = written.will_topic.take() else {
        let given = [
            ("--will-payload", written.will_payload.is_some()),
            ("--will-qos", written.will_qos.is_some()),
            ("--will-retain", written.will_retain.is_some()),
        ];
        return match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(format!("{flag} has no use without --will-topic: name one")),
            None => Ok(None),
        };
    };
    mqtt::check_topic("--will-topic", &topic)?;
    let payload = written.will_payload.take().unwrap_or_default();
    mqtt::check_size("--will-payload", &payload)?;
    Ok(Some(Will {
        topic,
        payload,
        qos: written.will_qos.unwrap_or(Qos::AtMostOnce),
        retain: written.will_retain.unwrap_or(false),
    }))
}

fn password(written: Option<Secret>, file: Option<&Path>) -> Checked<Option<Secret>> {
    let password = match (written, file) {
        (Some(_), Some(_)) => {
            return Err("--password and --password-file (or HOST_PASSWORD and HOST_PASSWORD_FILE) are both given: keep one".into());
        }
        (written, None) => written,
        (None, Some(path)) => Some(read_password(path)?),
    };
    if let Some(password) = &password {
        mqtt::check_text("the password", password.reveal())?;
    }
    Ok(password)
}

fn read_password(path: &Path) -> Checked<Secret> {
    let problem = |problem: String| format!("--password-file {}: {problem}", path.display());
    let bytes = fs::read(path).map_err(|error| problem(format!("cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| problem("is not UTF-8 text".into()))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let password = line.strip_suffix('\r').unwrap_or(line);
    if password.is_empty() {
        return Err(problem("is empty".into()));
    }
    Ok(Secret::new(password))
}

fn tls(written: &mut Options) -> Checked<Option<Tls>> {
    let (ca_file, cert_file) = (written.ca_file.take(), written.cert_file.take());
    let (key_file, server_name) = (written.key_file.take(), written.tls_server_name.take());
    let alpn = std::mem::take(&mut written.tls_alpn);
    if !written.tls_enabled {
        let given = [
            ("--ca-file", ca_file.is_some()),
            ("--cert-file", cert_file.is_some()),
            ("--key-file", key_file.is_some()),
            ("--tls-server-name", server_name.is_some()),
            ("--tls-alpn", !alpn.is_empty()),
        ];
        return match given.iter().find(|(_, given)| *given) {
            None => Ok(None),
            Some((flag, _)) => {
                Err(format!("{flag} has no use with --tls-enabled=false: drop one of them"))
            }
        };
    }
    let client = match (cert_file, key_file) {
        (Some(certificate), Some(key)) => Some(ClientFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            return Err(
                "--cert-file needs its private key: add --key-file FILE (it may be the same file)"
                    .into(),
            );
        }
        (None, Some(_)) => {
            return Err(
                "--key-file needs its certificate: add --cert-file FILE (it may be the same file)"
                    .into(),
            );
        }
    };
    if server_name.as_ref().is_some_and(String::is_empty) {
        return Err("--tls-server-name is empty: give the name in the server's certificate".into());
    }
    for protocol in &alpn {
        if protocol.is_empty() || protocol.len() > 255 {
            return Err(format!(
                "--tls-alpn {protocol:?} has {} bytes: a protocol's name has 1 to 255, e.g. mqtt",
                protocol.len()
            ));
        }
    }
    Ok(Some(Tls { ca_file, client, server_name, alpn }))
}

fn transport(kind: TransportKind, path: Option<String>) -> Checked<Transport> {
    match (kind, path) {
        (TransportKind::Tcp, None) => Ok(Transport::Tcp),
        (TransportKind::Tcp, Some(_)) => {
            Err("--websocket-path has a use only with --transport websocket: add that, or drop it"
                .into())
        }
        (TransportKind::Websocket, None) => Ok(Transport::Websocket { path: "/mqtt".to_owned() }),
        (TransportKind::Websocket, Some(path)) => {
            let odd = |letter: char| !letter.is_ascii_graphic() || letter == '#';
            if !path.starts_with('/') || path.contains(odd) {
                return Err(format!(
                    "--websocket-path {path:?} is no path: it begins with '/', and what is not ASCII, a space or '#' is written as %20 and the like, e.g. /mqtt"
                ));
            }
            Ok(Transport::Websocket { path })
        }
    }
}

fn sink(written: &mut Options) -> Checked<Sink> {
    Ok(Sink {
        brokers: kafka::brokers(&required("--broker-address", written.broker_address.take())?)?,
        properties: kafka::properties_with_files(
            &written.kafka_config,
            &written.kafka_secret,
            &written.kafka_config_file,
        )?,
    })
}

fn on_error(written: &Options, kafka_topic: &KafkaTopic) -> Checked<OnError> {
    match (written.on_error, &written.dead_letter_topic) {
        (OnErrorKind::DeadLetter, Some(topic)) => {
            kafka::check_topic("--dead-letter-topic", topic)?;
            if kafka_topic.fixed() == Some(topic) {
                return Err(format!(
                    "--dead-letter-topic {topic:?} is the Kafka topic itself: give rejected messages a topic of their own"
                ));
            }
            Ok(OnError::DeadLetter { topic: topic.clone() })
        }
        (OnErrorKind::DeadLetter, None) => {
            let Some(kafka_topic) = kafka_topic.fixed() else {
                return Err(format!(
                    "--kafka-topic {:?} leads to many topics, so --dead-letter-topic has no default: give it a name",
                    kafka_topic.to_string()
                ));
            };
            let topic = format!("{kafka_topic}.dead-letter");
            kafka::check_topic("the default of --dead-letter-topic", &topic)?;
            Ok(OnError::DeadLetter { topic })
        }
        (_, Some(_)) => {
            Err("--dead-letter-topic has a use only with --on-error dead-letter: drop one of them"
                .into())
        }
        (OnErrorKind::Skip, None) => Ok(OnError::Skip),
        (OnErrorKind::Stop, None) => Ok(OnError::Stop),
    }
}
