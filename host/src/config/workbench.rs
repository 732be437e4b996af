//! The command line of `host plugin`, and what it means.
//!
//! Only options about plugins and logs count there, from the command line and the environment; what
//! concerns servers is neither needed nor looked at.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, value_parser};

use super::check::{Wrong, plugin_limits};
use super::cli::{Bridge, Options, PluginOptions, qos};
use super::{Config, Log, Plugin, PluginLimits, Route, Source, Wording, check, mqtt, plugin};
use crate::message::Qos;

/// What there is to do with plugins.
#[derive(Debug, Subcommand)]
pub enum PluginSub {
    /// Begin a plugin: a folder with a project that builds, with tests and golden cases.
    New {
        /// The plugin's name: letters, digits and hyphens, and a letter first.
        #[arg(value_name = "NAME", value_parser = plugin_name)]
        name: String,
        /// What to write it in.
        #[arg(
            long,
            value_name = "rust|python|js|go|c",
            default_value = "rust",
            hide_possible_values = true
        )]
        lang: Language,
        /// What it decides; several are separated by commas.
        #[arg(
            long,
            value_name = "deserializer,key,value,timestamp,transformer",
            default_value = "key",
            value_delimiter = ',',
            hide_possible_values = true
        )]
        ability: Vec<Setter>,
        /// Write JSON, an object.
        #[arg(long)]
        json: bool,
    },
    /// Say what plugins are: abilities, imports, sizes, what may become a trouble.
    ///
    /// Each is loaded as the bridge would, and called with a sample message. Exit code 0; 1 if that call
    /// fails; 2 if a plugin cannot be used.
    Check {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        options: PluginOptions,
    },
    /// Show what becomes of messages: the record, the log, time and memory.
    ///
    /// Without --payload messages are read from --input, a JSON object a line, such as
    /// {"topic": "a/b", "payload": "text"}; `payload_base64` is for bytes that are no text. Exit code 1 if
    /// a plugin failed for one of them.
    Run {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        messages: MessageOptions,
        #[command(flatten)]
        options: PluginOptions,
    },
    /// Compare what becomes of messages with what is expected.
    ///
    /// A case is a message with "expect", such as {"topic": "a/b", "payload": "x", "expect": {"key": "b"}}.
    /// Each is run in an instance that has seen the cases before it, and again in a fresh one. Exit code 1
    /// if one of them fails.
    Test {
        #[command(flatten)]
        files: Files,
        /// Where the cases are, a JSON object a line.
        #[arg(long, value_name = "FILE", default_value = "cases.jsonl")]
        cases: PathBuf,
        /// Write what becomes of the messages now into the file of the cases.
        #[arg(long)]
        update: bool,
        /// The plugins keep a state: do not run the cases in fresh instances, too.
        #[arg(long)]
        stateful: bool,
        /// Most WebAssembly instructions that one message may take.
        #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
        instructions_limit: Option<u64>,
        #[command(flatten)]
        options: PluginOptions,
    },
    /// Measure how long plugins take for a message, and whether their memory grows.
    Bench {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        messages: MessageOptions,
        /// How many messages to call the plugins for, at each batch size.
        #[arg(long, value_name = "N", default_value = "1000000", value_parser = value_parser!(u64).range(1000..=1_000_000_000))]
        count: u64,
        #[command(flatten)]
        options: PluginOptions,
    },
    /// Build, check and try plugins again whenever a file is saved.
    ///
    /// It goes on until Ctrl-C. With --build the files of --source are watched, without it the plugins;
    /// with either the messages and the cases.
    Watch {
        #[command(flatten)]
        files: Files,
        /// The command that builds the plugins, for the shell, e.g. 'make'.
        #[arg(long, value_name = "COMMAND")]
        build: Option<String>,
        /// The folder to watch, and to build in.
        #[arg(long, value_name = "DIR", default_value = ".")]
        source: PathBuf,
        /// Messages to run, a JSON object a line.
        #[arg(long, value_name = "FILE")]
        input: Option<PathBuf>,
        /// Cases to test, if the file is there.
        #[arg(long, value_name = "FILE", default_value = "cases.jsonl")]
        cases: PathBuf,
        /// The plugins keep a state: do not run the cases in fresh instances, too.
        #[arg(long)]
        stateful: bool,
        #[command(flatten)]
        options: PluginOptions,
    },
    /// Record messages as they are published, a JSON object a line, for --input.
    ///
    /// It subscribes to the topics of the bridge's options at quality of service 0, in a session of its
    /// own: the client id is the configured one and "-capture", and no message is taken from anybody. It
    /// takes all options of the bridge; what concerns Kafka is not needed.
    Capture {
        /// The file to write to, which must not be there yet; '-' is standard output.
        #[arg(long, value_name = "FILE", default_value = "-")]
        output: PathBuf,
        /// End after so many messages.
        #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
        count: Option<u64>,
        /// End after so many seconds.
        #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=31_536_000))]
        seconds: Option<u64>,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Show what would become of dead letters now, beside what production did; or carry them again.
    ///
    /// It reads the dead-letter topics of the bridge's options and its routes, and lets the plugins of each
    /// route decide. It takes all options of the bridge; what concerns MQTT is not needed. Nothing is
    /// written to Kafka without --redeliver. Exit code 1 if one would be rejected again.
    Replay {
        /// Carry the dead letters again, each by the route that it took.
        ///
        /// What is rejected again is at the end of a dead-letter topic then. How far a topic is done with is
        /// kept in Kafka, for the next time.
        #[arg(long, conflicts_with_all = ["input", "with"])]
        redeliver: bool,
        /// Begin with the oldest dead letter, not where the last --redeliver has ended.
        #[arg(long, conflicts_with = "input")]
        from_beginning: bool,
        /// Take messages from this file, a JSON object a line, in place of dead letters; '-' is standard
        /// input. What concerns Kafka is not needed then.
        #[arg(long, value_name = "FILE")]
        input: Option<PathBuf>,
        /// Try this plugin in the place of the configured one whose file has the same name. With --input,
        /// only messages of which something else becomes are shown, and make it exit code 1.
        #[arg(long, value_name = "FILE")]
        with: Vec<PathBuf>,
        /// Write JSON, an object a line.
        #[arg(long)]
        json: bool,
        /// Read so many messages at most, of each dead-letter topic.
        #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
        count: Option<u64>,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Have a running host look at its plugins' files now, and say what became of each.
    ///
    /// Exit code 0 if all that have changed took over; 1 if one is no good, so that the old version stays;
    /// 2 if no host answers.
    Swap {
        /// The socket of the running host, as its --control-socket names it.
        #[arg(long, value_name = "PATH")]
        control_socket: Option<PathBuf>,
        /// The TOML file of the running host, which names the socket.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Write JSON, an object a line.
        #[arg(long)]
        json: bool,
    },
}

/// What a plugin can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Rust,
    Python,
    #[value(alias = "javascript")]
    Js,
    Go,
    C,
}

