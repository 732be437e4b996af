//! From what the user wrote to values that are checked. Each problem is one line that names the
//! option, what is wrong with it, and the cure.

use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::cli::{Bridge, Deserializer, LogOptions, MqttVersion, OnErrorKind, Options};
use super::file::{File, PluginTable};
use super::problem::Problem;
use super::routes::Routes;
use super::written::Written;
use super::{
    CaFile, Config, Log, OnError, Plugin, PluginLimits, Protocol, Route, Secret, Sink, Source, Tls,
    Transform, Will, Wording, kafka, mqtt, routes,
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
    Ok(Config {
        sink: sink(&mut written)?,
        unrouted,
        routes,
        plugin_limits: PluginLimits {
            time: Duration::from_millis(written.plugin_time_limit),
            memory: written.plugin_memory_limit as usize,
        },
        max_in_flight_bytes: written.max_in_flight_bytes as usize,
        print: written.print,
        shutdown_timeout: Duration::from_secs(written.shutdown_timeout),
        log: log(bridge.log),
        wording: Wording::new(all),
        source: source(written, topics)?,
    })
}

/// What becomes of messages of these topics, or of all where there are none. `tables` is what the
/// file says of the plugins, if they are from the file.
pub fn route(written: &Options, tables: &[PluginTable]) -> Checked<Route> {
    let topic = written.kafka_topic.as_deref().ok_or("--kafka-topic is missing")?;
    let kafka_topic =
        KafkaTopic::parse(topic, &written.kafka_topics_allowed).map_err(|problem| {
            let about_topic = problem.starts_with(&format!("{topic:?}"));
            let flag = if about_topic { "--kafka-topic" } else { "--kafka-topics-allowed" };
            format!("{flag} {problem}")
        })?;
    let plugin = |(number, file): (usize, &PathBuf)| {
        let table = tables.get(number);
        Plugin {
            file: file.clone(),
            sha256: table.and_then(|table| table.sha256.clone()),
            config: table.and_then(|table| Some(table.config.as_ref()?.to_string())),
        }
    };
    Ok(Route {
        topics: Vec::new(),
        proceed: false,
        on_error: on_error(written, &kafka_topic)?,
        kafka_topic,
        transform: Transform {
            json: matches!(written.payload_deserializer, Deserializer::Json),
            headers: written.headers.into(),
        },
        plugins: written.plugin.iter().enumerate().map(plugin).collect(),
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
        tls: tls(written.tls_enabled, written.ca_file)?,
        unsubscribe: written.unsubscribe,
        will,
        qos: written.qos,
        clean_session: written.clean_session,
        max_packet_size: written.max_packet_size as u32,
        keep_alive_secs: written.keep_alive,
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
        _ if server.contains("://") => "has a protocol, which --tls-enabled says",
        _ if server.parse::<Ipv6Addr>().is_ok() => return Ok(server.to_owned()),
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

fn tls(enabled: bool, ca_file: Option<PathBuf>) -> Checked<Option<Tls>> {
    match (enabled, ca_file) {
        (false, None) => Ok(None),
        (false, Some(_)) => {
            Err("--ca-file has no use with --tls-enabled=false: drop one of them".into())
        }
        (true, None) => Ok(Some(Tls { ca_file: None })),
        (true, Some(path)) => Ok(Some(Tls { ca_file: Some(read_ca_file(path)?) })),
    }
}

fn read_ca_file(path: PathBuf) -> Checked<CaFile> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let problem = |problem: String| format!("--ca-file {}: {problem}", path.display());
    let pem = fs::read(&path).map_err(|error| problem(format!("cannot be read: {error}")))?;
    if !pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err(problem(
            "holds no certificate: it takes PEM, which begins with -----BEGIN CERTIFICATE-----"
                .into(),
        ));
    }
    Ok(CaFile { path, pem })
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
            if *kafka_topic == KafkaTopic::Fixed(topic.clone()) {
                return Err(format!(
                    "--dead-letter-topic {topic:?} is the Kafka topic itself: give rejected messages a topic of their own"
                ));
            }
            Ok(OnError::DeadLetter { topic: topic.clone() })
        }
        (OnErrorKind::DeadLetter, None) => {
            let KafkaTopic::Fixed(kafka_topic) = kafka_topic else {
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
