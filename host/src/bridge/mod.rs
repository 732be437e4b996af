//! THE path: take, transform, send, confirm, acknowledge, drain.
//!
//! ```text
//!  source ──▶ inbox (bounded by credit) ──▶ lane: setters, in batches ──▶ Kafka's client
//!    ▲                                                                          │
//!    └──── in-order acknowledgement ring ◀──── in-flight table ◀── delivery reports
//! ```
//!
//! Start: Kafka, then MQTT, so that nothing is taken before it has somewhere to go. Stop: MQTT
//! first, then Kafka.

mod credit;
mod in_flight;
mod inbox;
mod intake;
mod lane;
mod print;
mod recovery;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::sink::{self, ProbeError, Sink};
use crate::source::{self, Control, Source};
use crate::telemetry::{Ledger, RateLimited};
use crate::transform::Transform;
use credit::Credit;
use in_flight::InFlight;
use inbox::Inbox;
use intake::Intake;
use lane::Lane;
pub use lane::{OnError, Route};
use print::Printer;

/// Everything that the path needs, already checked.
pub struct Settings {
    pub source: source::Settings,
    pub sink: sink::Settings,
    pub route: Route,
    /// How many threads run setters and send.
    pub lanes: usize,
    /// Bytes of messages that may be on their way at a time.
    pub max_in_flight_bytes: usize,
    pub print: bool,
    /// How long to wait, when told to stop, for what is on its way.
    pub shutdown_timeout: Duration,
}

/// How many times the user has asked to stop.
pub type Stops = watch::Receiver<u32>;

/// Why the path cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// In one line, for the user.
    Failed(String),
    /// Told to give up.
    Abandoned,
}

/// How lanes and the bridge tell each other to stop.
pub(crate) struct Stop {
    ended: mpsc::UnboundedSender<Ended>,
    abandoned: AtomicBool,
}

impl Stop {
    /// A lane cannot go on.
    fn end(&self, ended: Ended) {
        // Without a receiver the bridge is stopping already.
        drop(self.ended.send(ended));
    }

    /// Whether the bridge has told the lanes to give up.
    fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}

/// Runs the path until it is told to stop, or cannot go on.
///
/// # Errors
/// Why it could not go on, or that messages were still on their way when time was up.
pub async fn run(
    settings: Settings,
    transforms: impl FnMut() -> Transform,
    ledger: Arc<Ledger>,
    mut stops: Stops,
) -> Result<(), String> {
    let (control, control_seen) = watch::channel(Control::Run);
    let Some(mut path) =
        Path::start(settings, transforms, ledger, control_seen, &mut stops).await?
    else {
        return Ok(());
    };
    let failed = tokio::select! {
        _ = stops.wait_for(|stops| *stops > 0) => None,
        ended = path.ended.recv() => Some(ended),
        result = &mut path.source_ended => Some(result.ok().and_then(Result::err).map(Ended::Failed)),
        never = watch_progress(Arc::clone(&path.ledger)) => match never {},
    };
    let _ = control.send(Control::Drain);
    match failed {
        None => path.drain(&mut stops).await,
        Some(Some(Ended::Failed(what))) => {
            path.abandon();
            Err(what)
        }
        Some(_) => {
            path.abandon();
            Err("a part of the path ended without a word; this is a bug in this program".to_owned())
        }
    }
}

/// The running path.
struct Path {
    inboxes: Vec<Arc<Inbox>>,
    tables: Arc<Vec<Arc<InFlight>>>,
    lanes: Vec<JoinHandle<()>>,
    stop: Arc<Stop>,
    ended: mpsc::UnboundedReceiver<Ended>,
    source_ended: oneshot::Receiver<Result<(), String>>,
    ledger: Arc<Ledger>,
    shutdown_timeout: Duration,
}

