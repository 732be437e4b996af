//! What a topic takes: asked once at the start, so that batches fit.
//!
//! librdkafka never splits a batch that a broker finds too large. With batches below the topic's
//! limit only a single record can be too large, and nothing else is refused with it.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use super::Settings;

const PATIENCE: Duration = Duration::from_secs(3);

/// The largest batch that a topic takes, in bytes; `None` if the broker does not say, which it may
/// keep from clients that lack the `DescribeConfigs` right.
pub async fn largest_batch(settings: &Settings, topic: &str) -> Option<usize> {
    let mut config = ClientConfig::new();
    for (name, value) in settings.connection() {
        config.set(name, value);
    }
    let client: AdminClient<Silent> = config.create_with_context(Silent).ok()?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let answer = client.describe_configs(&[ResourceSpecifier::Topic(topic)], &options).await;
    let described = answer.ok()?.into_iter().next()?.ok()?;
    described.get("max.message.bytes")?.value.as_ref()?.parse().ok()
}

/// What goes wrong here only means that the limit stays unknown.
struct Silent;

impl ClientContext for Silent {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _text: &str) {}
    fn error(&self, _error: KafkaError, _reason: &str) {}
    fn stats_raw(&self, _statistics: &[u8]) {}
}
