//! Kafka: sends records, keeps them in order, and says of each of them that Kafka has it or never will.
//!
//! The only place that names rdkafka. One producer serves everybody. The threads of its brokers tell what
//! Kafka has, and send what was waiting for that; a thread of its own deals with what has failed. Nobody
//! who sends ever waits for Kafka: what may not be sent yet waits at a gate (`ordered`).

mod context;
mod error;
mod explain;
mod gathered;
mod health;
mod native;
mod ordered;
mod queue;
mod reports;
mod settings;
mod stored;
#[cfg(test)]
mod tests;
mod topic;
mod try_out;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;

pub use context::check;
pub use gathered::Gathered;
pub use health::Health;
pub use native::Written;
use native::{Failure, Handler, Producer, Watch};
pub use ordered::Terms;
use ordered::{Gates, Outcome, Place, Then};
use queue::Order;
pub use settings::Settings;
pub use stored::{From, Next, Position, Reader, Stored};
pub use topic::largest_batch;
pub use try_out::{Topic, try_out};

use crate::message::Reason;
use crate::telemetry::RateLimited;

/// Comes back with what became of a record: whose record it was.
pub type Tag = u64;

/// Why Kafka never takes a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    pub reason: Reason,
    pub error: String,
}

/// Told what became of records, each once.
pub trait Events: Send + Sync + 'static {
    /// Kafka has this record. The thread that tells it has brokers to serve: it must not wait.
    fn delivered<'r>(&self, tag: Tag, record: &dyn Fn() -> Written<'r>);
    /// Kafka never takes this record; what is to be sent in its place goes into `instead`.
    fn rejected(&self, tag: Tag, rejected: Rejected, instead: &mut Gathered);
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
    _alive: Option<Arc<Alive>>,
}

/// Ends the thread that reads reports when the last sink is gone.
struct Alive(Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.wake();
    }
}

struct Shared {
    settings: Mutex<Settings>,
    health: Arc<Health>,
    made: Instant,
    gates: Mutex<Gates>,
    events: Arc<dyn Events>,
    troubles: Mutex<RateLimited>,
    /// Reads reports.
    thread: OnceLock<Thread>,
    ended: AtomicBool,
}

/// Deals with what the threads of brokers tell. It is made before what it serves.
#[derive(Clone, Default)]
struct BrokerEvents(Arc<OnceLock<Weak<Shared>>>);

impl BrokerEvents {
    fn watch(self) -> Arc<Watch> {
        Arc::new(Watch(Box::new(self)))
    }

    fn of(shared: &Arc<Shared>) -> Self {
        Self(Arc::new(OnceLock::from(Arc::downgrade(shared))))
    }

    fn shared(&self) -> Option<Arc<Shared>> {
        self.0.get().and_then(Weak::upgrade)
    }
}

impl Handler for BrokerEvents {
    fn confirmed<'r>(&self, ticket: u64, record: &dyn Fn() -> Written<'r>) {
        if let Some(shared) = self.shared() {
            shared.confirmed(ticket, record);
        }
    }

    fn refused(&self, ticket: u64, failure: Failure) {
        if let Some(shared) = self.shared() {
            let then = shared.gates().fail(ticket, failure);
            shared.go_on(then);
        }
    }
}

impl Shared {
    fn gates(&self) -> MutexGuard<'_, Gates> {
        lock(&self.gates)
    }

    /// Wakes the thread that reads reports.
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Tells that Kafka has a record, and sends what has waited for it.
    fn confirmed<'r>(&self, order: Order, record: &dyn Fn() -> Written<'r>) {
        let confirmed = self.gates().confirm(order);
        let Some((tag, then)) = confirmed else { return };
        self.health.delivered();
        self.events.delivered(tag, record);
        self.go_on(then);
    }

    /// On the thread of the broker that has answered.
    fn go_on(&self, then: Then) {
        match then {
            Then::Nothing => {}
            Then::Send(place) => self.send_waiting(place),
            Then::Attend => self.wake(),
        }
    }

    /// Sends what waits for a partition. Others may send meanwhile, but not the thread of its broker, since this
    /// is it: all of it leaves as one request.
    fn send_waiting(&self, place: Place) {
        let mut outcome = Outcome::default();
        let mut gates = self.gates();
        if gates.begin(place, usize::MAX, Instant::now(), &mut outcome) {
            while gates.go_on(place, &mut outcome) {
                drop(gates);
                gates = self.gates();
            }
        }
        if gates.leave(place, outcome) {
            drop(gates);
            self.wake();
        }
    }
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
        let (broker_events, made) = (BrokerEvents::default(), Instant::now());
        let watch = broker_events.clone().watch();
        let producer = Arc::new(context::create(&settings, &health, watch)?);
        let shared = Arc::new(Shared {
            settings: Mutex::new(settings),
            health,
            made,
            gates: Mutex::new(Gates::new(producer)),
            events,
            troubles: Mutex::default(),
            thread: OnceLock::new(),
            ended: AtomicBool::new(false),
        });
        // It is set only here, and so is the thread.
        drop(broker_events.0.set(Arc::downgrade(&shared)));
        let inner = Self { shared: Arc::clone(&shared), _alive: None };
        let thread = std::thread::Builder::new()
            .name("kafka-reports".to_owned())
            .spawn(move || inner.run())
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        drop(shared.thread.set(thread.thread().clone()));
        let alive = Some(Arc::new(Alive(Arc::clone(&shared))));
        Ok(Self { shared, _alive: alive })
    }

    /// What is known of the way to Kafka, from now on.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.shared.health)
    }

    fn gates(&self) -> MutexGuard<'_, Gates> {
        self.shared.gates()
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

    /// Takes records, and never waits. What becomes of them comes later.
    pub fn send(&self, gathered: &mut Gathered) {
        if !gathered.is_empty() && self.gates().send(gathered) {
            self.shared.wake();
        }
    }

    /// Goes by what has become known of Kafka: makes batches no larger than the topics take, and waits no
    /// longer for a topic than it may take to create one. Nothing may have been sent yet.
    ///
    /// # Errors
    /// If librdkafka cannot make another producer.
    pub fn fit(
        &self,
        largest_batch: Option<usize>,
        creates_topics: Option<bool>,
    ) -> Result<(), String> {
        let mut settings = lock(&self.shared.settings);
        let fitted = Settings { largest_batch, creates_topics, ..settings.clone() };
        let is_another = !fitted.properties().eq(settings.properties());
        *settings = fitted;
        drop(settings);
        if is_another { self.renew(&mut Outcome::default()) } else { Ok(()) }
    }

    /// Replaces the producer. Nothing may be under way.
    fn renew(&self, outcome: &mut Outcome) -> Result<(), String> {
        let watch = BrokerEvents::of(&self.shared).watch();
        let settings = lock(&self.shared.settings).clone();
        let producer = context::create(&settings, &self.shared.health, watch)?;
        self.gates().renew(Arc::new(producer), outcome);
        self.shared.wake();
        Ok(())
    }
}
