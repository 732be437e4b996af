//! From the checked configuration to the parts that work: the last step that can still say "wrong
//! configuration", before the first connection.

use crate::config::{self, Config};
use crate::hook::Hook;
use crate::plugin::{
    Ability, Clock, Hooks, Limits, Loader, OnBroken, Plugins, Replacements, Spec, Swapper,
};
use crate::source::packet::{ConnectProperties, Hello, Version, Will};
use crate::source::{ClientFiles, Server, Tls, TlsSettings, Websocket};
use crate::swap::{self, Golden, Swaps};
use crate::transform::Transform;
use crate::transform::builtin::Builtin;
use crate::{bridge, sink, source};

/// Makes the setters of a route, by its number.
pub type MakeTransform = Box<dyn Fn(usize) -> Transform + Send>;

/// The setters of each route.
type Setters = Vec<(Builtin, Plugins)>;

/// What is ready to run.
pub struct Prepared {
    pub settings: bridge::Settings,
    pub transform: MakeTransform,
    pub swaps: Swaps,
    /// A line about each plugin: what it offers.
    pub plugins: Vec<String>,
}

/// Loads plugins and certificates, lets the plugins stand their golden cases, and describes the path.
///
/// # Errors
/// What of it cannot be used, in one line that names the cure.
pub fn prepare(config: Config) -> Result<Prepared, String> {
    let mut loader = loader(&config.routes, &config.plugin_limits).remembering();
    let (setters, plugins) = setters(&mut loader, &config.routes, spec)?;
    let swaps = swaps(&config, loader, &setters)?;
    let settings = bridge::Settings {
        sink: sink_settings(&config),
        routes: config.routes.into_iter().map(route).collect(),
        unrouted: on_error(config.unrouted),
        sources: sources(config.source)?,
        letters: Vec::new(),
        max_in_flight_bytes: config.max_in_flight_bytes,
        print: config.print,
        hook: hook(&setters),
        shutdown_timeout: config.shutdown_timeout,
    };
    sink::check(&settings.sink)?;
    let transform = Box::new(move |route: usize| transform(&setters[route]));
    Ok(Prepared { settings, transform, swaps, plugins })
}

/// Loads the plugins of routes, each as `spec` says, and makes the setters of one lane.
///
/// # Errors
/// What of them cannot be used, in one line that names the cure.
pub fn transforms(
    routes: &[config::Route],
    limits: &config::PluginLimits,
    spec: fn(&config::Plugin) -> Spec,
) -> Result<Vec<Transform>, String> {
    let (setters, _) = setters(&mut loader(routes, limits), routes, spec)?;
    Ok(setters.iter().map(transform).collect())
}

fn transform((builtin, plugins): &(Builtin, Plugins)) -> Transform {
    Transform::new(*builtin, plugins.instantiate())
}

/// What changed files of plugins need to take over. The plugins that are there have stood the golden
/// cases.
fn swaps(config: &Config, loader: Loader, setters: &Setters) -> Result<Swaps, String> {
    let routes = config.routes.iter().zip(setters).map(|(route, (builtin, plugins))| swap::Route {
        topics: route.topics.clone(),
        builtin: *builtin,
        plugins: plugins.clone(),
    });
    let config::Swap { watch, self_test, errors_limit, changes_limit } = &config.swap;
    let golden = Golden::read(self_test, routes.collect())
        .map_err(|problem| format!("--self-test {problem}"))?;
    golden
        .prove(&Replacements::default())
        .map_err(|problem| format!("--self-test {problem}; correct the plugin or the case"))?;
    let swapper = Swapper::new(loader, *errors_limit).changing(*changes_limit);
    Ok(Swaps { swapper, golden, watch: *watch })
}

/// What loads the plugins of routes. `of_others` limits those that have no limits of their own.
fn loader(routes: &[config::Route], of_others: &config::PluginLimits) -> Loader {
    let plugins = routes.iter().flat_map(|route| &route.plugins);
    let limits = limits(of_others);
    let shortest = plugins.map(|plugin| plugin.limits.time).min().unwrap_or(limits.call);
    Loader::new(limits).timing(shortest)
}