impl Path {
    /// `None` if told to stop before Kafka answered.
    async fn start(
        settings: Settings,
        mut transforms: impl FnMut() -> Transform,
        ledger: Arc<Ledger>,
        control: watch::Receiver<Control>,
        stops: &mut Stops,
    ) -> Result<Option<Self>, String> {
        let wake = Arc::new(Notify::new());
        let printer = settings.print.then(Arc::<Printer>::default);
        let (ended_sender, ended) = mpsc::unbounded_channel();
        let stop = Arc::new(Stop { ended: ended_sender, abandoned: AtomicBool::new(false) });
        let mut lanes = Vec::with_capacity(settings.lanes);
        for _ in 0..settings.lanes {
            let inbox = Arc::<Inbox>::default();
            let in_flight =
                Arc::new(InFlight::new(Arc::clone(&inbox), Arc::clone(&wake), printer.clone()));
            let sink = Sink::new(settings.sink.clone(), Arc::clone(&in_flight) as _)?;
            lanes.push(Lane {
                route: settings.route.clone(),
                transform: transforms(),
                sink,
                inbox,
                in_flight,
                ledger: Arc::clone(&ledger),
                stop: Arc::clone(&stop),
                sent: 0,
                refusals: RateLimited::default(),
                troubles: RateLimited::default(),
            });
        }
        let lanes = tokio::select! {
            reached = reach_kafka(lanes, &settings) => reached?,
            _ = stops.wait_for(|stops| *stops > 0) => return Ok(None),
        };
        let inboxes: Vec<_> = lanes.iter().map(|lane| Arc::clone(&lane.inbox)).collect();
        let tables =
            Arc::new(lanes.iter().map(|lane| Arc::clone(&lane.in_flight)).collect::<Vec<_>>());
        let threads = lanes.into_iter().enumerate().map(|(number, lane)| {
            std::thread::Builder::new()
                .name(format!("lane-{number}"))
                .spawn(move || lane.run())
                .map_err(|error| format!("cannot start a thread: {error}"))
        });
        let lanes = threads.collect::<Result<Vec<_>, _>>()?;
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

    /// Waits until everything taken is in Kafka and acknowledged.
    async fn drain(mut self, stops: &mut Stops) -> Result<(), String> {
        tracing::info!("stopping: {} messages are on their way to Kafka", self.ledger.in_flight());
        let drained = tokio::select! {
            result = timeout(self.shutdown_timeout, &mut self.source_ended) => result.is_ok(),
            _ = self.ended.recv() => false,
            _ = stops.wait_for(|stops| *stops > 1) => false,
        };
        if drained {
            self.close();
            return Ok(());
        }
        let seconds = self.shutdown_timeout.as_secs();
        let ledger = Arc::clone(&self.ledger);
        self.abandon();
        Err(format!(
            "{} messages were not in Kafka when time was up ({seconds} s, --shutdown-timeout): \
             they are not acknowledged, the MQTT server will send those at QoS 1 again",
            ledger.in_flight()
        ))
    }

    /// Ends the lanes, which have nothing left to do.
    fn close(self) {
        for inbox in &self.inboxes {
            inbox.close();
        }
        for lane in self.lanes {
            // A panic in it has ended the process.
            drop(lane.join());
        }
        for table in self.tables.iter() {
            intake::settle(table, &self.ledger);
        }
    }

    /// Ends the lanes, whatever they have left to do.
    fn abandon(self) {
        self.stop.abandoned.store(true, Ordering::Release);
        self.close();
    }
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

/// Says when nothing gets confirmed although messages wait, again every half a minute, and when it
/// goes on.
async fn watch_progress(ledger: Arc<Ledger>) -> Infallible {
    const GLANCE: Duration = Duration::from_secs(1);
    const SILENCE: Duration = Duration::from_secs(10);
    const REPEAT: Duration = Duration::from_secs(30);
    let (mut settled, mut since, mut said) = (0, Instant::now(), None);
    loop {
        sleep(GLANCE).await;
        let counts = ledger.counts();
        let now_settled = counts.delivered + counts.dead_lettered + counts.skipped;
        if now_settled != settled || counts.in_flight == 0 {
            if said.take().is_some() {
                tracing::info!(
                    "Kafka confirms messages again, after {} s",
                    since.elapsed().as_secs()
                );
            }
            (settled, since) = (now_settled, Instant::now());
        } else if since.elapsed() >= SILENCE
            && said.is_none_or(|said: Instant| said.elapsed() >= REPEAT)
        {
            said = Some(Instant::now());
            tracing::warn!(
                "{} messages wait, and Kafka has confirmed nothing for {} s; nothing is lost or acknowledged meanwhile",
                counts.in_flight,
                since.elapsed().as_secs()
            );
        }
    }
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
