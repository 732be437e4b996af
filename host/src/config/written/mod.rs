//! What the user wrote on all layers, put together: command line, then environment, then file, then
//! defaults. Every value remembers where it comes from, so that whatever is said about it later
//! names the place where it can be mended.

mod locate;

use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

use super::cli::Bridge;
use super::kind;
use super::problem::{Position, Problem, Refusal};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Flag,
    /// The variable's name.
    Environment(String),
    File(Position),
    Default,
}

/// A value as it would stand on the command line. It may be a password.
#[derive(Clone)]
pub struct Value {
    pub text: OsString,
    pub origin: Origin,
}

/// The values of one layer, by the names of their options. An option that is there without any
/// value hides those of the layers below.
pub type Layer = BTreeMap<String, Vec<Value>>;

/// All layers as one.
#[derive(Clone)]
pub struct Written {
    options: Arc<[Arg]>,
    file: Option<Arc<Path>>,
    values: Layer,
}

impl Written {
    /// Puts layers together, the highest first; the defaults are the lowest.
    ///
    /// Of a list the highest layer has all. Of a table it has what it names, and the layers below
    /// add what it does not.
    pub fn new(options: Arc<[Arg]>, file: Option<Arc<Path>>, layers: &[&Layer]) -> Self {
        let mut values = Layer::new();
        for option in options.iter() {
            let name = kind::name(option);
            let mut written = layers.iter().filter_map(|layer| layer.get(name)).cloned();
            let chosen = if kind::of(option).is_table() {
                written.reduce(add_unnamed)
            } else {
                written.next()
            };
            values.insert(name.to_owned(), chosen.unwrap_or_else(|| defaults(option)));
        }
        Self { options, file, values }
    }

    /// The same with a layer above all others.
    pub fn under(&self, layer: &Layer) -> Self {
        let mut whole = self.clone();
        whole.values.extend(layer.clone());
        whole
    }

    pub fn options(&self) -> &[Arg] {
        &self.options
    }

    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The values of an option, in order.
    pub fn values(&self, name: &str) -> &[Value] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    fn option(&self, name: &str) -> Option<&Arg> {
        self.options.iter().find(|option| kind::name(option) == name)
    }

    /// Reads all values; those in `optional` may be missing.
    ///
    /// # Errors
    /// What is wrong with values from the environment or the file, and what is missing.
    pub fn parse(&self, optional: &[&str]) -> Result<Bridge, Refusal> {
        let command = lenient(Bridge::command(), |name| optional.contains(&name));
        let arguments = self.values.iter().flat_map(|(name, values)| {
            let given = values.iter().filter(|value| value.origin != Origin::Default);
            given.map(|value| argument(name, value))
        });
        let arguments = std::iter::once(OsString::from("host")).chain(arguments);
        let error = match command.try_get_matches_from(arguments) {
            Ok(matches) => return Bridge::from_arg_matches(&matches).map_err(Refusal::Usage),
            Err(error) => error,
        };
        let mut problems = self.unreadable();
        if error.kind() == ErrorKind::MissingRequiredArgument
            && let Some(file) = &self.file
        {
            problems.push(self.missing(file, optional));
        }
        Err(if problems.is_empty() { Refusal::Usage(error) } else { Refusal::Problems(problems) })
    }

    /// What is wrong with each value alone.
    fn unreadable(&self) -> Vec<Problem> {
        let command = lenient(Bridge::command(), |_| true);
        let mut problems = Vec::new();
        for (name, values) in &self.values {
            for value in values.iter().filter(|value| value.origin != Origin::Default) {
                let arguments = [OsString::from("host"), argument(name, value)];
                if let Err(error) = command.clone().try_get_matches_from(arguments) {
                    problems.push(self.complaint(name, value, &error));
                }
            }
        }
        problems
    }

    fn complaint(&self, name: &str, value: &Value, error: &clap::Error) -> Problem {
        let reason = reason(error);
        let text = value.text.to_string_lossy();
        let shown = match self.option(name) {
            Some(option) if kind::is_secret(option) => String::new(),
            _ if text.parse::<f64>().is_ok() => format!(" {text}"),
            _ => format!(" {text:?}"),
        };
        match &value.origin {
            Origin::File(position) => {
                Problem::at(position, format!("{}{shown}: {reason}", kind::key(name)))
            }
            Origin::Environment(variable) => {
                Problem { at: None, text: format!("{variable}{shown}: {reason}") }
            }
            Origin::Flag | Origin::Default => {
                Problem { at: None, text: format!("--{name}{shown}: {reason}") }
            }
        }
    }

