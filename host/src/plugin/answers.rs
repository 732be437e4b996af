//! What setters answered, in buffers that are used again.

use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::text::{one_line, size};
use super::{Ability, Draft, Limits};
use crate::message::{PluginName, Reason, Rejection};

/// Capacity beyond this is given back when the answers are used again, in bytes.
const KEPT: usize = 4 << 20;

/// Answers that take more than this are used before there are more of them, in bytes: a batch has
/// thousands of messages, and each may be answered with as much as the limit allows.
const FULL: usize = 32 << 20;

/// Of a Kafka topic's name, in bytes. A longer one is not even worth a place in an error.
const LONGEST_TOPIC: usize = 249;

/// What a setter decided about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What would happen without the plugin.
    Default,
    /// Kafka's null.
    Null,
    /// Where the bytes are in [`Answers::bytes`]. Of a payload deserializer, they are JSON text.
    Bytes(Range<usize>),
    /// Milliseconds since the Unix epoch, positive.
    Timestamp(i64),
    /// Make these records of it, at least one.
    Records(Vec<Draft>),
    /// Make no record; the text says why, in one line.
    Skip(String),
    /// The plugin is broken: the message has to wait until it works again.
    Wait,
    /// The message cannot be carried.
    Reject(Rejection),
    /// The plugin cannot work at all.
    Fatal(Rejection),
}

/// Answers for a run of messages, in their order.
#[derive(Debug, Default)]
pub struct Answers {
    /// What [`Answer::Bytes`] points into.
    pub bytes: Vec<u8>,
    pub items: Vec<Answer>,
    /// Bytes that all [`Answer::Records`] take.
    pub(super) in_records: usize,
}

impl Answers {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all answers and keeps the buffers, unless they have grown very large.
    pub fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.in_records = 0;
    }

    /// Whether a message becomes the same by other answers, whatever the reason of a skip.
    pub(super) fn same(&self, other: &Self, index: usize) -> bool {
        match (self.items.get(index), other.items.get(index)) {
            (Some(Answer::Bytes(own)), Some(Answer::Bytes(others))) => {
                self.bytes[own.clone()] == other.bytes[others.clone()]
            }
            (Some(Answer::Skip(_)), Some(Answer::Skip(_))) => true,
            (own, others) => own == others,
        }
    }

    /// Adds the answer for the next message.
    pub(super) fn push(&mut self, answer: Answer) {
        if let Answer::Records(records) = &answer {
            self.in_records += records.iter().map(Draft::weight).sum::<usize>();
        }
        self.items.push(answer);
    }

    /// Whether what is there is to be used before there is more.
    pub(super) fn are_full(&self) -> bool {
        self.bytes.len() + self.in_records > FULL
    }
}

/// Whether bytes are one JSON text (RFC 8259), however deep.
fn check_json(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    serde_json::from_str::<&RawValue>(text).map(drop).map_err(|error| error.to_string())
}

/// What no record can have.
fn improper(record: &Draft) -> Option<String> {
    if let Some(milliseconds) = record.timestamp_ms.filter(|milliseconds| *milliseconds <= 0) {
        return Some(format!("the timestamp {milliseconds}, a timestamp is positive"));
    }
    if let Some(topic) = record.topic.as_ref().filter(|topic| topic.len() > LONGEST_TOPIC) {
        let size = topic.len();
        return Some(format!("a topic of {size} bytes, at most {LONGEST_TOPIC} are allowed"));
    }
    let partition = record.partition.filter(|partition| i32::try_from(*partition).is_err())?;
    Some(format!("partition {partition}, Kafka has no such partition"))
}

/// Turns what a plugin said into an [`Answer`], and refuses what it may not say.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    pub plugin: &'a Arc<PluginName>,
    pub ability: Ability,
    pub limits: &'a Limits,
}

impl Judge<'_> {
    /// Bytes that are already at this place in [`Answers::bytes`], or will be.
    pub fn bytes(&self, bytes: &[u8], place: Range<usize>) -> Answer {
        let ability = self.ability;
        if bytes.len() > self.limits.output {
            let most = size(self.limits.output);
            let error =
                format!("the {ability} answered {} bytes, at most {most} are allowed", bytes.len());
            return self.reject(Reason::BadOutput, error);
        }
        if ability == Ability::Json
            && let Err(error) = check_json(bytes)
        {
            let error = format!("the {ability} answered what is not JSON: {error}");
            return self.reject(Reason::BadOutput, error);
        }
        Answer::Bytes(place)
    }

    pub fn timestamp(&self, milliseconds: i64) -> Answer {
        if milliseconds <= 0 {
            let error =
                format!("the {} answered {milliseconds}, a timestamp is positive", self.ability);
            return self.reject(Reason::BadOutput, error);
        }
        Answer::Timestamp(milliseconds)
    }

    /// What a transformer has made, which may be nothing: so many records, of which those beyond the
    /// limit need not be there.
    pub fn records(&self, count: usize, records: Vec<Draft>) -> Answer {
        let bytes: usize = records.iter().map(Draft::size).sum();
        let said = |what: String| format!("the {} answered {what}", self.ability);
        let problem = if count > self.limits.records {
            let most = self.limits.records;
            Some(said(format!("{count} records, at most {most} are allowed")))
        } else if bytes > self.limits.output {
            let most = size(self.limits.output);
            Some(said(format!("{bytes} bytes of records, at most {most} are allowed")))
        } else {
            records.iter().find_map(improper).map(said)
        };
        match problem {
            Some(error) => self.reject(Reason::BadOutput, error),
            None if records.is_empty() => Answer::Skip("it became no record".to_owned()),
            None => Answer::Records(records),
        }
    }

    pub fn skip(text: &str) -> Answer {
        Answer::Skip(one_line(text))
    }

    pub fn bad_message(&self, text: &str) -> Answer {
        self.reject(Reason::BadMessage, one_line(text))
    }

    pub fn fatal(&self, text: &str) -> Answer {
        Answer::Fatal(self.rejection(Reason::Fatal, one_line(text)))
    }

    pub fn reject(&self, reason: Reason, error: String) -> Answer {
        Answer::Reject(self.rejection(reason, error))
    }

    fn rejection(&self, reason: Reason, error: String) -> Rejection {
        Rejection { reason, error, plugin: Some(Arc::clone(self.plugin)) }
    }
}
