//! One plugin on one lane: how many messages go into a call, and finding the guilty one when a
//! call fails.
//!
//! A message is guilty only when it fails alone in a fresh instance. So a run that failed is run
//! again message by message, and a message that fails in an instance with a past once more in a
//! new one. When many messages in a row are guilty, it may be the plugin: see [`broken`](super::broken).

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::answers::{Answers, Judge};
use super::breaker::{Breaker, OnBroken};
use super::failure::{Failure, Unstarted};
use super::instance::Instance;
use super::load::Plugin;
use super::samples::Samples;
use super::{Ability, Calls, Content, Draft, packed, typed};
use crate::message::{Batch, PluginName, Reason};

/// Most messages in a call.
const RUN: usize = 64;
/// Most bytes in a call, unless one message alone has more.
const RUN_BYTES: usize = 1 << 20;
/// Calls without a time-out before a shortened run is made longer again.
const GOOD_CALLS: u32 = 1000;

/// What is asked of a plugin.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub ability: Ability,
    pub batch: &'a Batch,
    /// For transformers: one for each message of the batch.
    pub drafts: &'a [Draft],
}

impl<'a> Work<'a> {
    /// The messages of a run as plugins get them.
    fn packed(&self, run: Range<usize>) -> Cow<'a, [u8]> {
        if self.ability != Ability::Transformer {
            return Cow::Borrowed(self.batch.packed(run));
        }
        let mut packed = Vec::new();
        for index in run {
            packed.extend_from_slice(self.batch.packed(index..index + 1));
            self.draft(index).write(&mut packed);
        }
        Cow::Owned(packed)
    }

    fn draft(&self, index: usize) -> &'a Draft {
        self.drafts.get(index).unwrap_or(&NOTHING)
    }
}

/// What has been decided before anybody has decided anything.
const NOTHING: Draft = Draft {
    topic: None,
    partition: None,
    key: Content::Default,
    value: Content::Default,
    timestamp_ms: None,
    headers: None,
};

pub(super) struct Worker {
    pub(super) plugin: Arc<Plugin>,
    /// Absent before the first call, and after a failure.
    instance: Option<Instance>,
    pace: Pace,
    /// One for each ability, since what fails in one may go well in another.
    pub(super) breakers: [Breaker; Ability::ALL.len()],
    pub(super) on_broken: OnBroken,
    /// Messages that the plugin has handled before, as evidence.
    pub(super) samples: Arc<Samples>,
    /// What it is asked about is only to show whether it works again.
    pub trying: bool,
}

impl Worker {
    /// With an instance, if one is ready.
    pub fn new(
        plugin: Arc<Plugin>,
        samples: Arc<Samples>,
        on_broken: OnBroken,
        instance: Option<Instance>,
    ) -> Self {
        let breakers = Ability::ALL.map(|ability| Breaker::new(ability, plugin.limits.failures));
        let (pace, trying) = (Pace::default(), false);
        Self { plugin, instance, pace, breakers, on_broken, samples, trying }
    }

    /// Makes the plugin forget what it has seen.
    pub fn forget(&mut self) {
        self.instance = None;
    }

    pub fn name(&self) -> &Arc<PluginName> {
        &self.plugin.name
    }

    /// Starts the instance, if there is none. Why it does not start is said when it is called.
    pub fn start(&mut self) {
        if self.instance.is_none() {
            self.instance = Instance::start(&self.plugin).ok();
        }
    }

    /// Bytes of the instance's memory.
    pub fn memory(&self) -> usize {
        self.instance.as_ref().map_or(0, Instance::memory)
    }

    /// See [`Setters::take_instructions`](super::Setters::take_instructions).
    pub fn take_instructions(&mut self) -> Option<u64> {
        self.instance.as_mut().map_or(Some(0), Instance::take_instructions)
    }

    pub fn has(&self, ability: Ability) -> bool {
        self.plugin.code.indices.calls(ability).is_some()
    }

    pub fn output_limit(&self) -> usize {
        self.plugin.limits.output
    }

    /// One answer for every message of the range, or for the first of them, if they are full then.
    pub fn answer(&mut self, work: Work<'_>, range: Range<usize>, answers: &mut Answers) {
        let packed = self.plugin.code.indices.calls(work.ability) == Some(Calls::Packed);
        self.breaker(work.ability).begin();
        while answers.items.len() < range.len() && !answers.are_full() {
            let next = range.start + answers.items.len();
            let alone = !packed || self.plugin.clock.stands();
            let most = if alone { 1 } else { self.pace.run };
            let run = next..fitting(work.batch, next..range.end.min(next + most));
            if let Some(until) = self.breaker(work.ability).until() {
                self.answer_broken(work, next..range.end, until, answers);
            } else if run.len() == 1 {
                if self.answer_one(work, run.start, answers) {
                    self.pace.went_well(1);
                }
            } else {
                self.answer_run(work, run, answers);
            }
        }
    }