    fn missing(&self, file: &Path, optional: &[&str]) -> Problem {
        let names = self.options.iter().filter(|option| option.is_required_set()).map(kind::name);
        let missing: Vec<String> = names
            .filter(|name| !optional.contains(name) && self.values(name).is_empty())
            .map(kind::key)
            .collect();
        let verb = if missing.len() == 1 { "is" } else { "are" };
        let text = format!(
            "{}: {} {verb} missing: add what is missing to the file, the command line or the environment",
            file.display(),
            list(&missing)
        );
        Problem { at: None, text }
    }
}

/// Adds to a table what a lower layer has under other names.
fn add_unnamed(mut higher: Vec<Value>, lower: Vec<Value>) -> Vec<Value> {
    let name = |value: &Value| {
        let text = value.text.to_string_lossy();
        text.split('=').next().unwrap_or_default().trim().to_owned()
    };
    let named: Vec<String> = higher.iter().map(name).collect();
    higher.extend(lower.into_iter().filter(|value| !named.contains(&name(value))));
    higher
}

fn defaults(option: &Arg) -> Vec<Value> {
    let defaults = option.get_default_values().iter();
    defaults.map(|text| Value { text: text.into(), origin: Origin::Default }).collect()
}

fn argument(name: &str, value: &Value) -> OsString {
    let mut argument = OsString::from(format!("--{name}="));
    argument.push(&value.text);
    argument
}

/// Lets options be missing, also in subcommands.
pub fn lenient(command: Command, may_be_missing: impl Fn(&str) -> bool + Copy) -> Command {
    command
        .mut_args(
            |option| {
                if may_be_missing(kind::name(&option)) { option.required(false) } else { option }
            },
        )
        .mut_subcommands(|command| lenient(command, may_be_missing))
}

/// Why clap does not take a value, as something to put after a colon.
fn reason(error: &clap::Error) -> String {
    if let Some(source) = error.source() {
        let reason = source.to_string();
        return match reason.split_once(" is not in ") {
            Some((_, range)) => format!("it takes {}", range.replace("..=", " to ")),
            None if reason.contains("digit") => "it takes a whole number".to_owned(),
            None => reason,
        };
    }
    let possible = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(possible)) => possible.as_slice(),
        _ => &[],
    };
    if possible.is_empty() {
        // The first line is the whole message; the rest points to the help.
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        return line.strip_prefix("error: ").unwrap_or(line).to_owned();
    }
    let closest = match error.get(ContextKind::SuggestedValue) {
        Some(ContextValue::String(closest)) => format!("; did you mean {closest}?"),
        _ => String::new(),
    };
    format!("it takes {}{closest}", possible.join(", "))
}

/// `a`, `a and b`, `a, b and c`.
pub fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [words @ .., last] => format!("{} and {last}", words.join(", ")),
    }
}

/// The layer that the command line is.
pub fn from_flags(options: &[Arg], matches: &ArgMatches) -> Layer {
    let mut layer = Layer::new();
    for option in options {
        let id = option.get_id().as_str();
        let given = matches.try_contains_id(id).is_ok()
            && matches.value_source(id) == Some(ValueSource::CommandLine);
        if !given {
            continue;
        }
        let values = matches.get_raw(id).into_iter().flatten();
        let values = values.map(|text| Value { text: text.to_owned(), origin: Origin::Flag });
        layer.insert(kind::name(option).to_owned(), values.collect());
    }
    layer
}

/// The layer that the environment is. An empty variable counts as none.
pub fn from_environment(options: &[Arg], environment: &HashMap<OsString, OsString>) -> Layer {
    let mut layer = Layer::new();
    for option in options {
        let name = kind::name(option);
        let own = kind::variable(name);
        // What other programs use for the same is understood too.
        let variables = if name == "log" { vec![own, "RUST_LOG".to_owned()] } else { vec![own] };
        let set = variables.into_iter().find_map(|variable| {
            let text = environment.get(&OsString::from(&variable))?;
            (!text.is_empty()).then_some((variable, text))
        });
        let Some((variable, text)) = set else { continue };
        let value = |text: OsString| Value { text, origin: Origin::Environment(variable.clone()) };
        let values = match text.to_str() {
            // Items that hold commas can stand on lines of their own.
            Some(list) if kind::repeatable(option) && list.contains('\n') => {
                let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
                lines.map(|line| value(line.into())).collect()
            }
            Some(list) if kind::repeatable(option) => {
                list.split(',').map(|item| value(item.trim().into())).collect()
            }
            _ => vec![value(text.clone())],
        };
        layer.insert(name.to_owned(), values);
    }
    layer
}
