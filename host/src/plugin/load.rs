//! From files to plugins that are known to work, or a [`LoadError`].

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use super::bindings::mqtt_source::plugin::{host, types};
use super::engine::{self, Ticker};
use super::error::{LoadError, Problem};
use super::failure::Unstarted;
use super::instance::Instance;
use super::interfaces::{self, Indices};
use super::log::PluginLog;
use super::state::State;
use super::text::joined;
use super::{Ability, Calls, Description, Limits, Setters, contract, wrap};
use crate::message::PluginName;

/// Plugins that are compiled, checked and ready to be called. Cheap to clone.
#[derive(Clone, Default)]
pub struct Plugins {
    pub(super) loaded: Vec<Arc<Plugin>>,
    /// Absent without plugins: nothing is timed then.
    clock: Option<Arc<Ticker>>,
}

/// One plugin, as all lanes share it.
#[derive(Clone)]
pub(super) struct Plugin {
    pub name: Arc<PluginName>,
    pub file: PathBuf,
    pub limits: Limits,
    pub log: Arc<PluginLog>,
    pub pre: InstancePre<State>,
    pub indices: Indices,
    /// How often the clock ticks that calls are ended by.
    pub tick: Duration,
    pub size: usize,
    pub compile: Duration,
}

impl Plugins {
    /// Loads files, keeping what was compiled in the user's cache directory.
    ///
    /// Everything that can be checked without a message is checked: types, imports, limits, and
    /// that each plugin starts.
    ///
    /// # Errors
    /// The first file that cannot be used, and why.
    pub fn load(files: &[PathBuf], limits: &Limits) -> Result<Self, LoadError> {
        Self::load_with_cache(files, limits, engine::cache_directory().as_deref())
    }

    /// As [`load`](Self::load), keeping what was compiled in `cache`, or nowhere.
    pub fn load_with_cache(
        files: &[PathBuf],
        limits: &Limits,
        cache: Option<&Path>,
    ) -> Result<Self, LoadError> {
        let Some(first) = files.first() else {
            return Ok(Self::default());
        };
        let no_engine = |error: String| fault(first, Problem::Engine(error));
        let engine =
            engine::engine(cache).map_err(|error| no_engine(joined(&format!("{error:#}"))))?;
        let clock =
            Ticker::start(&engine, limits.call).map_err(|error| no_engine(error.to_string()))?;
        let loader = Loader { engine, clock: &clock, limits };

        let mut plugins: Vec<Arc<Plugin>> = Vec::with_capacity(files.len());
        let mut seen = HashSet::new();
        for file in files {
            let place =
                file.canonicalize().map_err(|error| fault(file, Problem::Unreadable(error)))?;
            if !seen.insert(place) {
                return Err(fault(file, Problem::Twice));
            }
            let plugin = loader.load(file).map_err(|problem| fault(file, problem))?;
            refuse_second_claim(&plugins, &plugin).map_err(|problem| fault(file, problem))?;
            plugins.push(Arc::new(plugin));
        }
        Ok(Self { loaded: plugins, clock: Some(Arc::new(clock)) })
    }

    /// What was loaded, in the order it was given.
    pub fn describe(&self) -> impl ExactSizeIterator<Item = Description<'_>> {
        self.loaded.iter().map(|plugin| Description {
            file: &plugin.file,
            name: &plugin.name,
            abilities: plugin.abilities().collect(),
            size: plugin.size,
            compile: plugin.compile,
        })
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.loaded.is_empty()
    }

    /// Setters for one thread. Their instances start as they are first needed.
    #[must_use]
    pub fn instantiate(&self) -> Setters {
        Setters::new(&self.loaded, self.clock.clone())
    }
}

impl Plugin {
    pub fn abilities(&self) -> impl Iterator<Item = (Ability, Calls)> {
        Ability::ALL.into_iter().filter_map(|ability| Some((ability, self.indices.calls(ability)?)))
    }
}

fn fault(file: &Path, problem: Problem) -> LoadError {
    LoadError { file: file.to_owned(), problem }
}

