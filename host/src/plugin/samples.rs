//! The last messages that a plugin has handled well, for trying out another version of it, and for
//! finding out whether it or a message is to blame for a failure.
//!
//! Only a few messages a second are kept, so that keeping them costs next to nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::broken::is_handled;
use super::load::Plugin;
use super::slot::{failure, went_well};
use super::worker::{Work, Worker};
use super::{Ability, Answer, Answers, Draft, OnBroken};
use crate::message::{Batch, Reason, Rejection};

/// Time between two looks, by the messages' time of arrival, in milliseconds.
const INTERVAL: u64 = 1_000;
/// Most messages that are kept of one look, and most bytes.
const LOOK: usize = 16;
const LOOK_BYTES: usize = 256 << 10;
/// As many messages are kept at most for an ability, and as many bytes.
const MOST: usize = 64;
const MOST_BYTES: usize = 1 << 20;

/// So many of an ability's are evidence enough, from the last to the first; most of them decide.
const EVIDENCE: usize = 8;

/// See the [module's documentation](self).
#[derive(Default)]
pub(super) struct Samples([Kept; Ability::ALL.len()]);

/// What one ability was asked for.
struct Kept {
    /// When the last look was.
    last: AtomicI64,
    looks: Mutex<VecDeque<Arc<Look>>>,
}

/// Messages of one batch.
struct Look {
    ability: Ability,
    batch: Batch,
    drafts: Vec<Draft>,
}

/// How a version did with messages that another one has handled.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tried {
    /// All messages that it was tried with.
    pub messages: usize,
    /// Of how many it makes something else than the other one, and the topic of the first of them.
    pub changed: usize,
    pub first_changed: Option<String>,
    /// How many it called bad, and the topic of the first of them with what it said.
    pub called_bad: usize,
    pub first_bad: Option<(String, Rejection)>,
    /// The topic of the first message that it could not handle, and why.
    pub failed: Option<(String, Rejection)>,
}

impl Samples {
    /// Keeps a few of the messages that were answered well, from `first` on, now and then.
    pub fn offer(&self, work: Work<'_>, first: usize, answers: &[Answer]) {
        let kept = &self.0[work.ability as usize];
        if answers.is_empty() {
            return;
        }
        let now = work.batch.message(first).received_at_ms();
        // A clock that was set back must not end it.
        if now.abs_diff(kept.last.load(Ordering::Relaxed)) < INTERVAL {
            return;
        }
        let look = Look::new(work, first, answers);
        if look.drafts.is_empty() {
            return;
        }
        kept.last.store(now, Ordering::Relaxed);
        let mut looks = kept.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.push_back(Arc::new(look));
        let too_much = |looks: &VecDeque<Arc<Look>>| {
            looks.iter().map(|look| look.batch.len()).sum::<usize>() > MOST
                || looks.iter().map(|look| look.size()).sum::<usize>() > MOST_BYTES
        };
        while too_much(&looks) {
            looks.pop_front();
        }
    }

    /// Whether a plugin still handles most of the messages that are kept for an ability, of which a few
    /// are put to it; `None` if there are none.
    pub fn prove(&self, ability: Ability, plugin: &Arc<Plugin>) -> Option<bool> {
        let looks = self.0[ability as usize].looks();
        let all = looks.iter().flat_map(|look| (0..look.batch.len()).map(|at| (look.work(), at)));
        most(plugin, all.collect(), is_handled)
    }

    /// Whether a plugin carries most of these messages, of which a few are put to it; or there are none.
    pub fn better(plugin: &Plugin, work: Work<'_>, messages: impl Iterator<Item = usize>) -> bool {
        let messages = messages.map(|index| (work, index)).collect();
        most(&Arc::new(plugin.muted()), messages, went_well).unwrap_or(true)
    }

    /// Asks a plugin about all messages that are kept, up to the first that it cannot handle, and the one
    /// that runs.
    pub fn try_out(&self, plugin: &Arc<Plugin>, running: &Arc<Plugin>) -> Tried {
        let worker = |plugin: &Arc<Plugin>| {
            Worker::new(Arc::clone(plugin), Arc::default(), OnBroken::Stop, None)
        };
        let (mut new, mut old) = (worker(plugin), worker(running));
        let mut tried = Tried::default();
        for kept in &self.0 {
            for look in kept.looks() {
                look.try_out(&mut new, &mut old, &mut tried);
                if tried.failed.is_some() {
                    return tried;
                }
            }
        }
        tried
    }
}

