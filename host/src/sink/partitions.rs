//! How many partitions a topic has. Kafka's client takes a topic that is gone for one that never had the
//! partition that a record is to go to, so the brokers are asked before anybody is blamed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::producer::Producer;

use super::{Fault, Sink};

/// How long an answer serves, so that one wrong message after the other costs no question each.
const FRESH: Duration = Duration::from_secs(1);

/// What brokers say of a topic: how many partitions it has, or what is wrong with it.
pub(super) fn state(topic: &MetadataTopic) -> Result<usize, Code> {
    match topic.error() {
        None => Ok(topic.partitions().len()),
        Some(error) => Err(error.into()),
    }
}

/// The [`state`] of a topic by its name, if they say anything of it.
pub(super) fn count(metadata: &Metadata, topic: &str) -> Option<Result<usize, Code>> {
    metadata.topics().iter().find(|found| found.name() == topic).map(state)
}

/// The last answer.
#[derive(Default)]
pub(super) struct Partitions(Mutex<Option<Known>>);

struct Known {
    topic: String,
    partitions: usize,
    at: Instant,
}

impl Sink {
    /// What is wrong with a record of which Kafka's client says that the topic does not have its
    /// partition: [`Fault::NoPartition`] only if brokers say so too.
    pub fn look_for(&self, topic: &str, partition: i32, wait: Duration) -> Fault {
        match self.partitions(topic, wait) {
            Ok(0) => Fault::Trouble("the topic has no partitions yet".to_owned()),
            Ok(partitions)
                if usize::try_from(partition).is_ok_and(|number| number < partitions) =>
            {
                Fault::Trouble("Kafka's client has not heard of the partition yet".to_owned())
            }
            Ok(_) => Fault::reported(Code::UnknownPartition),
            Err(code) => Fault::reported(code),
        }
    }

    /// Answers from the last time if that is not long ago.
    fn partitions(&self, topic: &str, wait: Duration) -> Result<usize, Code> {
        let mut known = self.partitions.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.topic == topic)
            && known.at.elapsed() < FRESH
        {
            return Ok(known.partitions);
        }
        *known = None;
        let metadata = self.producer.client().fetch_metadata(Some(topic), wait);
        let metadata =
            metadata.map_err(|error| error.rdkafka_error_code().unwrap_or(Code::Fail))?;
        let partitions = count(&metadata, topic).unwrap_or(Err(Code::UnknownTopic))?;
        *known = Some(Known { topic: topic.to_owned(), partitions, at: Instant::now() });
        Ok(partitions)
    }
}
