//! `host demo`: the whole path in one process, to look at, with nothing to install.
//!
//! Simulated devices publish over real MQTT to an embedded broker; the program's own bridges, with
//! the example plugins, carry that into a simulated Kafka; what arrives there is read back, shown,
//! and compared with what the devices were promised. Nothing here is of use to a real bridge.
//!
//! This module is the exception to "each outside library is named in one place only": an embedded
//! broker (rumqttd) is wanted nowhere else, and devices and readers are no part of the path, so
//! they speak through rumqttc and rdkafka themselves.

mod bridges;
mod brokers;
mod check;
mod clock;
mod devices;
mod publisher;
mod reader;
mod render;
mod screen;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval, sleep_until};

use crate::bridge::Stops;
use crate::ledger::Ledger;
use crate::message::now_ms;
use bridges::{Bridges, LoadedPlugins};
use brokers::Brokers;
use check::Check;
use devices::{Devices, Expected, Fleet};
use publisher::Limits;
use reader::{Reader, Record};
use screen::Screen;

/// What goes to the log unless the user says otherwise: nothing that disturbs the display. The
/// embedded broker calls every client that hangs up an error, and dead letters are shown anyway.
pub const LOG_FILTER: &str = "warn,rumqttd=off,host::telemetry=error";

/// Where `make plugins` puts the example plugins.
const PLUGINS: &str = "wasm32-unknown-unknown/plugin";

/// Kafka partitions of each topic, and of each dead-letter topic.
const PARTITIONS: i32 = 4;
const DEAD_LETTER_PARTITIONS: i32 = 1;

/// How long the last messages may take to be confirmed and read back.
const PATIENCE: Duration = Duration::from_secs(15);

/// Makes every demonstration the same but for its time stamps.
const SEED: u64 = 7;

/// How long to publish, until either is reached; and where the example plugins are, by default
/// where `make plugins` puts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub time: Duration,
    pub messages: Option<u64>,
    pub plugins: Option<PathBuf>,
}

/// What happens in the course of the demonstration.
enum Event {
    /// A device is about to publish a message that must become this.
    Published(Expected),
    AllPublished,
    /// The MQTT broker confirmed the message that must become this value.
    Confirmed(Bytes),
    Read(Record),
}

/// Shows it on standard output, until a limit of the options is reached or the user asks to stop.
///
/// # Errors
/// If a message was lost or came out wrong, or the demonstration could not be given: why, in one
/// line.
pub async fn run(options: Options, stops: Stops) -> Result<(), String> {
    show(options, stops, Screen::stdout()).await
}

async fn show(options: Options, stops: Stops, mut screen: Screen) -> Result<(), String> {
    let directory = options.plugins.unwrap_or_else(default_plugins);
    let plugins = LoadedPlugins::load(&directory)?;
    let topics = topics();
    let brokers = Brokers::start(&topics).await?;
    let addresses = &brokers.addresses;
    screen.lines(&render::introduction(screen.style, addresses));

    let ledger = Arc::<Ledger>::default();
    let (sender, events) = mpsc::unbounded_channel();
    let _reader = Reader::start(&addresses.kafka, &topics, sender.clone())?;
    let mut bridges = Bridges::start(addresses, plugins, &ledger).await?;
    let (stop_publishing, stop) = watch::channel(false);
    let limits = Limits { time: options.time, messages: options.messages, stop };
    let publishing = publisher::publish(Devices::new(SEED), addresses.mqtt_5, limits, sender);

    let mut watcher = Watcher {
        screen,
        check: Check::default(),
        start: Instant::now(),
        time: options.time,
        stop_publishing,
        published_at: None,
    };
    tokio::select! {
        watched = watcher.watch(events, stops) => watched?,
        failure = publishing => return Err(failure),
        failure = bridges.failed() => return Err(failure),
    }
    let stopped = bridges.stop().await;
    watcher.summarise(&ledger);
    watcher.check.verdict().and(stopped)?;
    watcher.suggest(&directory);
    Ok(())
}