/// Whether a new instance of a plugin answers as `well` says for most of a few of these messages.
fn most(
    plugin: &Arc<Plugin>,
    messages: Vec<(Work<'_>, usize)>,
    well: fn(&Answer) -> bool,
) -> Option<bool> {
    let step = messages.len().div_ceil(EVIDENCE).max(1);
    let few: Vec<_> = messages.into_iter().rev().step_by(step).collect();
    let half = few.len() / 2;
    let mut worker = Worker::new(Arc::clone(plugin), Arc::default(), OnBroken::Stop, None);
    let (mut good, mut bad) = (0, 0);
    for (work, index) in few {
        let mut answers = Answers::new();
        worker.answer(work, index..index + 1, &mut answers);
        *if answers.items.iter().all(well) { &mut good } else { &mut bad } += 1;
        if good > half || bad > half {
            break;
        }
    }
    (good + bad > 0).then_some(good > bad)
}

impl Default for Kept {
    fn default() -> Self {
        Self { last: AtomicI64::new(i64::MIN), looks: Mutex::default() }
    }
}

impl Kept {
    /// The lanes go on meanwhile.
    fn looks(&self) -> VecDeque<Arc<Look>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Look {
    /// The last messages that were answered well, as far as there is room for them.
    fn new(work: Work<'_>, first: usize, answers: &[Answer]) -> Self {
        let mut look = Self { ability: work.ability, batch: Batch::new(), drafts: Vec::new() };
        let well = |(_, answer): &(usize, &Answer)| went_well(answer);
        let mut last: Vec<_> = answers.iter().enumerate().rev().filter(well).take(LOOK).collect();
        last.reverse();
        for (place, _) in last {
            let index = first + place;
            let message = work.batch.message(index);
            let draft = work.drafts.get(index).cloned().unwrap_or_default();
            let more = work.batch.packed(index..index + 1).len() + draft.size();
            if look.size() + more <= LOOK_BYTES {
                look.batch.push_deserialized(&message, message.json());
                look.drafts.push(draft);
            }
        }
        look
    }

    fn work(&self) -> Work<'_> {
        Work { ability: self.ability, batch: &self.batch, drafts: &self.drafts }
    }

    fn size(&self) -> usize {
        self.batch.size() + self.drafts.iter().map(Draft::size).sum::<usize>()
    }

    fn try_out(&self, new: &mut Worker, old: &mut Worker, tried: &mut Tried) {
        let all = 0..self.batch.len();
        let (mut answers, mut before) = (Answers::new(), Answers::new());
        new.answer(self.work(), all.clone(), &mut answers);
        old.answer(self.work(), all, &mut before);
        tried.messages += self.batch.len();
        for (index, answer) in answers.items.iter().enumerate() {
            let topic = || self.batch.message(index).topic().to_owned();
            if !answers.same(&before, index) {
                tried.changed += 1;
                tried.first_changed.get_or_insert_with(topic);
            }
            let Some(rejection) = failure(answer) else { continue };
            if rejection.reason == Reason::BadMessage {
                tried.called_bad += 1;
                tried.first_bad.get_or_insert_with(|| (topic(), rejection.clone()));
            } else {
                tried.failed.get_or_insert_with(|| (topic(), rejection.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Publish, Qos};

    fn offer(samples: &Samples, at: i64, payloads: &[&[u8]]) {
        let mut batch = Batch::new();
        for payload in payloads {
            let publish = Publish {
                topic: "t",
                payload,
                qos: Qos::AtMostOnce,
                retain: false,
                dup: false,
                packet_id: 0,
                properties: None,
            };
            batch.push(0, at, &publish);
        }
        let work = Work { ability: Ability::Key, batch: &batch, drafts: &[] };
        let answer = |payload: &&[u8]| match *payload {
            b"wait" => Answer::Wait,
            _ => Answer::Default,
        };
        samples.offer(work, 0, &payloads.iter().map(answer).collect::<Vec<_>>());
    }

    fn kept(samples: &Samples) -> Vec<String> {
        let looks = samples.0[Ability::Key as usize].looks.lock().expect("nobody panicked");
        let payload = |look: &Look| -> Vec<String> {
            let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
            look.batch.messages().map(|message| text(message.payload())).collect()
        };
        looks.iter().flat_map(|look| payload(look)).collect()
    }

    #[test]
    fn one_look_a_second_is_kept_whichever_way_the_clock_goes() {
        let samples = Samples::default();
        for (at, payload) in
            [(5_000, b"a"), (5_999, b"b"), (6_000, b"c"), (3_000, b"d"), (3_999, b"e")]
        {
            offer(&samples, at, &[payload]);
        }
        assert_eq!(kept(&samples), ["a", "c", "d"]);
    }

    #[test]
    fn only_what_went_well_is_kept() {
        let samples = Samples::default();
        offer(&samples, 1_000, &[b"wait"]);
        offer(&samples, 1_001, &[b"a", b"wait", b"b"]);
        assert_eq!(kept(&samples), ["a", "b"]);
        let many = [vec![&b"c"[..]], vec![&b"wait"[..]; 100]].concat();
        offer(&samples, 3_000, &many);
        assert_eq!(kept(&samples), ["a", "b", "c"]);
    }

    #[test]
    fn the_last_messages_are_kept_and_no_more_of_them_than_there_is_room_for() {
        let samples = Samples::default();
        let all: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let payloads: Vec<&[u8]> = all.iter().map(String::as_bytes).collect();
        offer(&samples, 1_000, &payloads);
        assert_eq!(kept(&samples), all[84..]);
        for second in 2..20 {
            offer(&samples, second * 1_000, &payloads);
        }
        assert_eq!(kept(&samples).len(), MOST);
        let large = vec![b'x'; LOOK_BYTES / 2];
        for second in 20..40 {
            offer(&samples, second * 1_000, &[&large, b"small", &large]);
        }
        let sizes: Vec<usize> = kept(&samples).iter().map(String::len).collect();
        assert!(sizes.iter().sum::<usize>() <= MOST_BYTES && sizes.len() > 8, "{sizes:?}");
        assert!(sizes.contains(&5) && sizes.contains(&large.len()));
    }
}
