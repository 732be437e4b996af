//! From arguments and environment to a command: which file is meant, the layers put together, and
//! what is wrong said in the words in which it was written.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches};

use super::check::Wrong;
use super::cli::{Bridge, Cli, ConfigSub, Sub};
use super::file::{self, File};
use super::problem::Refusal;
use super::workbench::PluginSub;
use super::written::{Layer, Origin, Value, Written, from_environment, from_flags, lenient};
use super::{
    Capture, Check, Command, Config, Demo, New, Replay, Replayed, SwapRequest, Wording, Workbench,
    check, control, kind, schema, show,
};

/// See [`super::read()`].
pub fn read(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Command, Refusal> {
    let mut command = lenient(Cli::command(), |_| true);
    let matches = command.try_get_matches_from_mut(arguments).map_err(Refusal::Usage)?;
    let cli = Cli::from_arg_matches(&matches).map_err(Refusal::Usage)?;
    let mut given = Given {
        options: kind::options().into(),
        flags: Layer::new(),
        unneeded: Layer::new(),
        environment: environment.into_iter().collect(),
        command,
    };
    given.flags = from_flags(&given.options, innermost(&matches));
    match cli.subcommand {
        None => Ok(Command::Bridge(Box::new(given.put_together()?.config))),
        Some(Sub::Demo { seconds, messages, plugins }) => {
            let log = given.log()?;
            let time = Duration::from_secs(seconds);
            Ok(Command::Demo(Demo { time, messages, plugins, log }))
        }
        Some(Sub::Config { what: ConfigSub::Show { .. } }) => {
            let whole = given.put_together()?;
            Ok(Command::Print(show::text(&whole.config, &whole.written, whole.file.as_ref())))
        }
        Some(Sub::Config { what: ConfigSub::Check { file, connect, .. } }) => {
            if let Some(file) = file {
                let value = Value { text: file.into(), origin: Origin::Flag };
                given.flags.insert("config".to_owned(), vec![value]);
            }
            let whole = given.put_together()?;
            let name = whole.written.file().map(|file| file.display().to_string());
            let name = name.unwrap_or_else(|| "the configuration".to_owned());
            Ok(Command::Check(Check { name, config: Box::new(whole.config), connect }))
        }
        Some(Sub::Config { what: ConfigSub::Schema }) => {
            Ok(Command::Print(schema::text(&given.options)))
        }
        Some(Sub::Plugin {
            what: PluginSub::New { name, lang: language, ability: abilities, json },
        }) => Ok(Command::New(New { name, language, abilities, json, log: given.log()? })),
        Some(Sub::Plugin { what: PluginSub::Capture { output, count, seconds, .. } }) => {
            given.unneeded(&[("kafka-topic", "unneeded"), ("broker-address", "unneeded:1")]);
            let Config { source, log, wording, .. } = given.put_together()?.config;
            let output = Some(output).filter(|output| output.as_os_str() != "-");
            let time = seconds.map(Duration::from_secs);
            let capture = Capture { source, output, count, time, log, wording };
            Ok(Command::Capture(Box::new(capture)))
        }
        Some(Sub::Plugin {
            what: PluginSub::Replay { redeliver, from_beginning, input, with, json, count, .. },
        }) => {
            let mut unneeded = vec![
                ("topic", "#"),
                ("client-id", "host"),
                ("server", "unneeded"),
                ("port", "1"),
                ("tls-enabled", "false"),
            ];
            let what = match input {
                Some(file) => {
                    unneeded
                        .extend([("kafka-topic", "unneeded"), ("broker-address", "unneeded:1")]);
                    Replayed::Messages(file)
                }
                None if from_beginning => Replayed::AllLetters,
                None => Replayed::NewLetters,
            };
            given.unneeded(&unneeded);
            let Whole { written, config, .. } = given.put_together()?;
            let replay = Replay::new(config, &with, redeliver, what)
                .map_err(|problem| given.refusal(&written, problem.into()))?;
            Ok(Command::Replay(Replay { json, count, ..replay }))
        }
        Some(Sub::Plugin { what: PluginSub::Swap { json, .. } }) => given.swap(json),
        Some(Sub::Plugin { what }) => {
            let (bridge, written) = given.only(&["log", "plugin"], None)?;
            let checked = Workbench::checked(what, bridge);
            Ok(Command::Workbench(checked.map_err(|wrong| given.refusal(&written, wrong))?))
        }
    }
}

/// What was given on the command line and in the environment.
struct Given {
    options: Arc<[Arg]>,
    flags: Layer,
    /// Stands in for what is required and of no use, below all other layers.
    unneeded: Layer,
    environment: HashMap<OsString, OsString>,
    command: clap::Command,
}

/// All layers put together, and what they mean.
struct Whole {
    written: Arc<Written>,
    file: Option<File>,
    config: Config,
}

impl Given {
    /// Reads the file, puts the layers together and checks the result.
    fn put_together(&mut self) -> Result<Whole, Refusal> {
        let environment = from_environment(&self.options, &self.environment);
        let file = self.file(&environment)?;
        let routed = file.as_ref().is_some_and(|file| !file.routes.is_empty());
        let optional: &[&str] = if routed { &["topic", "kafka-topic"] } else { &[] };
        self.unneeded.retain(|name, _| !optional.contains(&name.as_str()));
        let nothing = Layer::new();
        let layer = file.as_ref().map_or(&nothing, |file| &file.layer);
        let path = file.as_ref().map(|file| Arc::clone(&file.path));
        let layers = [&self.flags, &environment, layer, &self.unneeded];
        let written = Arc::new(Written::new(Arc::clone(&self.options), path, &layers));
        let bridge = written.parse(optional)?;
        let config = check::bridge(bridge, &written, file.as_ref())
            .map_err(|wrong| self.refusal(&written, wrong))?;
        Ok(Whole { written, file, config })
    }

    /// Reads the file that is named, if one is.
    fn file(&self, environment: &Layer) -> Result<Option<File>, Refusal> {
        let named = [&self.flags, environment]
            .into_iter()
            .find_map(|layer| Some(PathBuf::from(layer.get("config")?.first()?.text.clone())));
        named.map(|path| file::read(&path, &self.options).map_err(Refusal::Problems)).transpose()
    }

    /// Where the running host listens. Nothing else of its configuration is looked at: who asks it need
    /// not be able to read its passwords.
    fn swap(&mut self, json: bool) -> Result<Command, Refusal> {
        let file = self.file(&from_environment(&self.options, &self.environment))?;
        let (bridge, written) = self.only(&["log", "control-socket"], file.as_ref())?;
        let Some(socket) = bridge.options.control_socket else {
            let missing = "--control-socket is missing: give it the path that host listens on";
            return Err(self.refusal(&written, missing.to_owned().into()));
        };
        control::check(&socket).map_err(|problem| self.refusal(&written, problem.into()))?;
        let (log, wording) = (check::log(bridge.log), Wording::new(&Arc::new(written)));
        Ok(Command::Swap(SwapRequest { socket, json, log, wording }))
    }

    fn unneeded(&mut self, values: &[(&str, &str)]) {
        let value = |text: &str| vec![Value { text: text.into(), origin: Origin::Flag }];
        self.unneeded =
            values.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect();
    }

    fn refusal(&mut self, written: &Written, wrong: Wrong) -> Refusal {
        match wrong {
            Wrong::Placed(problems) => Refusal::Problems(problems),
            Wrong::Said(problem) => {
                let located = written.locate(&problem);
                if located.at.is_none() && located.text == problem {
                    let usage = self.command.error(ErrorKind::ValueValidation, problem);
                    Refusal::Usage(usage)
                } else {
                    Refusal::Problems(vec![located])
                }
            }
        }
    }

    /// How to log, where nothing else of the bridge matters.
    fn log(&self) -> Result<super::Log, Refusal> {
        Ok(check::log(self.only(&["log"], None)?.0.log))
    }

    /// What the command line, the environment and a file say of options whose names begin with one of these.
    fn only(&self, beginnings: &[&str], file: Option<&File>) -> Result<(Bridge, Written), Refusal> {
        let wanted = |option: &&Arg| {
            beginnings.iter().any(|beginning| kind::name(option).starts_with(beginning))
        };
        let options: Arc<[Arg]> = self.options.iter().filter(wanted).cloned().collect();
        let environment = from_environment(&options, &self.environment);
        let nothing = Layer::new();
        let layer = file.map_or(&nothing, |file| &file.layer);
        let path = file.map(|file| Arc::clone(&file.path));
        let written = Written::new(options, path, &[&self.flags, &environment, layer]);
        let everything: Vec<&str> = self.options.iter().map(kind::name).collect();
        Ok((written.parse(&everything)?, written))
    }
}

/// The matches of the subcommand that was asked for.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, matches)| innermost(matches))
}
