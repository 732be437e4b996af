//! What a round is like before anything is disturbed.

use std::time::Duration;

use super::message::{Fate, Kind};
use super::random::Random;
use crate::wire::Version;

/// How much is done in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// A few seconds: in `make test`.
    Quick,
    /// Half a minute or more: in `make chaos`. [`super::faults::FAULTS`] has one that goes on for so
    /// long.
    Full(Duration),
}

/// Which Kafka a round has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brokers {
    /// One that stays in order.
    Quiet,
    /// One that may be killed, behind a relay.
    Disturbed,
    /// Three that may be killed in turn.
    Cluster,
}

/// When a message may become two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    Never,
    /// A connection to the MQTT server broke: at QoS 2 what comes again is known.
    AtQos1,
    /// `host` died, the MQTT server forgot something, or Kafka gave its producer up.
    Always,
}

/// All that faults change.
#[derive(Debug, Clone)]
pub struct Scene {
    pub brokers: Brokers,
    pub partitions: i32,
    /// Of the Kafka topic.
    pub topic_settings: Vec<(&'static str, String)>,
    /// Lines of mosquitto.conf(5).
    pub mosquitto: Vec<(&'static str, &'static str)>,
    /// MQTT topics.
    pub topics: u16,
    pub per_second: u32,
    /// A kind of message of which there is one in so many, and where it has to end.
    pub special: Option<(Kind, u32, Fate)>,
    /// How old the timestamps of messages are.
    pub age: Duration,
    pub qos: u8,
    pub version: Version,
    /// Arguments of `host`.
    pub arguments: Vec<String>,
    /// A package with a plugin that is copied to where it may be changed.
    pub plugin: Option<&'static str>,
    pub duplicates: Duplicates,
    /// The MQTT server may lose what it has confirmed.
    pub server_forgets: bool,
    /// What `host` writes last cannot be read.
    pub log_is_lost: bool,
    /// How long `host` waits for Kafka when it is stopped, in whole seconds.
    pub shutdown_timeout: Duration,
    /// How long `host` may take to catch up in the end.
    pub patience: Duration,
    pub length: Length,
}

impl Scene {
    /// The same for the same seed: QoS 1 and 2, MQTT 3.1.1 and 5 take turns.
    pub fn new(seed: u64, length: Length) -> Self {
        let mut random = Random::new(seed);
        let (topics, per_second) = match length {
            Length::Quick => (20, 1_000),
            Length::Full(_) => (random.within(20..51) as u16, random.within(1_000..3_001) as u32),
        };
        Self {
            brokers: Brokers::Quiet,
            partitions: 3,
            topic_settings: Vec::new(),
            mosquitto: Vec::new(),
            topics,
            per_second,
            special: None,
            age: Duration::from_hours(1),
            qos: if seed.is_multiple_of(2) { 1 } else { 2 },
            version: if (seed / 2).is_multiple_of(2) { Version::V311 } else { Version::V5 },
            arguments: Vec::new(),
            plugin: None,
            duplicates: Duplicates::Never,
            server_forgets: false,
            log_is_lost: false,
            shutdown_timeout: Duration::from_secs(20),
            patience: Duration::from_mins(1),
            length,
        }
    }

    pub fn is_quick(&self) -> bool {
        self.length == Length::Quick
    }

    /// How often something is disturbed.
    pub fn times(&self) -> u32 {
        if self.is_quick() { 2 } else { 5 }
    }

    /// No more is published in this time than mosquitto has packet ids for: it gives out those in use else.
    pub fn slow_for(&mut self, time: Duration) {
        let most = u64::from(u16::MAX) * 2 / 3 / time.as_secs();
        self.per_second = self.per_second.min(most as u32);
    }

    /// mosquitto keeps sessions on disk and writes them every second.
    pub fn persistent(&mut self) {
        self.mosquitto.extend([("persistence", "true"), ("autosave_interval", "1")]);
    }

    /// Kafka refuses timestamps that are more than an hour ahead, as Kafka 4 does by default, and one
    /// message in a hundred has such a one.
    pub fn refused_timestamps(&mut self) {
        self.topic_settings.push(("message.timestamp.after.max.ms", "3600000".to_owned()));
        self.special = Some((Kind::Ahead, 100, Fate::DeadLetter));
    }
}
