//! Kafka: sends records, and says of each of them whether Kafka has it or why not.
//!
//! The only place that names rdkafka. A producer with its own poll thread serves one lane. Delivery
//! reports come in any order and on that thread; nothing here decides what a failure means for the
//! path, only which [`Fault`] it is.

mod client;
mod fault;
mod health;
mod partitions;
mod poll;
mod record;
mod settings;
mod stored;
mod topic;
mod try_out;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header as KafkaHeader, OwnedHeaders};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};

pub use client::check;
use client::{Context, create};
pub use fault::Fault;
pub use health::Health;
use partitions::Partitions;
use poll::Poll;
pub use record::{Delivered, Failure, Parts};
pub use settings::Settings;
pub use stored::{From, Next, Position, Reader, Stored};
pub use topic::largest_batch;
pub use try_out::{Topic, try_out};

use crate::message::{Header, Record};

/// Comes back with the delivery report: whose record it was.
pub type Ticket = usize;

/// What a record's delivery report is told to.
pub trait Reports: Send + Sync + 'static {
    /// Kafka has the record. Called on the producer's poll thread.
    fn delivered(&self, ticket: Ticket, record: &Delivered<'_>);
    /// Kafka does not have the record.
    fn failed(&self, failure: Failure);
}

/// Why the first answer of Kafka did not come.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Trying again with the same options cannot help.
    #[error("{0}")]
    Permanent(String),
    /// Kafka answers, and does not have the topic.
    #[error("{0}")]
    NoTopic(String),
    #[error("{0}")]
    Passing(String),
}

/// A Kafka producer. Dropping it gives up what is not delivered.
pub struct Sink {
    settings: Settings,
    reports: Arc<dyn Reports>,
    health: Arc<Health>,
    made: Instant,
    producer: Arc<BaseProducer<Context>>,
    poll: Poll,
    partitions: Partitions,
    give_up: Arc<AtomicBool>,
}

impl Sink {
    /// Makes a producer. It connects by itself, and goes on trying. Once `give_up` is set nothing
    /// is waited for any more.
    ///
    /// # Errors
    /// If librdkafka refuses the settings.
    pub fn new(
        settings: Settings,
        reports: Arc<dyn Reports>,
        give_up: Arc<AtomicBool>,
    ) -> Result<Self, String> {
        let health = Arc::new(Health::new(&settings.brokers));
        let producer = Arc::new(create(&settings, &reports, &health)?);
        let poll = Poll::start(&producer)?;
        let (made, partitions) = (Instant::now(), Partitions::default());
        Ok(Self { settings, reports, health, made, producer, poll, partitions, give_up })
    }

    /// What is known of the way to Kafka, from now on.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Asks Kafka for a topic, which makes the broker create it where it does that by itself, or
    /// only for an answer.
    ///
    /// # Errors
    /// What is wrong, in one line that names the cure.
    pub fn probe(&self, topic: Option<&str>, wait: Duration) -> Result<(), ProbeError> {
        let metadata = self.ask(topic, wait)?;
        self.health.answered();
        let Some(topic) = topic else { return Ok(()) };
        match partitions::count(&metadata, topic) {
            None | Some(Ok(0)) => {
                Err(ProbeError::Passing(format!("topic {topic:?} has no partitions yet")))
            }
            Some(Ok(_)) => Ok(()),
            Some(Err(code)) => Err(ProbeError::NoTopic(fault::explain_topic(topic, code))),
        }
    }

