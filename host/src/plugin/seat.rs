//! Who calls the plugin in a slot about the messages of one lane.

use std::ops::Range;
use std::sync::Arc;

use super::load::Plugin;
use super::slot::Slot;
use super::worker::{Work, Worker};
use super::{Ability, Answers, OnBroken, Pause};

/// A worker for whichever version of its plugin is there.
pub(super) struct Seat {
    slot: Arc<Slot>,
    version: u64,
    plugin: Arc<Plugin>,
    on_broken: OnBroken,
    pub worker: Worker,
}

impl Seat {
    pub fn new(slot: &Arc<Slot>, on_broken: OnBroken) -> Self {
        slot.seat();
        let (version, plugin, instance) = slot.take();
        let samples = Arc::clone(&slot.samples);
        let worker = Worker::new(Arc::clone(&plugin), samples, on_broken, instance);
        Self { slot: Arc::clone(slot), version, plugin, on_broken, worker }
    }

    pub fn has(&self, ability: Ability) -> bool {
        self.worker.has(ability)
    }

    /// Calls another version of the plugin from now on, if one has taken over. With the worker goes
    /// the instance, and what the plugin kept in it.
    pub fn renew(&mut self) {
        if self.slot.version() != self.version {
            let (version, plugin, instance) = self.slot.take();
            (self.version, self.plugin) = (version, Arc::clone(&plugin));
            let samples = Arc::clone(&self.slot.samples);
            self.worker = Worker::new(plugin, samples, self.on_broken, instance);
        }
    }

    /// If messages have to wait for the plugin, how long and why. They need not if another version has
    /// taken over since.
    pub fn pause(&self) -> Option<Pause> {
        if self.slot.version() == self.version { self.worker.pause() } else { None }
    }

    /// As [`Worker::answer`], where there are no answers yet. If a version loses its place over its
    /// answers, the one that comes back gives them.
    pub fn answer(&mut self, work: Work<'_>, range: Range<usize>, answers: &mut Answers) {
        let was_broken = self.worker.broken().is_some();
        self.worker.answer(work, range.clone(), answers);
        let (about, broken) = ((work, range.start), self.worker.broken());
        if self.slot.count(&self.plugin, about, &answers.items, broken.filter(|_| !was_broken)) {
            answers.clear();
            self.renew();
            self.worker.answer(work, range.clone(), answers);
        }
        self.slot.samples.offer(work, range.start, &answers.items);
    }
}
