//! THE path: take, transform, send, confirm, acknowledge, drain.
//!
//! ```text
//!  source ──▶ routes ──▶ lane: setters, in batches (bounded by credit) ──▶ sink, which keeps order
//!    ▲                                                                        │
//!    └── in-order acknowledgement ring ◀── in-flight table: an account each ◀── delivered, or rejected
//! ```
//!
//! There is one source for each MQTT connection. A route with plugins has a lane with a thread of its
//! own; what needs no plugin is carried on the source's thread. Dead letters that are to be carried
//! again are a source, too.
//!
//! Start: Kafka, then MQTT, so that nothing is taken before it has somewhere to go. Stop: MQTT
//! first, then Kafka.

mod credit;
mod dead_letter;
mod in_flight;
mod inbox;
mod intake;
mod lane;
mod letters;
mod router;
mod start;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::hook::{Hook, News};
use crate::kafka_topic::KafkaTopic;
use crate::ledger::Ledger;
use crate::output::Print;
use crate::progress;
use crate::sink::{self, Sink};
use crate::source::{self, Control};
use crate::transform::Transform;
use crate::transform::headers::HeaderPolicy;
use in_flight::InFlight;
use inbox::Inbox;
pub use letters::{Seen, Settings as LettersSettings};
pub use router::Router;
use waiting::Reasons;

/// Everything that the path needs, already checked.
pub struct Settings {
    /// One for each MQTT connection.
    pub sources: Vec<source::Settings>,
    /// Dead-letter topics to carry again, to their present end.
    pub letters: Vec<LettersSettings>,
    pub sink: sink::Settings,
    /// Never empty.
    pub routes: Vec<Route>,
    /// What happens to messages that no route takes.
    pub unrouted: OnError,
    /// Bytes of messages that may be on their way at a time.
    pub max_in_flight_bytes: usize,
    pub print: Print,
    /// Told of every connection and failure, and may end the program.
    pub hook: Option<Hook>,
    /// How long to wait, when told to stop, for what is on its way.
    pub shutdown_timeout: Duration,
}

/// Which messages go where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// MQTT topic filters; none match everything.
    pub topics: Vec<String>,
    /// The routes after this one get its messages, too.
    pub proceed: bool,
    pub kafka_topic: KafkaTopic,
    pub headers: HeaderPolicy,
    pub on_error: OnError,
}

/// What happens to a message that a plugin or Kafka refuses for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnError {
    /// It goes to this Kafka topic.
    DeadLetter {
        topic: String,
    },
    Skip,
    Stop,
}

impl OnError {
    /// The dead-letter topic, if it is one.
    #[must_use]
    pub fn topic(&self) -> Option<&String> {
        match self {
            Self::DeadLetter { topic } => Some(topic),
            Self::Skip | Self::Stop => None,
        }
    }
}

/// How long the end waits for lanes whose plugins are at work, and for servers to take the last
/// acknowledgements.
const END: Duration = Duration::from_millis(300);

/// How many times the user has asked to stop.
pub type Stops = watch::Receiver<u32>;

/// Why the path cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// In one line, for the user.
    Failed(String),
    /// A hook wants the program to end, in good order; in one line, for the user.
    Asked(String),
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

/// Runs the path until it is told to stop, has nothing more to carry, or cannot go on. `transform`
/// makes the setters of a route, by its number.
///
/// # Errors
/// Why it could not go on, or that messages were still on their way when time was up.
pub async fn run(
    settings: Settings,
    transform: impl Fn(usize) -> Transform,
    ledger: Arc<Ledger>,
    mut stops: Stops,
) -> Result<(), String> {
    let Some(mut path) = Path::start(settings, transform, ledger, &mut stops).await? else {
        return Ok(());
    };
    let pauses = path.pauses.clone();
    let why_it_pauses = move || pauses.iter().find_map(|reasons| reasons.first());
    let progress = progress::watch(Arc::clone(&path.ledger), path.sink.health(), why_it_pauses);
    let failed = tokio::select! {
        _ = stops.wait_for(|stops| *stops > 0) => None,
        ended = path.ended.recv() => Some(ended),
        result = path.sources.all() => result.err().map(|what| Some(Ended::Failed(what))),
        never = progress => match never {},
    };
    path.tell(Control::Drain);
    match failed {
        None => path.drain(&mut stops).await,
        Some(Some(Ended::Asked(why))) => match path.drain(&mut stops).await {
            Ok(()) => Err(why),
            Err(more) => Err(format!("{why}; {more}")),
        },
        Some(Some(Ended::Failed(what))) => {
            path.news.settle().await;
            let asked = path.asked();
            path.abandon().await;
            Err(asked.map_or(what.clone(), |why| format!("{what}; {why}")))
        }
        Some(_) => {
            path.abandon().await;
            Err("a part of the path ended without a word; this is a bug in this program".to_owned())
        }
    }
}

