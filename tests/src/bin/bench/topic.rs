//! A Kafka topic for one measurement, and what is found in it afterwards.

use std::collections::HashSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tests::SOON;
use tests::kafka::Kafka;

use crate::messages;

/// How often Kafka is asked how much there is.
const LOOK: Duration = Duration::from_millis(10);
/// How long nothing new may come before what is missing is missing for good.
const SILENCE: Duration = Duration::from_secs(20);

/// The time of a record is the one at which Kafka appends it.
pub const TIMED: (&str, &str) = ("message.timestamp.type", "LogAppendTime");

/// A topic with one partition, for one run.
pub struct Topic<'a> {
    kafka: &'a Kafka,
    pub name: String,
    consumer: BaseConsumer,
}

/// Milliseconds from publishing to Kafka's append, of a run.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    pub median: f64,
    pub p99: f64,
}

/// What a topic holds.
#[derive(Debug)]
pub struct Found {
    /// Records, without those that are there for the second time.
    pub distinct: usize,
    pub latency: Option<Latency>,
}

impl<'a> Topic<'a> {
    pub fn new(kafka: &'a Kafka, name: &str, settings: &[(&str, &str)]) -> Self {
        Self::named(kafka, Kafka::unused_topic(name), settings)
    }

    pub fn named(kafka: &'a Kafka, name: String, settings: &[(&str, &str)]) -> Self {
        let settings = [settings, &[("file.delete.delay.ms", "1000")]].concat();
        kafka.create_topic(&name, 1, &settings);
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", kafka.address())
            .set("group.id", "bench")
            .create()
            .expect("the settings of a consumer are right");
        Self { kafka, name, consumer }
    }

    /// Waits until there are `count` records, or no more come; does something `meanwhile`. Gives
    /// how many there are, and when the last of them were seen.
    pub fn wait_for(&self, count: usize, mut meanwhile: impl FnMut()) -> (usize, Instant) {
        let (mut known, mut since) = (0, Instant::now());
        loop {
            let records = self.count();
            meanwhile();
            if records > known {
                (known, since) = (records, Instant::now());
            }
            if known >= count || since.elapsed() > SILENCE {
                return (known, since);
            }
            sleep(LOOK);
        }
    }

    pub fn count(&self) -> usize {
        let ends = self.consumer.fetch_watermarks(&self.name, 0, SOON);
        ends.expect("Kafka knows its topic").1 as usize
    }

    /// Reads all of it. The latency is that of messages sent from `since` on, in microseconds since
    /// the Unix epoch.
    ///
    /// Kafka's clock has milliseconds: half of one is added, which is what it cuts off on average.
    pub fn read(&self, since: u64) -> Found {
        let records = self.kafka.read(&self.name);
        let values = || records.iter().filter_map(|record| record.value.as_deref());
        let mut delays: Vec<f64> = records
            .iter()
            .filter_map(|record| {
                let sent = messages::sent_at(record.value.as_deref()?).filter(|&at| at >= since)?;
                Some(record.timestamp as f64 + 0.5 - sent as f64 / 1_000.0)
            })
            .collect();
        delays.sort_by(f64::total_cmp);
        let at = |share: f64| delays.get((delays.len() as f64 * share) as usize).copied();
        Found {
            distinct: values().collect::<HashSet<_>>().len(),
            latency: at(0.5).zip(at(0.99)).map(|(median, p99)| Latency { median, p99 }),
        }
    }
}

impl Drop for Topic<'_> {
    fn drop(&mut self) {
        // Gigabytes would pile up otherwise.
        self.kafka.delete_topic(&self.name);
    }
}