/// Beside this program if it was built there, else in the folder where it was called.
fn default_plugins() -> PathBuf {
    let program = std::env::current_exe().ok();
    let beside = program.and_then(|path| Some(path.parent()?.parent()?.join(PLUGINS)));
    let here = PathBuf::from("target").join(PLUGINS);
    beside.filter(|path| !here.is_dir() && path.is_dir()).unwrap_or(here)
}

/// All Kafka topics, and how many partitions each has.
fn topics() -> Vec<(String, i32)> {
    let of = |fleet: Fleet| {
        [
            (fleet.kafka_topic().to_owned(), PARTITIONS),
            (fleet.dead_letter_topic(), DEAD_LETTER_PARTITIONS),
        ]
    };
    Fleet::ALL.into_iter().flat_map(of).collect()
}

/// Keeps the count and the display.
struct Watcher {
    screen: Screen,
    check: Check,
    start: Instant,
    time: Duration,
    stop_publishing: watch::Sender<bool>,
    /// When the last message was published.
    published_at: Option<Instant>,
}

impl Watcher {
    /// Until everything published was read back, or time is up.
    async fn watch(
        &mut self,
        mut events: mpsc::UnboundedReceiver<Event>,
        mut stops: Stops,
    ) -> Result<(), String> {
        let mut tick = interval(Duration::from_millis(100));
        let mut impatient = stops.clone();
        let mut asked_to_stop = pin!(asked(&mut stops, 1));
        let mut asked_to_end = pin!(asked(&mut impatient, 2));
        let mut stopping = false;
        loop {
            let time_is_up = self.published_at.unwrap_or(self.start + self.time) + PATIENCE;
            tokio::select! {
                Some(event) = events.recv() => self.note(event),
                _ = tick.tick() => self.status(),
                () = &mut asked_to_stop, if !stopping => stopping = true,
                () = &mut asked_to_end => return Err("ended before all was read back".to_owned()),
                () = sleep_until(time_is_up) => return Ok(()),
            }
            if stopping || self.screen.is_gone() {
                self.stop_publishing.send_replace(true);
            }
            if self.published_at.is_some() && self.check.is_complete() {
                return Ok(());
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Published(expected) => self.check.published(expected),
            Event::AllPublished => self.published_at = Some(Instant::now()),
            Event::Confirmed(value) => self.check.confirmed(value),
            Event::Read(record) => {
                self.check.read(&record, now_ms());
                self.screen.record(&record, Instant::now());
            }
        }
    }

    fn status(&mut self) {
        let elapsed = self.published_at.unwrap_or_else(Instant::now) - self.start;
        let left = match self.published_at {
            Some(_) => 0,
            None => self.time.saturating_sub(elapsed).as_secs_f64().ceil() as u64,
        };
        let rate = self.check.published as f64 / elapsed.as_secs_f64().max(0.1);
        let status = render::status(self.screen.style, &self.check, rate, left);
        self.screen.status(status, Instant::now());
    }

    fn summarise(&mut self, ledger: &Ledger) {
        let time = self.published_at.unwrap_or_else(Instant::now) - self.start;
        let ledger = ledger.to_string();
        let lines = render::summary(self.screen.style, &self.check, time.as_secs_f64(), &ledger);
        self.screen.end_status();
        self.screen.lines(&lines);
    }

    fn suggest(&mut self, plugins: &Path) {
        let program = std::env::args().next().unwrap_or_else(|| "host".to_owned());
        let plugins = plugins.display().to_string();
        self.screen.lines(&render::next_steps(self.screen.style, &program, &plugins));
    }
}

/// Resolves when the user has asked so many times to stop.
async fn asked(stops: &mut Stops, times: u32) {
    if stops.wait_for(|stops| *stops >= times).await.is_err() {
        // Nobody can ask any more.
        std::future::pending::<()>().await;
    }
}
