//! `host plugin replay`: what would become of messages now, beside what has become of them: of dead
//! letters what production did, of recorded messages what the configured plugins do.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::logs::Line;
use super::messages::{self, Placed};
use super::run::{Tried, once};
use super::{Ended, redeliver, shown};
use crate::bridge::{Route, Router};
use crate::case::{Letter, Outcome, insert_bytes};
use crate::config::{self, Messages, PluginLimits, Replayed};
use crate::message::{Batch, Message, now_ms};
use crate::plugin::Untrusted;
use crate::setup::{self, Prepared};
use crate::sink::{Next, Reader, Stored};
use crate::transform::Transform;

/// What is to be read, by which setters, and how to tell of it.
pub struct Options {
    pub routes: Vec<config::Route>,
    /// The same with other plugins.
    pub candidates: Option<Vec<config::Route>>,
    /// Of plugins of which nothing else is said.
    pub limits: PluginLimits,
    /// Write JSON, not text.
    pub json: bool,
    /// How many messages at most, of each topic.
    pub count: Option<u64>,
    pub what: Replayed,
}

/// Reads the messages, and tells what becomes of each; with candidates, what becomes of each with those.
///
/// # Errors
/// What cannot be read; or [`Ended::Failed`] if a message would be rejected, or, where recorded messages
/// and candidates are compared, if something would become of it that does not become of it now.
pub fn run(prepared: Prepared, options: Options, out: &mut dyn Write) -> Result<(), Ended> {
    let Prepared { settings, transform, .. } = prepared;
    let Options { routes, candidates, limits, json, count, what } = options;
    // Recorded messages are of the past: what is compared is not to depend on the time of day.
    let recorded = matches!(what, Replayed::Messages(_));
    let spec = if recorded { setup::standing } else { setup::spec };
    let load = |routes| setup::transforms(routes, &limits, spec).map_err(Ended::Unusable);
    let mut replay = Replay {
        router: Router::new(&settings.routes),
        routes: &settings.routes,
        then: (recorded && candidates.is_some()).then(|| load(&routes)).transpose()?,
        now: match &candidates {
            Some(candidates) => load(candidates)?,
            None if recorded => load(&routes)?,
            // These are loaded already.
            None => (0..settings.routes.len()).map(transform).collect(),
        },
        json,
        out,
        sum: Sum::default(),
    };
    let count = count.unwrap_or(u64::MAX);
    match &what {
        Replayed::Messages(file) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            for placed in messages::each(&Messages::Lines(file.clone()), None)?.take(count) {
                replay.recorded(&placed?)?;
            }
        }
        Replayed::AllLetters | Replayed::NewLetters => {
            let from = redeliver::beginning(&what);
            for topic in redeliver::topics(&settings)? {
                let mut reader = Reader::open(&settings.sink, &topic, from).map_err(Ended::Away)?;
                let mut left = count;
                while left > 0 {
                    match reader.next(redeliver::GLANCE).map_err(Ended::Away)? {
                        Next::Record(record) => {
                            replay.letter(&topic, &record)?;
                            left -= 1;
                        }
                        Next::Nothing => {}
                        Next::End => break,
                    }
                }
            }
        }
    }
    replay.end()
}

struct Replay<'a> {
    router: Router,
    routes: &'a [Route],
    /// With what messages are compared, if they are not dead letters.
    then: Option<Vec<Transform>>,
    now: Vec<Transform>,
    json: bool,
    out: &'a mut dyn Write,
    sum: Sum,
}

/// What has become of all messages.
#[derive(Default)]
struct Sum {
    letters: u64,
    recorded: u64,
    /// Of both, those that would be carried.
    good: u64,
    rejected: u64,
    /// Recorded messages of which something else becomes.
    differ: u64,
    /// Records that are no dead letters.
    foreign: u64,
}

/// What became of a message before, if that is known.
enum Then<'a> {
    Letter(&'a Letter),
    Tried(Tried),
    Unknown,
}

