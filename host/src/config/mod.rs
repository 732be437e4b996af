//! What the user asked for: first as written (command line, environment and file), then as values
//! that are already checked.
//!
//! Everything after this module takes a [`Config`] and trusts it: names are valid, numbers are in
//! range, and nothing contradicts anything. No other module knows how
//! options are spelled, except where a message to the user names one as the cure.

mod check;
mod choice;
mod cli;
mod control;
mod file;
mod kafka;
mod kind;
mod mqtt;
mod plugin;
mod problem;
mod read;
mod routes;
mod schema;
mod secret;
mod show;
mod size;
#[cfg(test)]
mod tests;
mod wording;
mod workbench;
mod written;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub use control::SwapRequest;
pub use problem::Refusal;
pub use secret::Secret;
pub use wording::Wording;
pub use workbench::{
    Capture, Language, Messages, New, Replay, Replayed, Setter, Task, Tests, Watch, Workbench,
};

use crate::kafka_topic::KafkaTopic;
use crate::message::Qos;
use crate::output::Print;
use crate::transform::headers::HeaderPolicy;

/// Reads the arguments (the program's name first), the environment and the file that they name.
///
/// # Errors
/// If they are wrong, or ask for nothing but help or the version.
pub fn read(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Command, Refusal> {
    read::read(arguments, environment)
}

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Carry MQTT messages into Kafka.
    Bridge(Box<Config>),
    /// Show the whole path with everything embedded.
    Demo(Demo),
    /// Write this to standard output.
    Print(String),
    /// Say whether the configuration is right.
    Check(Check),
    /// Look at plugins.
    Workbench(Workbench),
    /// Begin a plugin.
    New(New),
    /// Record messages.
    Capture(Box<Capture>),
    /// Try dead letters again, or recorded messages.
    Replay(Replay),
    /// Have a running host look at its plugins' files.
    Swap(SwapRequest),
}

/// A configuration that is right as far as it says itself.
#[derive(Debug)]
pub struct Check {
    /// What to call it: the file's name, if there is a file.
    pub name: String,
    pub config: Box<Config>,
    /// Try both ends, too.
    pub connect: bool,
}

/// All that the bridge needs to know.
#[derive(Debug)]
pub struct Config {
    pub source: Source,
    pub sink: Sink,
    /// Never empty; a message takes the first that matches. From the command line there is one,
    /// which takes every message.
    pub routes: Vec<Route>,
    /// What happens to a message that no route takes.
    pub unrouted: OnError,
    /// Of plugins of which nothing else is said.
    pub plugin_limits: PluginLimits,
    pub swap: Swap,
    /// Where to listen for requests; short enough for a socket.
    pub control_socket: Option<PathBuf>,
    /// Bytes of messages held between their reception and their confirmation by Kafka.
    pub max_in_flight_bytes: usize,
    /// Whether delivered records are written to standard output.
    pub print: Print,
    /// How long what is in flight may take to be confirmed after a request to stop.
    pub shutdown_timeout: Duration,
    pub log: Log,
    /// How to speak of options to this user.
    pub wording: Wording,
}

/// Where messages come from.
#[derive(Debug)]
pub struct Source {
    /// Topic filters, at least one, each valid (MQTT-4.7).
    pub topics: Vec<String>,
    /// Never empty.
    pub client_id: String,
    /// 1 to 64; more than one only where all topic filters are shared subscriptions.
    pub connections: u16,
    /// A host name or an address, an IPv6 address without brackets and with its zone, if any.
    pub server: String,
    pub port: u16,
    pub username: Option<String>,
    /// Without a user name only with MQTT 5.
    pub password: Option<Secret>,
    pub protocol: Protocol,
    /// `None` is plain text.
    pub tls: Option<Tls>,
    pub transport: Transport,
    /// Topic filters to end the session's subscriptions to; none of them is in `topics`.
    pub unsubscribe: Vec<String>,
    pub will: Option<Will>,
    /// The highest that is subscribed with.
    pub qos: Qos,
    /// Discard what a session of this client id holds when connecting (MQTT 5: Clean Start).
    pub clean_session: bool,
    /// Largest MQTT packet taken, in bytes, at most 268,435,460.
    pub max_packet_size: u32,
    /// 5 or more; 0 is off.
    pub keep_alive_secs: u16,
    /// How long a message may wait for others; at most 100 ms.
    pub max_delay: Duration,
}

/// Version of MQTT, with what only that version has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 3.1.
    V31,
    /// MQTT 3.1.1.
    V311,
    V5(ConnectProperties),
}

