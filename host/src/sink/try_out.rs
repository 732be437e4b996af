//! Beside the path: tries Kafka out without a trace. Nothing is written, and no topic comes into being.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::metadata::MetadataBroker;
use rdkafka::types::RDKafkaRespErr;

use super::topic::{creates_topics, state};
use super::{Events, Gathered, Rejected, Settings, Sink, Tag, Written, explain, lock};

/// What Kafka has of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// It is there, with so many partitions.
    There(usize),
    /// It is not, but the broker creates it when it is needed.
    Created,
    /// It is of no use: why, in one line that names the cure.
    Missing(String),
}

/// Asks Kafka for these topics.
///
/// # Errors
/// Why it does not answer within the time, in one line that names the cure.
pub async fn try_out(
    settings: &Settings,
    topics: Vec<String>,
    wait: Duration,
) -> Result<Vec<(String, Topic)>, String> {
    let sink = Sink::new(settings.clone(), Arc::new(Nobody))?;
    let asked = tokio::task::spawn_blocking(move || sink.there(wait)).await;
    let there = asked.map_err(|error| format!("cannot ask Kafka for its topics: {error}"))??;
    let creates = match there.broker {
        Some(broker) => creates_topics(settings, broker, wait).await == Some(true),
        None => false,
    };
    let found = |topic: String| {
        let state = match there.topics.iter().find(|(name, _)| *name == topic) {
            Some((_, Ok(partitions))) => Topic::There(*partitions),
            Some((_, Err(code))) => Topic::Missing(explain::explain_topic(&topic, (*code).into())),
            None if creates => Topic::Created,
            None => Topic::Missing(format!(
                "Kafka topic {topic:?} does not exist, or this client may not see it; create it, or give \
                 this client the Describe and Write rights"
            )),
        };
        (topic, state)
    };
    Ok(topics.into_iter().map(found).collect())
}

/// What a broker has said.
struct There {
    /// Any of the cluster: they are configured alike. Not the one that has answered, which has no
    /// id yet if it is known from `bootstrap.servers` only.
    broker: Option<i32>,
    /// All that this client may see, with how many partitions they have, or what is wrong.
    topics: Vec<(String, Result<usize, RDKafkaRespErr>)>,
}

impl Sink {
    /// Whether brokers create topics by themselves; `None` if they do not say so within the time.
    pub async fn creates_topics(&self, wait: Duration) -> Option<bool> {
        let (sink, settings) = (self.clone(), lock(&self.shared.settings).clone());
        let asked = tokio::task::spawn_blocking(move || sink.there(wait)).await;
        creates_topics(&settings, asked.ok()?.ok()?.broker?, wait).await
    }

    /// Asks for all topics: whoever asks for one makes the broker create it.
    fn there(&self, wait: Duration) -> Result<There, String> {
        let metadata = self.ask(None, wait).map_err(|error| error.to_string())?;
        let topics = metadata.topics().iter().map(|topic| (topic.name().to_owned(), state(topic)));
        let broker = metadata.brokers().first().map(MetadataBroker::id);
        Ok(There { broker, topics: topics.collect() })
    }
}

/// Nothing is sent, so nothing is reported.
struct Nobody;

impl Events for Nobody {
    fn delivered<'r>(&self, _tag: Tag, _record: &dyn Fn() -> Written<'r>) {}
    fn rejected(&self, _tag: Tag, _rejected: Rejected, _instead: &mut Gathered) {}
}
