//! A round as it runs: the servers, the publisher and `host`, and what can be done to them.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::checker::Evidence;
use super::message::{Id, identify};
use super::random::Random;
use super::scene::Scene;
use super::servers::Servers;
use super::tap::Tap;
use super::traffic::{Plan, Traffic};
use super::watch::{Seen, Watch};
use crate::host::{Builder, Ended, Host};
use crate::kafka::{Cluster, Kafka, Reader, Record, dead_letters};
use crate::mosquitto::Mosquitto;
use crate::plugin::plugin;
use crate::publisher::Publisher;
use crate::relay::{Flow, Relay, Way};
use crate::scratch::Folder;
use crate::wire::Version;
use crate::{SOON, eventually};

/// How long `host` may take to end beyond its `--shutdown-timeout`, on a busy machine.
const GRACE: Duration = Duration::from_secs(5);

/// The file of the plugin that may be changed.
const PLUGIN: &str = "plugin.wasm";

/// Everything that is running.
pub struct Stage {
    pub scene: Scene,
    pub random: Random,
    servers: Servers,
    pub topic: String,
    pub mosquitto: Mosquitto,
    pub mqtt: Relay,
    pub tap: Arc<Tap>,
    pub traffic: Traffic,
    watch: Watch,
    builder: Builder,
    host: Option<Host>,
    folder: Folder,
    /// Each `host` that has ended by itself or when it was asked to.
    ended: Vec<Ended>,
    /// How often `host` was started.
    starts: usize,
    /// What should not have been.
    complaints: Vec<String>,
    /// Records of topics that are gone.
    archive: Vec<Record>,
    archived_letters: Vec<Record>,
}

impl Stage {
    /// Starts the servers, `host` and the publisher.
    pub fn start(scene: Scene, seed: u64) -> Self {
        let servers = Servers::start(scene.brokers);
        let topic = servers.topic(&scene);
        let mosquitto = Mosquitto::builder();
        let lines = scene.mosquitto.iter();
        let mosquitto = lines.fold(mosquitto, |it, (name, value)| it.setting(name, value)).start();
        let tap = Arc::new(Tap::new(scene.version));
        let mqtt = Relay::observed(mosquitto.port(), Arc::<Tap>::clone(&tap) as Arc<_>);
        let folder = Folder::new("chaos");
        let builder = builder(&scene, &mqtt, &servers.address(), &topic, &folder);
        let host = builder.start();
        let mut random = Random::new(seed);
        let traffic = Traffic::start(Plan {
            port: mosquitto.port(),
            version: scene.version,
            qos: scene.qos,
            topics: scene.topics,
            per_second: scene.per_second,
            special: scene.special.map(|(kind, every, _)| (kind, every)),
            age: scene.age,
            random: Random::new(random.draw()),
        });
        let watch = Watch::start(Arc::clone(&tap), traffic.confirmed());
        watch.on(Some(&host));
        Self {
            scene,
            random,
            servers,
            topic,
            mosquitto,
            mqtt,
            tap,
            traffic,
            watch,
            builder,
            host: Some(host),
            folder,
            ended: Vec::new(),
            starts: 1,
            complaints: Vec::new(),
            archive: Vec::new(),
            archived_letters: Vec::new(),
        }
    }

    pub fn kafka(&self) -> &Kafka {
        self.servers.kafka()
    }

    /// Between `host` and Kafka.
    ///
    /// # Panics
    /// If the scene has no Kafka that may be disturbed.
    pub fn kafka_relay(&self) -> &Relay {
        self.servers.relay().expect("a scene with a Kafka that may be disturbed")
    }

    /// # Panics
    /// If the scene has no cluster.
    pub fn cluster(&self) -> &Cluster {
        self.servers.cluster().expect("a scene with a cluster")
    }

    /// # Panics
    /// If no `host` runs.
    pub fn host(&self) -> &Host {
        self.host.as_ref().expect("host runs")
    }

    /// SIGSTOP: nobody expects anything of it until it [goes on](Self::resume_host).
    pub fn pause_host(&mut self) {
        self.watch.on(None);
        self.host().pause();
    }

    /// SIGCONT.
    pub fn resume_host(&mut self) {
        self.host().resume();
        self.watch.on(self.host.as_ref());
    }

    /// Another client takes the place of `host`, and leaves at once.
    pub fn take_over(&self) {
        let (client_id, version) = (client_id(&self.topic), self.scene.version);
        Publisher::count_waiting(self.mosquitto.port(), &client_id, version);
    }

