//! The file that `--config` names, as a layer of values that know where they stand.
//!
//! Its keys are the options' names, so nothing is declared here but what only a file can say:
//! `[[route]]`s, and plugins with their hash and their configuration. All problems are found, not
//! only the first. What a value may be is for the option itself to say, later.

mod document;
mod plugin;
mod value;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Arg;

use super::cli::OF_ROUTES;
use super::kind::{self, Kind};
use super::problem::{Position, Problem};
use super::written::Layer;
use document::{Document, Entry, entries};
pub use plugin::{LIMITS, PluginConfig, PluginTable, limit_option};

/// What a file says.
pub struct File {
    pub path: Arc<Path>,
    pub layer: Layer,
    /// One per value of `plugin`, if the file has any.
    pub plugins: Vec<PluginTable>,
    /// `[plugin_config.NAME]`s.
    pub plugin_configs: Vec<PluginConfig>,
    pub routes: Vec<RouteTable>,
}

/// A `[[route]]`.
pub struct RouteTable {
    pub at: Position,
    pub layer: Layer,
    /// One per value of `plugin`, if the route has any.
    pub plugins: Vec<PluginTable>,
    /// `continue`: later routes get the message too.
    pub goes_on: bool,
}

/// Reads a file.
///
/// # Errors
/// All that is wrong with it, in the order in which it stands there.
pub fn read(path: &Path, options: &[Arg]) -> Result<File, Vec<Problem>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let text = format!("{} cannot be read: {error}", path.display());
        vec![Problem { at: None, text: format!("{text}; --config takes the path of a TOML file") }]
    })?;
    parse(path, &text, options)
}

/// See [`read`].
pub fn parse(path: &Path, text: &str, options: &[Arg]) -> Result<File, Vec<Problem>> {
    let path: Arc<Path> = path.into();
    let document = Document::new(Arc::clone(&path), text);
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| document.syntax(error)).collect());
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut reader = Reader { options, document, folder, problems: Vec::new() };
    let top = reader.section(table.get_ref(), Section::Top);
    let mut problems = reader.problems;
    if problems.is_empty() {
        let Table { layer, plugins, plugin_configs, routes, .. } = top;
        return Ok(File { path, layer, plugins, plugin_configs, routes });
    }
    problems.sort_by(|one, other| one.at.cmp(&other.at));
    Err(problems)
}

/// The whole file as JSON, for tests.
#[cfg(test)]
pub fn to_json(text: &str) -> serde_json::Value {
    let table: toml::Table = toml::from_str(text).expect("TOML");
    serde_json::to_value(table).expect("JSON")
}

/// Which part of the file a table is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Top,
    Route,
}

/// What a section of the file says.
#[derive(Default)]
struct Table {
    layer: Layer,
    plugins: Vec<PluginTable>,
    plugin_configs: Vec<PluginConfig>,
    routes: Vec<RouteTable>,
    goes_on: bool,
}

