//! Changed files: another version of a plugin is loaded, checked, started and tried out beside the one
//! that runs, and takes over between two messages. Whatever is wrong with it, the old one stays.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::error::Problem;
use super::instance::Instance;
use super::load::{Loader, Plugin, Plugins, name, read};
use super::log::PluginLog;
use super::report::{Report, SwapOutcome};
use super::samples::Tried;
use super::slot::Slot;
use super::{Limits, OnBroken};
use crate::message::{PluginName, Rejection};

/// Tries a set of new versions with golden cases: how many there were, or which failed.
pub(super) type Proof<'a> = &'a dyn Fn(&Replacements) -> Result<usize, String>;

/// Puts changed files in the places of the plugins that run.
pub struct Swapper {
    loader: Loader,
    /// How much higher than before the share of errors may be, from 0 to 1; `None` is any.
    limit: Option<f64>,
    /// Of what share of the last messages a new version may make something else, from 0 to 1.
    changes: f64,
    files: Vec<File>,
}

/// A file, and the plugins that are made of it: one for each configuration.
struct File {
    path: PathBuf,
    slots: Vec<Arc<Slot>>,
    /// What it looked like when it was last taken, and at the last look.
    taken: Option<Stamp>,
    seen: Option<Stamp>,
}

/// What changes with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let (size, inode) = (metadata.len(), metadata.ino());
        Self { modified: metadata.modified().ok(), size, inode }
    }
}

/// New versions and whose places they may take.
#[derive(Default)]
pub struct Replacements(Vec<(Arc<Slot>, Arc<Plugin>)>);

/// What has become of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Swapped {
    /// It is what runs.
    Same,
    /// It takes over from this version, after so many recent messages and golden cases.
    /// It makes something else of some of these messages.
    TakesOver {
        from: Arc<PluginName>,
        to: Arc<PluginName>,
        messages: usize,
        changed: usize,
        cases: usize,
    },
}

/// Why a file does not take over. What is said follows on "the changed file".
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Unusable(#[from] Problem),
    #[error(
        "offers {found}, not {running}; what plugins decide does not change under way: restart host to \
         use it"
    )]
    Offers { found: String, running: String },
    #[error(
        "fails for a recent message on {topic:?} ({}): {}; correct it, or restart host to use it all \
         the same", rejection.reason.as_str(), rejection.error
    )]
    Fails { topic: String, rejection: Rejection },
    #[error(
        "rejects {called_bad} of {messages} recent messages that were carried, such as one on \
         {topic:?}: {}; correct it, or raise --swap-errors-limit", rejection.error
    )]
    Rejects { called_bad: usize, messages: usize, topic: String, rejection: Rejection },
    #[error(
        "makes something else of {changed} of {messages} recent messages, such as one on {topic:?}; \
         correct it, or raise --swap-changes-limit"
    )]
    Changes { changed: usize, messages: usize, topic: String },
    #[error("fails a golden case: {0}; correct one of the two")]
    Golden(String),
    #[error(
        "is the one that gave way when errors rose; change it, or {}restart host to use it all the same",
        note.as_ref().map_or_else(String::new, |note| format!("remove {} and ", note.display()))
    )]
    GaveWay { note: Option<PathBuf> },
}

impl Swapper {
    /// For everything that was loaded. `limit` is by how many percent points errors may rise before
    /// the version before comes back; 100 turns that off.
    #[must_use]
    pub fn new(loader: Loader, limit: u32) -> Self {
        let mut files: Vec<File> = Vec::new();
        for slot in &loader.loaded {
            let path = slot.spec().file;
            match files.iter_mut().find(|file| file.path == path) {
                Some(file) => file.slots.push(Arc::clone(slot)),
                None => {
                    files.push(File {
                        path,
                        slots: vec![Arc::clone(slot)],
                        taken: None,
                        seen: None,
                    });
                }
            }
        }
        let limit = (limit < 100).then(|| f64::from(limit) / 100.0);
        Self { loader, limit, changes: 1.0, files }
    }

