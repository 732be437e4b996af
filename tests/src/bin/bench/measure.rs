//! One measurement at an everyday rate: messages come through a real mosquitto at a steady pace, while
//! something carries them, and is watched from outside.

use std::time::{Duration, Instant, SystemTime};

use tests::kafka::Kafka;
use tests::mosquitto::Mosquitto;
use tests::usage::Usage;

use crate::Load;
use crate::carrier::{self, Running};
use crate::messages::{self, Messages};
use crate::paced::{Pace, Publisher};
use crate::table::Sample;
use crate::topic::{TIMED, Topic};

/// Messages that mosquitto sends before it wants an acknowledgement, at paced rates.
pub const WINDOW: u16 = 1_000;
/// How long everything runs at the same pace before it is measured, in seconds.
pub const WARM_UP: f64 = 2.0;

/// At this rate; `start` makes what carries the messages into the topic.
pub fn paced(
    load: &Load,
    kafka: &Kafka,
    rate: f64,
    messages: &Messages,
    start: impl FnOnce(&Mosquitto, &str) -> Running,
) -> Sample {
    let topic = Topic::new(kafka, "paced", &[TIMED]);
    let mosquitto = carrier::mosquitto(WINDOW);
    let running = start(&mosquitto, &topic.name);
    let run = publish(load, rate, messages, &mosquitto, &running);
    topic.wait_for(run.published, || {});
    running.stop();
    let found = topic.read(run.since);
    let mut sample = run.sample;
    sample.missing = run.published.saturating_sub(found.distinct);
    sample.latency = found.latency;
    sample
}

/// What was published, and what it has cost.
pub struct Run {
    pub published: usize,
    /// When the measurement began, in microseconds since the Unix epoch.
    pub since: u64,
    pub sample: Sample,
}

/// Publishes to something that runs, and measures it.
pub fn publish(
    load: &Load,
    rate: f64,
    all: &Messages,
    mosquitto: &Mosquitto,
    running: &Running,
) -> Run {
    let mut publisher = Publisher::connect(mosquitto.port(), all);
    let mut pace = Pace::new(rate, load.random);
    publisher.keep(&mut pace, WARM_UP);
    let (before, sent, began) = (Usage::of(running.id()), publisher.sent, Instant::now());
    let since = messages::micros(SystemTime::now());
    publisher.keep(&mut pace, WARM_UP + load.seconds);
    let (after, elapsed) = (Usage::of(running.id()), began.elapsed());
    let count = publisher.sent - sent;
    let sample = Sample::of(count, elapsed, after.cpu.saturating_sub(before.cpu));
    Run { published: publisher.finish(), since, sample }
}

/// As fast as it goes, with such a window.
pub fn flood(
    kafka: &Kafka,
    window: u16,
    count: usize,
    messages: &Messages,
    start: impl FnOnce(&Mosquitto, &str) -> Running,
) -> Sample {
    let topic = Topic::new(kafka, "flood", &[]);
    let mosquitto = carrier::mosquitto(window);
    let running = start(&mosquitto, &topic.name);
    let mut publisher = Publisher::connect(mosquitto.port(), messages);
    let (before, began) = (Usage::of(running.id()), Instant::now());
    publisher.flood(count);
    let published = publisher.finish();
    let (_, last) = topic.wait_for(published, || {});
    let after = Usage::of(running.id());
    running.stop();
    let mut sample = Sample::of(published, last - began, after.cpu.saturating_sub(before.cpu));
    sample.missing = published.saturating_sub(topic.read(u64::MAX).distinct);
    sample
}

/// With nothing to do; gives the share of one processor.
pub fn idle(kafka: &Kafka, time: Duration, start: impl FnOnce(&Mosquitto, &str) -> Running) -> f64 {
    let topic = Topic::new(kafka, "idle", &[]);
    let mosquitto = carrier::mosquitto(WINDOW);
    let running = start(&mosquitto, &topic.name);
    std::thread::sleep(Duration::from_secs_f64(WARM_UP));
    let share = tests::usage::shares(&[running.id()], time)[0];
    running.stop();
    share
}