/// The running path.
struct Path {
    inboxes: Vec<Arc<Inbox>>,
    in_flight: Arc<InFlight>,
    lanes: Vec<JoinHandle<()>>,
    stop: Arc<Stop>,
    ended: mpsc::UnboundedReceiver<Ended>,
    news: News,
    control: watch::Sender<Control>,
    sources: Sources,
    ledger: Arc<Ledger>,
    /// What it has not delivered is given up when this is dropped.
    sink: Sink,
    /// Why routes pause, on each lane.
    pauses: Vec<Arc<Reasons>>,
    shutdown_timeout: Duration,
    fate_of_the_rest: &'static str,
}

/// The running sources.
struct Sources {
    running: usize,
    ended: mpsc::UnboundedReceiver<Result<(), String>>,
}

impl Sources {
    /// Waits for the end of one, and says how it ended; `None` if there is none left.
    async fn next(&mut self) -> Option<Result<(), String>> {
        let ended = if self.running == 0 { None } else { self.ended.recv().await };
        self.running = self.running.saturating_sub(1);
        ended
    }

    /// Waits for the end of all.
    ///
    /// # Errors
    /// As soon as one fails, how.
    async fn all(&mut self) -> Result<(), String> {
        while let Some(ended) = self.next().await {
            ended?;
        }
        Ok(())
    }
}

/// Waits for a failure. What hooks ask for is done already.
async fn failure(ended: &mut mpsc::UnboundedReceiver<Ended>) -> Option<Ended> {
    loop {
        match ended.recv().await {
            Some(Ended::Asked(_)) => {}
            failed => return failed,
        }
    }
}

impl Path {
    /// Waits until everything taken is in Kafka and acknowledged.
    async fn drain(mut self, stops: &mut Stops) -> Result<(), String> {
        tracing::info!("stopping: {} messages are on their way to Kafka", self.ledger.in_flight());
        let seconds = self.shutdown_timeout.as_secs();
        let early = tokio::select! {
            result = timeout(self.shutdown_timeout, self.sources.all()) => match result {
                Ok(Ok(())) => None,
                Ok(Err(what)) => Some(what),
                // What is left is a server that does not hang up.
                Err(_) if self.ledger.in_flight() == 0 => None,
                Err(_) => Some(format!("time was up ({seconds} s, --shutdown-timeout)")),
            },
            ended = failure(&mut self.ended) => match ended {
                Some(Ended::Failed(what)) => Some(what),
                _ => Some("a part of the path ended".to_owned()),
            },
            _ = stops.wait_for(|stops| *stops > 1) => Some("asked to stop a second time".to_owned()),
        };
        let Some(early) = early else {
            self.close().await;
            return Ok(());
        };
        let (ledger, fate) = (Arc::clone(&self.ledger), self.fate_of_the_rest);
        let paused = self.pauses.iter().find_map(|reasons| reasons.first());
        let because = paused.map_or(String::new(), |why| format!(", since {why}"));
        self.abandon().await;
        Err(format!("{early}: {} messages were not in Kafka{because}; {fate}", ledger.in_flight()))
    }

    /// What a hook has said since, if one wants the program to end.
    fn asked(&mut self) -> Option<String> {
        std::iter::from_fn(|| self.ended.try_recv().ok()).find_map(|ended| match ended {
            Ended::Asked(why) => Some(why),
            Ended::Failed(_) => None,
        })
    }

    /// Tells the sources what to do.
    fn tell(&self, control: Control) {
        // Without a receiver there is no source any more.
        let _ = self.control.send(control);
    }

    /// Ends the lanes, and waits for the sources, too, which have been told to end; not for long.
    async fn close(mut self) {
        for inbox in &self.inboxes {
            inbox.close();
        }
        let ended = async {
            while self.sources.next().await.is_some() {}
            while self.lanes.iter().any(|lane| !lane.is_finished()) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        drop(timeout(END, ended).await);
        self.in_flight.close();
    }

    /// Ends the lanes, whatever they have left to do; what is in Kafka is acknowledged.
    async fn abandon(self) {
        self.stop.abandoned.store(true, Ordering::Release);
        self.tell(Control::Leave);
        self.close().await;
    }
}
