//! `host config show`: what the bridge would run with, as a file that can be read back, with the
//! origin of each value beside it. Secrets are left out, and said to be.

mod toml;

use std::path::Path;

use clap::Arg;

use self::toml::{inline, is_bare, quoted};
use super::file::{File, RouteTable};
use super::kind::{self, Kind};
use super::written::{Origin, Value, Written, list};
use super::{Config, Plugin, PluginLimits, Route};

/// The column in which comments begin, unless the line is longer.
const COMMENTS: usize = 44;

/// The whole text.
pub fn text(config: &Config, written: &Written, file: Option<&File>) -> String {
    let clock = written.values("plugin-clock").iter().any(|value| value.text == "true");
    let mut page = Page { text: String::new(), limits: config.plugin_limits, clock };
    page.line("# What host would run with; host --config FILE reads it back.");
    if let (Some(path), [value, ..]) = (written.file(), written.values("config")) {
        page.line(&format!("# The file is {} ({}).", path.display(), origin(value, "config")));
    }
    let mut heading = None;
    let mut unset: Vec<String> = Vec::new();
    for option in written.options() {
        let (name, kind) = (kind::name(option), kind::of(option));
        if name == "config" || kind.is_table() || kind == Kind::Json {
            continue;
        }
        if heading != option.get_help_heading() {
            page.not_set(&mut unset);
            heading = option.get_help_heading();
            page.line(&format!("\n# {}", heading.unwrap_or_default()));
        }
        match written.values(name) {
            [] => unset.push(kind::key(name)),
            _ if name == "plugin" => page.plugins(&of_the_top(config, file), written),
            values => page.option(option, values),
        }
    }
    page.not_set(&mut unset);
    for option in written.options() {
        let values = written.values(kind::name(option));
        if kind::of(option).is_table() && !values.is_empty() {
            page.table(option, values);
        }
    }
    for (table, route) in file.map_or(&[][..], |file| &file.routes).iter().zip(&config.routes) {
        page.route(table, route, written);
    }
    page.text
}

/// The plugins that stand above the routes, with their configuration.
fn of_the_top<'a>(config: &'a Config, file: Option<&File>) -> Vec<&'a Plugin> {
    let tables = file.map_or(&[][..], |file| &file.routes);
    let has_own =
        |number: usize| tables.get(number).is_some_and(|table| table.layer.contains_key("plugin"));
    let mut routes = config.routes.iter().enumerate();
    let heir = routes.find(|(number, _)| !has_own(*number));
    heir.map(|(_, route)| route.plugins.iter().collect()).unwrap_or_default()
}

/// Where a value comes from.
fn origin(value: &Value, name: &str) -> String {
    match &value.origin {
        Origin::Flag => format!("--{name}"),
        Origin::Environment(variable) => variable.clone(),
        Origin::File(position) => format!("{}:{}", position.file.display(), position.line),
        Origin::Default => "default".to_owned(),
    }
}

struct Page {
    text: String,
    /// Of plugins of which nothing else is said.
    limits: PluginLimits,
    clock: bool,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn commented(&mut self, line: &str, comment: &str) {
        self.line(&format!("{line:COMMENTS$} # {comment}"));
    }

    /// Says which options have no value, and forgets them.
    fn not_set(&mut self, unset: &mut Vec<String>) {
        if !unset.is_empty() {
            self.line(&format!("# not set: {}", std::mem::take(unset).join(", ")));
        }
    }

    fn option(&mut self, option: &Arg, values: &[Value]) {
        let (name, kind) = (kind::name(option), kind::of(option));
        let key = kind::key(name);
        let from = values.first().map_or(String::new(), |value| origin(value, name));
        if kind::is_secret(option) {
            return self.commented(&format!("# {key} is hidden"), &from);
        }
        let mut written = values.iter().map(|value| single(option, kind, value));
        let written = match kind {
            Kind::Texts | Kind::Paths => format!("[{}]", written.collect::<Vec<_>>().join(", ")),
            _ => written.next().unwrap_or_default(),
        };
        self.commented(&format!("{key} = {written}"), &from);
    }

