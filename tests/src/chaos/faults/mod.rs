//! All faults. One more is an entry here and a function beside the others.

mod host;
mod kafka;
mod mqtt;
mod network;
mod records;

use std::time::{Duration, Instant};

use super::message::{Fate, Kind};
use super::scene::{Brokers, Duplicates, Length, Scene};
use super::stage::Stage;
use crate::wire::Version;

/// A fault.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub name: &'static str,
    /// What happens, in one line.
    pub about: &'static str,
    /// What is different from other rounds.
    pub scene: fn(&mut Scene),
    /// Disturbs what is running, and puts it in order again.
    pub disturb: fn(&mut Stage),
}

/// The fault of this name.
pub fn fault(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|fault| fault.name == name)
}

pub static FAULTS: &[Fault] = &[
    Fault {
        name: "kafka-kill",
        about: "Kafka is killed and started again",
        scene: |scene| scene.brokers = Brokers::Disturbed,
        disturb: kafka::kill,
    },
    Fault {
        name: "kafka-kill-swallow",
        about: "Kafka's answers disappear, then it is killed and started again",
        scene: |scene| {
            scene.brokers = Brokers::Disturbed;
            // Kafka may forget what it has not answered: then its client has to be renewed.
            scene.duplicates = Duplicates::Always;
        },
        disturb: kafka::kill_swallow,
    },
    Fault {
        name: "kafka-kill-old",
        about: "the same with timestamps of two days ago, for which Kafka forgets its producers",
        scene: |scene| {
            scene.brokers = Brokers::Disturbed;
            scene.age = Duration::from_hours(48);
            scene.duplicates = Duplicates::Always;
        },
        disturb: kafka::kill_swallow,
    },
    Fault {
        name: "kafka-stop",
        about: "Kafka is stopped (SIGSTOP) for some seconds",
        scene: |scene| scene.brokers = Brokers::Disturbed,
        disturb: kafka::stop,
    },
    Fault {
        name: "kafka-term",
        about: "Kafka is stopped in good order and started again",
        scene: |scene| scene.brokers = Brokers::Disturbed,
        disturb: kafka::term,
    },
    Fault {
        name: "kafka-away",
        about: "Kafka is killed, and away for minutes",
        scene: |scene| {
            scene.brokers = Brokers::Disturbed;
            scene.slow_for(Duration::from_mins(3));
        },
        disturb: kafka::away,
    },
    Fault {
        name: "kafka-absent",
        about: "host starts while Kafka is away",
        scene: |scene| scene.brokers = Brokers::Disturbed,
        disturb: kafka::absent,
    },
    Fault {
        name: "kafka-net",
        about: "each fault of a network in turn, between host and Kafka",
        scene: |scene| scene.brokers = Brokers::Disturbed,
        disturb: network::to_kafka,
    },
    Fault {
        name: "cluster",
        about: "three brokers are killed in turn",
        scene: |scene| scene.brokers = Brokers::Cluster,
        disturb: kafka::rolling_kills,
    },
    Fault {
        name: "disk-full",
        about: "Kafka may write no more, fails, and is started again with room",
        scene: |scene| scene.brokers = Brokers::Disturbed,
        disturb: kafka::disk_full,
    },
    Fault {
        name: "topic-recreate",
        about: "the topic is deleted and made anew",
        scene: |_| {},
        disturb: records::recreate_topic,
    },
    Fault {
        name: "partitions-added",
        about: "the topic gets more partitions",
        scene: |_| {},
        disturb: records::add_partitions,
    },
    Fault {
        name: "poison-timestamp",
        about: "Kafka refuses the timestamp of one message in a hundred",
        scene: Scene::refused_timestamps,
        disturb: records::nothing_more,
    },
    Fault {
        name: "poison-key",
        about: "one message in a hundred has a null key, which a compacted topic refuses",
        scene: |scene| {
            scene.topic_settings.push(("cleanup.policy", "compact".to_owned()));
            scene.special = Some((Kind::NullKey, 100, Fate::DeadLetter));
        },
        disturb: records::nothing_more,
    },
    Fault {
        name: "limit-lowered",
        about: "the topic's largest batch becomes smaller than one message in fifty",
        scene: |scene| scene.special = Some((Kind::Large(6_000), 50, Fate::Either)),
        disturb: records::lower_limit,
    },
    Fault {
        name: "too-large",
        about: "one message in a hundred is larger than the topic takes",
        scene: |scene| {
            scene.topic_settings.push(("max.message.bytes", "20000".to_owned()));
            scene.special = Some((Kind::Large(30_000), 100, Fate::DeadLetter));
        },
        disturb: records::nothing_more,
    },
    Fault {
        name: "no-dead-letter",
        about: "the dead-letter topic is missing for a while, and dead letters have to be written",
        scene: Scene::refused_timestamps,
        disturb: records::no_dead_letter_topic,
    },
    Fault {
        name: "mqtt-kill",
        about: "mosquitto, which saves its sessions every second, is killed and started again",
        scene: |scene| {
            scene.persistent();
            scene.server_forgets = true;
            scene.duplicates = Duplicates::Always;
        },
        disturb: mqtt::kill,
    },
    Fault {
        name: "mqtt-snapshot",
        about: "mosquitto is killed and starts with an older state of its sessions",
        scene: |scene| {
            scene.persistent();
            scene.server_forgets = true;
            scene.duplicates = Duplicates::Always;
        },
        disturb: mqtt::restore,
    },
    Fault {
        name: "mqtt-fresh",
        about: "mosquitto, which keeps nothing on disk, is killed and started again",
        scene: |scene| {
            scene.server_forgets = true;
            scene.duplicates = Duplicates::Always;
        },
        disturb: mqtt::kill,
    },
    Fault {
        name: "mqtt-term",
        about: "mosquitto is stopped in good order and started again",
        scene: |scene| {
            scene.persistent();
            scene.duplicates = Duplicates::AtQos1;
        },
        disturb: mqtt::stop,
    },
    Fault {
        name: "mqtt-net",
        about: "each fault of a network in turn, between the MQTT server and host",
        scene: |scene| scene.duplicates = Duplicates::AtQos1,
        disturb: network::to_mqtt,
    },
    Fault {
        name: "mqtt-backlog",
        about: "more messages wait than there are packet ids; mosquitto starts anew, with its default window of 20",
        scene: |scene| {
            scene.mosquitto.push(("persistence", "true"));
            // mosquitto gives out packet ids that are in use, and takes one acknowledgement for another.
            scene.duplicates = Duplicates::Always;
            scene.patience = Duration::from_mins(4);
        },
        disturb: mqtt::backlog,
    },
    Fault {
        name: "mqtt-ids",
        about: "mosquitto has more messages unacknowledged than there are packet ids, and gives some twice",
        scene: |scene| {
            scene.brokers = Brokers::Disturbed;
            scene.mosquitto.push(("max_inflight_messages", "0"));
            // In MQTT 5 a client says how many messages it takes, and mosquitto heeds that.
            scene.version = Version::V311;
            scene.duplicates = Duplicates::Always;
            scene.patience = Duration::from_secs(90);
        },
        disturb: mqtt::ids_in_use,
    },
    Fault {
        name: "host-kill",
        about: "host is killed at random moments",
        scene: |scene| scene.duplicates = Duplicates::Always,
        disturb: host::kill,
    },
    Fault {
        name: "host-kill-points",
        about: "host is killed with a message received, sent, confirmed, rejected and dead-lettered",
        scene: |scene| {
            scene.brokers = Brokers::Disturbed;
            scene.refused_timestamps();
            scene.duplicates = Duplicates::Always;
        },
        disturb: host::kill_at_points,
    },
    Fault {
        name: "host-kill-outage",
        about: "host is killed while Kafka is away",
        scene: |scene| {
            scene.brokers = Brokers::Disturbed;
            scene.duplicates = Duplicates::Always;
        },
        disturb: host::kill_in_outage,
    },
    Fault {
        name: "host-term",
        about: "host is stopped (SIGTERM) under load and started again",
        scene: |_| {},
        disturb: host::stop,
    },
    Fault {
        name: "host-term-outage",
        about: "host is stopped (SIGTERM) while Kafka is away",
        scene: |scene| {
            scene.brokers = Brokers::Disturbed;
            scene.duplicates = Duplicates::Always;
            scene.shutdown_timeout = Duration::from_secs(2);
        },
        disturb: host::stop_in_outage,
    },
    Fault {
        name: "host-stop",
        about: "host stands still (SIGSTOP) for some seconds",
        scene: |scene| {
            scene.duplicates = Duplicates::AtQos1;
            scene.slow_for(Duration::from_mins(1));
        },
        disturb: host::freeze,
    },
    Fault {
        name: "host-take-over",
        about: "another client takes over the session of host and leaves again",
        scene: |scene| scene.duplicates = Duplicates::AtQos1,
        disturb: host::take_over,
    },
    Fault {
        name: "plugin-trap",
        about: "a plugin traps on one message in a hundred",
        scene: |scene| {
            scene.plugin = Some("scripted");
            scene.special = Some((Kind::Trap, 100, Fate::DeadLetter));
        },
        disturb: records::nothing_more,
    },
    Fault {
        name: "plugin-swap",
        about: "the plugin's file changes again and again, and host is killed in between",
        scene: |scene| {
            scene.plugin = Some("scripted");
            scene.duplicates = Duplicates::Always;
        },
        disturb: host::change_plugin_and_kill,
    },
    Fault {
        name: "fd-limit",
        about: "host may open no more descriptors while its connections are cut",
        scene: |scene| scene.duplicates = Duplicates::AtQos1,
        disturb: host::limit_descriptors,
    },
    Fault {
        name: "stdout-stuck",
        about: "nobody reads the output of --print for a while; then host is stopped all the same",
        scene: |scene| {
            scene.arguments.push("--print".to_owned());
            host::is_stopped_while_stuck(scene);
        },
        disturb: host::stdout_stuck,
    },
    Fault {
        name: "stdout-closed",
        about: "standard output is closed while --print writes to it",
        scene: |scene| scene.arguments.push("--print".to_owned()),
        disturb: host::stdout_closed,
    },
    Fault {
        name: "stderr-stuck",
        about: "nobody reads the log, of which there is much; then host is stopped all the same",
        scene: |scene| {
            host::much_log(scene);
            host::is_stopped_while_stuck(scene);
        },
        disturb: host::stderr_stuck,
    },
    Fault {
        name: "stderr-closed",
        about: "standard error is closed",
        scene: |scene| {
            host::much_log(scene);
            scene.log_is_lost = true;
        },
        disturb: host::stderr_closed,
    },
    Fault {
        name: "mixed",
        about: "one thing after the other, on bad networks, among refused messages, for as long as is asked for",
        scene: |scene| {
            scene.brokers = Brokers::Disturbed;
            scene.persistent();
            scene.slow_for(Duration::from_mins(1));
            scene.refused_timestamps();
            scene.plugin = Some("scripted");
            scene.server_forgets = true;
            scene.duplicates = Duplicates::Always;
            scene.patience = Duration::from_mins(2);
        },
        disturb: mixed,
    },
];

/// How long [`mixed`] goes on in a quick round.
const QUICK_MIX: Duration = Duration::from_secs(15);

fn mixed(stage: &mut Stage) {
    const STEPS: &[fn(&mut Stage)] = &[
        kafka::kill_once,
        kafka::stop_once,
        kafka::kill_swallow_once,
        kafka::term_once,
        mqtt::kill_once,
        mqtt::stop_once,
        mqtt::restore_once,
        host::kill_once,
        host::kill_in_outage_once,
        host::stop_once,
        Stage::change_plugin,
        |stage| stage.take_over(),
        network::one_to_kafka,
        network::one_to_mqtt,
    ];
    let time = match stage.scene.length {
        Length::Quick => QUICK_MIX,
        Length::Full(time) => time,
    };
    let end = Instant::now() + time;
    while Instant::now() < end {
        let slow = network::slow(stage);
        let step = stage.random.within(0..STEPS.len() as u64);
        STEPS[step as usize](stage);
        stage.load(100..500);
        slow(stage).heal();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name() {
        for known in FAULTS {
            assert_eq!(fault(known.name).map(|it| it.about), Some(known.about), "{}", known.name);
        }
    }
}
