//! Reads what a topic holds, for the workbench. Nothing is committed, so nobody notices.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::Settings;

/// A record as Kafka has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// How often a waiting reader looks whether it has waited too long.
const GLANCE: Duration = Duration::from_millis(100);

/// Hands over every record that the topic holds as this is called, partition by partition in order,
/// until told to stop.
///
/// # Errors
/// If Kafka has no such topic, or does not send its records for as long as `patience`.
pub fn stored(
    settings: &Settings,
    topic: &str,
    patience: Duration,
    mut each: impl FnMut(Stored) -> ControlFlow<()>,
) -> Result<(), String> {
    let failed = |what: &dyn std::fmt::Display| {
        format!(
            "cannot read Kafka topic {topic:?} at {}: {what}; check --broker-address, the topic's name, and \
             that this client has the Describe and Read rights",
            settings.brokers
        )
    };
    let of_kafka = |error: KafkaError| failed(&error);
    let consumer = consumer(settings).map_err(of_kafka)?;
    let mut ends = ends(&consumer, topic, patience).map_err(|what| failed(&what))?;
    let mut assignment = TopicPartitionList::new();
    for partition in ends.keys() {
        let begin = Offset::Beginning;
        assignment.add_partition_offset(topic, *partition, begin).map_err(of_kafka)?;
    }
    consumer.assign(&assignment).map_err(of_kafka)?;
    let mut heard = Instant::now();
    while !ends.is_empty() {
        match consumer.poll(GLANCE) {
            None if heard.elapsed() > patience => {
                let seconds = patience.as_secs();
                return Err(failed(&format_args!("nothing came for {seconds} s")));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ends.remove(&partition)),
            Some(Err(error)) if heard.elapsed() > patience => return Err(of_kafka(error)),
            // After an error it tries again by itself; time is what ends that.
            None | Some(Err(_)) => continue,
            Some(Ok(record)) => {
                let (partition, offset) = (record.partition(), record.offset());
                let Some(end) = ends.get(&partition) else { continue };
                let last = offset + 1 >= *end;
                if offset < *end && each(read(&record)).is_break() {
                    return Ok(());
                }
                if last {
                    ends.remove(&partition);
                }
            }
        }
        heard = Instant::now();
    }
    Ok(())
}

fn consumer(settings: &Settings) -> Result<BaseConsumer, KafkaError> {
    let mut config = ClientConfig::new();
    for (name, value) in settings.connection() {
        config.set(name, value);
    }
    config
        .set("group.id", format!("{}-replay", settings.client_id))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
}

/// Where each partition that holds something ends now.
fn ends(
    consumer: &BaseConsumer,
    topic: &str,
    patience: Duration,
) -> Result<HashMap<i32, i64>, String> {
    let metadata = consumer.fetch_metadata(Some(topic), patience).map_err(|e| e.to_string())?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = match found {
        Some(found) if found.error().is_none() && !found.partitions().is_empty() => {
            found.partitions()
        }
        _ => return Err("there is no such topic".to_owned()),
    };
    let mut ends = HashMap::new();
    for partition in partitions {
        let (low, high) = consumer
            .fetch_watermarks(topic, partition.id(), patience)
            .map_err(|error| error.to_string())?;
        if high > low {
            ends.insert(partition.id(), high);
        }
    }
    Ok(ends)
}

fn read(record: &BorrowedMessage<'_>) -> Stored {
    let headers = record.headers().into_iter().flat_map(Headers::iter);
    Stored {
        partition: record.partition(),
        offset: record.offset(),
        key: record.key().map(<[u8]>::to_vec),
        value: record.payload().map(<[u8]>::to_vec),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect(),
    }
}