/// What a new plugin can decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Setter {
    Deserializer,
    Key,
    Value,
    Timestamp,
    Transformer,
}

/// A plugin that is to be begun.
#[derive(Debug)]
pub struct New {
    pub name: String,
    pub language: Language,
    /// Never empty.
    pub abilities: Vec<Setter>,
    /// Write JSON, not text.
    pub json: bool,
    pub log: Log,
}

fn plugin_name(name: &str) -> Result<String, String> {
    let fits =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if name.starts_with(|first: char| first.is_ascii_lowercase()) && name.chars().all(fits) {
        Ok(name.to_owned())
    } else {
        Err("a name is of small letters, digits and hyphens, and begins with a letter".to_owned())
    }
}

/// Which plugins, and how to speak of them.
#[derive(Debug, Args)]
pub struct Files {
    /// The plugins, as --plugin names them. Transformers work one after the other.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Write JSON, an object a line.
    #[arg(long)]
    pub json: bool,
}

/// Which messages.
#[derive(Debug, Args)]
pub struct MessageOptions {
    /// The payload of the only message; '@' and a path name a file that holds it.
    #[arg(long, value_name = "TEXT|@FILE", conflicts_with = "input")]
    payload: Option<String>,
    /// The topic of that message.
    #[arg(long, value_name = "TOPIC", default_value = "plant/line-1/temp")]
    topic: String,
    /// The quality of service of that message.
    #[arg(long, value_name = "0|1|2", default_value = "1", value_parser = qos, hide_possible_values = true)]
    qos: Qos,
    /// That message is a retained one.
    #[arg(long)]
    retain: bool,
    /// A file of messages, a JSON object a line; '-' is standard input.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

/// Messages that are to be recorded.
#[derive(Debug)]
pub struct Capture {
    pub source: Source,
    /// `None` is standard output.
    pub output: Option<PathBuf>,
    /// How many messages at most.
    pub count: Option<u64>,
    /// How long at most.
    pub time: Option<Duration>,
    pub log: Log,
    pub wording: Wording,
}

/// Messages that are to be tried again.
#[derive(Debug)]
pub struct Replay {
    pub config: Box<Config>,
    /// The routes with other plugins, which are to be tried in the place of the configured ones.
    pub candidates: Option<Vec<Route>>,
    /// Carry them again.
    pub redeliver: bool,
    pub what: Replayed,
    /// Write JSON, not text.
    pub json: bool,
    /// How many of each topic at most.
    pub count: Option<u64>,
}

/// What is tried again.
#[derive(Debug, PartialEq, Eq)]
pub enum Replayed {
    /// All dead letters.
    AllLetters,
    /// Dead letters that have come since the last ones were carried again.
    NewLetters,
    /// Messages in a file; `-` is standard input.
    Messages(PathBuf),
}

/// Plugins that are looked at on a desk.
#[derive(Debug)]
pub struct Workbench {
    pub task: Task,
    /// Never empty.
    pub plugins: Vec<Plugin>,
    pub limits: PluginLimits,
    /// Write JSON, not text.
    pub json: bool,
    pub log: Log,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    Check,
    Run(Messages),
    Test(Tests),
    Watch(Watch),
    Bench {
        messages: Messages,
        /// How many messages at each batch size.
        count: u64,
    },
}

/// Where messages come from.
#[derive(Debug, PartialEq, Eq)]
pub enum Messages {
    /// There is this one.
    One { topic: String, payload: Vec<u8>, qos: Qos, retain: bool },
    /// A JSON object a line in this file; `-` is standard input.
    Lines(PathBuf),
    /// Nobody has said.
    Unsaid,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Tests {
    pub cases: PathBuf,
    /// Write the answers into the file instead of comparing them.
    pub update: bool,
    pub stateful: bool,
    pub instructions_limit: Option<u64>,
}

/// What is done again whenever something is saved.
#[derive(Debug, PartialEq, Eq)]
pub struct Watch {
    /// For the shell; without it the plugins themselves are watched.
    pub build: Option<String>,
    /// Where it is run, and what is watched then.
    pub source: PathBuf,
    /// Messages to run.
    pub input: Option<PathBuf>,
    /// Cases to test, if their file is there.
    pub tests: Tests,
}

impl Replay {
    /// `with` are files of plugins that are to be tried.
    ///
    /// # Errors
    /// If one has no plugin whose place it could take.
    pub(super) fn new(
        mut config: Config,
        with: &[PathBuf],
        redeliver: bool,
        what: Replayed,
    ) -> Result<Self, String> {
        for plugin in config.routes.iter_mut().flat_map(|route| &mut route.plugins) {
            plugin.limits = unbroken(plugin.limits);
        }
        let candidates =
            with.iter().try_fold(config.routes.clone(), |routes, file| replaced(routes, file))?;
        let candidates = Some(candidates).filter(|_| !with.is_empty());
        let config = Box::new(config);
        Ok(Self { config, candidates, redeliver, what, json: false, count: None })
    }
}

/// The routes with this file in the place of those with the same name.
fn replaced(mut routes: Vec<Route>, file: &Path) -> Result<Vec<Route>, String> {
    let plugins: Vec<_> = routes.iter_mut().flat_map(|route| &mut route.plugins).collect();
    let known: BTreeSet<_> =
        plugins.iter().map(|plugin| plugin.file.display().to_string()).collect();
    let mut found = false;
    for plugin in plugins {
        if plugin.file.file_name() == file.file_name() {
            (plugin.file, plugin.sha256, found) = (file.to_owned(), None, true);
        }
    }
    if found {
        return Ok(routes);
    }
    let known = match known.len() {
        0 => "none, name one with --plugin".to_owned(),
        _ => known.into_iter().collect::<Vec<_>>().join(", "),
    };
    Err(format!(
        "--with {}: no configured plugin has a file of that name; they are {known}",
        file.display()
    ))
}

/// On the desk nothing waits for a plugin that fails again and again: every failure is to be seen.
fn unbroken(limits: PluginLimits) -> PluginLimits {
    PluginLimits { failures: u32::MAX, ..limits }
}

impl Workbench {
    /// `what` is asked for, `bridge` being what the options say on all layers.
    pub(super) fn checked(what: PluginSub, bridge: Bridge) -> Result<Self, Wrong> {
        let (Files { files, json }, task) = match what {
            PluginSub::Check { files, .. } => (files, Task::Check),
            PluginSub::Run { files, messages, .. } => (files, Task::Run(messages.checked()?)),
            PluginSub::Test { files, cases, update, stateful, instructions_limit, .. } => {
                (files, Task::Test(Tests { cases, update, stateful, instructions_limit }))
            }
            PluginSub::Watch { files, build, source, input, cases, stateful, .. } => {
                let (update, instructions_limit) = (false, None);
                let tests = Tests { cases, update, stateful, instructions_limit };
                (files, Task::Watch(Watch { build, source, input, tests }))
            }
            PluginSub::Bench { files, messages, count, .. } => {
                (files, Task::Bench { messages: messages.checked()?, count })
            }
            PluginSub::New { .. }
            | PluginSub::Capture { .. }
            | PluginSub::Replay { .. }
            | PluginSub::Swap { .. } => {
                return Err("it takes other options".to_owned().into());
            }
        };
        let limits = unbroken(plugin_limits(&bridge.options));
        let clock = bridge.options.plugins.plugin_clock;
        let plugin = |file| Plugin { file, sha256: None, config: None, limits, clock };
        let mut plugins: Vec<Plugin> = files.into_iter().map(plugin).collect();
        let config = bridge.options.plugins.plugin_config.as_deref();
        plugin::configure(&mut plugins.iter_mut().collect::<Vec<_>>(), &[], config)?;
        Ok(Self { task, plugins, limits, json, log: check::log(bridge.log) })
    }
}

impl MessageOptions {
    fn checked(self) -> Result<Messages, String> {
        mqtt::check_topic("--topic", &self.topic)?;
        Ok(match (self.payload, self.input) {
            (Some(written), _) => {
                let payload = match written.strip_prefix('@') {
                    None => written.into_bytes(),
                    Some(path) => fs::read(path).map_err(|error| {
                        format!("--payload {written} cannot be read: {error}; check the path")
                    })?,
                };
                let Self { topic, qos, retain, .. } = self;
                Messages::One { topic, payload, qos, retain }
            }
            (None, Some(file)) => Messages::Lines(file),
            (None, None) => Messages::Unsaid,
        })
    }
}
