//! Beside the path: what topics take, asked once at the start, so that batches fit.
//!
//! librdkafka never splits a batch that a broker finds too large. With batches below each topic's
//! limit only a single record can be too large, and nothing else is refused with it.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::RDKafkaRespErr as Code;

use super::Settings;

/// How long the start may be held up.
const PATIENCE: Duration = Duration::from_secs(3);

/// The largest batch that all of these topics take, in bytes; `None` if the broker says it of none
/// of them, which it may keep from clients that lack the `DescribeConfigs` right.
pub async fn largest_batch<'a>(
    settings: &Settings,
    topics: impl IntoIterator<Item = &'a str>,
) -> Option<usize> {
    let topics: Vec<_> = topics.into_iter().map(ResourceSpecifier::Topic).collect();
    let described = describe(settings, &topics, PATIENCE).await?;
    let limit = |described: ConfigResource| {
        described.get("max.message.bytes")?.value.as_ref()?.parse().ok()
    };
    described.into_iter().filter_map(limit).min()
}

/// What brokers say of a topic: how many partitions it has, or what is wrong with it.
pub(super) fn state(topic: &MetadataTopic) -> Result<usize, Code> {
    match topic.error() {
        None => Ok(topic.partitions().len()),
        Some(error) => Err(error),
    }
}

/// The [`state`] of a topic by its name, if they say anything of it.
pub(super) fn partitions(metadata: &Metadata, topic: &str) -> Option<Result<usize, Code>> {
    metadata.topics().iter().find(|found| found.name() == topic).map(state)
}

/// Whether a broker creates topics by itself; `None` if it does not say, which takes the
/// `DescribeConfigs` right on the cluster.
pub(super) async fn creates_topics(
    settings: &Settings,
    broker: i32,
    wait: Duration,
) -> Option<bool> {
    let described = describe(settings, &[ResourceSpecifier::Broker(broker)], wait).await?;
    described.first()?.get("auto.create.topics.enable")?.value.as_ref()?.parse().ok()
}

/// What the brokers say of those that this client may ask about.
async fn describe(
    settings: &Settings,
    about: &[ResourceSpecifier<'_>],
    wait: Duration,
) -> Option<Vec<ConfigResource>> {
    let mut config = ClientConfig::new();
    for (name, value) in settings.connection() {
        config.set(name, value);
    }
    let client: AdminClient<Silent> = config.create_with_context(Silent).ok()?;
    let options = AdminOptions::new().request_timeout(Some(wait));
    let answers = client.describe_configs(about, &options).await.ok()?;
    Some(answers.into_iter().filter_map(Result::ok).collect())
}

/// For a client of which nobody wants to hear.
pub(super) struct Silent;

impl ClientContext for Silent {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _text: &str) {}
    fn error(&self, _error: KafkaError, _reason: &str) {}
    fn stats_raw(&self, _statistics: &[u8]) {}
}
