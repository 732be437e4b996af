//! What becomes of a message: its key, value, timestamp and headers.
//!
//! Everything here runs once per message, so it allocates only where an answer is not already
//! somewhere in the message.

pub mod builtin;
mod chain;
pub mod headers;
mod json;
#[cfg(test)]
mod tests;
mod time;

use std::borrow::Cow;

use crate::message::{Batch, Message, Record, Rejection, Verdict};
pub use crate::plugin::Pause;
use crate::plugin::{Ability, Answer, Answers, Content, Draft, Setters};
use builtin::{Builtin, Wanted};
use chain::Chain;
pub use chain::MOST as MOST_RECORDS;

/// Bytes that are kept for the next batch with JSON beside its payloads.
const KEPT: usize = 4 << 20;

/// Bytes of records that transformers may make before those are sent. A batch has thousands of
/// messages, and each may become as much as the output limit.
const AT_ONCE: usize = 256 << 20;
/// Messages that go through the transformers together, as far as that allows it.
const MOST_AT_ONCE: usize = 64;

/// The setters of one lane: plugins where there are any, the built-in ones behind them. Before both
/// comes the payload deserializer, if a plugin has one, and after them come the transformers.
pub struct Transform {
    builtin: Builtin,
    plugins: Setters,
    json: Answers,
    /// The messages that a deserializer lets pass, with the JSON that it made of them.
    deserialized: Batch,
    /// Where they stand in the batch that they came in.
    places: Vec<usize>,
    key: Slot,
    value: Slot,
    timestamp: Slot,
    /// How many `_timestamp`s named no time since the last [`Self::take_unusable_timestamps`].
    unusable_timestamps: u64,
}

impl Transform {
    pub fn new(builtin: Builtin, plugins: Setters) -> Self {
        let slot = |ability| Slot::new(ability, &plugins);
        let [key, value, timestamp] = [Ability::Key, Ability::Value, Ability::Timestamp].map(slot);
        Self {
            builtin,
            plugins,
            json: Answers::new(),
            deserialized: Batch::new(),
            places: Vec::new(),
            key,
            value,
            timestamp,
            unusable_timestamps: 0,
        }
    }

    /// The plugins.
    pub fn plugins(&mut self) -> &mut Setters {
        &mut self.plugins
    }

    /// Whether anything is decided by a plugin.
    pub fn has_plugins(&self) -> bool {
        !self.plugins.is_empty()
    }

    /// If messages have to wait for plugins that are broken, how long and why. When that time is
    /// over, and nothing [works](Self::works_for), one message is to be tried before the others.
    pub fn pause(&self) -> Option<Pause> {
        self.plugins.pause()
    }

    /// Messages about which plugins may have decided come again: they are to forget them. Otherwise a
    /// plugin that leaves out what it has seen before would take them for repetitions.
    pub fn hold_back(&mut self) {
        self.plugins.forget();
    }

    /// Whether plugins that were broken work again, now that their pause is over: whether one of these
    /// messages is handled, which are those that wait, and wait on.
    pub fn works_for(&mut self, waiting: &Batch) -> bool {
        let unusable_timestamps = self.unusable_timestamps;
        self.plugins.trying(true);
        self.each(waiting, |_, _| {});
        self.plugins.trying(false);
        // They come again, and are counted then.
        self.unusable_timestamps = unusable_timestamps;
        self.hold_back();
        self.pause().is_none()
    }

