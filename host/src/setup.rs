//! From the checked configuration to the parts that work: the last step that can still say "wrong
//! configuration", before the first connection.

use crate::config::{self, Config};
use crate::kafka_topic::KafkaTopic;
use crate::plugin::{Limits, Plugins};
use crate::source::packet::{ConnectProperties, Hello, Version, Will};
use crate::source::{Server, Tls};
use crate::transform::Transform;
use crate::transform::builtin::Builtin;
use crate::{bridge, sink, source};

/// How many threads run setters and send. One keeps up with a connection, and costs the least.
const LANES: usize = 1;

/// Makes the setters of one lane.
pub type Transforms = Box<dyn FnMut() -> Transform>;

/// Loads plugins and certificates, and describes the path.
///
/// # Errors
/// What of it cannot be used, in one line that names the cure.
pub fn prepare(config: Config) -> Result<(bridge::Settings, Transforms), String> {
    let [route] = config.routes.as_slice() else {
        return Err("more than one route is not possible yet: use one".to_owned());
    };
    let limits = Limits {
        call: config.plugin_limits.time,
        memory: config.plugin_limits.memory,
        ..Limits::default()
    };
    let files: Vec<_> = route.plugins.iter().map(|plugin| plugin.file.clone()).collect();
    let plugins = Plugins::load(&files, &limits).map_err(|error| error.to_string())?;
    for plugin in plugins.describe() {
        tracing::info!("{plugin}");
    }
    let builtin = Builtin::new(route.transform.json);
    let settings = bridge::Settings {
        sink: sink_settings(&config),
        route: bridge_route(route)?,
        source: source_settings(config.source)?,
        lanes: LANES,
        max_in_flight_bytes: config.max_in_flight_bytes,
        print: config.print,
        shutdown_timeout: config.shutdown_timeout,
    };
    sink::check(&settings.sink)?;
    Ok((settings, Box::new(move || Transform::new(builtin, plugins.instantiate()))))
}

fn bridge_route(route: &config::Route) -> Result<bridge::Route, String> {
    let KafkaTopic::Fixed(kafka_topic) = &route.kafka_topic else {
        return Err(format!("{} is not possible yet: name one Kafka topic", route.kafka_topic));
    };
    let (on_error, dead_letter_topic) = match &route.on_error {
        config::OnError::DeadLetter { topic } => (bridge::OnError::DeadLetter, topic.clone()),
        config::OnError::Skip => (bridge::OnError::Skip, String::new()),
        config::OnError::Stop => (bridge::OnError::Stop, String::new()),
    };
    Ok(bridge::Route {
        kafka_topic: kafka_topic.clone(),
        dead_letter_topic,
        headers: route.transform.headers,
        on_error,
    })
}

fn sink_settings(config: &Config) -> sink::Settings {
    let properties = config.sink.properties.iter();
    sink::Settings {
        brokers: config.sink.brokers.clone(),
        client_id: config.source.client_id.clone(),
        properties: properties
            .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
            .collect(),
        largest_batch: None,
    }
}

fn source_settings(config: config::Source) -> Result<source::Settings, String> {
    let tls = match &config.tls {
        None => None,
        Some(tls) => {
            let file = tls.ca_file.as_ref();
            Some(Tls::new(file.map(|file| (file.path.as_path(), file.pem.as_slice())))?)
        }
    };
    let (version, properties) = match config.protocol {
        config::Protocol::V31 => (Version::V3_1, ConnectProperties::default()),
        config::Protocol::V311 => (Version::V3_1_1, ConnectProperties::default()),
        config::Protocol::V5(properties) => (Version::V5, connect_properties(properties)),
    };
    Ok(source::Settings {
        server: Server { host: config.server, port: config.port, tls },
        hello: Hello {
            version,
            client_id: config.client_id,
            clean_session: config.clean_session,
            keep_alive: config.keep_alive_secs,
            username: config.username,
            password: config.password.map(|password| password.reveal().to_owned()),
            will: config.will.map(|will| Will {
                topic: will.topic,
                payload: will.payload.into_bytes(),
                qos: will.qos,
                retain: will.retain,
            }),
            properties,
        },
        filters: config.topics,
        unsubscribe: config.unsubscribe,
        qos: config.qos,
        max_packet_size: config.max_packet_size as usize,
    })
}

fn connect_properties(given: config::ConnectProperties) -> ConnectProperties {
    ConnectProperties {
        session_expiry: given.session_expiry_secs,
        receive_maximum: given.receive_maximum,
        max_packet_size: given.max_packet_size,
        request_response_information: given.request_response_information,
        request_problem_information: given.request_problem_information,
        user: given.user,
        authentication_method: given.authentication_method,
        authentication_data: given.authentication_data,
    }
}
