//! The place of a plugin, where a changed file takes over from the one that has run so far, and gives
//! way again if errors rise.
//!
//! Who calls the plugin compares a number between two batches ([`Slot::version`]), and counts what
//! failed ([`Slot::count`]); everything else here happens only around a change. A version gives way only
//! if the one before does better with the messages at hand.

use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::Answer;
use super::instance::Instance;
use super::load::{Plugin, Spec};
use super::recent::Recent;
use super::samples::Samples;
use super::text::short;
use super::versions::{GaveWay, Versions};
use super::worker::Work;
use crate::message::Rejection;

/// How long a version is on trial, and how many answers it has to give; but never longer than
/// [`LONGEST`].
const TRIAL: Duration = Duration::from_mins(1);
const ENOUGH: u64 = 1_000;
const LONGEST: Duration = Duration::from_hours(1);

/// Answers after which those so far count half: what was long ago says little of what is usual.
const MEMORY: u64 = 100_000;

/// See the [module's documentation](self).
pub(super) struct Slot {
    spec: Spec,
    /// The SHA-256 that the file must have, if any of those who ask for it says so.
    pin: OnceLock<String>,
    pub samples: Arc<Samples>,
    /// Changes with what is in the place.
    version: AtomicU64,
    on_trial: AtomicBool,
    /// How many threads call it about messages.
    seats: AtomicUsize,
    /// Where it is noted what had to give way, if anywhere.
    versions: Option<Versions>,
    place: Mutex<Place>,
}

struct Place {
    plugin: Arc<Plugin>,
    /// Instances for those who will call it.
    ready: Vec<Instance>,
    trial: Option<Trial>,
    /// The SHA-256 of a version that had to give way.
    failed: Option<String>,
}

/// What comes back if errors rise.
struct Trial {
    /// The last version that has stood its trial, and the share of its answers that were failures.
    old: Arc<Plugin>,
    usual: f64,
    /// How much higher the share may be.
    limit: f64,
    since: Instant,
    /// Of the version on trial.
    recent: Recent,
}

impl Slot {
    pub fn new(spec: Spec, plugin: Arc<Plugin>) -> Self {
        Self::keeping(spec, plugin, None, None)
    }

    /// With a memory on disk, and the version that had to give way before `host` started.
    pub fn keeping(
        spec: Spec,
        plugin: Arc<Plugin>,
        versions: Option<Versions>,
        failed: Option<String>,
    ) -> Self {
        let place = Place { plugin, ready: Vec::new(), trial: None, failed };
        let slot = Self {
            spec,
            pin: OnceLock::new(),
            samples: Arc::default(),
            version: AtomicU64::new(0),
            on_trial: AtomicBool::new(false),
            seats: AtomicUsize::new(0),
            versions,
            place: Mutex::new(place),
        };
        slot.pin(slot.spec.sha256.as_ref());
        slot
    }

    /// From now on only the file with this SHA-256 may be here.
    pub fn pin(&self, sha256: Option<&String>) {
        if let Some(sha256) = sha256 {
            // It is the one of the file, so a second one is the same.
            let _ = self.pin.set(sha256.clone());
        }
    }

    /// Whether it is the place for this, whichever file is meant by it.
    pub fn is_for(&self, spec: &Spec) -> bool {
        self.spec.file == spec.file
            && self.spec.config == spec.config
            && self.spec.clock == spec.clock
    }

    /// What was asked for.
    pub fn spec(&self) -> Spec {
        Spec { sha256: self.pin.get().cloned(), ..self.spec.clone() }
    }

    /// What is here now.
    pub fn plugin(&self) -> Arc<Plugin> {
        Arc::clone(&self.lock().plugin)
    }

    /// The same, with its number.
    pub fn current(&self) -> (u64, Arc<Plugin>) {
        let place = self.lock();
        (self.version(), Arc::clone(&place.plugin))
    }

    /// Another number whenever something else is here.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What is here now, with its number, and an instance if one is ready.
    pub fn take(&self) -> (u64, Arc<Plugin>, Option<Instance>) {
        let mut place = self.lock();
        (self.version(), Arc::clone(&place.plugin), place.ready.pop())
    }

    /// One more thread calls it from now on.
    pub fn seat(&self) {
        self.seats.fetch_add(1, Ordering::Relaxed);
    }

    /// How many do.
    pub fn seats(&self) -> usize {
        self.seats.load(Ordering::Relaxed)
    }