    /// Waits until so many messages more are confirmed to the publisher, drawn from this range.
    pub fn load(&mut self, messages: std::ops::Range<u64>) {
        let count = self.random.within(messages);
        self.traffic.wait_for_more(count);
    }

    /// Does something so many times, each time before more [load](Self::load).
    pub fn repeatedly(
        &mut self,
        times: u32,
        something: impl Fn(&mut Self),
        messages: std::ops::Range<u64>,
    ) {
        for _ in 0..times {
            something(self);
            self.load(messages.clone());
        }
    }

    /// Lets so many milliseconds pass, drawn from this range.
    pub fn wait(&mut self, milliseconds: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.random.within(milliseconds)));
    }

    /// SIGKILL.
    pub fn kill_host(&mut self) {
        self.watch.on(None);
        if let Some(host) = self.host.take() {
            host.kill();
        }
    }

    /// SIGTERM if it has not ended by itself, and waits for the end.
    pub fn stop_host(&mut self) {
        self.watch.on(None);
        let Some(mut host) = self.host.take() else { return };
        if host.is_running() {
            host.terminate();
        }
        let deadline = self.scene.shutdown_timeout + GRACE;
        match host.try_wait(deadline) {
            Ok(ended) => self.ended.push(ended),
            Err(host) => {
                self.complaints.push(format!("does not end within {deadline:?} of SIGTERM"));
                host.kill();
            }
        }
    }

    /// Starts `host` again, without waiting for it.
    pub fn start_host(&mut self) {
        let host = self.builder.launch();
        self.watch.on(Some(&host));
        self.host = Some(host);
        self.starts += 1;
    }

    /// Puts the plugin's file in the place of the old one once more, as another version that does the
    /// same, and tells `host` (SIGHUP).
    ///
    /// # Panics
    /// If the scene has no plugin.
    pub fn change_plugin(&mut self) {
        let path = self.folder.path().join(PLUGIN);
        let mut wasm = std::fs::read(path).expect("a scene with a plugin");
        // A custom section of one byte, named `m`.
        wasm.extend([0, 3, 1, b'm', self.random.draw() as u8]);
        self.folder.replace(PLUGIN, wasm);
        self.host().hang_up();
    }

    /// Deletes the topic when everything in it is acknowledged, keeps what it had, and leaves `host`
    /// without it.
    pub fn delete_topic(&mut self) {
        self.when_all_is_acknowledged(|stage| {
            let records = stage.kafka().read(&stage.topic);
            stage.archive.extend(records);
            stage.kafka().delete_topic(&stage.topic);
        });
    }

    /// Deletes the dead-letter topic in the same way.
    pub fn delete_dead_letters(&mut self) {
        self.when_all_is_acknowledged(|stage| {
            let topic = dead_letters(&stage.topic);
            let letters = stage.kafka().read(&topic);
            stage.archived_letters.extend(letters);
            stage.kafka().delete_topic(&topic);
        });
    }

    /// Does something while no message is on its way.
    fn when_all_is_acknowledged(&mut self, act: impl FnOnce(&mut Self)) {
        self.mqtt.set(Way::ToClient, Flow::Hold);
        let tap = Arc::clone(&self.tap);
        eventually("host has acknowledged all that it has", SOON, || {
            (tap.unacknowledged() == 0).then_some(())
        });
        act(self);
        self.mqtt.set(Way::ToClient, Flow::Pass);
    }

    /// Something that `host` has to have done in spite of the fault.
    pub fn expect_at_least(&mut self, messages: usize, least: usize, when: &str) {
        if messages < least {
            self.complaints.push(format!("carried {messages} of {least} messages {when}"));
        }
    }

    /// Makes the topic anew.
    pub fn create_topic(&self) {
        self.kafka().create_topic(&self.topic, self.scene.partitions, &[]);
    }

    /// Ends the load, waits until `host` has caught up, ends it and reads everything.
    pub fn finish(mut self) -> Finished {
        if self.scene.server_forgets {
            // Until then a server that has lost the session keeps nothing for it.
            wait_until(self.scene.patience, || self.tap.is_subscribed());
        }
        let (sent, last) = self.traffic.finish();
        let kafka = self.servers.kafka();
        let mut records = Reader::new(kafka.address(), &self.topic);
        let mut letters = Reader::new(kafka.address(), &dead_letters(&self.topic));
        let caught_up = catch_up(&last, self.scene.patience, &mut records, &mut letters);
        if let Some(taken) = caught_up {
            // A server that is slow would forget acknowledgements that it has not read when `host` ends.
            wait_until(self.scene.patience.saturating_sub(taken), || self.tap.in_use() == 0);
        }
        let running = self.host.as_mut().is_some_and(Host::is_running);
        if !running {
            self.complaints.push("ended by itself".to_owned());
        } else if caught_up.is_none() {
            self.complaints.push(format!(
                "has not caught up within {:?}: {} messages unacknowledged, {} packet ids in use",
                self.scene.patience,
                self.tap.unacknowledged(),
                self.tap.in_use()
            ));
            // What runs from here on says more than what is wrong in the end.
            eprintln!("{}{}", self.host().tail(), self.mosquitto.tail());
        }
        self.stop_host();
        let seen = self.watch.finish();
        records.read_to_the_end();
        letters.read_to_the_end();
        let client_id = client_id(&self.topic);
        let left_behind =
            Publisher::count_waiting(self.mosquitto.port(), &client_id, self.scene.version);
        let mut all = self.archive;
        all.extend(records.into_records());
        let mut all_letters = self.archived_letters;
        all_letters.extend(letters.into_records());
        let evidence = Evidence {
            sent,
            acknowledged: self.tap.acknowledged(),
            records: all,
            dead_letters: all_letters,
            left_behind,
            server_forgets: self.scene.server_forgets,
            special: self.scene.special.map(|(kind, _, fate)| (kind, fate)),
        };
        Finished {
            scene: self.scene,
            evidence,
            seen,
            caught_up,
            ended: self.ended,
            starts: self.starts,
            ids_in_use: self.tap.ids_in_use(),
            tap: self.tap,
            complaints: self.complaints,
        }
    }
}