    /// Decides what becomes of each message of a batch. Records come in the order of the messages.
    ///
    /// Once a message has to wait, nothing that is decided about those behind it counts.
    pub fn each(&mut self, batch: &Batch, mut decided: impl FnMut(usize, Verdict<'_>)) {
        self.plugins.renew();
        if !self.plugins.has(Ability::Json) {
            self.set(batch, decided);
            return;
        }
        let mut deserialized = std::mem::take(&mut self.deserialized);
        let mut places = std::mem::take(&mut self.places);
        let (mut first, mut goes_on) = (0, true);
        while goes_on && first < batch.len() {
            self.plugins.call(Ability::Json, batch, first..batch.len(), &mut self.json);
            let messages = batch.messages().enumerate().skip(first);
            for ((index, message), answer) in messages.zip(&self.json.items) {
                if let Some(verdict) = exceptional([answer]) {
                    goes_on &= verdict != Verdict::Wait;
                    decided(index, verdict);
                    continue;
                }
                let json = match answer {
                    Answer::Bytes(range) => {
                        std::str::from_utf8(&self.json.bytes[range.clone()]).ok()
                    }
                    _ => None,
                };
                deserialized.push_deserialized(&message, json);
                places.push(index);
            }
            first += self.json.items.len();
            goes_on &= self.set(&deserialized, |at, verdict| decided(places[at], verdict));
            deserialized.clear(KEPT);
            places.clear();
        }
        (self.deserialized, self.places) = (deserialized, places);
    }

    /// Lets the setters decide about each message of a batch, in order, until one has to wait. Whether
    /// none has to.
    fn set(&mut self, batch: &Batch, mut decided: impl FnMut(usize, Verdict<'_>)) -> bool {
        for slot in [&mut self.key, &mut self.value, &mut self.timestamp] {
            slot.forget();
        }
        if self.plugins.transformers() > 0 {
            return self.transform(batch, decided);
        }
        let (mut unusable_timestamps, mut goes_on) = (0, true);
        for (index, message) in batch.messages().enumerate() {
            self.ask(batch, index);
            let answers = self.answers(index);
            let verdict = exceptional(answers).unwrap_or_else(|| {
                let (record, unusable) = self.record(message, answers);
                unusable_timestamps += u64::from(unusable);
                Verdict::Record(record)
            });
            goes_on = verdict != Verdict::Wait;
            decided(index, verdict);
            if !goes_on {
                break;
            }
        }
        self.unusable_timestamps += unusable_timestamps;
        goes_on
    }

    /// Lets the transformers work on what the setters have decided, until a message has to wait. Whether
    /// none has to.
    fn transform(&mut self, batch: &Batch, mut decided: impl FnMut(usize, Verdict<'_>)) -> bool {
        let output_limit = self.plugins.output_limit();
        let at_once = (AT_ONCE / output_limit.max(1)).clamp(1, MOST_AT_ONCE);
        for first in (0..batch.len()).step_by(at_once) {
            let mut chain = Chain::new(first, output_limit);
            for index in first..batch.len().min(first + at_once) {
                self.ask(batch, index);
                let answers = self.answers(index);
                match exceptional(answers) {
                    Some(verdict) => chain.settle(&verdict),
                    None => chain.begin(self.draft(answers)),
                }
            }
            chain.run(&mut self.plugins, batch);
            let waits = chain.waits();
            self.unusable_timestamps += chain.finish(self.builtin, batch, &mut decided);
            if waits {
                return false;
            }
        }
        true
    }

    /// Has the setters answer about a message, and those behind it.
    fn ask(&mut self, batch: &Batch, index: usize) {
        for slot in [&mut self.key, &mut self.value, &mut self.timestamp] {
            slot.ask(&mut self.plugins, batch, index);
        }
    }

    /// What the setters have answered about a message.
    fn answers(&self, index: usize) -> [&Answer; 3] {
        [&self.key, &self.value, &self.timestamp].map(|slot| slot.answer(index))
    }

    fn draft(&self, [key, value, timestamp]: [&Answer; 3]) -> Draft {
        let content = |answer: &Answer, answers: &Answers| match answer {
            Answer::Bytes(range) => Content::Bytes(answers.bytes[range.clone()].to_vec()),
            Answer::Null => Content::Null,
            _ => Content::Default,
        };
        Draft {
            key: content(key, &self.key.answers),
            value: content(value, &self.value.answers),
            timestamp_ms: match timestamp {
                Answer::Timestamp(milliseconds) => Some(*milliseconds),
                _ => None,
            },
            ..Draft::default()
        }
    }

    /// The record of a message that is to become one, and whether its `_timestamp` was unusable.
    fn record<'a>(
        &'a self,
        message: Message<'a>,
        [key, value, timestamp]: [&Answer; 3],
    ) -> (Record<'a>, bool) {
        let wanted = Wanted {
            key: matches!(key, Answer::Default),
            timestamp: matches!(timestamp, Answer::Default),
        };
        let decision = self.builtin.decide(&message, wanted);
        let record = Record {
            key: bytes(key, &self.key.answers, decision.key),
            value: bytes(
                value,
                &self.value.answers,
                Some(Cow::Borrowed(self.builtin.value(&message))),
            ),
            timestamp_ms: match timestamp {
                Answer::Timestamp(milliseconds) => *milliseconds,
                _ => decision.timestamp_ms,
            },
            choice: None,
        };
        (record, decision.timestamp_unusable)
    }

    /// For the ledger.
    pub fn take_unusable_timestamps(&mut self) -> u64 {
        std::mem::take(&mut self.unusable_timestamps)
    }
}

/// What the plugin of one ability has answered about some messages of a batch: from `first` on, as far
/// as there was room.
struct Slot {
    ability: Ability,
    /// Whether there is such a plugin.
    taken: bool,
    first: usize,
    answers: Answers,
}

impl Slot {
    fn new(ability: Ability, plugins: &Setters) -> Self {
        Self { ability, taken: plugins.has(ability), first: 0, answers: Answers::new() }
    }

    /// Before another batch.
    fn forget(&mut self) {
        self.first = 0;
        self.answers.clear();
    }

    /// Has the plugin answer about a message and those behind it, unless it has done so. The messages
    /// before it are done with.
    fn ask(&mut self, plugins: &mut Setters, batch: &Batch, index: usize) {
        if self.taken && index >= self.first + self.answers.items.len() {
            self.first = index;
            plugins.call(self.ability, batch, index..batch.len(), &mut self.answers);
        }
    }

    /// About a message that was asked for.
    fn answer(&self, index: usize) -> &Answer {
        index
            .checked_sub(self.first)
            .and_then(|at| self.answers.items.get(at))
            .unwrap_or(&Answer::Default)
    }
}

/// What a plugin answered, or what the built-in setter says.
fn bytes<'a>(
    answer: &Answer,
    answers: &'a Answers,
    builtin: Option<Cow<'a, [u8]>>,
) -> Option<Cow<'a, [u8]>> {
    match answer {
        Answer::Bytes(range) => Some(Cow::Borrowed(&answers.bytes[range.clone()])),
        Answer::Null => None,
        _ => builtin,
    }
}

/// The verdict on a message that becomes no record: a plugin that cannot work decides first, then
/// one that skips, then one that rejects, and then one that it has to wait for.
fn exceptional<'a, const N: usize>(answers: [&'a Answer; N]) -> Option<Verdict<'a>> {
    let fatal = |answer: &'a Answer| match answer {
        Answer::Fatal(rejection) => Some(Verdict::Fatal(Rejection::clone(rejection))),
        _ => None,
    };
    let skip = |answer: &'a Answer| match answer {
        Answer::Skip(reason) => Some(Verdict::Skip(Cow::Borrowed(reason))),
        _ => None,
    };
    let reject = |answer: &'a Answer| match answer {
        Answer::Reject(rejection) => Some(Verdict::Reject(Rejection::clone(rejection))),
        _ => None,
    };
    let wait = |answer: &'a Answer| matches!(answer, Answer::Wait).then_some(Verdict::Wait);
    let first =
        |choice: &dyn Fn(&'a Answer) -> Option<Verdict<'a>>| answers.into_iter().find_map(choice);
    first(&fatal).or_else(|| first(&skip)).or_else(|| first(&reject)).or_else(|| first(&wait))
}
