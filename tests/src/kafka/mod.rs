//! A real Apache Kafka: one node, on free ports.
//!
//! Starting one takes seconds and a quarter of a gigabyte, so that the tests of a run share two:
//! one that nobody disturbs, and one that a test has to itself for pausing and killing it.

mod cluster;
mod jars;
mod records;
mod secured;
mod topics;

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::process::Process;
use crate::relay::Relay;
use crate::scratch::{Folder, free_port};
use crate::{A_WHILE, eventually, target};

pub use cluster::Cluster;
pub use jars::VERSION;
pub use records::{Reader, Record, read};
pub use secured::{Door, PASSWORD, Secured, USER, password};

/// How long a broker may take to start on a busy machine.
const START: Duration = Duration::from_secs(90);

/// A way into the broker.
#[derive(Debug, Clone, Copy)]
struct Listener {
    name: &'static str,
    protocol: &'static str,
    port: u16,
    /// The port that clients are told to use.
    advertised: u16,
}

impl Listener {
    fn new(name: &'static str, protocol: &'static str, port: u16) -> Self {
        Self { name, protocol, port, advertised: port }
    }
}

/// The file with a broker's settings, in its folder.
const SETTINGS: &str = "server.properties";

/// A Kafka broker.
#[derive(Debug)]
pub struct Kafka {
    address: String,
    folder: Folder,
    process: Mutex<Process>,
}

impl Kafka {
    /// The broker of this run that nobody disturbs.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// The broker of this run that is there to be paused and killed, for one test at a time; it is
    /// in order again for the next one.
    pub fn to_disturb() -> Disturbed {
        static DISTURBED: OnceLock<Kafka> = OnceLock::new();
        static LOCK: Mutex<()> = Mutex::new(());
        let guard = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        let kafka = DISTURBED.get_or_init(Self::start);
        // A test that failed may have left it dead.
        if !kafka.process().is_running() {
            kafka.start_again();
        }
        Disturbed { kafka, _guard: guard }
    }

    /// A broker of one's own. Topics are not made by themselves.
    ///
    /// # Panics
    /// If Java or Maven is missing, or the broker does not start.
    pub fn start() -> Self {
        Self::start_with("auto.create.topics.enable=false\n")
    }

    /// The same with more lines in its settings.
    ///
    /// # Panics
    /// If Java or Maven is missing, or the broker does not start.
    pub fn start_with(settings: &str) -> Self {
        Self::start_listening(free_port(), &[], settings, &[])
    }

    /// The same, with a relay that it can be reached through as well, and no otherwise than through
    /// it.
    ///
    /// # Panics
    /// If Java or Maven is missing, or the broker does not start.
    pub fn start_behind_relay(settings: &str) -> (Self, Relay) {
        let port = free_port();
        let relay = Relay::to(port);
        let listener =
            Listener { advertised: relay.port(), ..Listener::new("RELAYED", "PLAINTEXT", port) };
        (Self::start_listening(free_port(), &[listener], settings, &[]), relay)
    }

    /// With more listeners beside the one for plain text, and more arguments for the tool that
    /// prepares its data folder.
    fn start_listening(port: u16, more: &[Listener], settings: &str, format: &[&str]) -> Self {
        let settings = format!("offsets.topic.replication.factor=1\n{settings}");
        let kafka = Self::start_node(1, &[free_port()], port, more, &settings, format);
        kafka.wait_until_it_answers();
        kafka
    }

    /// Number `id`, counted from 1, of the nodes whose controllers have these ports; not yet ready.
    fn start_node(
        id: usize,
        controllers: &[u16],
        port: u16,
        more: &[Listener],
        settings: &str,
        format: &[&str],
    ) -> Self {
        let folder = Folder::new("kafka");
        let controller = Listener::new("CONTROLLER", "PLAINTEXT", controllers[id - 1]);
        let plain = Listener::new("PLAINTEXT", "PLAINTEXT", port);
        let brokers = || [plain].into_iter().chain(more.iter().copied());
        let all = || brokers().chain([controller]);
        let join = |parts: Vec<String>| parts.join(",");
        let voters = (1..).zip(controllers).map(|(id, port)| format!("{id}@127.0.0.1:{port}"));
        let file = folder.write(
            SETTINGS,
            format!(
                "process.roles=broker,controller\nnode.id={id}\n\
                 controller.quorum.voters={}\n\
                 listeners={}\nadvertised.listeners={}\nlistener.security.protocol.map={}\n\
                 controller.listener.names=CONTROLLER\nlog.dirs={}/data\n\
                 offsets.topic.num.partitions=1\n\
                 group.initial.rebalance.delay.ms=0\nlog.retention.ms=-1\n\
                 num.network.threads=2\nnum.io.threads=2\nlog.cleaner.enable=false\n\
                 broker.heartbeat.interval.ms=500\nbroker.session.timeout.ms=3000\n{settings}",
                join(voters.collect()),
                join(all().map(|it| format!("{}://127.0.0.1:{}", it.name, it.port)).collect()),
                join(
                    brokers()
                        .map(|it| format!("{}://127.0.0.1:{}", it.name, it.advertised))
                        .collect()
                ),
                join(all().map(|it| format!("{}:{}", it.name, it.protocol)).collect()),
                folder.path().display()
            ),
        );
        let mut tool = java(&["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg"]);
        tool.arg("-c").arg(&file).args(format);
        run(&mut tool, "Kafka's data folder cannot be made");

        let process = Mutex::new(launch(&file));
        Self { address: format!("127.0.0.1:{port}"), folder, process }
    }

