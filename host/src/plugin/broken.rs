//! What a worker does when its plugin is broken: it says so, and lets messages wait, do without the
//! plugin, or end the program, as the user wants it.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::Ability;
use super::answers::{Answer, Answers};
use super::breaker::{Breaker, OnBroken, Pause, is_failure};
use super::worker::{Work, Worker};
use crate::message::{Reason, Rejection};

impl Worker {
    /// If messages have to wait for the plugin, how long and why.
    pub fn pause(&self) -> Option<Pause> {
        if self.on_broken != OnBroken::Pause {
            return None;
        }
        let abilities = Ability::ALL.into_iter().zip(&self.breakers);
        let open = abilities.filter_map(|(ability, breaker)| {
            Some((ability, breaker.failed, breaker.open.as_ref()?))
        });
        let (ability, failed, open) = open.max_by_key(|(_, _, open)| open.until)?;
        let (name, error) = (&self.plugin.name.name, &open.error);
        let why = format!(
            "plugin {name} is broken (its {ability} failed for {failed} messages in a row, the last with: {error})"
        );
        Some(Pause { until: open.until, why })
    }

    /// Whether the plugin is left alone, since it has failed for too many messages in a row.
    pub fn is_broken(&self) -> bool {
        self.breakers.iter().any(|breaker| breaker.open.is_some())
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
                let what =
                    format!("its {} failed for {} messages in a row", work.ability, breaker.failed);
                if self.on_broken == OnBroken::Stop {
                    answers.items[place] = Answer::Fatal(broken(&what, rejection));
                } else {
                    self.warn(&what, message.topic(), &rejection.error, pause);
                }
                answers.items.truncate(place + 1);
                self.forget();
                return;
            }
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

    fn warn(&self, what: &str, topic: &str, error: &str, pause: Duration) {
        let consequence = match self.on_broken {
            OnBroken::Default => "messages do without it",
            OnBroken::Pause | OnBroken::Stop => "the messages of its route wait",
        };
        tracing::warn!(
            target: "plugin",
            plugin = self.plugin.name.name,
            topic,
            error,
            "is broken: {what}; {consequence}, and one of them tries it again in {:.1} s \
             (--on-plugin-broken)",
            pause.as_secs_f32()
        );
    }
}

/// Why the program ends, if that is what is wanted.
fn broken(what: &str, last: &Rejection) -> Rejection {
    let error = format!(
        "{what}, the last with: {}; correct it or leave it out, or let messages wait for it \
         (--on-plugin-broken pause) or do without it (--on-plugin-broken default)",
        last.error
    );
    Rejection { reason: Reason::Fatal, error, plugin: last.plugin.clone() }
}
