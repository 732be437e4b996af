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

use super::credit::Credit;
use super::dead_letter::Rejections;
use super::in_flight::InFlight;
use super::inbox::Inbox;
use super::intake::Intake;
use super::lane::Lane;
use super::letters::Letters;
use super::router::Router;
use super::waiting::Waiting;
use super::{Ended, OnError, Path, Settings, Sources, Stop, Stops};
use crate::backoff::Backoff;
use crate::hook::News;
use crate::kafka_topic::KafkaTopic;
use crate::ledger::Ledger;
use crate::output::{self, Print};
use crate::print::Printer;
use crate::sink::{self, Gathered, ProbeError, Sink};
use crate::source::{Control, Source};
use crate::transform::Transform;

impl Path {
    /// `None` if told to stop before Kafka answered.
    pub(super) async fn start(
        mut settings: Settings,
        transform: impl Fn(usize) -> Transform,
        ledger: Arc<Ledger>,
        stops: &mut Stops,
    ) -> Result<Option<Self>, String> {
        let (told, control) = watch::channel(Control::Run);
        let sources = settings.sources.len() + settings.letters.len();
        let wakes: Arc<[Arc<Notify>]> = (0..sources).map(|_| Arc::default()).collect();
        let (sender, ended) = mpsc::unbounded_channel();
        let stop = Arc::new(Stop { ended: sender, abandoned: AtomicBool::new(false) });
        let ends = Arc::clone(&stop);
        let news = News::start(settings.hook.take(), move |why| ends.end(Ended::Asked(why)))?;
        let in_flight = Arc::new(InFlight::new(Arc::clone(&wakes), Arc::clone(&ledger)));
        let rejections = Arc::new(Rejections::new(
            &settings.routes,
            settings.unrouted.clone(),
            Arc::clone(&in_flight),
            Arc::clone(&stop),
            Printer::new(settings.print),
        ));
        let events = Arc::clone(&rejections) as Arc<dyn sink::Events>;
        let sink = Sink::new(settings.sink.clone(), events)?;
        tokio::select! {
            reached = reach_kafka(&sink, &settings) => reached?,
            _ = stops.wait_for(|stops| *stops > 0) => return Ok(None),
        };
        let on_error =
            settings.routes.iter().map(|route| &route.on_error).chain([&settings.unrouted]);
        let dead_letter_topics = on_error.filter_map(OnError::topic).cloned().collect();
        tokio::spawn(look_for(sink.clone(), dead_letter_topics));
        let lane = |takes: &dyn Fn(usize) -> bool| {
            let routes =
                settings.routes.iter().enumerate().map(|(number, route)| {
                    takes(number).then(|| (route.clone(), transform(number)))
                });
            Lane {
                routes: routes.collect(),
                sink: sink.clone(),
                in_flight: Arc::clone(&in_flight),
                rejections: Arc::clone(&rejections),
                ledger: Arc::clone(&ledger),
                stop: Arc::clone(&stop),
                gathered: Gathered::default(),
                waiting: Waiting::default(),
            }
        };
        let mut inboxes = Vec::with_capacity(settings.routes.len());
        let (mut lanes, mut pauses) = (Vec::new(), Vec::new());
        for number in 0..settings.routes.len() {
            let inbox = transform(number).has_plugins().then(Arc::<Inbox>::default);
            if let Some(inbox) = &inbox {
                let lane = lane(&|route| route == number);
                pauses.push(lane.waiting.reasons());
                lanes.push(spawn_lane(number, lane, Arc::clone(inbox))?);
            }
            inboxes.push(inbox);
        }
        let reader = (settings.print == Print::Wait).then(|| output::stdout().clone());
        let credit = Credit::new(settings.max_in_flight_bytes, Arc::clone(&wakes), reader);
        let take_in = |number: usize| {
            let router = Router::new(&settings.routes);
            let own = lane(&|route| inboxes[route].is_none());
            Intake::new(number, router, own, inboxes.clone(), Arc::clone(&credit), news.clone())
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
            inboxes: inboxes.into_iter().flatten().collect(),
            in_flight,
            lanes,
            stop,
            ended,
            news,
            control: told,
            ledger,
            sink,
            pauses,
            shutdown_timeout: settings.shutdown_timeout,
            fate_of_the_rest,
        }))
    }
}

