//! The last messages that a plugin was asked about, for trying out another version of it.
//!
//! Only a few messages a second are kept, so that keeping them costs next to nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::load::Plugin;
use super::slot::failure;
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

/// See the [module's documentation](self).
#[derive(Default)]
pub(super) struct Samples([Kept; Ability::ALL.len()]);

/// What one ability was asked for.
#[derive(Default)]
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
    /// Which of them failed.
    failed: Vec<bool>,
}

/// How a version did with messages that another one has handled.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tried {
    /// All messages that it was tried with.
    pub messages: usize,
    /// How many it called bad, and the topic of the first of them with what it said.
    pub called_bad: usize,
    pub first_bad: Option<(String, Rejection)>,
    /// The topic of the first message that it could not handle, and why.
    pub failed: Option<(String, Rejection)>,
}

impl Samples {
    /// Keeps a few of the messages that were answered, from `first` on, now and then.
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
        kept.last.store(now, Ordering::Relaxed);
        let look = Look::new(work, first, answers);
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

    /// Asks a plugin about all messages that are kept, up to the first that it cannot handle.
    pub fn try_out(&self, plugin: &Arc<Plugin>) -> Tried {
        let mut worker = Worker::new(Arc::clone(plugin), OnBroken::Stop, None);
        let mut tried = Tried::default();
        for kept in &self.0 {
            // The lanes go on meanwhile.
            let looks = kept.looks.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for look in looks {
                look.try_out(&mut worker, &mut tried);
                if tried.failed.is_some() {
                    return tried;
                }
            }
        }
        tried
    }
}

impl Look {
    /// The last messages that were answered, as far as there is room for them.
    fn new(work: Work<'_>, first: usize, answers: &[Answer]) -> Self {
        let mut look = Self {
            ability: work.ability,
            batch: Batch::new(),
            drafts: Vec::new(),
            failed: Vec::new(),
        };
        let left_out = answers.len().saturating_sub(LOOK);
        for (place, answer) in answers.iter().enumerate().skip(left_out) {
            let index = first + place;
            let message = work.batch.message(index);
            let draft = work.drafts.get(index).cloned().unwrap_or_default();
            let more = work.batch.packed(index..index + 1).len() + draft.size();
            if look.size() + more <= LOOK_BYTES {
                look.batch.push_deserialized(&message, message.json());
                look.drafts.push(draft);
                look.failed.push(failure(answer).is_some() || *answer == Answer::Wait);
            }
        }
        look
    }

    fn size(&self) -> usize {
        self.batch.size() + self.drafts.iter().map(Draft::size).sum::<usize>()
    }

    fn try_out(&self, worker: &mut Worker, tried: &mut Tried) {
        let mut answers = Answers::new();
        let work = Work { ability: self.ability, batch: &self.batch, drafts: &self.drafts };
        worker.answer(work, 0..self.batch.len(), &mut answers);
        tried.messages += self.batch.len();
        for (index, (answer, failed)) in answers.items.iter().zip(&self.failed).enumerate() {
            // One that cannot work fails, whatever it was asked about.
            let cannot_work = matches!(answer, Answer::Fatal(_));
            let Some(rejection) = failure(answer).filter(|_| cannot_work || !failed) else {
                continue;
            };
            let found = || Some((self.batch.message(index).topic().to_owned(), rejection.clone()));
            if rejection.reason == Reason::BadMessage {
                tried.called_bad += 1;
                tried.first_bad = tried.first_bad.take().or_else(found);
            } else {
                tried.failed = tried.failed.take().or_else(found);
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
        samples.offer(work, 0, &vec![Answer::Default; batch.len()]);
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
