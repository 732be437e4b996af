//! The proof: every message whose publication the MQTT broker confirmed must come out of Kafka, as
//! it should be.
//!
//! Messages are told apart by the value of the record that they must become. Kafka may have a
//! message twice, that is what "at least once" means; it may not have one changed, or one that
//! nobody sent.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use bytes::Bytes;

use super::devices::{Expected, Timestamp};
use super::reader::Record;

/// How many faults are told in words.
const TOLD: usize = 3;

/// What was published, confirmed and read back so far.
#[derive(Default)]
pub struct Check {
    /// Published, and not yet both confirmed and read back.
    open: HashMap<Bytes, Open>,
    /// Hashes of the values of those that are.
    done: HashSet<u64>,
    wrong: Vec<String>,
    pub published: u64,
    /// Messages that the MQTT broker confirmed to a device with a PUBACK.
    pub confirmed: u64,
    /// Messages read back, dead letters included, each counted once.
    pub read: u64,
    pub dead_letters: u64,
    /// Records that Kafka has once more.
    pub duplicates: u64,
}

struct Open {
    expected: Expected,
    confirmed: bool,
    read: bool,
}

impl Check {
    /// A device is about to publish a message.
    pub fn published(&mut self, expected: Expected) {
        self.published += 1;
        let open = Open { confirmed: false, read: false, expected };
        self.open.insert(open.expected.value.clone(), open);
    }

    /// The MQTT broker confirmed the message that must become this value.
    pub fn confirmed(&mut self, value: Bytes) {
        if let Entry::Occupied(mut open) = self.open.entry(value)
            && !std::mem::replace(&mut open.get_mut().confirmed, true)
        {
            self.confirmed += 1;
            if open.get().read {
                self.done.insert(hash(open.key()));
                open.remove();
            }
        }
    }

    /// A record was read back from Kafka.
    pub fn read(&mut self, record: &Record, now_ms: i64) {
        let Entry::Occupied(mut open) = self.open.entry(record.value.clone()) else {
            if self.done.contains(&hash(&record.value)) {
                self.duplicates += 1;
            } else {
                self.wrong.push(format!("{} is a record of no message", place(record)));
            }
            return;
        };
        if let Some(fault) = fault(&open.get().expected, record, now_ms) {
            self.wrong.push(fault);
        }
        if std::mem::replace(&mut open.get_mut().read, true) {
            self.duplicates += 1;
            return;
        }
        self.read += 1;
        self.dead_letters += u64::from(record.is_dead_letter());
        if open.get().confirmed {
            self.done.insert(hash(open.key()));
            open.remove();
        }
    }

    /// Whether everything published is confirmed and was read back.
    pub fn is_complete(&self) -> bool {
        self.open.is_empty()
    }

    /// Confirmed to a device, and not in Kafka.
    pub fn lost(&self) -> u64 {
        self.missing().count() as u64
    }

    fn unconfirmed(&self) -> u64 {
        self.open.values().filter(|open| !open.confirmed).count() as u64
    }

    fn missing(&self) -> impl Iterator<Item = &Expected> {
        self.open.values().filter(|open| open.confirmed && !open.read).map(|open| &open.expected)
    }

    /// Records that are not as they should be.
    pub fn wrong(&self) -> u64 {
        self.wrong.len() as u64
    }

    /// # Errors
    /// What was lost or is wrong, in one line.
    pub fn verdict(&self) -> Result<(), String> {
        let mut missing: Vec<_> = self.missing().collect();
        missing.sort_by_key(|expected| expected.number);
        if let [_, ..] = missing[..] {
            let names =
                missing.iter().take(TOLD).map(|expected| name(expected)).collect::<Vec<_>>();
            let count = missing.len();
            return Err(format!(
                "{count} of {} confirmed messages are not in Kafka: {}",
                self.confirmed,
                listed(&names, count)
            ));
        }
        if let [_, ..] = self.wrong[..] {
            let told = &self.wrong[..self.wrong.len().min(TOLD)];
            return Err(format!("records are wrong: {}", listed(told, self.wrong.len())));
        }
        match self.unconfirmed() {
            0 => Ok(()),
            count => Err(format!("{count} messages were never confirmed by the MQTT broker")),
        }
    }
}

/// What is wrong with the record of a message, if anything is.
fn fault(expected: &Expected, record: &Record, now_ms: i64) -> Option<String> {
    let key = record.key.as_deref().unwrap_or_default();
    let (name, place) = (name(expected), place(record));
    if record.topic != expected.kafka_topic {
        return Some(format!("{name} is at {place}, not in {}", expected.kafka_topic));
    }
    if key != expected.key.as_bytes() {
        let key = String::from_utf8_lossy(key);
        return Some(format!("{name} at {place} has the key '{key}', not '{}'", expected.key));
    }
    let right = match expected.timestamp {
        Timestamp::Exactly(ms) => record.timestamp_ms == ms,
        Timestamp::NotBefore(ms) => (ms..=now_ms).contains(&record.timestamp_ms),
    };
    (!right).then(|| {
        let (is, should) = (record.timestamp_ms, expected.timestamp);
        format!("{name} at {place} has the timestamp {is}, not {should:?}")
    })
}

fn name(expected: &Expected) -> String {
    format!("message {} on {}", expected.number, expected.mqtt_topic)
}

fn place(record: &Record) -> String {
    format!("{}[{}]@{}", record.topic, record.partition, record.offset)
}

fn listed(told: &[String], count: usize) -> String {
    let more = if count > told.len() { ", ..." } else { "" };
    format!("{}{more}", told.join(", "))
}

fn hash(value: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
