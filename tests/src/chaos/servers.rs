//! The Kafka of a round. Starting one takes long, so rounds that leave it in order share one, and so
//! do those that disturb it. Two rounds may run at a time: one of each.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::scene::{Brokers, Scene};
use crate::kafka::{Cluster, Kafka, dead_letters};
use crate::relay::Relay;

enum Kind {
    Quiet(&'static Kafka),
    Disturbed(&'static (Kafka, Relay)),
    Cluster(Box<Cluster>),
}

/// What `host` writes to.
pub struct Servers {
    kind: Kind,
    /// Held until the round is over.
    _turn: MutexGuard<'static, ()>,
}

impl Servers {
    pub fn start(brokers: Brokers) -> Self {
        static QUIET: Mutex<()> = Mutex::new(());
        static DISTURBED: Mutex<()> = Mutex::new(());
        static BEHIND_RELAY: OnceLock<(Kafka, Relay)> = OnceLock::new();
        let lock = if brokers == Brokers::Quiet { &QUIET } else { &DISTURBED };
        let turn = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = match brokers {
            Brokers::Quiet => Kind::Quiet(Kafka::shared()),
            Brokers::Cluster => Kind::Cluster(Box::new(Cluster::start())),
            Brokers::Disturbed => {
                let start = || Kafka::start_behind_relay("auto.create.topics.enable=false\n");
                let servers = BEHIND_RELAY.get_or_init(start);
                let (kafka, relay) = servers;
                // A round that failed may have left it as it was.
                relay.heal();
                if kafka.is_running() {
                    kafka.limit_files(None);
                    kafka.resume();
                } else {
                    kafka.start_again();
                }
                Kind::Disturbed(servers)
            }
        };
        Self { kind, _turn: turn }
    }

    /// Any broker.
    pub fn kafka(&self) -> &Kafka {
        match &self.kind {
            Kind::Quiet(kafka) => kafka,
            Kind::Disturbed(servers) => &servers.0,
            Kind::Cluster(cluster) => cluster.node(0),
        }
    }

    /// The way to the Kafka that may be disturbed, if it is that one.
    pub fn relay(&self) -> Option<&Relay> {
        if let Kind::Disturbed((_, relay)) = &self.kind { Some(relay) } else { None }
    }

    pub fn cluster(&self) -> Option<&Cluster> {
        if let Kind::Cluster(cluster) = &self.kind { Some(cluster) } else { None }
    }

    /// Where `host` finds Kafka.
    pub fn address(&self) -> String {
        match &self.kind {
            Kind::Quiet(kafka) => kafka.address().to_owned(),
            Kind::Disturbed((_, relay)) => format!("127.0.0.1:{}", relay.port()),
            Kind::Cluster(cluster) => cluster.address(),
        }
    }

    pub fn topic(&self, scene: &Scene) -> String {
        if let Kind::Cluster(cluster) = &self.kind {
            return cluster.topic("chaos", scene.partitions);
        }
        let topic = Kafka::unused_topic("chaos");
        let (kafka, settings) = (self.kafka(), &scene.topic_settings);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &value[..])).collect();
        kafka.create_topic(&topic, scene.partitions, &settings);
        kafka.create_topic(&dead_letters(&topic), 1, &[]);
        topic
    }
}