fn refuse_second_claim(loaded: &[Arc<Plugin>], plugin: &Plugin) -> Result<(), Problem> {
    for (ability, _) in plugin.abilities() {
        if let Some(other) = loaded.iter().find(|other| other.indices.calls(ability).is_some()) {
            return Err(Problem::Claimed { ability, other: other.file.clone() });
        }
    }
    Ok(())
}

struct Loader<'a> {
    engine: Engine,
    clock: &'a Ticker,
    limits: &'a Limits,
}

impl Loader<'_> {
    fn load(&self, file: &Path) -> Result<Plugin, Problem> {
        let _running = self.clock.running();
        let bytes = std::fs::read(file).map_err(Problem::Unreadable)?;
        let wrapped = wrap::component(&bytes)?;
        let began = Instant::now();
        let component = Component::from_binary(&self.engine, &wrapped)
            .map_err(|error| Problem::Invalid(joined(&format!("{error:#}"))))?;
        let compile = began.elapsed();

        self.check_imports(&component)?;
        self.check_exports(&component)?;
        let pre = self.link(&component)?;
        let wrong_type = |interface: &str, error: Option<wasmtime::Error>| {
            wrong_type(&wrapped, interface, error)
        };
        let indices = Indices::probe(&pre).map_err(|interface| wrong_type(interface, None))?;

        let name = Arc::new(name(file, &bytes));
        let plugin = Plugin {
            log: Arc::new(PluginLog::new(Arc::clone(&name), self.limits.log_lines_per_second)),
            name,
            file: file.to_owned(),
            limits: self.limits.clone(),
            pre,
            indices,
            tick: self.clock.tick(),
            size: bytes.len(),
            compile,
        };
        match Instance::start(&plugin) {
            Ok(_thrown_away) => Ok(plugin),
            Err(Unstarted::Failed(error)) => Err(Problem::Start(error)),
            Err(Unstarted::WrongType(interface, error)) => Err(wrong_type(interface, Some(error))),
        }
    }

    fn check_imports(&self, component: &Component) -> Result<(), Problem> {
        for (name, _) in component.component_type().imports(&self.engine) {
            match contract::interface(name) {
                None => return Err(Problem::NotGranted(name.to_owned())),
                Some((_, version)) => contract::check_version(version)?,
            }
        }
        Ok(())
    }

    fn check_exports(&self, component: &Component) -> Result<(), Problem> {
        let ty = component.component_type();
        let ours: Vec<_> =
            ty.exports(&self.engine).filter_map(|(name, _)| contract::interface(name)).collect();
        let Some((_, version)) = ours.first() else {
            return Err(Problem::NoContract);
        };
        let fitting: Vec<_> =
            ours.iter().filter(|(_, version)| contract::check_version(version).is_ok()).collect();
        if fitting.is_empty() {
            return contract::check_version(version);
        }
        if fitting.iter().any(|(interface, _)| interfaces::NAMES.contains(interface)) {
            return Ok(());
        }
        let names: Vec<_> = fitting.iter().map(|(interface, _)| *interface).collect();
        Err(Problem::NoAbility(names.join(", ")))
    }

    fn link(&self, component: &Component) -> Result<InstancePre<State>, Problem> {
        let mut linker = Linker::new(&self.engine);
        types::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)
            .and_then(|()| host::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state))
            .map_err(|error| Problem::Engine(joined(&format!("{error:#}"))))?;
        linker
            .instantiate_pre(component)
            .map_err(|error| Problem::NotOffered(joined(&format!("{error:#}"))))
    }
}

/// A plugin is named by its file's stem.
fn name(file: &Path, bytes: &[u8]) -> PluginName {
    let mut sha256 = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string does not fail.
        let _ = write!(sha256, "{byte:02x}");
    }
    PluginName { name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(), sha256 }
}

fn wrong_type(component: &[u8], interface: &str, error: Option<wasmtime::Error>) -> Problem {
    match (contract::difference(component, interface), error) {
        (Some((expected, found)), _) => {
            Problem::WrongType { interface: interface.to_owned(), expected, found }
        }
        (None, Some(error)) => Problem::Unfit(joined(&format!("{interface}: {error:#}"))),
        (None, None) => Problem::Unfit(format!("{interface} has no function of that name")),
    }
}