    /// Puts another version here, with instances for those who will call it. With a limit, the version
    /// before it comes back if its share of failures exceeds that of the latter by so much.
    pub fn put(&self, plugin: Arc<Plugin>, ready: Vec<Instance>, limit: Option<f64>) {
        let mut place = self.lock();
        let since = Instant::now();
        let old = mem::replace(&mut place.plugin, plugin);
        let unused = mem::replace(&mut place.ready, ready);
        // One that has not stood its own trial is no good to come back.
        let before = place.trial.take();
        place.trial = limit.map(|limit| match before {
            Some(trial) => Trial { limit, since, recent: Recent::default(), ..trial },
            None => {
                Trial { usual: old.tally.share(), old, limit, since, recent: Recent::default() }
            }
        });
        self.changed(&place);
        drop(place);
        if let Some(versions) = &self.versions {
            versions.forget(&self.spec.file);
        }
        // Takes a while, for which nobody should wait.
        drop(unused);
    }

    /// Takes note of the answers of a version about messages from `first` on, and of what went wrong last
    /// if it is left alone from now on, since it is broken. Whether it has lost its place over that.
    pub fn count(
        &self,
        plugin: &Arc<Plugin>,
        (work, first): (Work<'_>, usize),
        answers: &[Answer],
        broken: Option<&str>,
    ) -> bool {
        let failures = answers.iter().filter_map(failure).count();
        plugin.tally.add(answers.len(), failures);
        if !self.on_trial.load(Ordering::Relaxed) {
            return false;
        }
        let Some(old) = self.risen(plugin, (answers.len(), failures), broken.is_some()) else {
            return false;
        };
        let failed = answers.iter().enumerate().filter(|(_, answer)| !went_well(answer));
        if !Samples::better(&old, work, failed.map(|(place, _)| first + place)) {
            self.forgive(plugin);
            return false;
        }
        let last = answers.iter().rev().find_map(failure).map(|rejection| rejection.error.as_str());
        self.give_way(plugin, last.or(broken).unwrap_or_default())
    }

    /// The version that would come back, if errors have risen with the one on trial.
    fn risen(
        &self,
        plugin: &Arc<Plugin>,
        (answers, failures): (usize, usize),
        broken: bool,
    ) -> Option<Arc<Plugin>> {
        let mut lock = self.lock();
        let place = &mut *lock;
        let trial = place.trial.as_mut().filter(|_| Arc::ptr_eq(&place.plugin, plugin))?;
        trial.recent.add(answers, failures);
        let risen = broken || trial.recent.exceeds(trial.usual + trial.limit);
        risen.then(|| Arc::clone(&trial.old))
    }

    /// The version before does no better: the messages are to blame.
    fn forgive(&self, plugin: &Arc<Plugin>) {
        let mut lock = self.lock();
        let place = &mut *lock;
        let trial = place.trial.as_mut().filter(|_| Arc::ptr_eq(&place.plugin, plugin));
        if let Some(trial) = trial {
            trial.recent = Recent::default();
        }
    }

    /// Lets the version before come back. Whether it has.
    fn give_way(&self, plugin: &Arc<Plugin>, error: &str) -> bool {
        let mut lock = self.lock();
        let place = &mut *lock;
        let Some(trial) = place.trial.take_if(|_| Arc::ptr_eq(&place.plugin, plugin)) else {
            return false;
        };
        let new = mem::replace(&mut place.plugin, Arc::clone(&trial.old));
        let unused = mem::take(&mut place.ready);
        place.failed = Some(new.name.sha256.clone());
        self.changed(place);
        drop(lock);
        drop(unused);
        let Recent { failures, answers, .. } = trial.recent;
        let why = format!(
            "{failures} of the last {answers} answers were errors, {:.1} % before; the last one: {error}",
            trial.usual * 100.0,
        );
        let kept = self.note(&new, &trial.old, &why);
        tracing::error!(
            "plugin {}: version {} comes back, since errors have risen with version {}: {why}; the \
             file is not taken again until it changes{kept}",
            self.spec.file.display(),
            short(&trial.old.name.sha256),
            short(&new.name.sha256),
        );
        true
    }

    /// Notes on disk what has given way to what, and says what a restart does.
    fn note(&self, new: &Plugin, old: &Plugin, why: &str) -> String {
        let Some(versions) = &self.versions else {
            return ", but after a restart, since there is no folder to note that in (see XDG_CACHE_HOME)"
                .to_owned();
        };
        let noted = versions.note(&GaveWay {
            file: self.spec.file.clone(),
            sha256: new.name.sha256.clone(),
            runs: old.name.sha256.clone(),
            why: why.to_owned(),
        });
        match noted {
            Ok(_) => ", nor after a restart".to_owned(),
            Err(error) => format!(", but after a restart, since nothing can be noted: {error}"),
        }
    }

    /// Keeps a copy of what is here, if it is not on trial, for a restart after something else had to give
    /// way.
    pub fn keep(&self) {
        let place = self.lock();
        let version = place.trial.is_none().then(|| place.plugin.name.sha256.clone());
        drop(place);
        if let (Some(versions), Some(version)) = (&self.versions, version)
            && let Err(error) = versions.keep(&self.spec.file, &version)
        {
            let (file, version) = (self.spec.file.display(), short(&version));
            tracing::debug!("plugin {file}: there is no copy of version {version}: {error}");
        }
    }

    /// Where it is noted that a version had to give way, if it is.
    pub fn noted(&self) -> Option<PathBuf> {
        let note = self.versions.as_ref().map(|versions| versions.place(&self.spec.file));
        note.filter(|note| note.exists())
    }

    /// Ends the trial if it has lasted long enough. Whether there still is one.
    pub fn settle(&self, now: Instant) -> bool {
        let mut place = self.lock();
        let answers = place.plugin.tally.answers.load(Ordering::Relaxed);
        let stood = place.trial.take_if(|trial| {
            let age = now.saturating_duration_since(trial.since);
            age >= LONGEST || age >= TRIAL && answers >= ENOUGH
        });
        let goes_on = place.trial.is_some();
        if stood.is_some() {
            place.failed = None;
            self.on_trial.store(false, Ordering::Relaxed);
            let (file, version) = (self.spec.file.display(), short(&place.plugin.name.sha256));
            tracing::debug!("plugin {file}: version {version} has stood its trial");
        }
        drop(place);
        if stood.is_some() {
            self.keep();
        }
        goes_on
    }

    /// Whether the version with this SHA-256 had to give way. Any other one makes that forgotten.
    pub fn has_failed(&self, sha256: &str) -> bool {
        let mut place = self.lock();
        place.failed = place.failed.take().filter(|failed| failed == sha256);
        place.failed.is_some()
    }

    fn changed(&self, place: &Place) {
        self.on_trial.store(place.trial.is_some(), Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an answer is a failure, if it is one.
pub(super) fn failure(answer: &Answer) -> Option<&Rejection> {
    match answer {
        Answer::Reject(rejection) | Answer::Fatal(rejection) => Some(rejection),
        _ => None,
    }
}

/// Whether an answer is about its message, and no failure.
pub(super) fn went_well(answer: &Answer) -> bool {
    failure(answer).is_none() && *answer != Answer::Wait
}

/// How many of a version's answers were failures, roughly: lanes do not wait for each other.
#[derive(Debug, Default)]
pub(super) struct Tally {
    answers: AtomicU64,
    failures: AtomicU64,
}

impl Tally {
    fn add(&self, answers: usize, failures: usize) {
        let before = self.answers.fetch_add(answers as u64, Ordering::Relaxed);
        if failures > 0 {
            self.failures.fetch_add(failures as u64, Ordering::Relaxed);
        }
        if before > MEMORY {
            for count in [&self.answers, &self.failures] {
                count.store(count.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
        }
    }

    fn share(&self) -> f64 {
        let [answers, failures] =
            [&self.answers, &self.failures].map(|count| count.load(Ordering::Relaxed) as f64);
        if answers == 0.0 { 0.0 } else { failures / answers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_failures_follows_what_happens_now() {
        let tally = Tally::default();
        assert!(tally.share() < f64::EPSILON, "{}", tally.share());
        tally.add(300, 0);
        tally.add(100, 100);
        assert!((tally.share() - 0.25).abs() < f64::EPSILON, "{}", tally.share());
        for _ in 0..1_000 {
            tally.add(1_000, 0);
        }
        assert!(tally.share() < 0.000_1, "{}", tally.share());
        for _ in 0..500 {
            tally.add(1_000, 500);
        }
        assert!((0.4..=0.5).contains(&tally.share()), "{}", tally.share());
    }
}
