//! Which plugins a route has, with what limits, and which configuration each of them gets.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::Plugin;
use super::check::{self, Wrong};
use super::cli::Options;
use super::file::{PluginConfig, PluginTable, suggestion};
use super::kind;
use super::problem::{Problem, Refusal};
use super::written::{Written, list};

/// The plugins that are written. `tables` is what the file says of each, if they are from the file:
/// limits and permissions that stand there are above what is said of all plugins, wherever that is.
///
/// # Errors
/// What is wrong with these limits.
pub fn plugins(
    options: &Options,
    written: &Written,
    tables: &[PluginTable],
) -> Result<Vec<Plugin>, Vec<Problem>> {
    let (mut plugins, mut problems) = (Vec::with_capacity(options.plugin.len()), Vec::new());
    for (number, file) in options.plugin.iter().enumerate() {
        let mut plugin = Plugin {
            file: file.clone(),
            sha256: None,
            config: None,
            limits: check::plugin_limits(options),
            clock: options.plugins.plugin_clock,
        };
        if let Some(table) = tables.get(number) {
            plugin.sha256.clone_from(&table.sha256);
            plugin.clock = table.clock.unwrap_or(plugin.clock);
            plugin.config = table.config.as_ref().map(Json::to_string);
            match with_limits(written, table) {
                Ok(Some(options)) => plugin.limits = check::plugin_limits(&options),
                Ok(None) => {}
                Err(Refusal::Problems(more)) => problems.extend(more),
                Err(Refusal::Usage(error)) => {
                    problems.push(Problem::at(&table.at, error.to_string()));
                }
            }
        }
        plugins.push(plugin);
    }
    if problems.is_empty() { Ok(plugins) } else { Err(problems) }
}

/// All options as they are for a plugin that has limits of its own.
fn with_limits(written: &Written, table: &PluginTable) -> Result<Option<Options>, Refusal> {
    if table.limits.is_empty() {
        return Ok(None);
    }
    let written = written.under(&table.limits);
    let everything: Vec<&str> = written.options().iter().map(kind::name).collect();
    Ok(Some(written.parse(&everything)?.options))
}

/// Gives plugins their configuration by name: what the command line or the environment says stands
/// above what the file says.
pub fn configure(
    plugins: &mut [&mut Plugin],
    in_file: &[PluginConfig],
    given: Option<&str>,
) -> Result<(), Wrong> {
    let mut problems = Vec::new();
    for PluginConfig { at, name, config } in in_file {
        match named(plugins, name) {
            Err(problem) => {
                problems.push(Problem::at(at, format!("plugin_config has {name}, {problem}")));
            }
            Ok(named) if named.iter().any(|number| plugins[*number].config.is_some()) => {
                let text = format!("{name} has a config beside its file already: keep one");
                problems.push(Problem::at(at, text));
            }
            Ok(named) => set(plugins, &named, config),
        }
    }
    if !problems.is_empty() {
        return Err(Wrong::Placed(problems));
    }
    for (name, config) in given.map_or(Ok(BTreeMap::new()), members)? {
        let named = named(plugins, &name)
            .map_err(|problem| format!("--plugin-config has a member {name:?}, {problem}"))?;
        set(plugins, &named, &config);
    }
    Ok(())
}

fn set(plugins: &mut [&mut Plugin], numbers: &[usize], config: &Json) {
    for number in numbers {
        plugins[*number].config = Some(config.to_string());
    }
}

/// The members of what `--plugin-config` says, itself or in a file.
fn members(given: &str) -> Result<BTreeMap<String, Json>, String> {
    const EXAMPLE: &str =
        "write an object with one object per plugin, e.g. {\"key\": {\"level\": 2}}, or @FILE";
    let text = match given.strip_prefix('@') {
        None => given.to_owned(),
        Some(path) => fs::read_to_string(path)
            .map_err(|error| format!("--plugin-config {given} cannot be read: {error}"))?,
    };
    match serde_json::from_str(&text) {
        Ok(Json::Object(members)) if members.values().all(Json::is_object) => {
            Ok(members.into_iter().collect())
        }
        Ok(_) => Err(format!("--plugin-config is not an object of objects: {EXAMPLE}")),
        // The text may hold a password; what serde_json says does not show any of it.
        Err(error) => Err(format!("--plugin-config is not JSON ({error}): {EXAMPLE}")),
    }
}

/// The plugins of that name, which all are the same file.
fn named(plugins: &[&mut Plugin], name: &str) -> Result<Vec<usize>, String> {
    let named: Vec<usize> =
        (0..plugins.len()).filter(|number| stem(&plugins[*number].file) == name).collect();
    let mut files: Vec<&PathBuf> = named.iter().map(|number| &plugins[*number].file).collect();
    files.sort();
    files.dedup();
    match files.as_slice() {
        [_] => Ok(named),
        [one, other, ..] => Err(format!(
            "which is both {} and {}: give these their config beside their file, in the file of --config",
            one.display(),
            other.display()
        )),
        [] => {
            let mut known: Vec<String> = plugins.iter().map(|plugin| stem(&plugin.file)).collect();
            known.sort();
            known.dedup();
            let cure = match known.as_slice() {
                [] => "; there are no plugins".to_owned(),
                [only] => format!("; the only one is {only}"),
                _ if known.len() < 12 => format!("; there are {}", list(&known)),
                _ => suggestion(name, &known),
            };
            Err(format!("which names no plugin{cure}"))
        }
    }
}

/// The name of a plugin: that of its file, without the folder and `.wasm`.
fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
