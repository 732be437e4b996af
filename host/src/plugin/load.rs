//! From files to plugins that are known to work, or a [`LoadError`].

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::Engine;

use super::clock::Clock;
use super::compile::{self, Code, wrong_type};
use super::compiler::Compiler;
use super::engine::{self, Ticker};
use super::error::{LoadError, Problem};
use super::failure::Unstarted;
use super::instance::Instance;
use super::log::PluginLog;
use super::slot::{Slot, Tally};
use super::text::{joined, short};
use super::versions::Versions;
use super::{Ability, Calls, Description, Hook, Limits, OnBroken, Setters};
use crate::message::PluginName;

/// A plugin as the user asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    pub file: PathBuf,
    /// The SHA-256 that the file must have, in hexadecimal.
    pub sha256: Option<String>,
    /// A JSON object for the plugin's start.
    pub config: Option<String>,
    /// Its own limits, in place of the loader's.
    pub limits: Option<Limits>,
    /// What it gets that asks for the time.
    pub clock: Clock,
}

impl From<&Path> for Spec {
    fn from(file: &Path) -> Self {
        Self { file: file.to_owned(), ..Self::default() }
    }
}

/// Plugins that are compiled, checked and ready to be called. Cheap to clone.
#[derive(Clone, Default)]
pub struct Plugins {
    pub(super) loaded: Vec<Arc<Slot>>,
    /// Absent without plugins: nothing is timed then.
    pub(super) clock: Option<Arc<Ticker>>,
    pub(super) on_broken: OnBroken,
}

/// One version of a plugin, as all lanes share it.
#[derive(Clone)]
pub(super) struct Plugin {
    pub name: Arc<PluginName>,
    pub file: PathBuf,
    pub config: Option<String>,
    pub limits: Limits,
    pub clock: Clock,
    pub log: Arc<PluginLog>,
    pub code: Code,
    pub tally: Arc<Tally>,
}

impl Plugins {
    /// Loads files without a configuration, keeping what was compiled in the user's cache
    /// directory. See [`Loader::load`].
    ///
    /// # Errors
    /// The first file that cannot be used, and why.
    pub fn load(files: &[PathBuf], limits: &Limits) -> Result<Self, LoadError> {
        let specs: Vec<_> = files.iter().map(|file| Spec::from(file.as_path())).collect();
        Loader::new(limits.clone()).load(&specs)
    }

    /// What was loaded, in the order it was given.
    pub fn describe(&self) -> impl ExactSizeIterator<Item = Description> {
        self.loaded.iter().map(|slot| slot.plugin()).map(|plugin| Description {
            file: plugin.file.clone(),
            name: Arc::clone(&plugin.name),
            abilities: plugin.abilities().collect(),
            hooks: plugin.hooks().collect(),
            configurable: plugin.code.indices.lifecycle.is_some(),
            clock: plugin.code.asks_time.then_some(plugin.clock),
            size: plugin.code.size,
            compile: plugin.code.compile,
        })
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.loaded.is_empty()
    }

    /// The file of the plugin that decides this, if one does.
    #[must_use]
    pub fn file_with(&self, ability: Ability) -> Option<PathBuf> {
        let mut plugins = self.loaded.iter().map(|slot| slot.plugin());
        plugins.find(|plugin| plugin.has(ability)).map(|plugin| plugin.file.clone())
    }

    /// Setters for one thread. Their instances start as they are first needed.
    #[must_use]
    pub fn instantiate(&self) -> Setters {
        Setters::new(&self.loaded, self.clock.clone(), self.on_broken)
    }

    /// The same with another way to deal with one of them that is broken.
    #[must_use]
    pub fn when_broken(self, on_broken: OnBroken) -> Self {
        Self { on_broken, ..self }
    }
}

impl Plugin {
    pub fn has(&self, ability: Ability) -> bool {
        self.code.indices.calls(ability).is_some()
    }

    pub fn hooks(&self) -> impl Iterator<Item = Hook> {
        Hook::ALL.into_iter().filter(|hook| self.code.indices.has(*hook))
    }

    pub fn abilities(&self) -> impl Iterator<Item = (Ability, Calls)> {
        Ability::ALL
            .into_iter()
            .filter_map(|ability| Some((ability, self.code.indices.calls(ability)?)))
    }
}

