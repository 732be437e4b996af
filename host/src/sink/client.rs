//! librdkafka's producer: how it is made, and the thread on which it tells what happened.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};

use super::{Delivered, Failure, Fault, Parts, Reports, Settings, Ticket, fault};
use crate::telemetry::RateLimited;

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

pub(super) fn create(
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
pub(super) struct Poll {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Poll {
    pub fn start(producer: &Arc<BaseProducer<Context>>) -> Result<Self, String> {
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

    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // The thread has nothing to return, and a panic in it has ended the process.
            drop(thread.join());
        }
    }
}

pub(super) struct Context {
    reports: Arc<dyn Reports>,
    last_error: Mutex<Option<(RDKafkaErrorCode, String)>>,
    /// Kafka has answered: from now on, what keeps it away is said here. Before, the probe says it.
    pub reached: AtomicBool,
    troubles: Mutex<RateLimited>,
}

impl Context {
    /// The newest error since the last look, a permanent one above all others.
    pub fn last_error(&self) -> Option<(RDKafkaErrorCode, String)> {
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
        let says_more = match &*last {
            None => true,
            // "All brokers are down" follows the reason why, and does not repeat it.
            Some((known, _)) => {
                !fault::is_permanent(*known) && code != RDKafkaErrorCode::AllBrokersDown
            }
        };
        if says_more {
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