/// What is left of a round.
pub struct Finished {
    pub scene: Scene,
    pub evidence: Evidence,
    pub seen: Seen,
    /// How long after the last message, if at all.
    pub caught_up: Option<Duration>,
    pub ended: Vec<Ended>,
    pub starts: usize,
    pub ids_in_use: usize,
    pub tap: Arc<Tap>,
    pub complaints: Vec<String>,
}

fn client_id(topic: &str) -> String {
    format!("host-{topic}")
}

fn builder(scene: &Scene, mqtt: &Relay, kafka: &str, topic: &str, folder: &Folder) -> Builder {
    let version = if scene.version == Version::V5 { "5" } else { "3.1.1" };
    let mut builder = Host::between_ports(mqtt.port(), "chaos/#", kafka, topic)
        .flag("qos", scene.qos)
        .flag("shutdown-timeout", scene.shutdown_timeout.as_secs())
        .flag("mqtt-version", version);
    if let Some(package) = scene.plugin {
        let wasm = std::fs::read(plugin(package)).expect("a plugin that is built is readable");
        builder = builder.flag("plugin", folder.write(PLUGIN, wasm).display());
        // What is compiled here is of no use to anybody else.
        builder = builder.environment("XDG_CACHE_HOME", &folder.path().to_string_lossy());
    }
    scene.arguments.iter().fold(builder, Builder::argument)
}

/// Waits for a condition, but not for ever.
fn wait_until(deadline: Duration, condition: impl Fn() -> bool) {
    let end = Instant::now() + deadline;
    while !condition() && Instant::now() < end {
        sleep(Duration::from_millis(50));
    }
}

/// Waits until the last message of each topic is in Kafka; how long that takes.
fn catch_up(
    last: &HashSet<Id>,
    patience: Duration,
    records: &mut Reader,
    letters: &mut Reader,
) -> Option<Duration> {
    let (start, mut open) = (Instant::now(), last.clone());
    let mut known = [0, 0];
    loop {
        for (reader, known) in [&mut *records, &mut *letters].into_iter().zip(&mut known) {
            reader.read_to_the_end();
            let new = &reader.records()[*known..];
            for id in new.iter().filter_map(|record| identify(record.value.as_deref()?)) {
                open.remove(&id);
            }
            *known = reader.records().len();
        }
        if open.is_empty() {
            return Some(start.elapsed());
        }
        if start.elapsed() > patience {
            return None;
        }
        sleep(Duration::from_millis(200));
    }
}