    /// With versions that may make something else of so many percent of the last messages.
    #[must_use]
    pub fn changing(self, percent: u32) -> Self {
        Self { changes: f64::from(percent) / 100.0, ..self }
    }

    /// Takes every file, changed or not, and says what became of each.
    pub fn take_all(&mut self, proof: Proof<'_>) -> Vec<Report> {
        if self.files.is_empty() {
            tracing::info!("there are no plugins to look at again");
        }
        let mut reports = Vec::with_capacity(self.files.len());
        for number in 0..self.files.len() {
            let file = &mut self.files[number];
            file.taken = fs::metadata(&file.path).as_ref().map(Stamp::of).ok();
            reports.push(self.take(number, true, proof));
        }
        reports
    }

    /// Takes the files that have changed, and have stayed the same since the last look: others are
    /// being written still.
    pub fn look(&mut self, proof: Proof<'_>) {
        for number in 0..self.files.len() {
            let file = &mut self.files[number];
            // A file that is not there is about to be put there.
            let Ok(now) = fs::metadata(&file.path).as_ref().map(Stamp::of) else { continue };
            let settled = file.seen.replace(now) == Some(now);
            if settled && file.taken != Some(now) {
                file.taken = Some(now);
                self.take(number, false, proof);
            }
        }
    }

    /// Keeps copies of all that runs, in case that something else has to give way to it.
    pub fn keep(&self) {
        self.files.iter().flat_map(|file| &file.slots).for_each(|slot| slot.keep());
    }

    /// Lets versions that have stood their trial stay for good. Whether one is still on trial.
    pub fn settle(&self, now: Instant) -> bool {
        let slots = self.files.iter().flat_map(|file| &file.slots);
        slots.filter(|slot| slot.settle(now)).count() > 0
    }

    /// Says what became of a file, and logs it; that nothing did only if `asked`.
    fn take(&mut self, number: usize, asked: bool, proof: Proof<'_>) -> Report {
        let swapped = self.swap(number, proof);
        let file = &self.files[number];
        let running = || {
            let first = file.slots.first();
            first.map_or_else(|| "?".to_owned(), |slot| slot.plugin().name.sha256.clone())
        };
        let outcome = match swapped {
            Ok(Swapped::TakesOver { from, to, messages, changed, cases }) => {
                let (from, to) = (from.sha256.clone(), to.sha256.clone());
                SwapOutcome::TakesOver { from, to, messages, changed, cases }
            }
            Ok(Swapped::Same) => SwapOutcome::Unchanged { version: running() },
            Err(refusal) => SwapOutcome::Stays {
                version: running(),
                reason: format!("the changed file {refusal}"),
            },
        };
        let report = Report { file: file.path.display().to_string(), outcome };
        match &report.outcome {
            SwapOutcome::Stays { .. } => tracing::warn!("{report}"),
            SwapOutcome::Unchanged { .. } if !asked => {}
            SwapOutcome::TakesOver { .. } | SwapOutcome::Unchanged { .. } => {
                tracing::info!("{report}");
            }
        }
        report
    }

    /// Puts a file in all its places, or in none.
    pub(super) fn swap(&mut self, number: usize, proof: Proof<'_>) -> Result<Swapped, Refusal> {
        let Self { loader, limit, changes, files } = self;
        let file = &files[number];
        let bytes: Arc<[u8]> = read(&file.path).map_err(Problem::Unreadable)?.into();
        let to = name(&file.path, &bytes);
        let (engine, clock) = loader.running()?;
        let _running = clock.running();
        let (mut new, mut ready): (_, Vec<Vec<Instance>>) = (Replacements::default(), Vec::new());
        let (mut messages, mut changed) = (0, 0);
        for slot in &file.slots {
            let failed = slot.has_failed(&to.sha256);
            let running = slot.plugin();
            if running.name.sha256 == to.sha256 {
                continue;
            }
            if failed {
                return Err(Refusal::GaveWay { note: slot.noted() });
            }
            let (plugin, first) = loader.make(&slot.spec(), &bytes, &engine)?;
            refuse_other_offer(&plugin, &running)?;
            let tried = try_out(slot, &plugin, &running, (*limit, *changes))?;
            messages += tried.messages;
            changed += tried.changed;
            ready.push(instances(&plugin, first, slot.seats())?);
            new.0.push((Arc::clone(slot), plugin));
        }
        let Some((slot, plugin)) = new.0.first() else {
            return Ok(Swapped::Same);
        };
        let (from, to) = (Arc::clone(&slot.plugin().name), Arc::clone(&plugin.name));
        let cases = proof(&new).map_err(Refusal::Golden)?;
        for ((slot, plugin), ready) in new.0.into_iter().zip(ready) {
            slot.put(plugin, ready, *limit);
        }
        Ok(Swapped::TakesOver { from, to, messages, changed, cases })
    }
}