    /// What goes into `--broker-address`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Every record that is there now, partition by partition.
    pub fn read(&self, topic: &str) -> Vec<Record> {
        read(&self.address, topic)
    }

    /// Waits until `count` records are there; the answer is all that are there then.
    ///
    /// # Panics
    /// If they do not come within `deadline`.
    pub fn wait_for(&self, topic: &str, count: usize, deadline: Duration) -> Vec<Record> {
        eventually(&format!("{count} records in {topic}"), deadline, || {
            (self.count(topic) >= count).then_some(())
        });
        self.read(topic)
    }

    /// How many records a topic has; 0 if Kafka does not say.
    pub fn count(&self, topic: &str) -> usize {
        records::count(&self.address, topic)
    }

    /// The records of the dead-letter topic that belongs to `topic`.
    pub fn read_dead_letters(&self, topic: &str) -> Vec<Record> {
        self.read(&dead_letters(topic))
    }

    /// Writes a record with each key to a topic with Kafka's own Java producer, and gives the
    /// partitions that they went to.
    ///
    /// # Panics
    /// If it cannot.
    pub fn placements_by_java(&self, topic: &str, keys: &[String]) -> Vec<i32> {
        let lines: Vec<_> = keys.iter().map(|key| BASE64_STANDARD.encode(key)).collect();
        let keys = self.folder.write(&format!("keys-{topic}"), lines.join("\n"));
        // Java runs a source file as it stands.
        let program = target::package().join("src/kafka/Placements.java");
        let mut java = java(&[]);
        java.arg(program).args([&self.address, topic]).arg(keys);
        let partitions = run(&mut java, "Kafka's Java producer does not write");
        partitions.lines().map(|line| line.parse().expect("a partition is a number")).collect()
    }

    /// SIGSTOP: connections stay, nothing answers.
    pub fn pause(&self) {
        self.process().pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process().resume();
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(&self) {
        self.process().stop(A_WHILE);
    }

    /// Starts it again after its end: same ports, same data.
    pub fn start_again(&self) {
        *self.process() = launch(&self.folder.path().join(SETTINGS));
        self.wait_until_it_answers();
    }

    /// No file of the broker may grow beyond this many bytes, as if its disk were full; `None` is no
    /// limit.
    pub fn limit_files(&self, bytes: Option<u64>) {
        self.process().limit("fsize", bytes);
    }

    /// The largest log of a topic's partitions, in bytes.
    ///
    /// # Panics
    /// If its folder cannot be read.
    pub fn largest_log(&self, topic: &str) -> u64 {
        let data = self.folder.path().join("data");
        let partitions = std::fs::read_dir(data).expect("Kafka has a data folder").flatten();
        let of_topic = partitions.filter(|entry| {
            entry.file_name().to_string_lossy().rsplit_once('-').is_some_and(|(of, _)| of == topic)
        });
        let logs = of_topic.filter_map(|entry| {
            let log = entry.path().join("00000000000000000000.log");
            std::fs::metadata(log).ok().map(|log| log.len())
        });
        logs.max().unwrap_or_default()
    }

    pub fn is_running(&self) -> bool {
        self.process().is_running()
    }

    /// The broker's log, for messages.
    pub fn log_tail(&self) -> String {
        self.process().tail()
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until_it_answers(&self) {
        eventually("Kafka answers", START, || {
            let mut process = self.process();
            assert!(process.is_running(), "Kafka does not start\n{}", process.tail());
            drop(process);
            records::answers(&self.address).then_some(())
        });
    }
}

/// The dead-letter topic of a topic, as `host` names it by default.
pub fn dead_letters(topic: &str) -> String {
    format!("{topic}.dead-letter")
}

/// The right to pause and kill a broker.
#[derive(Debug)]
pub struct Disturbed {
    kafka: &'static Kafka,
    _guard: MutexGuard<'static, ()>,
}

impl std::ops::Deref for Disturbed {
    type Target = Kafka;

    fn deref(&self) -> &Kafka {
        self.kafka
    }
}

impl Drop for Disturbed {
    fn drop(&mut self) {
        let mut process = self.kafka.process();
        let is_running = process.is_running();
        if is_running {
            process.resume();
        }
        // It outlives the test, so that nobody else shows what it wrote.
        if std::thread::panicking() {
            let state = if is_running { "runs" } else { "has ended" };
            eprintln!("Kafka {state}\n{}", process.tail());
        }
    }
}

fn launch(settings: &Path) -> Process {
    let mut command = java(&["kafka.Kafka"]);
    command.arg(settings);
    Process::start("Kafka", &command)
}

/// Runs a tool to its end, and gives what it wrote.
fn run(tool: &mut Command, problem: &str) -> String {
    let output = tool.output().expect("`java` starts");
    let (text, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{problem}:\n{text}{errors}");
    text.into_owned()
}

fn java(arguments: &[&str]) -> Command {
    let mut command = Command::new("java");
    command
        .args(["-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .args(["-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"])
        .args(["-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp"])
        .arg(jars::folder().join("*"))
        .args(arguments);
    command
}