    fn table(&mut self, option: &Arg, values: &[Value]) {
        let (name, kind) = (kind::name(option), kind::of(option));
        self.line(&format!("\n[{}]", kind::key(name)));
        let split = |value: &Value| {
            let text = value.text.to_string_lossy();
            let (name, value) = text.split_once('=').unwrap_or((&text, ""));
            let value = match kind {
                Kind::PathTable => absolute(Path::new(value.trim())),
                _ => value.to_owned(),
            };
            (name.trim().to_owned(), value)
        };
        let pairs: Vec<(String, String)> = values.iter().map(split).collect();
        for (number, (entry, _)) in pairs.iter().enumerate() {
            let first = pairs.iter().position(|(other, _)| other == entry) == Some(number);
            if !first {
                continue;
            }
            let from = origin(&values[number], name);
            let key = if is_bare(entry) { entry.clone() } else { quoted(entry) };
            if kind == Kind::Table && kind::looks_secret(entry) {
                self.commented(&format!("# {key} is hidden"), &from);
                continue;
            }
            let same = pairs.iter().filter(|(other, _)| other == entry);
            let same: Vec<String> = same.map(|(_, value)| quoted(value)).collect();
            let value = match same.as_slice() {
                [value] => value.clone(),
                values => format!("[{}]", values.join(", ")),
            };
            self.commented(&format!("{key} = {value}"), &from);
        }
    }

    fn plugins(&mut self, plugins: &[&Plugin], written: &Written) {
        if plugins.is_empty() {
            return;
        }
        self.line("plugin = [");
        for (plugin, value) in plugins.iter().zip(written.values("plugin")) {
            let mut members = vec![format!("file = {}", quoted(&absolute(&plugin.file)))];
            members.extend(plugin.sha256.iter().map(|hash| format!("sha256 = {}", quoted(hash))));
            let mut comment = origin(value, "plugin");
            let config = plugin.config.as_deref().map(serde_json::from_str);
            if let Some(Ok(config)) = config {
                let (config, left_out) = inline(&config);
                members.push(format!("config = {config}"));
                if !left_out.is_empty() {
                    comment = format!("{comment}; {} left out", list(&left_out));
                }
            }
            let limits = own_limits(&plugin.limits, &self.limits);
            if !limits.is_empty() {
                members.push(format!("limits = {{ {} }}", limits.join(", ")));
            }
            if plugin.clock != self.clock {
                members.push(format!("clock = {}", plugin.clock));
            }
            self.commented(&format!("    {{ {} }},", members.join(", ")), &comment);
        }
        self.line("]");
    }

    fn route(&mut self, table: &RouteTable, route: &Route, written: &Written) {
        self.line("");
        let place = format!("{}:{}", table.at.file.display(), table.at.line);
        self.commented("[[route]]", &place);
        for option in written.options() {
            let name = kind::name(option);
            let Some(values) = table.layer.get(name) else { continue };
            match (name, values.as_slice()) {
                ("plugin", []) => self.line("plugin = []"),
                ("plugin", _) => {
                    let plugins: Vec<&Plugin> = route.plugins.iter().collect();
                    self.plugins(&plugins, &written.under(&table.layer));
                }
                (_, values) => self.option(option, values),
            }
        }
        if table.goes_on {
            self.line("continue = true");
        }
    }
}

/// The limits of a plugin that are not those of all.
fn own_limits(own: &PluginLimits, all: &PluginLimits) -> Vec<String> {
    let numbers = |limits: &PluginLimits| {
        [
            ("time", limits.time.as_millis()),
            ("memory", limits.memory as u128),
            ("output", limits.output as u128),
            ("records", limits.records as u128),
            ("log", limits.log_lines_per_second.into()),
            ("failures", limits.failures.into()),
        ]
    };
    let both = numbers(own).into_iter().zip(numbers(all)).filter(|(own, all)| own != all);
    both.map(|((key, limit), _)| format!("{key} = {limit}")).collect()
}

/// A value in TOML.
fn single(option: &Arg, kind: Kind, value: &Value) -> String {
    let text = value.text.to_string_lossy();
    let is_number = text.parse::<u64>().is_ok();
    let all_numbers = || kind::choices(option).iter().all(|choice| choice.parse::<u64>().is_ok());
    match kind {
        Kind::Switch => text.into_owned(),
        Kind::Number | Kind::Size if is_number => text.into_owned(),
        Kind::Choice if is_number && all_numbers() => text.into_owned(),
        Kind::Choice if matches!(&*text, "true" | "false") => text.into_owned(),
        Kind::Path | Kind::Paths => quoted(&absolute(Path::new(&value.text))),
        _ => quoted(&text),
    }
}

/// The path seen from anywhere, since what is shown may be put anywhere.
fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.to_string_lossy().into_owned()
}