/// Loads lists of plugins that share an engine, a clock and what was compiled.
pub struct Loader {
    /// Of plugins that have none of their own.
    limits: Limits,
    /// The shortest time that any call may take.
    shortest: Duration,
    /// Where compiled code is kept, if anywhere.
    cache: Option<PathBuf>,
    counting: bool,
    /// Where it is noted which versions had to give way, if that matters.
    versions: Option<Versions>,
    /// Made for the first plugin.
    running: Option<(Engine, Arc<Ticker>)>,
    /// Everything loaded so far.
    pub(super) loaded: Vec<Arc<Slot>>,
}

impl Loader {
    /// A loader that keeps what was compiled in the user's cache directory.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with_cache(limits, engine::cache_directory())
    }

    /// A loader that keeps what was compiled in `cache`, or nowhere.
    #[must_use]
    pub fn with_cache(limits: Limits, cache: Option<PathBuf>) -> Self {
        let shortest = limits.call;
        let (versions, running, loaded) = (None, None, Vec::new());
        Self { limits, shortest, cache, counting: false, versions, running, loaded }
    }

    /// Takes no version that had to give way before `host` started, but the one before it, and keeps
    /// what that needs beside the cache.
    #[must_use]
    pub fn remembering(self) -> Self {
        let beside = |cache: &PathBuf| {
            let mut name = cache.file_name().unwrap_or_default().to_owned();
            name.push("-versions");
            Versions::new(cache.with_file_name(name))
        };
        Self { versions: self.cache.as_ref().map(beside), ..self }
    }

    /// Counts the WebAssembly instructions that plugins run, which makes them slower.
    #[must_use]
    pub fn counting(self) -> Self {
        Self { counting: true, ..self }
    }

    /// The same for plugins of which some may have less time. To be said before anything is loaded.
    #[must_use]
    pub fn timing(self, shortest: Duration) -> Self {
        Self { shortest: self.shortest.min(shortest), ..self }
    }

    /// Loads plugins that work together: for each ability there is one at most.
    ///
    /// Everything that can be checked without a message is checked: types, imports, limits, and
    /// that each plugin starts with its configuration.
    ///
    /// # Errors
    /// The first file that cannot be used, and why.
    pub fn load(&mut self, specs: &[Spec]) -> Result<Plugins, LoadError> {
        let Some(first) = specs.first() else {
            return Ok(Plugins::default());
        };
        let (engine, clock) = self.running().map_err(|problem| fault(&first.file, problem))?;
        let mut plugins: Vec<Arc<Slot>> = Vec::with_capacity(specs.len());
        let mut seen = HashSet::new();
        for spec in specs {
            let file = &spec.file;
            let place =
                file.canonicalize().map_err(|error| fault(file, Problem::Unreadable(error)))?;
            if !seen.insert(place) {
                return Err(fault(file, Problem::Twice));
            }
            let plugin =
                self.load_one(spec, &engine, &clock).map_err(|problem| fault(file, problem))?;
            refuse_second_claim(&plugins, &plugin.plugin())
                .map_err(|problem| fault(file, problem))?;
            plugins.push(plugin);
        }
        Ok(Plugins { loaded: plugins, clock: Some(clock), on_broken: OnBroken::default() })
    }

    pub(super) fn running(&mut self) -> Result<(Engine, Arc<Ticker>), Problem> {
        if self.running.is_none() {
            let engine = engine::engine(self.counting)
                .map_err(|error| Problem::Engine(joined(&format!("{error:#}"))))?;
            let clock = Ticker::start(&engine, self.shortest)
                .map_err(|error| Problem::Engine(error.to_string()))?;
            self.running = Some((engine, Arc::new(clock)));
        }
        self.running.clone().ok_or_else(|| Problem::Engine("it has not started".to_owned()))
    }

    fn load_one(
        &mut self,
        spec: &Spec,
        engine: &Engine,
        clock: &Ticker,
    ) -> Result<Arc<Slot>, Problem> {
        let _running = clock.running();
        let mut bytes: Arc<[u8]> = read(&spec.file).map_err(Problem::Unreadable)?.into();
        let mut name = name(&spec.file, &bytes);
        refuse_other_file(spec, &name)?;
        let mut failed = None;
        if let Some(before) = self.instead(spec, &name) {
            failed = Some(name.sha256);
            name = self::name(&spec.file, &before);
            bytes = before.into();
        }
        let limits = spec.limits.as_ref().unwrap_or(&self.limits);
        let same = |slot: &&Arc<Slot>| {
            let known = slot.plugin();
            slot.is_for(spec) && known.name.sha256 == name.sha256 && known.limits == *limits
        };
        if let Some(known) = self.loaded.iter().find(same) {
            known.pin(spec.sha256.as_ref());
            return Ok(Arc::clone(known));
        }
        let (plugin, _thrown_away) = self.make(spec, &bytes, engine)?;
        let versions = self.versions.clone();
        let slot = Arc::new(Slot::keeping(spec.clone(), plugin, versions, failed));
        self.loaded.push(Arc::clone(&slot));
        Ok(slot)
    }

    /// The bytes of the version that runs in the place of this one, which had to give way before `host`
    /// started. Who names it by its hash wants it all the same.
    fn instead(&self, spec: &Spec, name: &PluginName) -> Option<Vec<u8>> {
        let versions = self.versions.as_ref().filter(|_| spec.sha256.is_none())?;
        let (gave_way, note, before) = versions.instead(&spec.file, &name.sha256)?;
        tracing::error!(
            "plugin {}: version {} runs, not {} of the file, which had to give way: {}; change the file, \
             or remove {} to use it all the same",
            spec.file.display(),
            short(&gave_way.runs),
            short(&name.sha256),
            gave_way.why,
            note.display()
        );
        Some(before)
    }

    /// Makes a plugin of the bytes of a file, and an instance, which is not called yet.
    pub(super) fn make(
        &self,
        spec: &Spec,
        bytes: &Arc<[u8]>,
        engine: &Engine,
    ) -> Result<(Arc<Plugin>, Instance), Problem> {
        let name = name(&spec.file, bytes);
        refuse_other_file(spec, &name)?;
        let mut known = self.loaded.iter().map(|slot| slot.plugin());
        let code = if let Some(known) = known.find(|known| known.name.sha256 == name.sha256) {
            known.code.clone()
        } else {
            let folder = self.cache.as_ref().map(|cache| cache.join("compiled"));
            let compiler = Compiler { counting: self.counting, folder };
            Code::compile_safely(engine, &compiler, bytes)?
        };
        if spec.config.is_some() && code.indices.lifecycle.is_none() {
            return Err(Problem::TakesNoConfig);
        }
        let name = Arc::new(name);
        let limits = spec.limits.as_ref().unwrap_or(&self.limits);
        let plugin = Plugin {
            log: Arc::new(PluginLog::new(Arc::clone(&name), limits.log_lines_per_second)),
            name,
            file: spec.file.clone(),
            config: spec.config.clone(),
            limits: limits.clone(),
            clock: spec.clock,
            code,
            tally: Arc::default(),
        };
        match Instance::start(&plugin) {
            Ok(instance) => Ok((Arc::new(plugin), instance)),
            Err(Unstarted::Failed(_, error)) => Err(Problem::Start(error)),
            Err(Unstarted::Refused(error)) => {
                Err(Problem::Config { given: plugin.config.is_some(), error })
            }
            Err(Unstarted::WrongType(interface, error)) => {
                Err(wrong_type(bytes, interface, Some(&error)))
            }
        }
    }
}