    /// Asks for a topic, or for all, in short attempts, so that a refusal is noticed before the time is over.
    fn ask(&self, topic: Option<&str>, wait: Duration) -> Result<Metadata, ProbeError> {
        let start = Instant::now();
        loop {
            // While somebody waits for an answer, librdkafka tries to connect twenty times a second.
            let (attempt, pause) = match self.health.away_since() {
                Some(_) => (Duration::from_millis(100), Duration::from_millis(900)),
                None => (Duration::from_secs(1), Duration::from_millis(50)),
            };
            let error = match self.producer.client().fetch_metadata(topic, attempt) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => error,
            };
            if let Some(what) = self.health.permanent() {
                return Err(ProbeError::Permanent(what));
            }
            if start.elapsed() > wait {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                let what = self.health.reason(self.made).unwrap_or_else(|| {
                    fault::explain(&self.settings.brokers, code, &error.to_string())
                });
                return Err(ProbeError::Passing(what));
            }
            // An attempt may fail at once.
            std::thread::sleep(pause);
        }
    }

    /// Hands a record to the producer; its report comes later. Waits while the queue is full.
    ///
    /// # Errors
    /// If the producer refuses the record at once.
    pub fn send<'h>(
        &self,
        ticket: Ticket,
        topic: &str,
        record: &Record<'_>,
        headers: impl Iterator<Item = Header<'h>>,
    ) -> Result<(), Box<Failure>> {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let place = (record.timestamp_ms, record.partition());
        self.produce(ticket, topic, key, value, place, owned(headers))
    }

    /// Does not send a record, because one before it was refused.
    pub fn hold_back<'h>(
        ticket: Ticket,
        topic: &str,
        record: &Record<'_>,
        headers: impl Iterator<Item = Header<'h>>,
    ) -> Failure {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let place = (record.timestamp_ms, record.partition());
        let record = Parts::new(topic, key, value, place, owned(headers));
        Failure { ticket, fault: Fault::HeldBack, record }
    }

    /// Takes back what was not sent yet, because a record before it was refused: it is reported as
    /// [`Fault::HeldBack`].
    pub fn hold_back_queued(&self) {
        self.producer.purge(PurgeConfig::default().queue());
    }

    /// Sends a record again, as it was: to the partition where it was, if that was `chosen`, else to
    /// the one that its key leads to now.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn resend(&self, ticket: Ticket, record: &Parts, chosen: bool) -> Result<(), Box<Failure>> {
        self.produce(
            ticket,
            &record.topic,
            record.key.as_deref(),
            record.value.as_deref(),
            (record.timestamp_ms, record.partition.filter(|_| chosen)),
            record.headers.clone(),
        )
    }

    fn produce(
        &self,
        ticket: Ticket,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        place: (i64, Option<i32>),
        headers: Option<OwnedHeaders>,
    ) -> Result<(), Box<Failure>> {
        let mut record = BaseRecord::with_opaque_to(topic, ticket);
        record.key = key;
        record.payload = value;
        (record.timestamp, record.partition) = (Some(place.0), place.1);
        record.headers = headers;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, refused)) => {
                    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                    if code == RDKafkaErrorCode::QueueFull && !self.give_up.load(Ordering::Acquire)
                    {
                        // The credit is below the queue's limits, so only records that plugins
                        // made much larger than their messages get here. The poll thread makes room.
                        std::thread::sleep(Duration::from_millis(1));
                        record = refused;
                        continue;
                    }
                    return Err(Box::new(Failure {
                        ticket,
                        fault: Fault::at_once(code),
                        record: Parts::new(topic, key, value, place, refused.headers),
                    }));
                }
            }
        }
    }

    /// What has put the producer out of use for good, if anything has (idempotence lost its place).
    pub fn fatal(&self) -> Option<String> {
        self.producer.client().fatal_error().map(|(code, reason)| format!("{code}: {reason}"))
    }

    /// Asks Kafka for a topic again: librdkafka refuses by itself what it last knew to be missing or
    /// forbidden, until it has looked again.
    pub fn look_again(&self, topic: &str, wait: Duration) {
        // What comes of it shows when the next record is sent.
        drop(self.producer.client().fetch_metadata(Some(topic), wait));
    }

    /// Makes batches no larger than the topics take. Nothing may have been sent yet.
    ///
    /// # Errors
    /// As [`Self::renew`].
    pub fn fit(&mut self, largest_batch: usize) -> Result<(), String> {
        self.settings.largest_batch = Some(largest_batch);
        if self.settings.needs_smaller_batches() { self.renew() } else { Ok(()) }
    }

    /// Replaces a producer that is out of use. All its records must have been reported.
    ///
    /// # Errors
    /// If librdkafka cannot make another one.
    pub fn renew(&mut self) -> Result<(), String> {
        self.poll.stop();
        self.producer = Arc::new(create(&self.settings, &self.reports, &self.health)?);
        self.poll = Poll::start(&self.producer)?;
        Ok(())
    }
}

fn owned<'h>(headers: impl Iterator<Item = Header<'h>>) -> Option<OwnedHeaders> {
    headers.fold(None, |list: Option<OwnedHeaders>, header| {
        let list = list.unwrap_or_else(|| OwnedHeaders::new_with_capacity(8));
        let value = header.value.as_deref();
        // librdkafka's names end at a NUL, which MQTT forbids and not every server refuses.
        let name = header.name.replace('\0', "\u{fffd}");
        Some(list.insert(KafkaHeader { key: &name, value }))
    })
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.poll.stop();
    }
}
