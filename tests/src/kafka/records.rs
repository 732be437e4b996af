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
    let mut reader = Reader::new(address, topic);
    reader.read_to_the_end();
    reader.into_records()
}

/// Reads a topic from its first record on, as far as it goes at the time.
pub struct Reader {
    consumer: BaseConsumer,
    topic: String,
    /// Of each partition.
    next: Vec<i64>,
    records: Vec<Record>,
}

impl Reader {
    /// # Panics
    /// If the topic does not exist.
    pub fn new(address: &str, topic: &str) -> Self {
        let reader = Self {
            consumer: consumer(address),
            topic: topic.to_owned(),
            next: Vec::new(),
            records: Vec::new(),
        };
        // A broker that was stopped a moment ago may not know its own topics yet.
        eventually(&format!("Kafka has a topic {topic}"), SOON, || ends(&reader.consumer, topic));
        reader
    }

    /// What has been read so far, in no order of partitions.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Reads what there is now.
    ///
    /// # Panics
    /// If Kafka stops answering.
    pub fn read_to_the_end(&mut self) {
        let known = || ends(&self.consumer, &self.topic);
        let ends = eventually(&format!("Kafka has a topic {}", self.topic), SOON, known);
        if ends.len() != self.next.len() {
            self.assign(&ends);
        }
        let end = Instant::now() + A_WHILE;
        while self.next.iter().zip(&ends).any(|(next, (_, end))| next < end) {
            assert!(Instant::now() < end, "{} has records that do not arrive", self.topic);
            // Errors pass.
            let Some(Ok(message)) = self.consumer.poll(Duration::from_millis(100)) else {
                continue;
            };
            let next = &mut self.next[message.partition() as usize];
            if message.offset() >= *next {
                *next = message.offset() + 1;
                self.records.push(Record::of(&message));
            }
        }
    }

    /// From where it has got to in each partition; partitions that are new from their beginning.
    fn assign(&mut self, ends: &[(i64, i64)]) {
        let known = self.next.len();
        self.next.extend(ends[known..].iter().map(|(low, _)| low));
        let mut wanted = TopicPartitionList::new();
        for (partition, next) in (0..).zip(&self.next) {
            let from = wanted.add_partition_offset(&self.topic, partition, Offset::Offset(*next));
            from.expect("it is an offset");
        }
        self.consumer.assign(&wanted).expect("partitions that are there can be assigned");
    }

    /// What has been read, partition by partition.
    pub fn into_records(mut self) -> Vec<Record> {
        self.records.sort_by_key(|record| (record.partition, record.offset));
        self.records
    }
}
