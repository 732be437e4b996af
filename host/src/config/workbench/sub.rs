//! The command line of `host plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, value_parser};

use crate::config::choice::qos;
use crate::config::cli::{Options, PluginOptions};
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
    pub payload: Option<String>,
    /// The topic of that message.
    #[arg(long, value_name = "TOPIC", default_value = "plant/line-1/temp")]
    pub topic: String,
    /// The quality of service of that message.
    #[arg(long, value_name = "0|1|2", default_value = "1", value_parser = qos, hide_possible_values = true)]
    pub qos: Qos,
    /// That message is a retained one.
    #[arg(long)]
    pub retain: bool,
    /// A file of messages, a JSON object a line; '-' is standard input.
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
}
