//! librdkafka's producer: how it is made, and whom it tells what happened.

use std::sync::Arc;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use rdkafka::statistics::{Broker, Statistics};

use super::{Delivered, Failure, Fault, Health, Parts, Reports, Settings, Ticket};

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
    health: &Arc<Health>,
) -> Result<BaseProducer<Context>, String> {
    let context = Context { reports: Arc::clone(reports), health: Arc::clone(health) };
    configure(settings).create_with_context(context).map_err(|error| refused(&error))
}

/// What librdkafka's events are told to.
pub(super) struct Context {
    reports: Arc<dyn Reports>,
    health: Arc<Health>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match facility {
            // A property that has no effect, or not the one that it seems to have.
            "CONFWARN" => tracing::warn!("{text}"),
            "FAIL" => self.health.failed(text),
            _ => {}
        }
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => tracing::debug!(target: "librdkafka", facility, "{text}"),
            _ => tracing::trace!(target: "librdkafka", facility, "{text}"),
        }
    }

    // rdkafka 0.39 calls this twice for each error; what is kept does not mind.
    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.health.error(code, reason);
        }
    }

    fn stats(&self, statistics: Statistics) {
        let mut brokers = statistics.brokers.values();
        let up = |broker: &Broker| matches!(broker.state.as_str(), "UP" | "UPDATE");
        self.health.connected(brokers.any(up));
    }
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