impl Replay<'_> {
    fn letter(&mut self, topic: &str, record: &Stored) -> Result<(), Ended> {
        let place = record.place(topic);
        let letter = match Letter::read(record.value.as_deref(), &record.headers) {
            Ok(letter) => letter,
            Err(why) => {
                self.sum.foreign += 1;
                tracing::warn!("{place} is no dead letter: {why}");
                return Ok(());
            }
        };
        let mut batch = Batch::new();
        letter.sample.push(&mut batch, 0, now_ms()).map_err(Ended::Unusable)?;
        let Letter { sample, kafka_topic, .. } = &letter;
        let route = self.router.route_of_letter(&sample.topic, kafka_topic.as_deref());
        let now = tried(&mut self.now, route, &batch);
        self.sum.letters += 1;
        self.sum.add(now.as_ref());
        self.tell(&place, batch.message(0), route, &Then::Letter(&letter), now.as_ref())?;
        Ok(())
    }

    /// A message takes each of its routes for itself.
    fn recorded(&mut self, Placed { place, sample }: &Placed) -> Result<(), Ended> {
        let place = place.as_deref().unwrap_or_default();
        let mut batch = Batch::new();
        sample.push(&mut batch, 0, now_ms()).map_err(Ended::Unusable)?;
        for route in self.router.routes_of(&sample.topic).to_vec() {
            let then = self.then.as_mut().and_then(|then| tried(then, route, &batch));
            let now = tried(&mut self.now, route, &batch);
            self.sum.recorded += 1;
            self.sum.add(now.as_ref());
            let then = then.map_or(Then::Unknown, Then::Tried);
            if let (Then::Tried(then), Some(now)) = (&then, &now) {
                let same = then.outcome.json() == now.outcome.json();
                self.sum.differ += u64::from(!same);
                if same && !self.json {
                    continue;
                }
            }
            self.tell(place, batch.message(0), route, &then, now.as_ref())?;
        }
        Ok(())
    }

    fn tell(
        &mut self,
        place: &str,
        message: Message<'_>,
        route: usize,
        then: &Then<'_>,
        now: Option<&Tried>,
    ) -> io::Result<()> {
        let route = self.routes.get(route);
        let kafka_topic = route.map(|route| route.kafka_topic.name_or_written(message.topic()));
        let (out, kafka_topic) = (&mut *self.out, kafka_topic.as_deref());
        if self.json {
            return writeln!(out, "{}", told(place, message, kafka_topic, then, now));
        }
        shown::message(out, &message, Some(place))?;
        match then {
            Then::Letter(letter) => {
                if let Some(size) = letter.cut {
                    let only = "only the start of the payload is there, which had";
                    writeln!(out, "  {only} {size} bytes")?;
                }
                let Letter { plugin, reason, error, .. } = letter;
                let by = |plugin| format!(" by {}", Untrusted::new(plugin));
                let plugin = plugin.as_deref().map_or_else(String::new, by);
                let [reason, error] = [reason, error].map(|text| Untrusted::new(text));
                writeln!(out, "  then: rejected{plugin} ({reason}): {error}")?;
            }
            Then::Tried(then) => show(out, "then", kafka_topic, then)?,
            Then::Unknown => {}
        }
        match now {
            Some(now) => show(out, "now", kafka_topic, now),
            None => writeln!(out, "  now: no route takes it"),
        }
    }

    fn end(self) -> Result<(), Ended> {
        let Self { then, json, out, sum, .. } = self;
        let Sum { letters, recorded, good, rejected, differ, foreign } = sum;
        let compares = then.is_some();
        if !json {
            let foreign = match foreign {
                0 => String::new(),
                foreign => format!("; {foreign} other records are no dead letters"),
            };
            match (recorded, letters) {
                (0, letters) => writeln!(
                    out,
                    "{letters} dead letters: {good} would be carried now, {rejected} would be rejected again{foreign}"
                ),
                (messages, _) if compares => {
                    writeln!(out, "{messages} messages: of {differ} something else would become")
                }
                (messages, _) => {
                    writeln!(out, "{messages} messages: {good} carried, {rejected} rejected")
                }
            }?;
        }
        let well = if compares { differ == 0 } else { rejected == 0 };
        if well { Ok(()) } else { Err(Ended::Failed) }
    }
}

impl Sum {
    fn add(&mut self, now: Option<&Tried>) {
        match now.map(|tried| &tried.outcome) {
            Some(Outcome::Records(_) | Outcome::Skip(_)) => self.good += 1,
            Some(Outcome::Reject(_) | Outcome::Fatal(_)) | None => self.rejected += 1,
        }
    }
}

/// What the setters of a route do with a message; `None` if there is no such route.
fn tried(transforms: &mut [Transform], route: usize, batch: &Batch) -> Option<Tried> {
    let transform = transforms.get_mut(route)?;
    // After a failure the next message gets a new instance.
    transform.plugins().start();
    Some(once(transform, batch))
}

fn show(
    out: &mut dyn Write,
    when: &str,
    kafka_topic: Option<&str>,
    Tried { outcome, log, time }: &Tried,
) -> io::Result<()> {
    let to = kafka_topic.map_or(String::new(), |topic| format!(", for {topic}"));
    writeln!(out, "  {when}, in {}{to}:", shown::time(*time))?;
    shown::log(out, log)?;
    shown::outcome(out, outcome, outcome)
}

fn told(
    place: &str,
    message: Message<'_>,
    kafka_topic: Option<&str>,
    then: &Then<'_>,
    now: Option<&Tried>,
) -> Value {
    let mut line = Map::new();
    line.insert("place".to_owned(), place.into());
    line.insert("topic".to_owned(), message.topic().into());
    insert_bytes(&mut line, "payload", Some(message.payload()));
    line.insert("kafka_topic".to_owned(), kafka_topic.into());
    match then {
        Then::Letter(Letter { reason, error, plugin, cut, .. }) => {
            let then =
                json!({ "reason": reason, "error": error, "plugin": plugin, "payload_size": cut });
            line.insert("then".to_owned(), json!({ "reject": then }));
        }
        Then::Tried(then) => drop(line.insert("then".to_owned(), then.outcome.json())),
        Then::Unknown => {}
    }
    let now_json = now.map_or_else(
        || json!({ "reject": { "reason": "no-route" } }),
        |tried| tried.outcome.json(),
    );
    line.insert("now".to_owned(), now_json);
    let log: &[Line] = now.map_or(&[], |tried| &tried.log);
    line.insert("log".to_owned(), json!(log));
    Value::Object(line)
}
