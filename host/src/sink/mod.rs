//! Kafka: sends records, and says of each of them whether Kafka has it or why not.
//!
//! The only place that names rdkafka. A producer with its own poll thread serves one lane. Delivery
//! reports come in any order and on that thread; nothing here decides what a failure means for the
//! path, only which [`Fault`] it is.

mod fault;
mod settings;
mod topic;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{
    BorrowedMessage, Header as KafkaHeader, Headers, Message as _, OwnedHeaders,
};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

pub use fault::Fault;
pub use settings::Settings;
pub use topic::largest_batch;

use crate::message::{Header, Record};
use crate::telemetry::RateLimited;

/// Comes back with the delivery report: whose record it was.
pub type Ticket = usize;

/// What a record's delivery report is told to.
pub trait Reports: Send + Sync + 'static {
    /// Kafka has the record. Called on the producer's poll thread.
    fn delivered(&self, ticket: Ticket, record: &Delivered<'_>);
    /// Kafka does not have the record.
    fn failed(&self, failure: Failure);
}

/// A record that Kafka has, for those who want to show it.
pub struct Delivered<'a>(&'a BorrowedMessage<'a>);

impl Delivered<'_> {
    pub fn topic(&self) -> &str {
        self.0.topic()
    }

    pub fn partition(&self) -> i32 {
        self.0.partition()
    }

    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    pub fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    pub fn value(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    /// Milliseconds since the Unix epoch.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.0.timestamp().to_millis()
    }

    pub fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let headers = self.0.headers();
        headers
            .into_iter()
            .flat_map(|headers| headers.iter().map(|header| (header.key, header.value)))
    }
}

/// A record that Kafka does not have, whole, so that it can be sent again as it was.
#[derive(Debug)]
pub struct Failure {
    pub ticket: Ticket,
    pub fault: Fault,
    pub record: Parts,
}

/// All that a record consists of.
#[derive(Debug)]
pub struct Parts {
    pub topic: String,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    headers: Option<OwnedHeaders>,
}

impl Parts {
    /// Keeps only the first `size` bytes of the value, and says in a header how many there were.
    pub fn cut(&mut self, size: usize) {
        let Some(value) = &mut self.value else { return };
        let was = value.len().to_string();
        value.truncate(size);
        let headers = self.headers.take().unwrap_or_default();
        let header = KafkaHeader { key: "reject.payload-size", value: Some(was.as_bytes()) };
        self.headers = Some(headers.insert(header));
    }

    fn of(message: &BorrowedMessage<'_>) -> Self {
        Self {
            topic: message.topic().to_owned(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
            headers: message.headers().map(rdkafka::message::BorrowedHeaders::detach),
        }
    }
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
    producer: Arc<BaseProducer<Context>>,
    poll: Poll,
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
        let producer = Arc::new(create(&settings, &reports)?);
        let poll = Poll::start(&producer)?;
        Ok(Self { settings, reports, producer, poll, give_up })
    }

    /// Asks Kafka for a topic, which makes the broker create it where it does that by itself.
    ///
    /// # Errors
    /// What is wrong, in one line that names the cure.
    pub fn probe(&self, topic: &str, wait: Duration) -> Result<(), ProbeError> {
        let brokers = &self.settings.brokers;
        let asked = self.producer.client().fetch_metadata(Some(topic), wait);
        let metadata = match (asked, self.producer.context().last_error()) {
            (_, Some((code, reason))) if fault::is_permanent(code) => {
                return Err(ProbeError::Permanent(fault::explain(brokers, code, &reason)));
            }
            (Ok(metadata), _) => metadata,
            (Err(_), Some((code, reason))) => {
                return Err(ProbeError::Passing(fault::explain(brokers, code, &reason)));
            }
            (Err(error), None) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                return Err(ProbeError::Passing(fault::explain(brokers, code, &error.to_string())));
            }
        };
        self.producer.context().reached.store(true, Ordering::Relaxed);
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        match found.and_then(rdkafka::metadata::MetadataTopic::error) {
            None if found.is_some_and(|found| !found.partitions().is_empty()) => Ok(()),
            None => Err(ProbeError::Passing(format!("topic {topic:?} has no partitions yet"))),
            Some(error) => {
                let code = RDKafkaErrorCode::from(error);
                Err(ProbeError::NoTopic(fault::explain_topic(topic, code)))
            }
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
        let headers = headers.fold(None, |list: Option<OwnedHeaders>, header| {
            let list = list.unwrap_or_else(|| OwnedHeaders::new_with_capacity(8));
            let value: &[u8] = &header.value;
            // librdkafka's names end at a NUL, which MQTT forbids and not every server refuses.
            let name = header.name.replace('\0', "\u{fffd}");
            Some(list.insert(KafkaHeader { key: &name, value: Some(value) }))
        });
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        self.produce(ticket, topic, key, value, record.timestamp_ms, headers)
    }

