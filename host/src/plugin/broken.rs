//! What a worker does when its plugin fails for many messages in a row, or says that it cannot work: it
//! finds out whose fault that is, and if it is the plugin's, lets messages wait, do without the plugin,
//! or end the program, as the user wants it.
//!
//! A plugin that still handles messages that it has handled well before is not broken, whatever it does
//! for others: those are bad, and are rejected one by one. Where it has handled none yet, it is believed
//! to be broken, unless all it did was answer what is not allowed, which follows from the message as a
//! rule. When a pause is over, several of the messages that wait may show that it works.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Ability;
use super::answers::{Answer, Answers};
use super::breaker::{Breaker, OnBroken, Open, Pause, is_failure};
use super::failure::Failure;
use super::worker::{Work, Worker};
use crate::message::{Message, Reason, Rejection};

/// Whose fault it is that a message cannot be carried.
enum Fault {
    Messages(Rejection),
    /// The circuit is open now; the message gets this answer.
    Plugins(Answer),
}

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

    /// Adds answers for messages of the range, while the circuit is open: they wait, or do without the
    /// plugin. If it is time to try again, the messages that it has handled before do that, and then the
    /// first of the range; the others get no answer yet.
    pub(super) fn answer_broken(
        &mut self,
        work: Work<'_>,
        range: Range<usize>,
        until: Instant,
        answers: &mut Answers,
    ) {
        if self.trying {
            return self.try_each(work, range, answers);
        }
        if Instant::now() >= until {
            if self.handles_samples(work.ability) == Some(true) {
                self.worked(work.ability);
            } else {
                // What it was when it failed is gone.
                self.answer_one(work, range.start, answers);
            }
            return;
        }
        let stand_in = self.stand_in();
        answers.items.resize(answers.items.len() + range.len(), stand_in);
    }

    /// Adds an answer for each message up to the first that the plugin handles, which closes the circuit.
    /// The others wait as before.
    fn try_each(&mut self, work: Work<'_>, range: Range<usize>, answers: &mut Answers) {
        for index in range {
            let (items, bytes) = (answers.items.len(), answers.bytes.len());
            let tried = self.attempt(work, index..index + 1, answers);
            if tried.is_ok() && answers.items[items..].iter().all(is_handled) {
                return self.worked(work.ability);
            }
            self.forget();
            answers.items.truncate(items);
            answers.bytes.truncate(bytes);
            answers.push(Answer::Wait);
        }
    }

    /// The answer for a message that the plugin is not asked about.
    fn stand_in(&self) -> Answer {
        match self.on_broken {
            OnBroken::Default => Answer::Default,
            OnBroken::Pause | OnBroken::Stop => Answer::Wait,
        }
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
            let answer = &answers.items[place];
            if is_handled(answer) {
                self.worked(work.ability);
                continue;
            }
            let (Answer::Reject(rejection) | Answer::Fatal(rejection)) = answer.clone() else {
                continue;
            };
            // What went well just now is evidence, too.
            self.samples.offer(work, index - answered, &answers.items[..place]);
            let message = work.batch.message(index + place - answered);
            let opened = if rejection.reason == Reason::Fatal {
                self.cannot_work(work.ability, message.topic(), rejection)
            } else {
                self.failed(work.ability, &message, rejection)
            };
            let (answer, opened) = match opened {
                Fault::Messages(rejection) => (Answer::Reject(rejection), false),
                Fault::Plugins(answer) => (answer, true),
            };
            answers.items[place] = answer;
            if opened {
                answers.items.truncate(place + 1);
                self.forget();
                return;
            }
        }
    }

    /// The plugin has failed for a message.
    fn failed(&mut self, ability: Ability, message: &Message<'_>, rejection: Rejection) -> Fault {
        let breaker = self.breaker(ability);
        if !breaker.fail(message.sequence()) {
            return Fault::Messages(rejection);
        }
        if breaker.open.is_none() {
            let proven = self.handles_samples(ability);
            let nothing_worse = rejection.reason == Reason::BadOutput;
            if proven.unwrap_or(nothing_worse) {
                self.acquit(ability, message.topic(), &rejection, proven.is_some());
                return Fault::Messages(rejection);
            }
        }
        let pause = self.breaker(ability).open_after_failures(&rejection.error, Instant::now());
        let ends = self.opened(ability, message.topic(), pause);
        Fault::Plugins(ends.unwrap_or(Answer::Reject(rejection)))
    }

    /// The plugin has said about a message that it cannot work at all.
    fn cannot_work(&mut self, ability: Ability, topic: &str, rejection: Rejection) -> Fault {
        if self.breaker(ability).open.is_none() && self.handles_samples(ability) == Some(true) {
            return Fault::Messages(rejection);
        }
        if self.on_broken == OnBroken::Stop {
            return Fault::Plugins(Answer::Fatal(rejection));
        }
        let why = format!("its {ability} says that it cannot work");
        let pause = self.breaker(ability).open(why, &rejection.error, Instant::now());
        self.opened(ability, topic, pause);
        // No message is to blame for that, and this one is tried again.
        Fault::Plugins(self.stand_in())
    }

    /// Whether the plugin still handles most of the messages that it has handled before, in a new
    /// instance; `None` if there are none.
    fn handles_samples(&self, ability: Ability) -> Option<bool> {
        self.samples.prove(ability, &Arc::new(self.plugin.muted()))
    }

    /// Messages in a row are to blame, and not the plugin.
    fn acquit(&mut self, ability: Ability, topic: &str, rejection: &Rejection, proven: bool) {
        let Some(failed) = self.breaker(ability).acquit(Instant::now()) else { return };
        let since = if proven {
            "it still handles those that it has handled before"
        } else {
            "such answers follow from the messages as a rule"
        };
        tracing::warn!(
            target: "plugin",
            plugin = self.plugin.name.name,
            topic,
            error = rejection.error,
            "its {ability} failed for {failed} messages in a row, which are to blame: {since}; they \
             are rejected one by one"
        );
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

/// Whether the plugin has done its work for a message, be it by calling it bad.
pub(super) fn is_handled(answer: &Answer) -> bool {
    match answer {
        Answer::Reject(rejection) => !is_failure(rejection.reason),
        Answer::Fatal(_) | Answer::Wait => false,
        _ => true,
    }
}
