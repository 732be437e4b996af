//! `host plugin run`: what becomes of messages, one by one.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::logs::{self, Line};
use super::messages::{self, Placed};
use super::{Desk, Ended, shown, transform};
use crate::case::Outcome;
use crate::config::Messages;
use crate::message::{Batch, Reason, now_ms};
use crate::plugin::Plugins;
use crate::transform::Transform;

/// What has become of a message, and what it took.
pub struct Tried {
    pub outcome: Outcome,
    /// What plugins logged.
    pub log: Vec<Line>,
    pub time: Duration,
}

/// Lets setters decide about a message that stands alone in a batch.
pub fn once(transform: &mut Transform, batch: &Batch) -> Tried {
    let began = Instant::now();
    let (log, decided) = logs::caught(|| {
        let mut decided = None;
        transform.each(batch, |_, verdict| {
            let time = began.elapsed();
            decided = Some((Outcome::of(&verdict), time));
        });
        decided
    });
    let unanswered = || (Outcome::Skip("it got no answer".to_owned()), Duration::ZERO);
    let (outcome, time) = decided.unwrap_or_else(unanswered);
    Tried { outcome, log, time }
}

/// Whether a plugin failed, rather than to say something of the message.
pub fn failed(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Fatal(_) => true,
        Outcome::Reject(rejection) => rejection.reason != Reason::BadMessage,
        Outcome::Records(_) | Outcome::Skip(_) => false,
    }
}

pub fn run(desk: &mut Desk<'_>, messages: &Messages) -> Result<(), Ended> {
    let plugins = desk.load()?;
    let mut with = transform(&plugins);
    let mut without = transform(&Plugins::default());
    let mut sum = Sum::default();
    let mut batch = Batch::new();
    for message in messages::each(messages, None)? {
        let Placed { place, sample } = message?;
        batch.clear(1 << 20);
        sample.push(&mut batch, sum.messages, now_ms()).map_err(Ended::Unusable)?;
        let tried = once(&mut with, &batch);
        let before = once(&mut without, &batch).outcome;
        let memory: Vec<_> =
            with.plugins().memory().map(|(name, bytes)| (name.name.clone(), bytes)).collect();
        sum.add(&tried);
        if desk.json {
            desk.json(&told(&batch, place.as_deref(), &tried, &before, &memory))?;
        } else {
            shown::message(desk.out, &batch.message(0), place.as_deref())?;
            shown::log(desk.out, &tried.log)?;
            shown::outcome(desk.out, &tried.outcome, &before)?;
            shown::cost(desk.out, tried.time, &memory)?;
        }
        // After a failure the next message gets a new instance.
        with.plugins().start();
    }
    if !desk.json && sum.messages != 1 {
        sum.show(desk)?;
    }
    if sum.failed > 0 { Err(Ended::Failed) } else { Ok(()) }
}

fn told(
    batch: &Batch,
    place: Option<&str>,
    tried: &Tried,
    before: &Outcome,
    memory: &[(String, usize)],
) -> Value {
    let mut line = Map::new();
    let message = batch.message(0);
    line.insert("topic".to_owned(), message.topic().into());
    if let Some(place) = place {
        line.insert("place".to_owned(), place.into());
    }
    crate::case::insert_bytes(&mut line, "payload", Some(message.payload()));
    line.insert("without_plugins".to_owned(), before.json());
    line.insert("outcome".to_owned(), tried.outcome.json());
    line.insert("log".to_owned(), json!(tried.log));
    line.insert("time_ns".to_owned(), shown::nanos(tried.time).into());
    let memory: Map<String, Value> =
        memory.iter().map(|(name, bytes)| (name.clone(), (*bytes).into())).collect();
    line.insert("memory_bytes".to_owned(), memory.into());
    Value::Object(line)
}

/// What has become of all messages.
#[derive(Default)]
struct Sum {
    messages: u64,
    records: usize,
    skipped: u64,
    rejected: u64,
    /// Of those, the ones for which a plugin failed.
    failed: u64,
    slowest: Duration,
}

impl Sum {
    fn add(&mut self, tried: &Tried) {
        self.messages += 1;
        match &tried.outcome {
            Outcome::Records(records) => self.records += records.len(),
            Outcome::Skip(_) => self.skipped += 1,
            Outcome::Reject(_) | Outcome::Fatal(_) => self.rejected += 1,
        }
        self.failed += u64::from(failed(&tried.outcome));
        self.slowest = self.slowest.max(tried.time);
    }

    fn show(&self, desk: &mut Desk<'_>) -> io::Result<()> {
        let Self { messages, records, skipped, rejected, failed, slowest } = self;
        let slowest = shown::time(*slowest);
        writeln!(
            desk.out,
            "{messages} messages: {records} records, {skipped} skipped, {rejected} rejected \
             ({failed} by a failure of a plugin); the slowest took {slowest}"
        )
    }
}
