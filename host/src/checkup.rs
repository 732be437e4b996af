//! `host config check --connect`: tries both ends as they are configured, and leaves no trace at
//! either.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::bridge::{OnError, Settings};
use crate::sink::{self, Topic};
use crate::source::{self, TriedOut};

/// How long Kafka may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found at both ends: lines about what is right, and about what is not.
#[derive(Debug, Default)]
pub struct Findings {
    pub right: Vec<String>,
    /// Each names the cure.
    pub wrong: Vec<String>,
}

/// Tries to connect to the MQTT server and to Kafka.
pub async fn connect(settings: &Settings) -> Findings {
    let (mqtt, kafka) = tokio::join!(mqtt(settings), kafka(settings));
    let mut findings = Findings::default();
    match mqtt {
        Ok(line) => findings.right.push(line),
        Err(line) => findings.wrong.push(line),
    }
    match kafka {
        Ok(topics) => {
            for (topic, found) in topics {
                match found {
                    Topic::There(1) => findings.right.push(format!("Kafka topic {topic:?}: 1 partition")),
                    Topic::There(partitions) => {
                        findings.right.push(format!("Kafka topic {topic:?}: {partitions} partitions"));
                    }
                    Topic::Created => findings.right.push(format!(
                        "Kafka topic {topic:?}: not there yet; the broker creates it when it is needed"
                    )),
                    Topic::Missing(why) => findings.wrong.push(why),
                }
            }
        }
        Err(line) => findings.wrong.push(line),
    }
    findings
}

/// One connection stands for all: they differ in nothing but their client ids.
async fn mqtt(settings: &Settings) -> Result<String, String> {
    let Some(source) = settings.sources.first() else {
        return Err("there is no MQTT connection to try".to_owned());
    };
    let TriedOut { client_id, subscribed, shared } = source::try_out(source).await?;
    let name = source.server.name();
    let taken = match subscribed.as_slice() {
        [] => String::new(),
        filters => format!(" and the subscription to {}", filters.join(", ")),
    };
    let untried = match shared.as_slice() {
        [] => String::new(),
        filters => format!(
            "; not subscribed to {}, which would take messages from the others in the group",
            filters.join(", ")
        ),
    };
    Ok(format!("MQTT server {name}: takes the client id {client_id:?}{taken}{untried}"))
}

/// Of the topics that a template may lead to those that are named.
async fn kafka(settings: &Settings) -> Result<Vec<(String, Topic)>, String> {
    let mut topics = BTreeSet::new();
    for route in &settings.routes {
        topics.extend(route.kafka_topic.known().map(str::to_owned));
    }
    let policies = settings.routes.iter().map(|route| &route.on_error).chain([&settings.unrouted]);
    for policy in policies {
        if let OnError::DeadLetter { topic } = policy {
            topics.insert(topic.clone());
        }
    }
    sink::try_out(&settings.sink, topics.into_iter().collect(), PATIENCE).await
}