/// Properties of the CONNECT packet (MQTT 5, 3.1.2.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectProperties {
    /// How long the server keeps the session after a connection ends, in seconds; `u32::MAX` is
    /// for ever.
    pub session_expiry_secs: u32,
    /// How many QoS 1 and 2 messages the server may send before they are acknowledged; not 0.
    pub receive_maximum: u16,
    /// Largest packet that the server may send, in bytes; not 0, and at most
    /// [`Source::max_packet_size`].
    pub max_packet_size: u32,
    pub request_response_information: Option<bool>,
    pub request_problem_information: Option<bool>,
    /// In the order given.
    pub user: Vec<(String, String)>,
    pub authentication_method: Option<String>,
    /// Only with a method; may be a secret.
    pub authentication_data: Option<Vec<u8>>,
}

/// What the server publishes when the connection breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Without wildcards.
    pub topic: String,
    /// At most 65,535 bytes.
    pub payload: String,
    pub qos: Qos,
    pub retain: bool,
}

/// How the MQTT server is authenticated, and how this client is. No file has been opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of what to trust instead of the system's certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// What the server may ask for.
    pub client: Option<ClientFiles>,
    /// The name to ask for and to verify instead of the server's; never empty.
    pub server_name: Option<String>,
    /// Application protocols to offer, 1 to 255 bytes each; may be empty.
    pub alpn: Vec<String>,
}

/// PEM files of a client certificate and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What carries the bytes of MQTT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// TCP, or TLS over it.
    Tcp,
    /// A websocket over that.
    Websocket {
        /// Begins with '/'; may have a query.
        path: String,
    },
}

/// Which messages go where, and what becomes of them on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// A message on a topic that one of these filters matches takes this route; each is valid
    /// (MQTT-4.7). None at all: every message does.
    pub topics: Vec<String>,
    /// The routes after this one get such a message, too (`continue = true`).
    pub proceed: bool,
    pub kafka_topic: KafkaTopic,
    pub transform: Transform,
    pub plugins: Vec<Plugin>,
    pub on_plugin_broken: OnPluginBroken,
    pub on_error: OnError,
}

/// What becomes of a message where no plugin decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transform {
    /// Look for `_key` and `_timestamp` in JSON payloads.
    pub json: bool,
    pub headers: HeaderPolicy,
}

/// A plugin that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// Not opened yet; not empty.
    pub file: PathBuf,
    /// What the SHA-256 of the file must be, in hexadecimal and lower case, if the user has said.
    pub sha256: Option<String>,
    /// A JSON object for the plugin's start.
    pub config: Option<String>,
    pub limits: PluginLimits,
    /// It may know the time.
    pub clock: bool,
}

/// What a plugin may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginLimits {
    /// Processor time of one call.
    pub time: Duration,
    /// Memory of one instance, in bytes.
    pub memory: usize,
    /// Bytes of the answer for one message.
    pub output: usize,
    /// Records that a transformer may make of one; at most 65,536.
    pub records: usize,
    /// Lines of its log per second.
    pub log_lines_per_second: u32,
    /// Messages in a row that it may fail for before it counts as broken; not 0.
    pub failures: u32,
}

/// What becomes of messages while a plugin that they need is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPluginBroken {
    /// The program ends.
    Stop,
    /// They do without it.
    Default,
    /// They wait.
    Pause,
}

/// How changed files of plugins take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// Look for them without being asked.
    pub watch: bool,
    /// Files of golden cases.
    pub self_test: Vec<PathBuf>,
    /// By how many percent points errors may rise, at most 100, which turns it off.
    pub errors_limit: u32,
    /// Of how many percent of the last messages a changed plugin may make something else.
    pub changes_limit: u32,
}

/// Where records go.
#[derive(Debug)]
pub struct Sink {
    /// `HOST:PORT,...`, each checked.
    pub brokers: String,
    /// Properties of librdkafka, in the order given; none of them breaks a promise.
    pub properties: Vec<(String, Secret)>,
}

/// What happens to a message that cannot be carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnError {
    DeadLetter {
        /// A valid Kafka topic name, and none that records go to.
        topic: String,
    },
    Skip,
    Stop,
}

/// How to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    /// As in `RUST_LOG`; not parsed yet. `None` is the default.
    pub filter: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people, coloured on a terminal.
    Human,
    /// A JSON object a line.
    Json,
}

/// How long the demonstration runs, until either is reached, and where its plugins are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    pub time: Duration,
    pub messages: Option<u64>,
    pub plugins: Option<PathBuf>,
    pub log: Log,
}
