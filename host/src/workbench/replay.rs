//! `host plugin replay`: what would become of dead letters now, beside what production did.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::logs::Line;
use super::run::{Tried, once};
use super::{messages, shown};
use crate::bridge::{OnError, Route, Router};
use crate::case::{Letter, Outcome, insert_bytes};
use crate::message::{Batch, Message};
use crate::setup::Prepared;
use crate::sink::{self, Stored};
use crate::transform::Transform;

/// How long Kafka may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be read, and how to tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Write JSON, not text.
    pub json: bool,
    /// How many dead letters of each topic at most.
    pub count: Option<u64>,
}

/// Reads the dead letters of all routes; gives how many would be rejected again.
///
/// # Errors
/// What cannot be read, in one line that names the cure, or that standard output cannot be written.
pub fn run(
    prepared: Prepared,
    options: Options,
    out: &mut dyn Write,
) -> Result<Result<u64, String>, io::Error> {
    let Prepared { settings, mut transforms, .. } = prepared;
    let mut topics: Vec<&str> = settings
        .routes
        .iter()
        .map(|route| &route.on_error)
        .chain([&settings.unrouted])
        .filter_map(|policy| match policy {
            OnError::DeadLetter { topic } => Some(topic.as_str()),
            OnError::Skip | OnError::Stop => None,
        })
        .collect();
    topics.sort_unstable();
    topics.dedup();
    if topics.is_empty() {
        return Ok(Err("there is no dead-letter topic (--on-error dead-letter)".to_owned()));
    }
    let mut replay = Replay {
        router: Router::new(&settings.routes),
        routes: &settings.routes,
        transforms: transforms(),
        options,
        out,
        sum: Sum::default(),
    };
    for topic in topics {
        let (mut left, mut written) = (options.count.unwrap_or(u64::MAX), Ok(()));
        let read = sink::stored(&settings.sink, topic, PATIENCE, |record| {
            written = replay.record(topic, &record);
            left -= 1;
            if left == 0 || written.is_err() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        written?;
        if let Err(problem) = read {
            return Ok(Err(problem));
        }
    }
    let Sum { letters, good, rejected, foreign } = replay.sum;
    if !options.json {
        let foreign = match foreign {
            0 => String::new(),
            foreign => format!("; {foreign} other records are no dead letters"),
        };
        writeln!(
            out,
            "{letters} dead letters: {good} would be carried now, {rejected} would be rejected again{foreign}"
        )?;
    }
    Ok(Ok(rejected))
}

#[derive(Debug, Default)]
struct Sum {
    letters: u64,
    good: u64,
    rejected: u64,
    /// Records that are no dead letters.
    foreign: u64,
}

struct Replay<'a> {
    router: Router,
    routes: &'a [Route],
    transforms: Vec<Transform>,
    options: Options,
    out: &'a mut dyn Write,
    sum: Sum,
}

impl Replay<'_> {
    fn record(&mut self, topic: &str, record: &Stored) -> io::Result<()> {
        let place = format!("{topic}[{}]@{}", record.partition, record.offset);
        let letter = Letter::read(record.value.as_deref().unwrap_or_default(), &record.headers);
        let letter = match letter {
            Ok(letter) => letter,
            Err(why) => {
                self.sum.foreign += 1;
                tracing::warn!("{place} is no dead letter: {why}");
                return Ok(());
            }
        };
        let mut batch = Batch::new();
        letter.sample.push(&mut batch, 0, messages::now()).map_err(io::Error::other)?;
        let tried = self.route_of(&letter).map(|transform| once(transform, &batch));
        self.sum.letters += 1;
        match tried.as_ref().map(|tried| &tried.outcome) {
            Some(Outcome::Records(_) | Outcome::Skip(_)) => self.sum.good += 1,
            Some(Outcome::Reject(_) | Outcome::Fatal(_)) | None => self.sum.rejected += 1,
        }
        let message = batch.message(0);
        if self.options.json {
            writeln!(self.out, "{}", told(&place, message, &letter, tried.as_ref()))
        } else {
            show(self.out, &place, message, &letter, tried.as_ref())
        }
    }

    /// The setters of the route that the message took, as far as its topic and the letter tell.
    fn route_of(&mut self, letter: &Letter) -> Option<&mut Transform> {
        let topic = &letter.sample.topic;
        let candidates = self.router.routes_of(topic);
        let meant = |number: &&usize| {
            let route = self.routes.get(**number);
            let name = route.map(|route| route.kafka_topic.name_or_written(topic));
            name.as_deref() == letter.kafka_topic.as_deref()
        };
        let number = candidates.iter().find(meant).or_else(|| candidates.first()).copied()?;
        let transform = self.transforms.get_mut(number)?;
        transform.plugins().start();
        Some(transform)
    }
}

fn show(
    out: &mut dyn Write,
    place: &str,
    message: Message<'_>,
    letter: &Letter,
    tried: Option<&Tried>,
) -> io::Result<()> {
    shown::message(out, &message, Some(place))?;
    if let Some(size) = letter.cut {
        writeln!(out, "  only the start of the payload is there, which had {size} bytes")?;
    }
    let plugin = letter.plugin.as_deref().map_or(String::new(), |plugin| format!(" by {plugin}"));
    writeln!(out, "  then: rejected{plugin} ({}): {}", letter.reason, letter.error)?;
    let Some(Tried { outcome, log, time }) = tried else {
        return writeln!(out, "  now: no route takes it");
    };
    writeln!(out, "  now, in {}:", shown::time(*time))?;
    shown::log(out, log)?;
    shown::outcome(out, outcome, outcome)
}

fn told(place: &str, message: Message<'_>, letter: &Letter, tried: Option<&Tried>) -> Value {
    let mut line = Map::new();
    line.insert("place".to_owned(), place.into());
    line.insert("topic".to_owned(), message.topic().into());
    insert_bytes(&mut line, "payload", Some(message.payload()));
    let Letter { reason, error, plugin, cut, .. } = letter;
    let then = json!({ "reason": reason, "error": error, "plugin": plugin, "payload_size": cut });
    line.insert("then".to_owned(), json!({ "reject": then }));
    let now = tried.map_or_else(
        || json!({ "reject": { "reason": "no-route" } }),
        |tried| tried.outcome.json(),
    );
    line.insert("now".to_owned(), now);
    let log: &[Line] = tried.map_or(&[], |tried| &tried.log);
    line.insert("log".to_owned(), json!(log));
    Value::Object(line)
}