impl Plugins {
    /// The same plugins to try out, with new versions of some: nothing that they do is counted or
    /// logged, and the clock stands at the arrival of each message.
    #[must_use]
    pub fn apart(&self, new: &Replacements) -> Self {
        let apart = |slot: &Arc<Slot>| {
            let replaced = new.0.iter().find(|(place, _)| Arc::ptr_eq(place, slot));
            let plugin = replaced.map_or_else(|| slot.plugin(), |(_, plugin)| Arc::clone(plugin));
            Arc::new(Slot::new(slot.spec(), Arc::new(plugin.apart())))
        };
        let loaded = self.loaded.iter().map(apart).collect();
        Self { loaded, on_broken: OnBroken::Stop, ..self.clone() }
    }
}

impl Plugin {
    /// To be tried, while the clock stands.
    fn apart(&self) -> Self {
        Self { clock: self.clock.standing(), ..self.muted() }
    }

    /// To be tried: nobody is told of it, and no failure keeps it from the next message.
    pub fn muted(&self) -> Self {
        let log = Arc::new(PluginLog::muted(Arc::clone(&self.name)));
        let limits = Limits { failures: u32::MAX, ..self.limits.clone() };
        Self { log, limits, tally: Arc::default(), ..self.clone() }
    }
}

fn refuse_other_offer(plugin: &Plugin, running: &Plugin) -> Result<(), Refusal> {
    let offer = |plugin: &Plugin| {
        let abilities = plugin.abilities().map(|(ability, _)| ability.to_string());
        abilities.chain(plugin.hooks().map(|hook| hook.to_string())).collect::<Vec<_>>().join(", ")
    };
    let (found, running) = (offer(plugin), offer(running));
    if found == running { Ok(()) } else { Err(Refusal::Offers { found, running }) }
}

/// Asks a new version about the last messages, and the one that runs, too.
fn try_out(
    slot: &Slot,
    plugin: &Plugin,
    running: &Plugin,
    (errors, changes): (Option<f64>, f64),
) -> Result<Tried, Refusal> {
    let mut tried = slot.samples.try_out(&Arc::new(plugin.apart()), &Arc::new(running.apart()));
    let messages = tried.messages;
    if let Some((topic, rejection)) = tried.failed.take() {
        return Err(Refusal::Fails { topic, rejection });
    }
    let most = |share: f64| share * messages as f64;
    if let Some((topic, rejection)) = tried.first_bad.take()
        && tried.called_bad as f64 > most(errors.unwrap_or(1.0))
    {
        return Err(Refusal::Rejects { called_bad: tried.called_bad, messages, topic, rejection });
    }
    match tried.first_changed.take() {
        Some(topic) if tried.changed as f64 > most(changes) => {
            Err(Refusal::Changes { changed: tried.changed, messages, topic })
        }
        _ => Ok(tried),
    }
}

/// One for each of so many threads, so that none waits for a start.
fn instances(plugin: &Plugin, first: Instance, seats: usize) -> Result<Vec<Instance>, Problem> {
    let mut instances = vec![first];
    while instances.len() < seats {
        let started = Instance::start(plugin);
        instances.push(started.map_err(|error| Problem::Start(error.into_failure().error))?);
    }
    instances.truncate(seats);
    Ok(instances)
}
