//! The place of a plugin, where a changed file takes over from the one that has run so far, and gives
//! way again if errors rise.
//!
//! Who calls the plugin compares a number between two batches ([`Slot::version`]), and counts what
//! failed ([`Slot::count`]); everything else here happens only around a change.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::Answer;
use super::instance::Instance;
use super::load::{Plugin, Spec};
use super::samples::Samples;
use super::text::short;
use crate::message::Rejection;

/// How long a version is on trial, and how many answers it has to give; but never longer than
/// [`LONGEST`].
const TRIAL: Duration = Duration::from_mins(1);
const ENOUGH: u64 = 1_000;
const LONGEST: Duration = Duration::from_hours(1);

/// Failures that say nothing yet, whatever their share.
const FEW: u64 = 10;

/// Answers after which those so far count half: what was long ago says little of what is usual.
const MEMORY: u64 = 100_000;

/// See the [module's documentation](self).
pub(super) struct Slot {
    spec: Spec,
    /// The SHA-256 that the file must have, if any of those who ask for it says so.
    pin: OnceLock<String>,
    pub samples: Samples,
    /// Changes with what is in the place.
    version: AtomicU64,
    on_trial: AtomicBool,
    /// How many threads call it about messages.
    seats: AtomicUsize,
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
}

impl Slot {
    pub fn new(spec: Spec, plugin: Arc<Plugin>) -> Self {
        let place = Place { plugin, ready: Vec::new(), trial: None, failed: None };
        let slot = Self {
            spec,
            pin: OnceLock::new(),
            samples: Samples::default(),
            version: AtomicU64::new(0),
            on_trial: AtomicBool::new(false),
            seats: AtomicUsize::new(0),
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
            Some(trial) => Trial { limit, since, ..trial },
            None => Trial { usual: old.tally.share(), old, limit, since },
        });
        self.changed(&place);
        drop(place);
        // Takes a while, for which nobody should wait.
        drop(unused);
    }

    /// Takes note of the answers of a version, and of what went wrong last if it is left alone now, since
    /// it is broken. Whether it has lost its place over that.
    pub fn count(&self, plugin: &Arc<Plugin>, answers: &[Answer], broken: Option<&str>) -> bool {
        let failures = answers.iter().filter_map(failure);
        let failures = plugin.tally.add(answers.len(), failures.count());
        (failures || broken.is_some())
            && self.on_trial.load(Ordering::Relaxed)
            && self.judge(plugin, answers, broken)
    }

    /// Lets the version before come back if errors have risen.
    fn judge(&self, plugin: &Arc<Plugin>, answers: &[Answer], broken: Option<&str>) -> bool {
        let mut lock = self.lock();
        let place = &mut *lock;
        let Some(trial) = place.trial.take_if(|trial| {
            let risen = plugin.tally.share() > trial.usual + trial.limit;
            let many = plugin.tally.failures.load(Ordering::Relaxed) >= FEW;
            let cannot_work =
                broken.is_some() || answers.iter().any(|answer| matches!(answer, Answer::Fatal(_)));
            Arc::ptr_eq(&place.plugin, plugin) && (cannot_work || many && risen)
        }) else {
            return false;
        };
        let new = mem::replace(&mut place.plugin, Arc::clone(&trial.old));
        let unused = mem::take(&mut place.ready);
        place.failed = Some(new.name.sha256.clone());
        self.changed(place);
        drop(lock);
        drop(unused);
        let last = answers.iter().rev().find_map(failure).map(|rejection| rejection.error.as_str());
        tracing::error!(
            "plugin {}: version {} comes back, since errors have risen with version {}: {} of {} \
             answers were errors, {:.1} % before; the last one: {}; the file is not taken again until \
             it changes",
            self.spec.file.display(),
            short(&trial.old.name.sha256),
            short(&new.name.sha256),
            new.tally.failures.load(Ordering::Relaxed),
            new.tally.answers.load(Ordering::Relaxed),
            trial.usual * 100.0,
            last.or(broken).unwrap_or_default(),
        );
        true
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
        drop(stood);
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

/// How many of a version's answers were failures, roughly: lanes do not wait for each other.
#[derive(Debug, Default)]
pub(super) struct Tally {
    answers: AtomicU64,
    failures: AtomicU64,
}

impl Tally {
    /// Adds to both. Whether there was a failure.
    fn add(&self, answers: usize, failures: usize) -> bool {
        let before = self.answers.fetch_add(answers as u64, Ordering::Relaxed);
        if failures > 0 {
            self.failures.fetch_add(failures as u64, Ordering::Relaxed);
        }
        if before > MEMORY {
            for count in [&self.answers, &self.failures] {
                count.store(count.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
        }
        failures > 0
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
        assert!(!tally.add(300, 0) && tally.add(100, 100));
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
