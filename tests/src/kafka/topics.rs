//! Topics are made, changed and removed.

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::{Kafka, dead_letters, records};
use crate::scratch::unique;
use crate::{A_WHILE, SOON, eventually};

/// Partitions of a topic that [`Kafka::topic`] makes.
const PARTITIONS: i32 = 3;

impl Kafka {
    /// A new topic with three partitions, and its dead-letter topic with one.
    pub fn topic(&self, name: &str) -> String {
        let topic = Self::unused_topic(name);
        self.create_topic(&topic, PARTITIONS, &[]);
        self.create_topic(&dead_letters(&topic), 1, &[]);
        topic
    }

    /// A name that no topic has yet.
    pub fn unused_topic(name: &str) -> String {
        format!("{name}-{}", unique())
    }

    /// # Panics
    /// If Kafka refuses.
    pub fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        self.create_replicated(name, partitions, 1, settings);
    }

    pub(super) fn create_replicated(
        &self,
        name: &str,
        partitions: i32,
        replicas: i32,
        settings: &[(&str, &str)],
    ) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
        for (name, value) in settings {
            topic = topic.set(name, value);
        }
        // A broker that was stopped a moment ago may not heed the first attempt, or only in the end.
        let mut timed_out = false;
        eventually("Kafka makes the topic", A_WHILE, || {
            let created = pollster::block_on(self.admin().create_topics([&topic], &options()));
            match created.as_deref() {
                Err(KafkaError::AdminOp(Code::OperationTimedOut)) => {
                    timed_out = true;
                    None
                }
                // It may still count as dead.
                Ok([Err((_, Code::InvalidReplicationFactor))]) => None,
                Ok([Ok(_)]) => Some(()),
                Ok([Err((_, Code::TopicAlreadyExists))]) if timed_out => Some(()),
                _ => panic!("cannot create {name}: {created:?}"),
            }
        });
        // The answer comes before the broker itself knows the topic.
        eventually("the new topic can be used", SOON, || {
            records::partitions(&self.address, name).filter(|&known| known == partitions)
        });
    }

    /// Removes a topic with all its records.
    ///
    /// # Panics
    /// If Kafka refuses.
    pub fn delete_topic(&self, name: &str) {
        let deleted = pollster::block_on(self.admin().delete_topics(&[name], &options()));
        let deleted = deleted.unwrap_or_else(|error| panic!("cannot delete {name}: {error}"));
        assert!(deleted[0].is_ok(), "cannot delete {name}: {deleted:?}");
    }

    /// Gives a topic these settings, and no others.
    ///
    /// # Panics
    /// If Kafka refuses.
    pub fn configure_topic(&self, name: &str, settings: &[(&str, &str)]) {
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (name, value) in settings {
            change = change.set(name, value);
        }
        let changed = pollster::block_on(self.admin().alter_configs([&change], &options()));
        let changed = changed.unwrap_or_else(|error| panic!("cannot configure {name}: {error}"));
        assert!(changed[0].is_ok(), "cannot configure {name}: {changed:?}");
    }

    /// Gives a topic more partitions: `partitions` in all.
    ///
    /// # Panics
    /// If Kafka refuses.
    pub fn add_partitions(&self, name: &str, partitions: usize) {
        let more = NewPartitions::new(name, partitions);
        let added = pollster::block_on(self.admin().create_partitions([&more], &options()));
        let added = added.unwrap_or_else(|error| panic!("cannot add to {name}: {error}"));
        assert!(added[0].is_ok(), "cannot add to {name}: {added:?}");
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config.create().expect("the settings of an admin client are right")
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(SOON)).request_timeout(Some(SOON))
}
