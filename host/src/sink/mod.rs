//! Kafka: sends records, keeps them in order, and says of each of them that Kafka has it or never will.
//!
//! The only place that names rdkafka. One producer serves everybody; a thread of its own reads what
//! became of the records, and sends again what is to be sent again. Nobody who sends ever waits for
//! Kafka: what may not be sent yet waits at a gate (`ordered`).

mod context;
mod error;
mod explain;
mod health;
mod native;
mod ordered;
mod record;
mod reports;
mod settings;
mod stored;
mod topic;
mod try_out;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;

pub use context::check;
pub use health::Health;
use native::{Headers, Parts, Producer, Watch};
pub use ordered::Terms;
use ordered::{Gates, Outcome};
pub use record::{Delivered, Record as Written};
pub use settings::Settings;
pub use stored::{From, Next, Position, Reader, Stored};
pub use topic::largest_batch;
pub use try_out::{Topic, try_out};

use crate::message::{Header, Reason, Record};
use crate::telemetry::RateLimited;

/// Comes back with what became of a record: whose record it was.
pub type Tag = u64;

/// Why Kafka never takes a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    pub reason: Reason,
    pub error: String,
}

/// Told what became of records, each once, on the sink's own thread.
pub trait Events: Send + Sync + 'static {
    /// Kafka has these records.
    fn delivered(&self, records: &Delivered<'_>);
    /// Kafka never takes this record; what is to become of it may be sent.
    fn rejected(&self, sink: &Sink, tag: Tag, rejected: Rejected);
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

/// A Kafka producer. When the last of those who have it drops it, what is not delivered is given up.
#[derive(Clone)]
pub struct Sink {
    shared: Arc<Shared>,
    /// The thread that reads reports has a sink, too, and ends by itself.
    alive: Option<Arc<Alive>>,
}

/// Ends the thread when the last sink is gone.
struct Alive {
    ended: Arc<AtomicBool>,
    thread: Thread,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

struct Shared {
    settings: Mutex<Settings>,
    health: Arc<Health>,
    made: Instant,
    gates: Arc<Mutex<Gates>>,
    troubles: Mutex<RateLimited>,
}

/// Where a producer finds the gates, which are made after it.
type Found = Arc<OnceLock<Weak<Mutex<Gates>>>>;

/// What is told of refusals closes the gates before anything else is sent.
fn watch(found: Found) -> Arc<Watch> {
    let refused = Box::new(move || {
        if let Some(gates) = found.get().and_then(Weak::upgrade) {
            lock(&gates).drain();
        }
    });
    Arc::new(Watch { refused, is_draining: AtomicBool::new(false) })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink {
    /// Makes a producer. It connects by itself, and goes on trying.
    ///
    /// # Errors
    /// If librdkafka refuses the settings.
    pub fn new(settings: Settings, events: Arc<dyn Events>) -> Result<Self, String> {
        let health = Arc::new(Health::new(&settings.brokers));
        let (found, made) = (Found::default(), Instant::now());
        let watch = watch(Arc::clone(&found));
        let producer = Arc::new(context::create(&settings, &health, Arc::clone(&watch))?);
        let gates = Arc::new(Mutex::new(Gates::new(producer, watch)));
        // It is set only here.
        drop(found.set(Arc::downgrade(&gates)));
        let (settings, troubles) = (Mutex::new(settings), Mutex::default());
        let shared = Arc::new(Shared { settings, health, made, gates, troubles });
        let ended = Arc::new(AtomicBool::new(false));
        let (inner, until) = (Arc::clone(&shared), Arc::clone(&ended));
        let thread = std::thread::Builder::new()
            .name("kafka-reports".to_owned())
            .spawn(move || Self { shared: inner, alive: None }.run(&*events, &until))
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        let alive = Some(Arc::new(Alive { ended, thread: thread.thread().clone() }));
        Ok(Self { shared, alive })
    }

    /// What is known of the way to Kafka, from now on.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.shared.health)
    }

    fn gates(&self) -> MutexGuard<'_, Gates> {
        lock(&self.shared.gates)
    }

    fn producer(&self) -> Arc<Producer> {
        Arc::clone(self.gates().producer())
    }

    /// Asks Kafka for a topic, which makes the broker create it where it does that by itself, or
    /// only for an answer.
    ///
    /// # Errors
    /// What is wrong, in one line that names the cure.
    pub fn probe(&self, topic: Option<&str>, wait: Duration) -> Result<(), ProbeError> {
        let metadata = self.ask(topic, wait)?;
        self.shared.health.answered();
        let Some(topic) = topic else { return Ok(()) };
        match topic::partitions(&metadata, topic) {
            None | Some(Ok(0)) => {
                Err(ProbeError::Passing(format!("topic {topic:?} has no partitions yet")))
            }
            Some(Ok(_)) => Ok(()),
            Some(Err(code)) => Err(ProbeError::NoTopic(explain::explain_topic(topic, code.into()))),
        }
    }

    /// Asks for a topic, or for all, in short attempts, so that a refusal is noticed before the time is over.
    fn ask(&self, topic: Option<&str>, wait: Duration) -> Result<Metadata, ProbeError> {
        let Shared { health, made, settings, .. } = &*self.shared;
        let (producer, start) = (self.producer(), Instant::now());
        loop {
            // While somebody waits for an answer, librdkafka tries to connect twenty times a second.
            let (attempt, pause) = match health.away_since() {
                Some(_) => (Duration::from_millis(100), Duration::from_millis(900)),
                None => (Duration::from_secs(1), Duration::from_millis(50)),
            };
            let error = match producer.client().fetch_metadata(topic, attempt) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => error,
            };
            if let Some(what) = health.permanent() {
                return Err(ProbeError::Permanent(what));
            }
            if start.elapsed() > wait {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                let what = health.reason(*made).unwrap_or_else(|| {
                    explain::explain(&lock(settings).brokers, code, &error.to_string())
                });
                return Err(ProbeError::Passing(what));
            }
            // An attempt may fail at once.
            std::thread::sleep(pause);
        }
    }

    /// Takes a record, and never waits. What becomes of it comes later.
    ///
    /// # Errors
    /// If Kafka's client knows at once that Kafka never takes it.
    pub fn send<'h>(
        &self,
        tag: Tag,
        topic: &str,
        record: &Record<'_>,
        headers: impl Iterator<Item = Header<'h>>,
        terms: Terms,
    ) -> Result<(), Rejected> {
        let headers = headers.fold(None, |list: Option<Headers>, header| {
            let mut list = list.unwrap_or_else(Headers::new);
            list.add(&header.name, header.value.as_deref());
            Some(list)
        });
        let parts = Parts {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            timestamp_ms: record.timestamp_ms,
            partition: record.partition(),
            headers,
        };
        let waits = self.gates().send(topic, (tag, record.partition(), terms), parts)?;
        if let Some(alive) = self.alive.as_ref().filter(|_| waits) {
            alive.thread.unpark();
        }
        Ok(())
    }

    /// Sends what was gathered: all of it at once, so that Kafka's client makes one batch of it.
    pub fn release(&self) {
        let told = self.gates().release();
        if let Some(alive) = self.alive.as_ref().filter(|_| told) {
            alive.thread.unpark();
        }
    }

    /// Makes batches no larger than the topics take. Nothing may have been sent yet.
    ///
    /// # Errors
    /// If librdkafka cannot make another producer.
    pub fn fit(&self, largest_batch: usize) -> Result<(), String> {
        let mut settings = lock(&self.shared.settings);
        settings.largest_batch = Some(largest_batch);
        let needed = settings.needs_smaller_batches();
        drop(settings);
        if needed { self.renew(&mut Outcome::default()) } else { Ok(()) }
    }

    /// Replaces the producer. Nothing may be under way.
    fn renew(&self, outcome: &mut Outcome) -> Result<(), String> {
        let found = Found::default();
        drop(found.set(Arc::downgrade(&self.shared.gates)));
        let watch = watch(found);
        let settings = lock(&self.shared.settings).clone();
        let producer = context::create(&settings, &self.shared.health, Arc::clone(&watch))?;
        self.gates().renew(Arc::new(producer), watch, outcome);
        if let Some(alive) = &self.alive {
            alive.thread.unpark();
        }
        Ok(())
    }
}
