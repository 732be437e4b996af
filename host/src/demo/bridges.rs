//! The bridges of the demonstration: the very path of the program, once for each fleet, as three
//! command lines would run it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::brokers::Addresses;
use super::devices::Fleet;
use super::publisher::open_session;
use crate::bridge::{self, OnError, Route};
use crate::kafka_topic::KafkaTopic;
use crate::ledger::Ledger;
use crate::message::Qos;
use crate::output::Print;
use crate::plugin::{Limits, Plugins};
use crate::transform::Transform;
use crate::transform::builtin::Builtin;
use crate::transform::headers::HeaderPolicy;
use crate::{sink, source};

const MAX_PACKET_SIZE: usize = 1 << 20;

/// The plugins of each fleet's bridge, loaded and checked.
pub struct LoadedPlugins(Vec<(Fleet, Plugins)>);

impl LoadedPlugins {
    /// # Errors
    /// Which file is missing or cannot be used, and the cure.
    pub fn load(directory: &Path) -> Result<Self, String> {
        // On a machine that is busy with other things no message is to be blamed for that.
        let limits = Limits { call: Duration::from_secs(2), ..Limits::default() };
        let load = |fleet: Fleet| {
            let files: Vec<PathBuf> =
                fleet.plugins().iter().map(|file| directory.join(file)).collect();
            if let Some(missing) = files.iter().find(|file| !file.is_file()) {
                return Err(format!(
                    "the example plugin {} is not there; build it with `make plugins`, or say \
                     where it is with --plugins DIR",
                    missing.display()
                ));
            }
            let plugins = Plugins::load(&files, &limits).map_err(|error| error.to_string())?;
            Ok((fleet, plugins))
        };
        Fleet::ALL.into_iter().map(load).collect::<Result<_, _>>().map(Self)
    }
}

/// The running bridges.
pub struct Bridges {
    running: JoinSet<Result<(), String>>,
    stops: watch::Sender<u32>,
}

impl Bridges {
    /// Starts one for each fleet. What is published from now on reaches them.
    pub async fn start(
        addresses: &Addresses,
        plugins: LoadedPlugins,
        ledger: &Arc<Ledger>,
    ) -> Result<Self, String> {
        let (stops, stopped) = watch::channel(0);
        let mut running = JoinSet::new();
        for (fleet, plugins) in plugins.0 {
            let settings = settings(fleet, addresses);
            for source in &settings.sources {
                open_session(&source.hello.client_id, fleet.filter(), addresses.mqtt_5).await?;
            }
            // It has one route.
            let transform = move |_| Transform::new(Builtin::new(true), plugins.instantiate());
            running.spawn(bridge::run(settings, transform, Arc::clone(ledger), stopped.clone()));
        }
        Ok(Self { running, stops })
    }

    /// Resolves when a bridge ends that was not told to.
    pub async fn failed(&mut self) -> String {
        match self.running.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => format!("a bridge ended: {error}"),
            Some(Ok(Ok(()))) | None => "a bridge ended without a word".to_owned(),
        }
    }

    /// Stops them as SIGTERM would.
    ///
    /// # Errors
    /// What one of them did not bring to its end.
    pub async fn stop(mut self) -> Result<(), String> {
        self.stops.send_replace(1);
        while let Some(ended) = self.running.join_next().await {
            ended.map_err(|error| format!("a bridge ended: {error}"))??;
        }
        Ok(())
    }
}

/// What a command line would say, with the defaults.
fn settings(fleet: Fleet, addresses: &Addresses) -> bridge::Settings {
    let client_id = format!("host-{}", fleet.name());
    // One of them speaks MQTT 5, whose properties become headers.
    let (version, port) = match fleet {
        Fleet::OwnTracks | Fleet::Ttn => (source::packet::Version::V3_1_1, addresses.mqtt_3),
        Fleet::Plant => (source::packet::Version::V5, addresses.mqtt_5),
    };
    bridge::Settings {
        letters: Vec::new(),
        sources: vec![source::Settings {
            server: source::Server {
                host: "127.0.0.1".to_owned(),
                port,
                tls: None,
                websocket: None,
            },
            hello: source::packet::Hello {
                version,
                client_id: client_id.clone(),
                clean_session: false,
                keep_alive: 30,
                username: None,
                password: None,
                will: None,
                properties: source::packet::ConnectProperties {
                    max_packet_size: MAX_PACKET_SIZE as u32,
                    session_expiry: 3600,
                    receive_maximum: 1000,
                    ..source::packet::ConnectProperties::default()
                },
            },
            filters: vec![fleet.filter().to_owned()],
            unsubscribe: Vec::new(),
            qos: Qos::AtLeastOnce,
            max_packet_size: MAX_PACKET_SIZE,
            max_delay: Duration::from_millis(3),
        }],
        sink: sink::Settings {
            brokers: addresses.kafka.clone(),
            client_id,
            properties: Vec::new(),
            // The simulated Kafka leaves the question unanswered.
            largest_batch: Some(1_000_000),
            creates_topics: None,
        },
        routes: vec![Route {
            topics: Vec::new(),
            proceed: false,
            kafka_topic: KafkaTopic::named(fleet.kafka_topic().to_owned()),
            headers: HeaderPolicy::Properties,
            on_error: OnError::DeadLetter { topic: fleet.dead_letter_topic() },
        }],
        unrouted: OnError::Stop,
        max_in_flight_bytes: 16 << 20,
        print: Print::Off,
        hook: None,
        shutdown_timeout: Duration::from_secs(10),
    }
}
