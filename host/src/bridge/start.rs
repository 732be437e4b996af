//! Starts the path: lanes, then Kafka's first answer, then MQTT, so that nothing is taken before it
//! has somewhere to go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{self, Runtime};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;

use super::accounts::Accounts;
use super::credit::Credit;
use super::hooks::News;
use super::in_flight::InFlight;
use super::inbox::Inbox;
use super::intake::Intake;
use super::lane::Lane;
use super::letters::Letters;
use super::print::Printer;
use super::router::Router;
use super::waiting::Waiting;
use super::{Path, Settings, Sources, Stop, Stops};
use crate::backoff::Backoff;
use crate::kafka_topic::KafkaTopic;
use crate::sink::{self, ProbeError, Sink};
use crate::source::{Control, Source};
use crate::telemetry::{Ledger, RateLimited};
use crate::transform::Transform;

impl Path {
    /// `None` if told to stop before Kafka answered.
    pub(super) async fn start(
        mut settings: Settings,
        transforms: impl FnMut() -> Vec<Transform>,
        ledger: Arc<Ledger>,
        control: watch::Receiver<Control>,
        stops: &mut Stops,
    ) -> Result<Option<Self>, String> {
        let sources = settings.sources.len() + settings.letters.len();
        let wakes: Arc<[Arc<Notify>]> = (0..sources).map(|_| Arc::default()).collect();
        let (sender, ended) = mpsc::unbounded_channel();
        let stop = Arc::new(Stop { ended: sender, abandoned: Arc::new(AtomicBool::new(false)) });
        let news = News::start(settings.hook.take(), &stop)?;
        let lanes = make_lanes(&settings, transforms, &ledger, &stop, &wakes)?;
        let lanes = tokio::select! {
            reached = reach_kafka(lanes, &settings) => reached?,
            _ = stops.wait_for(|stops| *stops > 0) => return Ok(None),
        };
        let inboxes: Vec<_> = lanes.iter().map(|lane| Arc::clone(&lane.inbox)).collect();
        let tables: Arc<[_]> = lanes.iter().map(|lane| Arc::clone(&lane.in_flight)).collect();
        let health = lanes.iter().map(|lane| lane.sink.health()).collect();
        let pauses = lanes.iter().map(|lane| lane.waiting.reasons()).collect();
        let lanes = spawn_lanes(lanes)?;
        let credit = Credit::new(settings.max_in_flight_bytes, Arc::clone(&wakes));
        let account = |number| Accounts::new(number, Arc::clone(&tables), Arc::clone(&ledger));
        let accounts: Vec<_> = (0..wakes.len()).map(|number| Arc::new(account(number))).collect();
        let take_in = |number: usize| {
            let router = Router::new(&settings.routes);
            let accounts = Arc::clone(&accounts[number]);
            let (credit, stop) = (Arc::clone(&credit), Arc::clone(&stop));
            Intake::new(number, router, inboxes.clone(), accounts, credit, stop, news.clone())
        };
        let mut runners: Vec<(String, Runner)> = Vec::with_capacity(sources);
        for source in settings.sources {
            let (number, name) = (runners.len(), source.hello.client_id.clone());
            let wake = Arc::clone(&wakes[number]);
            let source = Source::new(source, take_in(number), wake, control.clone());
            runners.push((name, Box::new(|runtime| runtime.block_on(source.run()))));
        }
        let fate_of_the_rest = if settings.letters.is_empty() {
            "they are not acknowledged, and the MQTT server will send those at QoS 1 and 2 again"
        } else {
            "they are still in the dead-letter topic, for the next time"
        };
        for letters in settings.letters {
            let (number, name) = (runners.len(), letters.topic.clone());
            let wake = Arc::clone(&wakes[number]);
            let letters = Letters::new(letters, take_in(number), wake, control.clone());
            runners.push((name, Box::new(|runtime| runtime.block_on(letters.run()))));
        }
        Ok(Some(Self {
            sources: spawn_sources(runners)?,
            inboxes,
            accounts,
            lanes,
            stop,
            ended,
            news,
            ledger,
            health,
            pauses,
            shutdown_timeout: settings.shutdown_timeout,
            fate_of_the_rest,
        }))
    }
}

