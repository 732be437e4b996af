//! Plugins in the file: a path, or a table with the file's hash, the plugin's configuration and its limits.

use std::path::PathBuf;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::DeValue;

use super::document::{Entry, entries, type_name};
use super::{Reader, suggestion};
use crate::config::kind;
use crate::config::problem::{Position, Problem};
use crate::config::written::{Layer, Origin, Value};

/// A plugin as the file has it.
#[derive(Clone)]
pub struct PluginTable {
    pub at: Position,
    /// Seen from here, not from the file.
    pub file: PathBuf,
    /// 64 hexadecimal digits in lower case.
    pub sha256: Option<String>,
    pub config: Option<Json>,
    /// Its own values of the options that limit plugins.
    pub limits: Layer,
    /// Whether it may know the time.
    pub clock: Option<bool>,
}

/// A member of `plugin_config`.
pub struct PluginConfig {
    pub at: Position,
    /// The stem of the plugin's file.
    pub name: String,
    pub config: Json,
}

/// The option that a member of `limits` is one plugin's own value of, without its dashes.
pub fn limit_option(key: &str) -> String {
    format!("plugin-{key}-limit")
}

/// The members that `limits` may have.
pub const LIMITS: [&str; 6] = ["time", "memory", "output", "records", "log", "failures"];

impl PluginTable {
    fn new(at: Position, file: PathBuf) -> Self {
        Self { at, file, sha256: None, config: None, limits: Layer::new(), clock: None }
    }

    /// As a value of the option.
    pub fn value(&self) -> Value {
        Value { text: self.file.clone().into(), origin: Origin::File(self.at.clone()) }
    }
}

const FORMS: &str = "write \"key.wasm\" or { file = \"key.wasm\", sha256 = \"...\", config = { ... }, limits = { ... }, clock = true }";

impl Reader<'_> {
    /// One plugin or a list of them.
    pub(super) fn plugins(&mut self, entry: &Entry<'_>) -> Vec<PluginTable> {
        match entry.value {
            DeValue::Array(items) => {
                let items = items.iter().map(|item| (item.get_ref(), item.span().start));
                items.filter_map(|(item, start)| self.plugin(item, start)).collect()
            }
            value => self.plugin(value, entry.value_start).into_iter().collect(),
        }
    }

    fn plugin(&mut self, value: &DeValue<'_>, start: usize) -> Option<PluginTable> {
        let at = self.document.position(start);
        match value {
            DeValue::String(path) if !path.is_empty() => {
                Some(PluginTable::new(at, self.path(path).into()))
            }
            DeValue::String(_) => {
                self.problems.push(Problem::at(&at, format!("a plugin's path is empty: {FORMS}")));
                None
            }
            DeValue::Table(table) => {
                let mut plugin = PluginTable::new(at, PathBuf::new());
                for entry in entries(table) {
                    self.plugin_entry(&mut plugin, &entry);
                }
                if plugin.file.as_os_str().is_empty() {
                    let text = "this plugin has no file: add file = \"key.wasm\"";
                    self.problems.push(Problem::at(&plugin.at, text));
                }
                Some(plugin)
            }
            other => {
                let text =
                    format!("a plugin is a path or a table, not {}: {FORMS}", type_name(other));
                self.problems.push(Problem::at(&at, text));
                None
            }
        }
    }

    fn plugin_entry(&mut self, plugin: &mut PluginTable, entry: &Entry<'_>) {
        match (entry.key, entry.value) {
            ("file", DeValue::String(path)) => plugin.file = self.path(path).into(),
            ("sha256", DeValue::String(digits)) => {
                if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    plugin.sha256 = Some(digits.to_lowercase());
                } else {
                    let text = "sha256 takes 64 hexadecimal digits: `sha256sum FILE` says them";
                    self.problem(entry, text.to_owned());
                }
            }
            ("config", DeValue::Table(_)) => {
                plugin.config = self.json(entry.value, entry.value_start);
            }
            ("limits", DeValue::Table(limits)) => {
                for entry in entries(limits) {
                    self.plugin_limit(&mut plugin.limits, &entry);
                }
            }
            ("clock", DeValue::Boolean(allowed)) => plugin.clock = Some(*allowed),
            ("file" | "sha256", _) => self.wrong_type(entry, "a text in quotes", "\"...\""),
            ("config", _) => self.wrong_type(entry, "a table", "{ NAME = VALUE }"),
            ("clock", _) => self.wrong_type(entry, "true or false", "true"),
            ("limits", _) => self.wrong_type(entry, "a table", "{ time = 100 }"),
            (key, _) => {
                let known = ["file", "sha256", "config", "limits", "clock"].map(str::to_owned);
                self.problem_at_key(
                    entry,
                    format!("a plugin has no key {key}{}", suggestion(key, &known)),
                );
            }
        }
    }

    fn plugin_limit(&mut self, limits: &mut Layer, entry: &Entry<'_>) {
        let name = limit_option(entry.key);
        let Some(option) = self.options.iter().find(|option| kind::name(option) == name) else {
            let known = LIMITS.map(str::to_owned);
            let text =
                format!("a plugin has no limit {}{}", entry.key, suggestion(entry.key, &known));
            return self.problem_at_key(entry, text);
        };
        if let Some(values) = self.values(option, entry) {
            limits.insert(name, values);
        }
    }

    pub(super) fn plugin_configs(&mut self, entry: &Entry<'_>) -> Vec<PluginConfig> {
        let DeValue::Table(table) = entry.value else {
            let text = "plugin_config takes a table for each plugin: write [plugin_config.NAME], NAME being its file's without .wasm";
            self.problem(entry, text.to_owned());
            return Vec::new();
        };
        let mut configs = Vec::new();
        for entry in entries(table) {
            let at = self.document.position(entry.key_start);
            if !entry.value.is_table() {
                let text = format!(
                    "plugin_config takes a table for each plugin: write [plugin_config.{}] and below it NAME = VALUE",
                    entry.key
                );
                self.problem(&entry, text);
                continue;
            }
            if let Some(config) = self.json(entry.value, entry.value_start) {
                configs.push(PluginConfig { at, name: entry.key.to_owned(), config });
            }
        }
        configs
    }

    /// TOML as JSON: dates become texts.
    fn json(&mut self, value: &DeValue<'_>, start: usize) -> Option<Json> {
        Some(match value {
            DeValue::String(text) => text.as_ref().into(),
            DeValue::Boolean(value) => (*value).into(),
            DeValue::Datetime(date) => date.to_string().into(),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => number.into(),
                    Err(_) => return self.not_json(start, "a number too large"),
                }
            }
            DeValue::Float(number) => {
                let number = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
                match number {
                    Some(number) => number.into(),
                    None => return self.not_json(start, "not a number, or infinite"),
                }
            }
            DeValue::Array(items) => {
                let items = items
                    .iter()
                    .map(|item: &Spanned<_>| self.json(item.get_ref(), item.span().start));
                Json::Array(items.collect::<Option<_>>()?)
            }
            DeValue::Table(table) => {
                let mut members = serde_json::Map::new();
                for entry in entries(table) {
                    members
                        .insert(entry.key.to_owned(), self.json(entry.value, entry.value_start)?);
                }
                Json::Object(members)
            }
        })
    }

    fn not_json(&mut self, start: usize, what: &str) -> Option<Json> {
        let text = format!("this is {what}, which JSON cannot say to the plugin");
        self.problems.push(Problem::at(&self.document.position(start), text));
        None
    }
}
