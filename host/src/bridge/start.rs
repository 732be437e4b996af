//! Starts the path: lanes, then Kafka's first answer, then MQTT, so that nothing is taken before it
//! has somewhere to go.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::sleep;

use super::credit::Credit;
use super::in_flight::InFlight;
use super::inbox::Inbox;
use super::intake::Intake;
use super::lane::Lane;
use super::print::Printer;
use super::{Path, Settings, Stop, Stops};
use crate::backoff::Backoff;
use crate::sink::{self, ProbeError, Sink};
use crate::source::{Control, Source};
use crate::telemetry::{Ledger, RateLimited};
use crate::transform::Transform;

impl Path {
    /// `None` if told to stop before Kafka answered.
    pub(super) async fn start(
        settings: Settings,
        transforms: impl FnMut() -> Transform,
        ledger: Arc<Ledger>,
        control: watch::Receiver<Control>,
        stops: &mut Stops,
    ) -> Result<Option<Self>, String> {
        let wake = Arc::new(Notify::new());
        let (sender, ended) = mpsc::unbounded_channel();
        let stop = Arc::new(Stop { ended: sender, abandoned: Arc::new(AtomicBool::new(false)) });
        let lanes = make_lanes(&settings, transforms, &ledger, &stop, &wake)?;
        let lanes = tokio::select! {
            reached = reach_kafka(lanes, &settings) => reached?,
            _ = stops.wait_for(|stops| *stops > 0) => return Ok(None),
        };
        let inboxes: Vec<_> = lanes.iter().map(|lane| Arc::clone(&lane.inbox)).collect();
        let tables: Arc<Vec<_>> =
            Arc::new(lanes.iter().map(|lane| Arc::clone(&lane.in_flight)).collect());
        let lanes = spawn_lanes(lanes)?;
        let credit = Credit::new(settings.max_in_flight_bytes, Arc::clone(&wake));
        let intake = Intake::new(inboxes.clone(), Arc::clone(&tables), credit, Arc::clone(&ledger));
        let source = Source::new(settings.source, intake, wake, control);
        Ok(Some(Self {
            inboxes,
            tables,
            lanes,
            stop,
            ended,
            source_ended: spawn_source(source)?,
            ledger,
            shutdown_timeout: settings.shutdown_timeout,
        }))
    }
}

fn make_lanes(
    settings: &Settings,
    mut transforms: impl FnMut() -> Transform,
    ledger: &Arc<Ledger>,
    stop: &Arc<Stop>,
    wake: &Arc<Notify>,
) -> Result<Vec<Lane>, String> {
    let printer = settings.print.then(Arc::<Printer>::default);
    let make = |_| {
        let inbox = Arc::<Inbox>::default();
        let in_flight =
            Arc::new(InFlight::new(Arc::clone(&inbox), Arc::clone(wake), printer.clone()));
        let reports = Arc::clone(&in_flight) as Arc<dyn sink::Reports>;
        Ok(Lane {
            route: settings.route.clone(),
            transform: transforms(),
            sink: Sink::new(settings.sink.clone(), reports, Arc::clone(&stop.abandoned))?,
            inbox,
            in_flight,
            ledger: Arc::clone(ledger),
            stop: Arc::clone(stop),
            sent: 0,
            refusals: RateLimited::default(),
            troubles: RateLimited::default(),
        })
    };
    (0..settings.lanes).map(make).collect()
}

fn spawn_lanes(lanes: Vec<Lane>) -> Result<Vec<JoinHandle<()>>, String> {
    let threads = lanes.into_iter().enumerate().map(|(number, lane)| {
        std::thread::Builder::new()
            .name(format!("lane-{number}"))
            .spawn(move || lane.run())
            .map_err(|error| format!("cannot start a thread: {error}"))
    });
    threads.collect()
}

/// Waits for Kafka's first answer, so that nothing is taken before it has somewhere to go.
async fn reach_kafka(mut lanes: Vec<Lane>, settings: &Settings) -> Result<Vec<Lane>, String> {
    const ATTEMPT: Duration = Duration::from_secs(5);
    let topic = &settings.route.kafka_topic;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    let mut attempts = 0;
    loop {
        let name = topic.clone();
        let probe = tokio::task::spawn_blocking(move || {
            let answer = lanes.first().map_or(Ok(()), |lane| lane.sink.probe(&name, ATTEMPT));
            (lanes, answer)
        });
        let answer;
        (lanes, answer) =
            probe.await.map_err(|error| format!("cannot ask Kafka for its topics: {error}"))?;
        attempts += 1;
        match answer {
            Ok(()) => break,
            Err(ProbeError::Permanent(what)) => return Err(what),
            // A broker that creates the topic now says at first that there is none.
            Err(ProbeError::NoTopic(_)) if attempts < 4 => sleep(backoff.next_pause()).await,
            Err(ProbeError::NoTopic(what) | ProbeError::Passing(what)) => {
                let pause = backoff.next_pause();
                tracing::warn!("{what}; trying again in {:.1} s", pause.as_secs_f32());
                sleep(pause).await;
            }
        }
    }
    // Who knows the limit has set it.
    if settings.sink.largest_batch.is_none()
        && let Some(largest) = sink::largest_batch(&settings.sink, topic).await
    {
        for lane in &mut lanes {
            lane.sink.fit(largest)?;
        }
    }
    Ok(lanes)
}

/// Runs the source on a thread of its own, with nothing else on it.
fn spawn_source(source: Source<Intake>) -> Result<oneshot::Receiver<Result<(), String>>, String> {
    let (sender, receiver) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the MQTT thread: {error}"))?;
    std::thread::Builder::new()
        .name("mqtt".to_owned())
        .spawn(move || {
            // Nobody listens any more when the bridge has given up.
            drop(sender.send(runtime.block_on(source.run())));
        })
        .map_err(|error| format!("cannot start the MQTT thread: {error}"))?;
    Ok(receiver)
}