/// What a file holds, as far as it matters: one that is too large is not read to its end.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(compile::LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn fault(file: &Path, problem: Problem) -> LoadError {
    LoadError { file: file.to_owned(), problem }
}

fn refuse_other_file(spec: &Spec, name: &PluginName) -> Result<(), Problem> {
    match &spec.sha256 {
        Some(expected) if !expected.eq_ignore_ascii_case(&name.sha256) => {
            let found = name.sha256.clone();
            Err(Problem::OtherFile { expected: expected.clone(), found })
        }
        _ => Ok(()),
    }
}

fn refuse_second_claim(loaded: &[Arc<Slot>], plugin: &Plugin) -> Result<(), Problem> {
    for (ability, _) in plugin.abilities() {
        if ability == Ability::Transformer {
            continue;
        }
        let mut others = loaded.iter().map(|slot| slot.plugin());
        if let Some(other) = others.find(|other| other.has(ability)) {
            return Err(Problem::Claimed { ability, other: other.file.clone() });
        }
    }
    Ok(())
}

/// A plugin is named by its file's stem.
pub(super) fn name(file: &Path, bytes: &[u8]) -> PluginName {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    PluginName { name, sha256: sha256(bytes) }
}

/// In hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut sha256 = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string does not fail.
        let _ = write!(sha256, "{byte:02x}");
    }
    sha256
}