fn make_lanes(
    settings: &Settings,
    mut transforms: impl FnMut() -> Vec<Transform>,
    ledger: &Arc<Ledger>,
    stop: &Arc<Stop>,
    wakes: &Arc<[Arc<Notify>]>,
) -> Result<Vec<Lane>, String> {
    let printer = Printer::new(settings.print, &stop.abandoned).map(Arc::new);
    let make = |_| {
        let inbox = Arc::<Inbox>::default();
        let in_flight =
            Arc::new(InFlight::new(Arc::clone(&inbox), Arc::clone(wakes), printer.clone()));
        let reports = Arc::clone(&in_flight) as Arc<dyn sink::Reports>;
        Ok(Lane {
            routes: settings.routes.iter().cloned().zip(transforms()).collect(),
            unrouted: settings.unrouted.clone(),
            sink: Sink::new(settings.sink.clone(), reports, Arc::clone(&stop.abandoned))?,
            inbox,
            in_flight,
            ledger: Arc::clone(ledger),
            stop: Arc::clone(stop),
            waiting: Waiting::default(),
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

/// Waits until Kafka has answered and has all topics that are known, so that nothing is taken
/// before it has somewhere to go.
async fn reach_kafka(mut lanes: Vec<Lane>, settings: &Settings) -> Result<Vec<Lane>, String> {
    let topics = settings.routes.iter().map(|route| &route.kafka_topic);
    let fixed: BTreeSet<&str> = topics.clone().filter_map(KafkaTopic::fixed).collect();
    if fixed.is_empty() {
        lanes = reach(lanes, None).await?;
    }
    for topic in fixed {
        lanes = reach(lanes, Some(topic)).await?;
    }
    // Who knows the limit has set it.
    let known: BTreeSet<&str> = topics.flat_map(KafkaTopic::known).collect();
    if settings.sink.largest_batch.is_none()
        && let Some(largest) = sink::largest_batch(&settings.sink, known).await
    {
        for lane in &mut lanes {
            lane.sink.fit(largest)?;
        }
    }
    Ok(lanes)
}

/// Asks Kafka for a topic, or only for an answer, until it comes.
async fn reach(mut lanes: Vec<Lane>, topic: Option<&str>) -> Result<Vec<Lane>, String> {
    const ATTEMPT: Duration = Duration::from_secs(5);
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    let (start, mut attempts) = (Instant::now(), 0);
    loop {
        let topic = topic.map(str::to_owned);
        let probe = tokio::task::spawn_blocking(move || {
            let probe = |lane: &Lane| lane.sink.probe(topic.as_deref(), ATTEMPT);
            let answer = lanes.first().map_or(Ok(()), probe);
            (lanes, answer)
        });
        let answer;
        (lanes, answer) =
            probe.await.map_err(|error| format!("cannot ask Kafka for its topics: {error}"))?;
        attempts += 1;
        match answer {
            Ok(()) => return Ok(lanes),
            Err(ProbeError::Permanent(what)) => return Err(what),
            // A broker that creates the topic now says at first that there is none.
            Err(ProbeError::NoTopic(_)) if attempts < 4 => sleep(backoff.next_pause()).await,
            Err(ProbeError::NoTopic(what) | ProbeError::Passing(what)) => {
                let pause = backoff.next_pause();
                tracing::warn!(
                    "{what}; waiting for {} s, trying again in {:.1} s",
                    start.elapsed().as_secs(),
                    pause.as_secs_f32()
                );
                sleep(pause).await;
            }
        }
    }
}

/// Runs a source to its end.
type Runner = Box<dyn FnOnce(&Runtime) -> Result<(), String> + Send>;

/// Runs each source, which has its name beside it, on a thread of its own with nothing else on it.
fn spawn_sources(sources: Vec<(String, Runner)>) -> Result<Sources, String> {
    let failed = |error: std::io::Error| format!("cannot start a source's thread: {error}");
    let (sender, ended) = mpsc::unbounded_channel();
    let running = sources.len();
    for (number, (name, source)) in sources.into_iter().enumerate() {
        let runtime =
            runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let sender = sender.clone();
        let run = move || {
            // Its lines in the log say whose they are, where there are several, at any level.
            let span = (running > 1).then(|| tracing::error_span!("connection", client = %name));
            let _entered = span.as_ref().map(tracing::Span::enter);
            let ended = source(&runtime).map_err(|what| match span {
                Some(_) => format!("connection {name}: {what}"),
                None => what,
            });
            // Nobody listens any more when the bridge has given up.
            drop(sender.send(ended));
        };
        std::thread::Builder::new().name(format!("source-{number}")).spawn(run).map_err(failed)?;
    }
    Ok(Sources { running, ended })
}
