//! What carries messages from mosquitto to Kafka while it is measured: `host`, Telegraf, or the two
//! client libraries in a program of a few lines.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::host::{Builder, Host};
use tests::kafka::Kafka;
use tests::mosquitto::{self, Mosquitto};
use tests::process::Process;
use tests::scratch::Folder;
use tests::{SOON, eventually};

use crate::Load;

/// What all of them subscribe to.
pub const FILTER: &str = "plant/#";

/// The settings with which Telegraf acknowledges after Kafka has confirmed. Its key is the MQTT topic.
const TELEGRAF: &str = include_str!("telegraf.conf");

/// What is measured side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    Host,
    /// With another option.
    HostWith(String),
    Telegraf(PathBuf),
    /// rumqttc and librdkafka, in one process.
    Floor,
}

impl Carrier {
    /// All that are to be measured.
    pub fn all(load: &Load) -> Vec<Self> {
        let other = load.with.clone().map(Self::HostWith);
        let telegraf = load.telegraf.clone().map(Self::Telegraf);
        [Self::Host].into_iter().chain(other).chain(telegraf).chain([Self::Floor]).collect()
    }

    pub fn name(&self) -> String {
        match self {
            Self::Host => "host".to_owned(),
            Self::HostWith(option) => format!("host {option}"),
            Self::Telegraf(_) => "Telegraf".to_owned(),
            Self::Floor => "floor".to_owned(),
        }
    }

    /// Starts it, and waits until it has subscribed.
    pub fn start(&self, mosquitto: &Mosquitto, kafka: &Kafka, topic: &str) -> Running {
        match self {
            Self::Host => Running::host(&Host::between(mosquitto, FILTER, kafka, topic)),
            Self::HostWith(option) => Running::host(
                &Host::between(mosquitto, FILTER, kafka, topic).argument(option.as_str()),
            ),
            Self::Telegraf(program) => {
                let running = telegraf(program, mosquitto, kafka, topic);
                wait_for_subscription(mosquitto);
                running
            }
            Self::Floor => {
                let mut command = own();
                command.args(["floor", &mosquitto.port().to_string(), kafka.address(), topic]);
                let process = Process::start("floor", &command);
                wait_for_subscription(mosquitto);
                Running::Other { process, _folder: None }
            }
        }
    }
}

/// A running carrier, killed when it goes out of scope.
pub enum Running {
    Host(Host),
    Other { process: Process, _folder: Option<Folder> },
}

impl Running {
    pub fn host(builder: &Builder) -> Self {
        Self::Host(builder.start())
    }

    pub fn id(&self) -> u32 {
        match self {
            Self::Host(host) => host.id(),
            Self::Other { process, .. } => process.id(),
        }
    }

    /// Stops it; `host` has to have its ledger in order.
    pub fn stop(self) {
        match self {
            Self::Host(host) => drop(host.stop().assert_clean()),
            Self::Other { mut process, .. } => process.kill(),
        }
    }
}

/// A mosquitto that sends so many messages before it wants an acknowledgement, and says who subscribes.
pub fn mosquitto(window: u16) -> Mosquitto {
    builder(window).start()
}

fn builder(window: u16) -> mosquitto::Builder {
    Mosquitto::builder().setting("max_inflight_messages", window).setting("log_type", "subscribe")
}

/// This program once more, as one of the carriers.
pub fn own() -> Command {
    Command::new(std::env::current_exe().expect("this binary has a path"))
}

fn wait_for_subscription(mosquitto: &Mosquitto) {
    eventually("the carrier has subscribed", SOON, || {
        mosquitto.log().contains(FILTER).then_some(())
    });
}

fn telegraf(program: &Path, mosquitto: &Mosquitto, kafka: &Kafka, topic: &str) -> Running {
    let folder = Folder::new("telegraf");
    let settings = TELEGRAF
        .replace("PORT", &mosquitto.port().to_string())
        .replace("FILTER", FILTER)
        .replace("BROKER", kafka.address())
        .replace("TOPIC", topic);
    let mut command = Command::new(program);
    command.arg("--config").arg(folder.write("telegraf.conf", settings));
    Running::Other { process: Process::start("Telegraf", &command), _folder: Some(folder) }
}

/// Its version, as it says it.
///
/// # Panics
/// If it does not run.
pub fn telegraf_version(program: &Path) -> String {
    let mut command = Command::new(program);
    let process = Process::start("Telegraf", command.arg("--version"));
    process.wait_for_line("its version", Duration::from_secs(20), |line| line.contains("Telegraf"))
}
