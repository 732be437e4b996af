//! Who calls the plugin in a slot about the messages of one lane.

use std::ops::Range;
use std::sync::Arc;

use super::load::Plugin;
use super::slot::Slot;
use super::worker::{Work, Worker};
use super::{Ability, Answers};

/// A worker for whichever version of its plugin is there.
pub(super) struct Seat {
    slot: Arc<Slot>,
    version: u64,
    plugin: Arc<Plugin>,
    worker: Worker,
}

impl Seat {
    pub fn new(slot: &Arc<Slot>) -> Self {
        slot.seat();
        let (version, plugin, instance) = slot.take();
        let worker = Worker::new(Arc::clone(&plugin), instance);
        Self { slot: Arc::clone(slot), version, plugin, worker }
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
            self.worker = Worker::new(plugin, instance);
        }
    }

    /// As [`Worker::answer`]. If a version loses its place over its answers, the one that comes back
    /// gives them.
    pub fn answer(&mut self, work: Work<'_>, range: Range<usize>, answers: &mut Answers) {
        let (items, bytes) = (answers.items.len(), answers.bytes.len());
        self.worker.answer(work, range.clone(), answers);
        if self.slot.count(&self.plugin, &answers.items[items..]) {
            answers.items.truncate(items);
            answers.bytes.truncate(bytes);
            self.renew();
            self.worker.answer(work, range.clone(), answers);
        }
        self.slot.samples.offer(work, range, &answers.items[items..]);
    }
}
