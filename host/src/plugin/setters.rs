//! The setters of one lane.

use std::ops::Range;
use std::sync::Arc;

use super::breaker::{OnBroken, Pause};
use super::engine::Ticker;
use super::seat::Seat;
use super::slot::Slot;
use super::worker::Work;
use super::{Ability, Answer, Answers, Draft};
use crate::message::{Batch, PluginName};

/// Instances of all plugins for one thread, made as they are needed and renewed after failures.
pub struct Setters {
    workers: Vec<Seat>,
    /// Times the calls; there is one as soon as there is a plugin.
    clock: Option<Arc<Ticker>>,
}

impl Setters {
    pub(super) fn new(
        plugins: &[Arc<Slot>],
        clock: Option<Arc<Ticker>>,
        on_broken: OnBroken,
    ) -> Self {
        let seat = |slot: &Arc<Slot>| Seat::new(slot, on_broken);
        Self { workers: plugins.iter().map(seat).collect(), clock }
    }

    /// Whether no plugin decides anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Lets changed plugins take over. Only between two messages: what decides about a message is to
    /// be of one version.
    pub fn renew(&mut self) {
        self.workers.iter_mut().for_each(Seat::renew);
    }

    /// If messages have to wait for plugins that are broken, how long and why. When that time is
    /// over, the next call decides with its first message whether they work again.
    #[must_use]
    pub fn pause(&self) -> Option<Pause> {
        self.workers.iter().filter_map(Seat::pause).max_by_key(|pause| pause.until)
    }

    /// From now on, or no longer, messages only show whether plugins that are broken work again: one that
    /// is handled ends the pause, and those that are not change nothing.
    pub fn trying(&mut self, trying: bool) {
        self.workers.iter_mut().for_each(|seat| seat.worker.trying = trying);
    }

    /// Makes all plugins forget the messages that they have seen, since some will come again.
    pub fn forget(&mut self) {
        self.workers.iter_mut().for_each(|seat| seat.worker.forget());
    }

    /// Starts the instances that are not there, which their first calls would do otherwise.
    pub fn start(&mut self) {
        let _running = self.clock.as_ref().map(|clock| clock.running());
        self.workers.iter_mut().for_each(|seat| seat.worker.start());
    }

    /// Bytes of memory that the instances of each plugin have; 0 where there is no instance.
    pub fn memory(&self) -> impl ExactSizeIterator<Item = (&PluginName, usize)> {
        self.workers.iter().map(|seat| (&**seat.worker.name(), seat.worker.memory()))
    }

    /// WebAssembly instructions since this was last asked, where they are counted.
    pub fn take_instructions(&mut self) -> Option<u64> {
        self.workers.iter_mut().map(|seat| seat.worker.take_instructions()).sum()
    }

    /// Whether a plugin decides this.
    #[must_use]
    pub fn has(&self, ability: Ability) -> bool {
        self.workers.iter().any(|worker| worker.has(ability))
    }

    /// Answers for the messages of a run, in order: `answers.items[0]` belongs to the message at
    /// `range.start`. What was in `answers` is forgotten. There is an answer for every message,
    /// unless they become so large that they are to be used first: then for fewer, but for one at
    /// least.
    ///
    /// Never fails as a whole: a message that its plugin cannot handle gets [`Answer::Reject`], and
    /// while the plugin is broken [`Answer::Wait`], as [`OnBroken`] says; then so do all behind it.
    /// Without a plugin for the ability all answers are [`Answer::Default`].
    ///
    /// # Panics
    /// If the range is not within the batch.
    pub fn call(
        &mut self,
        ability: Ability,
        batch: &Batch,
        range: Range<usize>,
        answers: &mut Answers,
    ) {
        answers.clear();
        let _running = self.clock.as_ref().map(|clock| clock.running());
        let work = Work { ability, batch, drafts: &[] };
        match self.workers.iter_mut().find(|worker| worker.has(ability)) {
            Some(worker) => worker.answer(work, range, answers),
            None => answers.items.resize(range.len(), Answer::Default),
        }
    }

    /// How many transformers there are.
    #[must_use]
    pub fn transformers(&self) -> usize {
        self.workers.iter().filter(|worker| worker.has(Ability::Transformer)).count()
    }

    /// Which plugin a transformer is.
    #[must_use]
    pub fn transformer(&self, number: usize) -> Option<&Arc<PluginName>> {
        let mut transformers =
            self.workers.iter().filter(|worker| worker.has(Ability::Transformer));
        transformers.nth(number).map(|seat| seat.worker.name())
    }

    /// As [`Self::call`], of one of the transformers, for the messages of a batch from `first` on, and
    /// what has been decided about the record of each.
    pub fn transform(
        &mut self,
        number: usize,
        batch: &Batch,
        drafts: &[Draft],
        first: usize,
        answers: &mut Answers,
    ) {
        answers.clear();
        let _running = self.clock.as_ref().map(|clock| clock.running());
        let work = Work { ability: Ability::Transformer, batch, drafts };
        let mut transformers =
            self.workers.iter_mut().filter(|worker| worker.has(Ability::Transformer));
        match transformers.nth(number) {
            Some(worker) => worker.answer(work, first..batch.len(), answers),
            None => answers.items.resize(batch.len() - first, Answer::Default),
        }
    }

    /// Bytes that a plugin may answer for one message; none without a plugin.
    #[must_use]
    pub fn output_limit(&self) -> usize {
        self.workers.iter().map(|seat| seat.worker.output_limit()).max().unwrap_or_default()
    }
}

#[cfg(test)]
impl Setters {
    /// As if the pauses of all broken plugins were over.
    pub(super) fn end_pauses(&mut self) {
        self.workers.iter_mut().for_each(|seat| seat.worker.end_pause());
    }
}