struct Reader<'a> {
    options: &'a [Arg],
    document: Document<'a>,
    /// What relative paths are relative to.
    folder: PathBuf,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn section(&mut self, table: &toml::de::DeTable<'_>, section: Section) -> Table {
        let mut found = Table::default();
        for entry in entries(table) {
            match (entry.key, section) {
                ("route", Section::Top) => found.routes = self.routes(&entry),
                ("plugin_config", Section::Top) => {
                    found.plugin_configs = self.plugin_configs(&entry);
                }
                ("continue", Section::Route) => {
                    found.goes_on = entry.value.as_bool().unwrap_or_else(|| {
                        self.wrong_type(&entry, "true or false", "true");
                        false
                    });
                }
                ("plugin", _) => {
                    found.plugins = self.plugins(&entry);
                    let values = found.plugins.iter().map(PluginTable::value).collect();
                    found.layer.insert("plugin".to_owned(), values);
                }
                _ => match self.option(entry.key, section) {
                    Some(_) if is_empty_topic(&entry, section) => {
                        let text = "topic is an empty list: say which messages the route is for, e.g. topic = [\"plant/#\"]";
                        self.problem(&entry, text.to_owned());
                    }
                    Some(option) => {
                        if let Some(values) = self.values(option, &entry) {
                            found.layer.insert(kind::name(option).to_owned(), values);
                        }
                    }
                    None => self.unknown(&entry, section),
                },
            }
        }
        found
    }

    /// The option that a key means.
    fn option(&self, key: &str, section: Section) -> Option<&'a Arg> {
        self.options.iter().find(|option| {
            let name = kind::name(option);
            kind::key(name) == key
                && kind::of(option) != Kind::Json
                && name != "config"
                && (section == Section::Top || OF_ROUTES.contains(&name))
        })
    }

    fn routes(&mut self, entry: &Entry<'_>) -> Vec<RouteTable> {
        const EXAMPLE: &str = "write [[route]] above the keys of each";
        let toml::de::DeValue::Array(items) = entry.value else {
            self.problem(entry, format!("route takes tables: {EXAMPLE}"));
            return Vec::new();
        };
        let mut routes = Vec::with_capacity(items.len());
        for item in items {
            let at = self.document.position(item.span().start);
            let Some(table) = item.get_ref().as_table() else {
                self.problems.push(Problem::at(&at, format!("a route is a table: {EXAMPLE}")));
                continue;
            };
            let Table { layer, plugins, goes_on, .. } = self.section(table, Section::Route);
            if !table.contains_key("topic") && !table.keys().any(|key| key.get_ref() == "topics") {
                let text = "this route has no topic: say which messages it is for, e.g. topic = [\"plant/#\"]";
                self.problems.push(Problem::at(&at, text));
            }
            routes.push(RouteTable { at, layer, plugins, goes_on });
        }
        routes
    }

    fn unknown(&mut self, entry: &Entry<'_>, section: Section) {
        let key = entry.key;
        let text = if key == "config" {
            "config cannot stand in a file: one file has it all".to_owned()
        } else if section == Section::Route && self.option(key, Section::Top).is_some() {
            format!("{key} is not for one route alone: move it above the first [[route]]")
        } else if section == Section::Top && key == "continue" {
            "continue is for a route: move it below its [[route]]".to_owned()
        } else {
            let known: Vec<String> = self.keys(section);
            format!("unknown key {key}{}", suggestion(key, &known))
        };
        self.problem_at_key(entry, text);
    }

    fn keys(&self, section: Section) -> Vec<String> {
        let options = self.options.iter().map(|option| kind::key(kind::name(option)));
        let own: &[&str] = match section {
            Section::Top => &["route", "plugin_config"],
            Section::Route => &["continue"],
        };
        let options = options.filter(|key| self.option(key, section).is_some());
        options.chain(own.iter().map(|&key| key.to_owned())).collect()
    }

    fn wrong_type(&mut self, entry: &Entry<'_>, takes: &str, example: &str) {
        let (key, found) = (entry.key, document::type_name(entry.value));
        let text = format!("{key} takes {takes}, not {found}: write {key} = {example}");
        self.problem(entry, text);
    }

    fn problem(&mut self, entry: &Entry<'_>, text: String) {
        self.problems.push(Problem::at(&self.document.position(entry.value_start), text));
    }

    fn problem_at_key(&mut self, entry: &Entry<'_>, text: String) {
        self.problems.push(Problem::at(&self.document.position(entry.key_start), text));
    }
}

fn is_empty_topic(entry: &Entry<'_>, section: Section) -> bool {
    let empty = entry.value.as_array().is_some_and(|items| items.is_empty());
    section == Section::Route && entry.key == "topic" && empty
}

/// What a misspelt key was probably meant to be, or all that there is if that is little.
pub fn suggestion(key: &str, known: &[String]) -> String {
    let spelled = key.replace('-', "_").to_lowercase();
    let closest = known
        .iter()
        .map(|known| (strsim::jaro_winkler(&spelled, known), known))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    match closest {
        Some((likeness, closest)) if likeness > 0.8 => format!("; did you mean {closest}?"),
        _ if known.len() < 12 => format!("; there are {}", super::written::list(known)),
        _ => "; `host --help` lists the options, whose '-' is '_' here".to_owned(),
    }
}
