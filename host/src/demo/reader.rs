//! Reads records back from Kafka, on a thread of its own, as they arrive.
//!
//! It must keep up: the simulated Kafka forgets what is older than the last 5 MiB of a partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc::UnboundedSender;

use super::Event;

/// A record as Kafka gave it back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Bytes>,
    pub value: Bytes,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    pub headers: Vec<(String, Bytes)>,
}

impl Record {
    pub fn is_dead_letter(&self) -> bool {
        self.topic.ends_with(".dead-letter")
    }

    fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(Bytes::copy_from_slice),
            value: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
            timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
            headers: headers
                .map(|header| {
                    let value = header.value.unwrap_or_default();
                    (header.key.to_owned(), Bytes::copy_from_slice(value))
                })
                .collect(),
        }
    }
}

/// The running thread; dropping this ends it.
pub struct Reader {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Reads partitions `0..n` of each topic from their beginning.
    pub fn start(
        bootstrap: &str,
        topics: &[(String, i32)],
        events: UnboundedSender<Event>,
    ) -> Result<Self, String> {
        let failed = |error| format!("cannot read from the embedded Kafka: {error}");
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "host-demo")
            .set("enable.auto.commit", "false")
            // The simulated Kafka lets a reader without news wait as long as it may.
            .set("fetch.wait.max.ms", "20")
            .create()
            .map_err(failed)?;
        let mut partitions = TopicPartitionList::new();
        for (topic, count) in topics {
            for partition in 0..*count {
                partitions
                    .add_partition_offset(topic, partition, Offset::Beginning)
                    .map_err(failed)?;
            }
        }
        consumer.assign(&partitions).map_err(failed)?;
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || read(&consumer, &stopped, &events))
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

fn read(consumer: &BaseConsumer, stop: &AtomicBool, events: &UnboundedSender<Event>) {
    while !stop.load(Ordering::Relaxed) {
        let event = match consumer.poll(Duration::from_millis(50)) {
            None => continue,
            Some(Ok(message)) => Event::Read(Record::of(&message)),
            Some(Err(error)) => {
                tracing::debug!("reading back: {error}");
                continue;
            }
        };
        if events.send(event).is_err() {
            return;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic has been told already.
            drop(thread.join());
        }
    }
}
