//! Beside the path: how librdkafka's producer is made, and whom it tells what happened.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use rdkafka::statistics::{Broker, Statistics};

use super::native::{Producer, Watch};
use super::topic::Silent;
use super::{Health, Settings};

/// Checks that librdkafka knows all properties, takes their values and can use them together, with
/// the files that they name, without connecting.
///
/// # Errors
/// What is wrong, in one line.
pub fn check(settings: &Settings) -> Result<(), String> {
    let nowhere = Settings { brokers: String::new(), ..settings.clone() };
    let producer: Result<BaseProducer<Silent>, _> = configure(&nowhere).create_with_context(Silent);
    producer.map(drop).map_err(|error| match &error {
        KafkaError::ClientCreation(problem) => {
            undecipherable(settings, problem).unwrap_or_else(|| refused(&error))
        }
        _ => refused(&error),
    })
}

/// What is wrong with the password of the client's key, if that is it: librdkafka passes on less
/// than OpenSSL knows. It never asks on a terminal.
fn undecipherable(settings: &Settings, problem: &str) -> Option<String> {
    let value = |wanted: &str| {
        let mut user = settings.properties.iter();
        user.find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    };
    let at = ["ssl.key.location", "ssl.key.pem"]
        .into_iter()
        .find(|name| problem.contains(&format!("{name} failed")))?;
    let key = match at {
        "ssl.key.pem" => Cow::Borrowed(value(at)?),
        _ => Cow::Owned(std::fs::read_to_string(value(at)?).ok()?),
    };
    // As PKCS#8 and the older formats say it.
    if !key.contains("BEGIN ENCRYPTED PRIVATE KEY") && !key.contains("Proc-Type: 4,ENCRYPTED") {
        return None;
    }
    Some(match value("ssl.key.password") {
        None => format!(
            "-X {at}: the key is encrypted; give its password with --kafka-secret ssl.key.password=FILE"
        ),
        Some(_) => format!(
            "-X {at}: the key cannot be decrypted, so ssl.key.password is not the one that it was \
             encrypted with ({})",
            problem.trim()
        ),
    })
}

fn configure(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in settings.properties() {
        config.set(name, value);
    }
    let debugs = settings.properties().any(|(name, _)| name == "debug");
    config.set_log_level(if debugs { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info });
    config
}

/// No value is shown, since it may be a password in the wrong place.
fn refused(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, description, name, value) => {
            format!("-X {name}: {}", description.replace(&format!(" \"{value}\""), "").trim())
        }
        KafkaError::ClientCreation(problem) if problem.contains("SASL mechanism GSSAPI") => {
            "Kerberos (GSSAPI), which librdkafka takes unless told otherwise, is not built in: give \
             -X sasl.mechanisms=PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
                .to_owned()
        }
        KafkaError::ClientCreation(problem) => {
            format!("Kafka's client cannot work with these properties (-X): {}", problem.trim())
        }
        error => format!("cannot make a Kafka producer: {error}"),
    }
}

/// Makes a producer; what Kafka has is told to `watch`.
pub(super) fn create(
    settings: &Settings,
    health: &Arc<Health>,
    watch: Arc<Watch>,
) -> Result<Producer, String> {
    let context = Context { health: Arc::clone(health), is_lost: AtomicBool::new(false) };
    let mut config = configure(settings);
    // It is our own partitioner that lets records without a key stay with a partition for a while.
    config.set("sticky.partitioning.linger.ms", "0");
    // What Kafka has is known before there could be a report.
    config.set("delivery.report.only.error", "true");
    let partitioner = (settings.partitioner(), settings.batches());
    Producer::new(&config, partitioner, context, watch).map_err(|error| refused(&error))
}

/// What librdkafka's events are told to.
pub(super) struct Context {
    health: Arc<Health>,
    is_lost: AtomicBool,
}

impl Context {
    /// Whether librdkafka has come to know no broker at all. It forgets those that a broker does not name, and
    /// one that is alone and has just been away names none. Nothing then brings it back by itself
    /// (<https://github.com/confluentinc/librdkafka/issues/5301>).
    pub fn take_lost(&self) -> bool {
        self.is_lost.swap(false, Ordering::Relaxed)
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match facility {
            // A property that has no effect, or not the one that it seems to have.
            "CONFWARN" => tracing::warn!("Kafka's client: {text}"),
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
        self.is_lost.store(brokers.len() == 0, Ordering::Relaxed);
        let up = |broker: &Broker| matches!(broker.state.as_str(), "UP" | "UPDATE");
        self.health.connected(brokers.any(up));
    }
}

impl ProducerContext for Silent {
    type DeliveryOpaque = ();

    fn delivery(&self, _result: &DeliveryResult<'_>, _opaque: ()) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(properties: &[(&str, &str)]) -> String {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let properties = properties.iter().map(own).collect();
        let settings = Settings { properties, ..Settings::default() };
        check(&settings).err().unwrap_or_default()
    }

    #[test]
    fn what_librdkafka_refuses_is_said_without_the_value() {
        for (properties, words) in [
            (&[("no.such", "hunter2")][..], ["-X no.such", "No such"]),
            (&[("security.protocol", "hunter2")], ["-X security.protocol", "Invalid value"]),
            (&[("compression.level", "99")], ["-X compression.level", "-1..12"]),
            (&[("security.protocol", "sasl_ssl")], ["GSSAPI", "-X sasl.mechanisms=PLAIN"]),
            (
                &[("security.protocol", "sasl_ssl"), ("sasl.mechanism", "PLAIN")],
                ["sasl.username", "sasl.password"],
            ),
            (&[("security.protocol", "ssl"), ("ssl.key.pem", "hunter2")], ["-X", "ssl.key.pem"]),
        ] {
            let problem = problem(properties);
            assert!(words.iter().all(|word| problem.contains(word)), "{problem:?}");
            assert!(!problem.contains("hunter2") && !problem.contains('\n'), "{problem:?}");
        }
        assert_eq!(problem(&[("security.protocol", "ssl")]), "");
    }

    #[test]
    fn a_key_that_is_encrypted_wants_its_password_and_another_one_is_not_shown() {
        // What is encrypted does not matter: nothing fits it.
        let key =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let properties = [("security.protocol", "ssl"), ("ssl.key.pem", key)];
        let missing = problem(&properties);
        assert!(missing.contains("is encrypted; give its password"), "{missing}");
        let wrong = problem(&[&properties[..], &[("ssl.key.password", "hunter2")]].concat());
        assert!(wrong.contains("ssl.key.password is not the one"), "{wrong}");
        assert!(!wrong.contains("hunter2") && !wrong.contains("MAAA"), "{wrong}");
    }
}
