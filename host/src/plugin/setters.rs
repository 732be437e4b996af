//! The setters of one lane.

use std::ops::Range;
use std::sync::Arc;

use super::engine::Ticker;
use super::seat::Seat;
use super::slot::Slot;
use super::worker::Work;
use super::{Ability, Answer, Answers, Draft};
use crate::message::Batch;

/// Instances of all plugins for one thread, made as they are needed and renewed after failures.
pub struct Setters {
    workers: Vec<Seat>,
    /// Times the calls; there is one as soon as there is a plugin.
    clock: Option<Arc<Ticker>>,
}

impl Setters {
    pub(super) fn new(plugins: &[Arc<Slot>], clock: Option<Arc<Ticker>>) -> Self {
        Self { workers: plugins.iter().map(Seat::new).collect(), clock }
    }

    /// Lets changed plugins take over. Only between two messages: what decides about a message is to
    /// be of one version.
    pub fn renew(&mut self) {
        self.workers.iter_mut().for_each(Seat::renew);
    }

    /// Whether a plugin decides this.
    #[must_use]
    pub fn has(&self, ability: Ability) -> bool {
        self.workers.iter().any(|worker| worker.has(ability))
    }

    /// Answers for every message of a run, in order: `answers.items[0]` belongs to the message at
    /// `range.start`. What was in `answers` is forgotten.
    ///
    /// Never fails as a whole: a message that its plugin cannot handle gets [`Answer::Reject`].
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

    /// As [`Self::call`], of one of the transformers, for all messages of a batch and what has been
    /// decided about the record of each.
    pub fn transform(
        &mut self,
        number: usize,
        batch: &Batch,
        drafts: &[Draft],
        answers: &mut Answers,
    ) {
        answers.clear();
        let _running = self.clock.as_ref().map(|clock| clock.running());
        let work = Work { ability: Ability::Transformer, batch, drafts };
        let mut transformers =
            self.workers.iter_mut().filter(|worker| worker.has(Ability::Transformer));
        match transformers.nth(number) {
            Some(worker) => worker.answer(work, 0..batch.len(), answers),
            None => answers.items.resize(batch.len(), Answer::Default),
        }
    }
}
