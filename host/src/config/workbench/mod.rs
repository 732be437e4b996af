//! What the command line of `host plugin` means.
//!
//! Only options about plugins and logs count there, from the command line and the environment; what
//! concerns servers is neither needed nor looked at.

mod sub;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::check::{Wrong, plugin_limits};
use super::cli::Bridge;
use super::{
    Config, Log, OnPluginBroken, Plugin, PluginLimits, Route, Source, Wording, check, mqtt, plugin,
};
use crate::message::Qos;
pub use sub::{Files, Language, MessageOptions, PluginSub, Setter};

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
        for route in &mut config.routes {
            route.on_plugin_broken = OnPluginBroken::Stop;
            for plugin in &mut route.plugins {
                plugin.limits = unbroken(plugin.limits);
            }
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