    /// Adds answers for the messages of a run, up to the one that opens the circuit.
    fn answer_run(&mut self, work: Work<'_>, run: Range<usize>, answers: &mut Answers) {
        let answered = answers.items.len();
        let Err(failure) = self.attempt(work, run.clone(), answers) else {
            self.review(work, run.start, answered, answers);
            return self.pace.went_well(run.len());
        };
        if failure.unstarted {
            return self.unstarted(work, run.start, &failure, answers);
        }
        let mut guilty = 0;
        for index in run.clone() {
            guilty += usize::from(!self.answer_one(work, index, answers));
            if self.breaker(work.ability).until().is_some() || answers.are_full() {
                return;
            }
        }
        if guilty > 0 {
            return;
        }
        if failure.reason == Reason::TimeOut {
            self.pace.slow_down(run.len());
        }
        tracing::warn!(
            target: "plugin",
            plugin = self.plugin.name.name,
            messages = run.len(),
            error = failure.error,
            "failed for a run of messages, but for none of them alone"
        );
    }

    /// Adds an answer for one message, unless the plugin cannot be asked any more. Whether the message is
    /// innocent.
    pub(super) fn answer_one(
        &mut self,
        work: Work<'_>,
        index: usize,
        answers: &mut Answers,
    ) -> bool {
        let answered = answers.items.len();
        let fresh = self.instance.as_ref().is_none_or(Instance::is_fresh);
        let mut attempted = self.attempt(work, index..index + 1, answers);
        if attempted.is_err() && !fresh {
            attempted = self.attempt(work, index..index + 1, answers);
        }
        let Err(failure) = attempted else {
            self.review(work, index, answered, answers);
            return true;
        };
        if failure.unstarted {
            self.unstarted(work, index, &failure, answers);
            return true;
        }
        if failure.panicked {
            self.plugin.log.write(tracing::Level::ERROR, "panic", &failure.error);
        }
        let judge =
            Judge { plugin: &self.plugin.name, ability: work.ability, limits: &self.plugin.limits };
        answers.push(judge.reject(failure.reason, failure.error));
        self.review(work, index, answered, answers);
        false
    }

    /// One call. Adds all answers of the run, or none. An instance that failed is dropped.
    pub(super) fn attempt(
        &mut self,
        work: Work<'_>,
        run: Range<usize>,
        answers: &mut Answers,
    ) -> Result<(), Failure> {
        let plugin = &*self.plugin;
        let judge = Judge { plugin: &plugin.name, ability: work.ability, limits: &plugin.limits };
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => Instance::start(plugin).map_err(Unstarted::into_failure)?,
        };
        if plugin.clock.stands() {
            instance.arrives(work.batch.message(run.start).received_at_ms());
        }
        if plugin.code.indices.calls(work.ability) == Some(Calls::Packed) {
            let answer = instance.packed(plugin, work.ability, &work.packed(run.clone()))?;
            packed::read(&judge, run.len(), &answer, answers)
                .map_err(|error| Failure::nonsense(&work.ability, &error))?;
        } else {
            let message = work.batch.message(run.start);
            let answer = typed::lend(&message, work.draft(run.start), |message, so_far| {
                instance.typed(plugin, work.ability, message, so_far)
            })?;
            typed::read(&judge, answer, answers);
        }
        self.instance = Some(instance).filter(|instance| !instance.is_bloated());
        Ok(())
    }
}

/// Where a run of at most [`RUN_BYTES`] ends. It has at least one message.
fn fitting(batch: &Batch, run: Range<usize>) -> usize {
    let mut end = run.end;
    while end > run.start + 1 && batch.packed(run.start..end).len() > RUN_BYTES {
        end = run.start + (end - run.start) / 2;
    }
    end
}

/// How many messages this plugin handles within the time of one call.
#[derive(Debug, PartialEq, Eq)]
struct Pace {
    run: usize,
    good: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { run: RUN, good: 0 }
    }
}

impl Pace {
    /// So many messages took too long together.
    fn slow_down(&mut self, messages: usize) {
        *self = Self { run: (messages / 2).max(1), good: 0 };
    }

    fn went_well(&mut self, messages: usize) {
        if self.run == RUN || messages < self.run {
            return;
        }
        self.good += 1;
        if self.good == GOOD_CALLS {
            *self = Self { run: (self.run * 2).min(RUN), good: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_halved_down_to_one_message_and_grows_back_slowly() {
        let mut pace = Pace::default();
        for wanted in [32, 16, 8, 4, 2, 1, 1] {
            pace.slow_down(pace.run);
            assert_eq!(pace.run, wanted);
        }
        for wanted in [2, 4, 8, 16, 32, 64, 64] {
            let before = pace.run;
            for _ in 1..GOOD_CALLS {
                pace.went_well(before);
                assert_eq!(pace.run, before);
            }
            pace.went_well(before);
            assert_eq!(pace.run, wanted);
        }
    }

    #[test]
    fn a_short_run_that_took_too_long_is_what_is_halved() {
        let mut pace = Pace::default();
        pace.slow_down(10);
        assert_eq!(pace.run, 5);
    }

    #[test]
    fn only_full_runs_since_the_last_time_out_count() {
        let mut pace = Pace::default();
        pace.slow_down(8);
        pace.went_well(3);
        pace.went_well(4);
        assert_eq!(pace, Pace { run: 4, good: 1 });
        pace.slow_down(4);
        assert_eq!(pace, Pace { run: 2, good: 0 });
    }
}
