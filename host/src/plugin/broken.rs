//! What a worker does when its plugin is broken: it says so, and lets messages wait, do without the
//! plugin, or end the program, as the user wants it.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Ability;
use super::answers::{Answer, Answers};
use super::breaker::{Breaker, OnBroken, Open, Pause, is_failure};
use super::failure::Failure;
use super::worker::{Work, Worker};
use crate::message::{Reason, Rejection};

impl Worker {
    /// If messages have to wait for the plugin, how long and why.
    pub fn pause(&self) -> Option<Pause> {
        if self.on_broken != OnBroken::Pause {
            return None;
        }
        let Open { until, why, error, .. } = self.open()?;
        let name = &self.plugin.name.name;
        Some(Pause { until: *until, why: format!("plugin {name} is broken ({why}: {error})") })
    }

    /// If the plugin is left alone, what went wrong last, in one line.
    pub fn broken(&self) -> Option<&str> {
        self.open().map(|open| open.error.as_str())
    }

    /// The circuit that is open for the longest.
    fn open(&self) -> Option<&Open> {
        let open = self.breakers.iter().filter_map(|breaker| breaker.open.as_ref());
        open.max_by_key(|open| open.until)
    }

    pub(super) fn breaker(&mut self, ability: Ability) -> &mut Breaker {
        &mut self.breakers[ability as usize]
    }

    #[cfg(test)]
    pub fn end_pause(&mut self) {
        for open in self.breakers.iter_mut().filter_map(|breaker| breaker.open.as_mut()) {
            open.until = Instant::now();
        }
    }

    /// Adds answers for all messages of the range, while the circuit is open: they wait, or do without
    /// the plugin. If it is time to try again, the first of them does that, and the others get none yet.
    pub(super) fn answer_broken(
        &mut self,
        work: Work<'_>,
        range: Range<usize>,
        until: Instant,
        answers: &mut Answers,
    ) {
        if Instant::now() >= until {
            // What it was when it failed is gone.
            self.answer_one(work, range.start, answers);
            return;
        }
        let stand_in = match self.on_broken {
            OnBroken::Default => Answer::Default,
            OnBroken::Pause | OnBroken::Stop => Answer::Wait,
        };
        answers.items.resize(answers.items.len() + range.len(), stand_in);
    }

    /// Tells the breaker of all answers from `answered` on, the first of which is about the message at
    /// `index`. Those behind the one that opens the circuit are taken back.
    pub(super) fn review(
        &mut self,
        work: Work<'_>,
        index: usize,
        answered: usize,
        answers: &mut Answers,
    ) {
        for place in answered..answers.items.len() {
            let rejection = match &answers.items[place] {
                Answer::Reject(rejection) if is_failure(rejection.reason) => rejection,
                Answer::Fatal(_) => continue,
                _ => {
                    self.worked(work.ability);
                    continue;
                }
            };
            let message = work.batch.message(index + place - answered);
            let breaker = self.breaker(work.ability);
            let failed = breaker.fail(message.sequence(), &rejection.error, Instant::now());
            if let Some(pause) = failed {
                if let Some(fatal) = self.opened(work.ability, message.topic(), pause) {
                    answers.items[place] = fatal;
                }
                answers.items.truncate(place + 1);
                self.forget();
                return;
            }
        }
    }

    /// There is no instance, and none starts: so no message is to blame, and this one waits like those
    /// behind it, or does without the plugin; or the program ends with it.
    pub(super) fn unstarted(
        &mut self,
        work: Work<'_>,
        index: usize,
        failure: &Failure,
        answers: &mut Answers,
    ) {
        let why = "it does not start any more".to_owned();
        let pause = self.breaker(work.ability).open(why, &failure.error, Instant::now());
        if let Some(fatal) = self.opened(work.ability, work.batch.message(index).topic(), pause) {
            answers.push(fatal);
        }
    }

    fn worked(&mut self, ability: Ability) {
        if let Some(since) = self.breaker(ability).succeed() {
            tracing::info!(
                target: "plugin",
                plugin = self.plugin.name.name,
                "its {ability} works again, after {:.1} s",
                since.elapsed().as_secs_f32()
            );
        }
    }

    /// Says that a circuit has opened over a message of this topic, or answers that the program ends with
    /// it, if that is what is wanted.
    fn opened(&self, ability: Ability, topic: &str, pause: Duration) -> Option<Answer> {
        let Open { why, error, .. } = self.breakers[ability as usize].open.as_ref()?;
        let consequence = match self.on_broken {
            OnBroken::Default => "messages do without it",
            OnBroken::Pause => "the messages of its route wait",
            OnBroken::Stop => {
                let error = format!(
                    "{why}: {error}; correct it or leave it out, or let messages wait for it \
                     (--on-plugin-broken pause) or do without it (--on-plugin-broken default)"
                );
                let plugin = Some(Arc::clone(&self.plugin.name));
                return Some(Answer::Fatal(Rejection { reason: Reason::Fatal, error, plugin }));
            }
        };
        tracing::warn!(
            target: "plugin",
            plugin = self.plugin.name.name,
            topic,
            error,
            "is broken: {why}; {consequence}, and one of them tries it again in {:.1} s \
             (--on-plugin-broken)",
            pause.as_secs_f32()
        );
        None
    }
}