fn spawn_lane(number: usize, lane: Lane, inbox: Arc<Inbox>) -> Result<JoinHandle<()>, String> {
    std::thread::Builder::new()
        .name(format!("lane-{number}"))
        .spawn(move || lane.run(&inbox))
        .map_err(|error| format!("cannot start a thread: {error}"))
}

/// Waits until Kafka has answered and has all topics that are known, so that nothing is taken
/// before it has somewhere to go.
async fn reach_kafka(sink: &Sink, settings: &Settings) -> Result<(), String> {
    let topics = settings.routes.iter().map(|route| &route.kafka_topic);
    let fixed: BTreeSet<&str> = topics.clone().filter_map(KafkaTopic::fixed).collect();
    if fixed.is_empty() {
        reach(sink, None).await?;
    }
    for topic in fixed {
        reach(sink, Some(topic)).await?;
    }
    // Who knows the limit has set it.
    let known: BTreeSet<&str> = topics.clone().flat_map(KafkaTopic::known).collect();
    let mut largest = settings.sink.largest_batch;
    if largest.is_none() {
        largest = sink::largest_batch(&settings.sink, known).await;
    }
    let can_be_made_up = topics.into_iter().any(KafkaTopic::has_patterns);
    let creates = if can_be_made_up { sink.creates_topics(LOOK).await } else { None };
    sink.fit(largest, creates)
}

/// How long the start waits to learn whether brokers create topics.
const LOOK: Duration = Duration::from_secs(3);

/// How often a broker that creates a topic now may say that there is none.
const NOT_YET: u32 = 4;

/// Asks Kafka once for a topic, or only for an answer.
async fn ask(sink: &Sink, topic: Option<&str>) -> Result<Result<(), ProbeError>, String> {
    const ATTEMPT: Duration = Duration::from_secs(5);
    let (topic, sink) = (topic.map(str::to_owned), sink.clone());
    let probe = tokio::task::spawn_blocking(move || sink.probe(topic.as_deref(), ATTEMPT));
    probe.await.map_err(|error| format!("cannot ask Kafka for its topics: {error}"))
}

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(200), Duration::from_secs(10))
}

/// The same, and gives a broker that creates the topic now the time for it.
async fn ask_for(
    sink: &Sink,
    topic: Option<&str>,
    backoff: &mut Backoff,
) -> Result<Result<(), ProbeError>, String> {
    for _ in 1..NOT_YET {
        match ask(sink, topic).await? {
            Err(ProbeError::NoTopic(_)) => sleep(backoff.next_pause()).await,
            answer => return Ok(answer),
        }
    }
    ask(sink, topic).await
}

/// Asks Kafka for a topic, or only for an answer, until it comes.
async fn reach(sink: &Sink, topic: Option<&str>) -> Result<(), String> {
    let (start, mut backoff) = (Instant::now(), backoff());
    let mut answer = ask_for(sink, topic, &mut backoff).await?;
    loop {
        match answer {
            Ok(()) => return Ok(()),
            Err(ProbeError::Permanent(what)) => return Err(what),
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
        answer = ask(sink, topic).await?;
    }
}

/// Says which dead-letter topics are missing, before the first message is rejected. Nothing waits for
/// it: most never need them.
async fn look_for(sink: Sink, dead_letter_topics: BTreeSet<String>) {
    for topic in dead_letter_topics {
        // What keeps Kafka away is said by others.
        if let Ok(Err(ProbeError::NoTopic(what))) =
            ask_for(&sink, Some(&topic), &mut backoff()).await
        {
            tracing::warn!(
                "{what}; it is for dead letters: a message that is rejected waits for it"
            );
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
