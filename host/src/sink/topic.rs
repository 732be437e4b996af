//! What topics take: asked once at the start, so that batches fit.
//!
//! librdkafka never splits a batch that a broker finds too large. With batches below each topic's
//! limit only a single record can be too large, and nothing else is refused with it.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use super::Settings;

const PATIENCE: Duration = Duration::from_secs(3);

/// The largest batch that all of these topics take, in bytes; `None` if the broker says it of none
/// of them, which it may keep from clients that lack the `DescribeConfigs` right.
pub async fn largest_batch<'a>(
    settings: &Settings,
    topics: impl IntoIterator<Item = &'a str>,
) -> Option<usize> {
    let mut config = ClientConfig::new();
    for (name, value) in settings.connection() {
        config.set(name, value);
    }
    let client: AdminClient<Silent> = config.create_with_context(Silent).ok()?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let topics: Vec<_> = topics.into_iter().map(ResourceSpecifier::Topic).collect();
    let answers = client.describe_configs(&topics, &options).await.ok()?;
    let limit = |described: ConfigResource| {
        described.get("max.message.bytes")?.value.as_ref()?.parse().ok()
    };
    answers.into_iter().filter_map(|answer| limit(answer.ok()?)).min()
}

/// For a client of which nobody wants to hear.
pub(super) struct Silent;

impl ClientContext for Silent {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _text: &str) {}
    fn error(&self, _error: KafkaError, _reason: &str) {}
    fn stats_raw(&self, _statistics: &[u8]) {}
}