    /// Sends a record again, as it was.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn resend(&self, ticket: Ticket, record: &Parts) -> Result<(), Box<Failure>> {
        self.produce(
            ticket,
            &record.topic,
            record.key.as_deref(),
            record.value.as_deref(),
            record.timestamp_ms,
            record.headers.clone(),
        )
    }

    fn produce(
        &self,
        ticket: Ticket,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: i64,
        headers: Option<OwnedHeaders>,
    ) -> Result<(), Box<Failure>> {
        let mut record = BaseRecord::with_opaque_to(topic, ticket);
        record.key = key;
        record.payload = value;
        record.timestamp = Some(timestamp_ms);
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
                        record: Parts {
                            topic: topic.to_owned(),
                            key: key.map(<[u8]>::to_vec),
                            value: value.map(<[u8]>::to_vec),
                            timestamp_ms,
                            headers: refused.headers,
                        },
                    }));
                }
            }
        }
    }

    /// What has put the producer out of use for good, if anything has (idempotence lost its place).
    pub fn fatal(&self) -> Option<String> {
        self.producer.client().fatal_error().map(|(code, reason)| format!("{code}: {reason}"))
    }

    /// Makes batches no larger than the topic takes. Nothing may have been sent yet.
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
        self.producer = Arc::new(create(&self.settings, &self.reports)?);
        self.poll = Poll::start(&self.producer)?;
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.poll.stop();
    }
}

/// Checks that librdkafka knows all properties and takes their values, without connecting.
///
/// # Errors
/// Which it does not, and why.
pub fn check(settings: &Settings) -> Result<(), String> {
    configure(settings).create_native_config().map(drop).map_err(|error| refused(&error))
}

fn configure(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in settings.properties() {
        config.set(name, value);
    }
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

fn refused(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, description, name, _) => format!("-X {name}: {description}"),
        error => format!("cannot make a Kafka producer: {error}"),
    }
}

fn create(
    settings: &Settings,
    reports: &Arc<dyn Reports>,
) -> Result<BaseProducer<Context>, String> {
    let context = Context {
        reports: Arc::clone(reports),
        last_error: Mutex::default(),
        troubles: Mutex::default(),
        reached: AtomicBool::new(false),
    };
    configure(settings).create_with_context(context).map_err(|error| refused(&error))
}

/// The thread on which delivery reports arrive.
struct Poll {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Poll {
    fn start(producer: &Arc<BaseProducer<Context>>) -> Result<Self, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let (producer, stopped) = (Arc::clone(producer), Arc::clone(&stop));
        let poll = move || {
            while !stopped.load(Ordering::Acquire) {
                producer.poll(Duration::from_millis(100));
            }
        };
        let thread = std::thread::Builder::new()
            .name("kafka-reports".to_owned())
            .spawn(poll)
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // The thread has nothing to return, and a panic in it has ended the process.
            drop(thread.join());
        }
    }
}

struct Context {
    reports: Arc<dyn Reports>,
    last_error: Mutex<Option<(RDKafkaErrorCode, String)>>,
    /// Kafka has answered: from now on, what keeps it away is said here. Before, the probe says it.
    reached: AtomicBool,
    troubles: Mutex<RateLimited>,
}

impl Context {
    /// The newest error since the last look, a permanent one above all others.
    fn last_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => tracing::debug!(target: "librdkafka", facility, "{text}"),
            _ => tracing::trace!(target: "librdkafka", facility, "{text}"),
        }
    }

    // rdkafka 0.39 calls this twice for each error; what is kept here does not mind.
    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else {
            return;
        };
        if self.reached.load(Ordering::Relaxed) {
            let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
            troubles.warn(format_args!("Kafka: {reason}; nothing is lost, trying again"));
        }
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        if !last.as_ref().is_some_and(|(known, _)| fault::is_permanent(*known)) {
            *last = Some((code, reason.to_owned()));
        }
    }

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ProducerContext for Context {
    type DeliveryOpaque = Ticket;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Ticket) {
        match result {
            Ok(message) => self.reports.delivered(ticket, &Delivered(message)),
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                let record = Parts::of(message);
                self.reports.failed(Failure { ticket, fault: Fault::reported(code), record });
            }
        }
    }
}
