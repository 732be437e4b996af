//! Three brokers that keep each other's records, so that any one of them may die.

use super::{Kafka, dead_letters};
use crate::scratch::free_port;

const NODES: usize = 3;

/// What makes a record that is confirmed survive any one broker.
const SETTINGS: &str = "auto.create.topics.enable=false\noffsets.topic.replication.factor=3\n\
                        min.insync.replicas=2\nreplica.lag.time.max.ms=5000\n\
                        controller.quorum.election.timeout.ms=500\n\
                        controller.quorum.fetch.timeout.ms=1000\n";

/// Three nodes, each broker and controller.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Kafka>,
}

impl Cluster {
    /// # Panics
    /// If Java or Maven is missing, or a broker does not start.
    pub fn start() -> Self {
        let controllers = [(); NODES].map(|()| free_port());
        let nodes: Vec<_> = (1..=NODES)
            .map(|id| Kafka::start_node(id, &controllers, free_port(), &[], SETTINGS, &[]))
            .collect();
        for node in &nodes {
            node.wait_until_it_answers();
        }
        Self { nodes }
    }

    /// What goes into `--broker-address`.
    pub fn address(&self) -> String {
        self.nodes.iter().map(Kafka::address).collect::<Vec<_>>().join(",")
    }

    /// # Panics
    /// If there is no such node: they count from 0.
    pub fn node(&self, number: usize) -> &Kafka {
        &self.nodes[number]
    }

    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// A new topic with three replicas of each partition, and its dead-letter topic.
    ///
    /// # Panics
    /// If Kafka refuses.
    pub fn topic(&self, name: &str, partitions: i32) -> String {
        let topic = Kafka::unused_topic(name);
        for (name, partitions) in [(&topic, partitions), (&dead_letters(&topic), 1)] {
            self.nodes[0].create_replicated(name, partitions, NODES as i32, &[]);
        }
        topic
    }
}
