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
use crate::plugin::{Ability, Answer, Answers, Content, Draft, Setters};
use builtin::{Builtin, Wanted};
use chain::Chain;
pub use chain::MOST as MOST_RECORDS;

/// Bytes that are kept for the next batch with JSON beside its payloads.
const KEPT: usize = 4 << 20;

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
    key: Answers,
    value: Answers,
    timestamp: Answers,
    /// How many `_timestamp`s named no time since the last [`Self::take_unusable_timestamps`].
    unusable_timestamps: u64,
}

impl Transform {
    pub fn new(builtin: Builtin, plugins: Setters) -> Self {
        Self {
            builtin,
            plugins,
            json: Answers::new(),
            deserialized: Batch::new(),
            places: Vec::new(),
            key: Answers::new(),
            value: Answers::new(),
            timestamp: Answers::new(),
            unusable_timestamps: 0,
        }
    }

    /// Decides what becomes of each message of a batch. Records come in the order of the messages.
    pub fn each(&mut self, batch: &Batch, mut decided: impl FnMut(usize, Verdict<'_>)) {
        self.plugins.renew();
        if !self.plugins.has(Ability::Json) {
            return self.set(batch, decided);
        }
        self.plugins.call(Ability::Json, batch, 0..batch.len(), &mut self.json);
        let mut deserialized = std::mem::take(&mut self.deserialized);
        let mut places = std::mem::take(&mut self.places);
        for (index, (message, answer)) in batch.messages().zip(&self.json.items).enumerate() {
            if let Some(verdict) = exceptional([answer]) {
                decided(index, verdict);
                continue;
            }
            let json = match answer {
                Answer::Bytes(range) => std::str::from_utf8(&self.json.bytes[range.clone()]).ok(),
                _ => None,
            };
            deserialized.push_deserialized(&message, json);
            places.push(index);
        }
        self.set(&deserialized, |at, verdict| decided(places[at], verdict));
        deserialized.clear(KEPT);
        places.clear();
        (self.deserialized, self.places) = (deserialized, places);
    }

    /// Lets the setters decide about each message of a batch, in order.
    fn set(&mut self, batch: &Batch, mut decided: impl FnMut(usize, Verdict<'_>)) {
        let all = 0..batch.len();
        let Self { plugins, key, value, timestamp, .. } = self;
        let slots = [(Ability::Key, key), (Ability::Value, value), (Ability::Timestamp, timestamp)];
        for (ability, answers) in slots {
            if plugins.has(ability) {
                plugins.call(ability, batch, all.clone(), answers);
            }
        }
        if self.plugins.transformers() > 0 {
            return self.transform(batch, decided);
        }
        let mut unusable_timestamps = 0;
        for (index, message) in batch.messages().enumerate() {
            let answers = self.answers(index);
            let verdict = exceptional(answers).unwrap_or_else(|| {
                let (record, unusable) = self.record(message, answers);
                unusable_timestamps += u64::from(unusable);
                Verdict::Record(record)
            });
            decided(index, verdict);
        }
        self.unusable_timestamps += unusable_timestamps;
    }

    /// Lets the transformers work on what the setters have decided.
    fn transform(&mut self, batch: &Batch, decided: impl FnMut(usize, Verdict<'_>)) {
        let mut chain = Chain::default();
        for index in 0..batch.len() {
            let answers = self.answers(index);
            match exceptional(answers) {
                Some(verdict) => chain.settle(&verdict),
                None => chain.begin(self.draft(answers)),
            }
        }
        chain.run(&mut self.plugins, batch);
        self.unusable_timestamps += chain.finish(self.builtin, batch, decided);
    }

    /// What the setters have answered about a message.
    fn answers(&self, index: usize) -> [&Answer; 3] {
        [&self.key, &self.value, &self.timestamp]
            .map(|answers| answers.items.get(index).unwrap_or(&Answer::Default))
    }

    fn draft(&self, [key, value, timestamp]: [&Answer; 3]) -> Draft {
        let content = |answer: &Answer, answers: &Answers| match answer {
            Answer::Bytes(range) => Content::Bytes(answers.bytes[range.clone()].to_vec()),
            Answer::Null => Content::Null,
            _ => Content::Default,
        };
        Draft {
            key: content(key, &self.key),
            value: content(value, &self.value),
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
            key: bytes(key, &self.key, decision.key),
            value: bytes(value, &self.value, Some(Cow::Borrowed(self.builtin.value(&message)))),
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
/// one that skips, then one that rejects.
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
    let first =
        |choice: &dyn Fn(&'a Answer) -> Option<Verdict<'a>>| answers.into_iter().find_map(choice);
    first(&fatal).or_else(|| first(&skip)).or_else(|| first(&reject))
}
