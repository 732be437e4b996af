//! Reading topics back, from the first record to the last that is there.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::{A_WHILE, SOON, eventually};

/// How long one question to a healthy broker may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A record as Kafka holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// The key, if it is there and is text.
    pub fn key_text(&self) -> Option<&str> {
        self.key.as_deref().and_then(|key| std::str::from_utf8(key).ok())
    }

    /// The value, if it is there and is text.
    pub fn value_text(&self) -> Option<&str> {
        self.value.as_deref().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The first header of this name.
    ///
    /// # Panics
    /// If it is not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map(|(_, value)| std::str::from_utf8(value).expect("the header is text"))
    }

    fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(Into::into),
            value: message.payload().map(Into::into),
            timestamp: message.timestamp().to_millis().expect("records have timestamps"),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
                .collect(),
        }
    }
}

fn consumer(address: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    // Only `assign` is used, but librdkafka wants a group all the same.
    config.set("group.id", "tests").set("enable.auto.commit", "false");
    config.set("fetch.wait.max.ms", "20").set("allow.auto.create.topics", "false");
    config.set("fetch.message.max.bytes", "8000000");
    config.create().expect("the settings of a consumer are right")
}

pub(super) fn answers(address: &str) -> bool {
    consumer(address).fetch_metadata(None, Duration::from_secs(1)).is_ok()
}

/// How many partitions the topic has, if it is there.
pub(super) fn partitions(address: &str, topic: &str) -> Option<i32> {
    partitions_by(&consumer(address), topic)
}

fn partitions_by(consumer: &BaseConsumer, topic: &str) -> Option<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER).ok()?;
    let topic = metadata.topics().first().filter(|topic| topic.error().is_none())?;
    let ready = topic.partitions().iter().all(|partition| partition.error().is_none());
    ready.then_some(topic.partitions().len() as i32).filter(|&count| count > 0)
}

/// First and last offset of every partition, if Kafka says.
fn ends(consumer: &BaseConsumer, topic: &str) -> Option<Vec<(i64, i64)>> {
    (0..partitions_by(consumer, topic)?)
        .map(|partition| consumer.fetch_watermarks(topic, partition, ANSWER).ok())
        .collect()
}

pub(super) fn count(address: &str, topic: &str) -> usize {
    let ends = ends(&consumer(address), topic).unwrap_or_default();
    ends.iter().map(|(low, high)| (high - low) as usize).sum()
}

/// Every record of a topic that is there now, partition by partition.
///
/// # Panics
/// If the topic does not exist, or Kafka stops answering.
pub fn read(address: &str, topic: &str) -> Vec<Record> {
    let consumer = consumer(address);
    // A broker that was stopped a moment ago may not know its own topics yet.
    let known = || ends(&consumer, topic);
    let ends = eventually(&format!("Kafka has a topic {topic}"), SOON, known);
    let mut wanted = TopicPartitionList::new();
    for partition in 0..ends.len() {
        let from = wanted.add_partition_offset(topic, partition as i32, Offset::Beginning);
        from.expect("a partition's beginning is an offset");
    }
    consumer.assign(&wanted).expect("partitions that are there can be assigned");

    let total: usize = ends.iter().map(|(low, high)| (high - low) as usize).sum();
    let mut records = Vec::with_capacity(total);
    let end = Instant::now() + A_WHILE;
    while records.len() < total {
        let missing = total - records.len();
        assert!(Instant::now() < end, "{topic} has {missing} records that do not arrive");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if message.offset() < ends[message.partition() as usize].1 => {
                records.push(Record::of(&message));
            }
            // What came after the question how much there is; and errors that pass.
            Some(Ok(_) | Err(_)) | None => {}
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}
