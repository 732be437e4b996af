//! One measurement: something carries messages, and is watched from outside.

use std::path::PathBuf;
use std::process::Command;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tests::host::Host;
use tests::kafka::Kafka;
use tests::process::Process;
use tests::usage::Usage;
use tests::{A_WHILE, SOON};

use crate::Load;
use crate::feeder::{Fed, Feeder};
use crate::floor::Cost;
use crate::messages::Messages;

/// How often Kafka is asked how much there is.
const LOOK: Duration = Duration::from_millis(10);
/// How long nothing new may come before what is missing is missing for good.
const SILENCE: Duration = Duration::from_secs(20);

/// What one run has shown.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub messages_per_second: f64,
    pub cpu_us_per_message: f64,
    pub peak_resident_mib: f64,
    /// Messages sent, less those at QoS 0 that were dropped and counted as such.
    pub expected: usize,
    /// Messages at QoS 0 that were dropped and counted as such.
    pub dropped: usize,
    /// Records in Kafka, by the end offset of the topic; `None` if Kafka has no part in it.
    pub records: Option<usize>,
}

impl Sample {
    fn of(expected: usize, elapsed: Duration, cpu: Duration, peak_resident_bytes: u64) -> Self {
        let messages = expected as f64;
        Self {
            messages_per_second: messages / elapsed.as_secs_f64(),
            cpu_us_per_message: cpu.as_secs_f64() * 1e6 / messages,
            peak_resident_mib: peak_resident_bytes as f64 / f64::from(1 << 20),
            expected,
            dropped: 0,
            records: None,
        }
    }

    /// Whether Kafka has each message exactly once.
    pub fn is_whole(&self) -> bool {
        self.records.is_none_or(|records| records == self.expected)
    }
}

/// rumqttc alone.
pub fn rumqttc(load: &Load, qos: u8) -> Sample {
    let feeder = Feeder::listen(0).expect("a port is free");
    let arguments = ["rumqttc".to_owned(), feeder.port().to_string(), qos.to_string()];
    let process = start_own(&arguments, load);
    let mut subscriber = feeder.accept(&Messages::new(load.size), qos).expect("rumqttc subscribes");
    subscriber
        .feed(load.messages, load.window)
        .unwrap_or_else(|error| panic!("the feeder: {error}\n{}", process.tail()));
    cost(&process, load)
}

/// librdkafka alone.
pub fn librdkafka(load: &Load, kafka: &Kafka) -> Sample {
    let topic = Topic::new(kafka, "librdkafka");
    let arguments = ["librdkafka".to_owned(), kafka.address().to_owned(), topic.name.clone()];
    let mut sample = cost(&start_own(&arguments, load), load);
    sample.records = Some(topic.wait_for(load.messages, || {}).0);
    sample
}

/// This binary once more, as a part of the floor.
fn start_own(arguments: &[String], load: &Load) -> Process {
    let mut command = Command::new(std::env::current_exe().expect("this binary has a path"));
    command.args(arguments);
    command.arg(format!("--messages={}", load.messages));
    command.arg(format!("--size={}", load.size));
    Process::start(&arguments[0], &command)
}

fn cost(process: &Process, load: &Load) -> Sample {
    let line = process.wait_for_line("what it cost", A_WHILE, |line| Cost::parse(line).is_some());
    let cost = Cost::parse(&line).expect("it has just been found to be one");
    Sample::of(load.messages, cost.elapsed, cost.cpu, cost.peak_resident_bytes)
}

/// The host, started as a user would.
pub fn host(load: &Load, qos: u8, plugin: Option<&PathBuf>, kafka: &Kafka) -> Sample {
    let topic = Topic::new(kafka, "host");
    let feeder = Feeder::listen(0).expect("a port is free");
    let mut host = Host::between_ports(feeder.port(), "plant/#", kafka.address(), &topic.name)
        .flag("qos", qos);
    if let Some(file) = plugin {
        host = host.flag("plugin", file.display());
    }
    let host = host.launch();
    let messages = Messages::new(load.size);
    let mut subscriber = thread::scope(|scope| {
        let accepted = scope.spawn(|| feeder.accept(&messages, qos));
        host.wait_until_ready();
        accepted.join().expect("the feeder does not panic")
    })
    .expect("the host has subscribed");

    let before = Usage::of(host.id());
    let fed = subscriber.feed(load.messages, load.window);
    let Fed { began, ended } =
        fed.unwrap_or_else(|error| panic!("the feeder: {error}\n{}", host.errors()));
    let (records, arrived) = topic.wait_for(load.messages, || {
        subscriber.attend().expect("the host stays connected");
    });
    let last = if qos == 0 { arrived } else { ended };
    let after = Usage::of(host.id());
    let ledger = host.stop().assert_clean();
    let carried = load.messages - ledger.dropped as usize;
    let mut sample = Sample::of(
        carried,
        last - began,
        after.cpu.saturating_sub(before.cpu),
        after.peak_resident_bytes,
    );
    sample.records = Some(records);
    sample.dropped = ledger.dropped as usize;
    sample
}

/// A topic with one partition, for one run.
struct Topic<'a> {
    kafka: &'a Kafka,
    name: String,
    consumer: BaseConsumer,
}

impl<'a> Topic<'a> {
    fn new(kafka: &'a Kafka, name: &str) -> Self {
        let name = Kafka::unused_topic(name);
        kafka.create_topic(&name, 1, &[("file.delete.delay.ms", "1000")]);
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", kafka.address())
            .set("group.id", "bench")
            .create()
            .expect("the settings of a consumer are right");
        Self { kafka, name, consumer }
    }

    /// Waits until there are `count` records, or no more come; does something `meanwhile`. Gives
    /// how many there are, and when the last of them were seen.
    fn wait_for(&self, count: usize, mut meanwhile: impl FnMut()) -> (usize, Instant) {
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

    fn count(&self) -> usize {
        let ends = self.consumer.fetch_watermarks(&self.name, 0, SOON);
        ends.expect("Kafka knows its topic").1 as usize
    }
}

impl Drop for Topic<'_> {
    fn drop(&mut self) {
        // Gigabytes would pile up otherwise.
        self.kafka.delete_topic(&self.name);
    }
}