/// The setters of each route, its plugins loaded, with a line about each plugin. Routes with the same
/// plugins share what is compiled.
fn setters(
    loader: &mut Loader,
    routes: &[config::Route],
    spec: fn(&config::Plugin) -> Spec,
) -> Result<(Setters, Vec<String>), String> {
    let mut lines: Vec<String> = Vec::new();
    let mut setters = Vec::with_capacity(routes.len());
    for route in routes {
        let specs: Vec<_> = route.plugins.iter().map(spec).collect();
        let plugins = loader.load(&specs).map_err(|error| error.to_string())?;
        for line in plugins.describe().map(|plugin| plugin.to_string()) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let json = route.transform.json;
        if !json && let Some(file) = plugins.file_with(Ability::Json) {
            return Err(format!(
                "plugin {}: has a payload deserializer, which --payload-deserializer none rules \
                 out; leave out one of the two",
                file.display()
            ));
        }
        let on_broken = match route.on_plugin_broken {
            config::OnPluginBroken::Stop => OnBroken::Stop,
            config::OnPluginBroken::Default => OnBroken::Default,
            config::OnPluginBroken::Pause => OnBroken::Pause,
        };
        setters.push((Builtin::new(json), plugins.when_broken(on_broken)));
    }
    Ok((setters, lines))
}

/// A plugin as the loader takes it.
pub fn spec(plugin: &config::Plugin) -> Spec {
    Spec {
        file: plugin.file.clone(),
        sha256: plugin.sha256.clone(),
        config: plugin.config.clone(),
        limits: Some(limits(&plugin.limits)),
        clock: if plugin.clock { Clock::Real } else { Clock::Denied },
    }
}

/// The same with a clock that stands at the arrival of each message, so that what becomes of it is
/// the same at any time.
pub fn standing(plugin: &config::Plugin) -> Spec {
    let spec = spec(plugin);
    Spec { clock: spec.clock.standing(), ..spec }
}

/// What plugins may use up.
pub fn limits(limits: &config::PluginLimits) -> Limits {
    Limits {
        call: limits.time,
        memory: limits.memory,
        output: limits.output,
        records: limits.records,
        log_lines_per_second: limits.log_lines_per_second,
        failures: limits.failures,
        ..Limits::default()
    }
}

/// Tells the plugins of all routes about the connections, if one wants to know.
fn hook(setters: &[(Builtin, Plugins)]) -> Option<Hook> {
    let mut hooks = Hooks::new(setters.iter().map(|(_, plugins)| plugins));
    (!hooks.is_empty()).then(|| Box::new(move |event: &_| hooks.call(event)) as Hook)
}

fn route(route: config::Route) -> bridge::Route {
    bridge::Route {
        topics: route.topics,
        proceed: route.proceed,
        kafka_topic: route.kafka_topic,
        headers: route.transform.headers,
        on_error: on_error(route.on_error),
    }
}

fn on_error(policy: config::OnError) -> bridge::OnError {
    match policy {
        config::OnError::DeadLetter { topic } => bridge::OnError::DeadLetter { topic },
        config::OnError::Skip => bridge::OnError::Skip,
        config::OnError::Stop => bridge::OnError::Stop,
    }
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
        creates_topics: None,
    }
}

/// One for each connection. Several have sessions of their own, `ID-1` and so on.
fn sources(config: config::Source) -> Result<Vec<source::Settings>, String> {
    let connections = config.connections;
    let settings = source_settings(config)?;
    if connections == 1 {
        return Ok(vec![settings]);
    }
    let numbered = |number| {
        let mut settings = settings.clone();
        settings.hello.client_id = format!("{}-{number}", settings.hello.client_id);
        settings
    };
    Ok((1..=connections).map(numbered).collect())
}

/// What to connect to, certificates included.
///
/// # Errors
/// What of it cannot be used, in one line that names the cure.
pub fn source_settings(config: config::Source) -> Result<source::Settings, String> {
    let server = server(&config)?;
    let (version, properties) = match config.protocol {
        config::Protocol::V31 => (Version::V3_1, ConnectProperties::default()),
        config::Protocol::V311 => (Version::V3_1_1, ConnectProperties::default()),
        config::Protocol::V5(properties) => (Version::V5, connect_properties(properties)),
    };
    Ok(source::Settings {
        server,
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
        max_delay: config.max_delay,
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

/// Reads the certificates.
fn server(config: &config::Source) -> Result<Server, String> {
    let (host, port) = (config.server.as_str(), config.port);
    let tls = config.tls.clone().map(|tls| {
        let client =
            tls.client.map(|files| ClientFiles { certificate: files.certificate, key: files.key });
        let config::Tls { ca_file, server_name, alpn, .. } = tls;
        TlsSettings { ca_file, client, server_name, alpn }
    });
    let websocket = match &config.transport {
        config::Transport::Tcp => None,
        config::Transport::Websocket { path } => {
            let name = tls.as_ref().and_then(|tls| tls.server_name.as_deref()).unwrap_or(host);
            let largest = config.max_packet_size as usize;
            Some(Websocket::new(name, port, tls.is_some(), path, largest)?)
        }
    };
    let tls = tls.map(|tls| Tls::new(tls, host)).transpose()?;
    Ok(Server { host: host.to_owned(), port, tls, websocket })
}
