//! How fast it can be: a feeder that costs next to nothing gives as much as is taken, and `host` stands
//! beside the sum of what its two client libraries cost by themselves.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use tests::A_WHILE;
use tests::host::Host;
use tests::kafka::Kafka;
use tests::process::Process;
use tests::usage::Usage;

use crate::Load;
use crate::carrier::own;
use crate::feeder::{Fed, Feeder, Subscriber};
use crate::floor::Cost;
use crate::messages::Messages;
use crate::speed_table::{Row, Subject, table};
use crate::topic::Topic;

/// The whole comparison; gives how many runs had not every record once.
pub fn run(load: &Load, plugins: &[String], kafka: &Kafka) -> usize {
    let plugins: Vec<(&String, PathBuf)> =
        plugins.iter().map(|package| (package, tests::plugin::plugin(package))).collect();
    let mut rows: Vec<Row> = Vec::new();
    for round in 1..=load.rounds {
        eprintln!("speed: round {round} of {}", load.rounds);
        // One measurement stands in both tables: Kafka's client knows nothing of QoS.
        let librdkafka = librdkafka(load, kafka);
        for qos in [0, 1] {
            let mut add = |subject, sample| add(&mut rows, subject, qos, sample);
            add(Subject::Rumqttc, rumqttc(load, qos));
            add(Subject::Librdkafka, librdkafka);
            add(Subject::Builtin, host(load, qos, None, kafka));
            for (name, file) in &plugins {
                let sample = host(load, qos, Some(file), kafka);
                add(Subject::Plugin((*name).clone()), sample);
            }
        }
    }
    println!(
        "\nspeed: {} messages of {} bytes, as fast as they are taken; thousands of messages per second,\n\
         most memory, and records in Kafka at the end",
        load.messages, load.size
    );
    for qos in [0, 1] {
        print!("\n{}", table(&rows, qos));
    }
    rows.iter().flat_map(|row| &row.samples).filter(|sample| !sample.is_whole()).count()
}

fn add(rows: &mut Vec<Row>, subject: Subject, qos: u8, sample: Sample) {
    let known = rows.iter_mut().find(|row| row.subject == subject && row.qos == qos);
    match known {
        Some(row) => row.samples.push(sample),
        None => rows.push(Row { subject, qos, samples: vec![sample] }),
    }
}

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
fn rumqttc(load: &Load, qos: u8) -> Sample {
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
    let topic = Topic::new(kafka, "librdkafka", &[]);
    let arguments = ["librdkafka".to_owned(), kafka.address().to_owned(), topic.name.clone()];
    let mut sample = cost(&start_own(&arguments, load), load);
    sample.records = Some(topic.wait_for(load.messages, || {}).0);
    sample
}

/// This binary once more, as a part of the floor.
fn start_own(arguments: &[String], load: &Load) -> Process {
    let mut command = own();
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
fn host(load: &Load, qos: u8, plugin: Option<&PathBuf>, kafka: &Kafka) -> Sample {
    let topic = Topic::new(kafka, "host", &[]);
    let feeder = Feeder::listen(0).expect("a port is free");
    let mut host = Host::between_ports(feeder.port(), "plant/#", kafka.address(), &topic.name)
        .flag("qos", qos);
    if let Some(file) = plugin {
        host = host.flag("plugin", file.display());
    }
    let host = host.launch();
    let mut subscriber = connect(&host, &feeder, &Messages::new(load.size), qos);

    let before = Usage::of(host.id());
    let fed = subscriber.feed(load.messages, load.window);
    let Fed { began, ended, .. } =
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

/// Waits until the host has subscribed at the feeder.
pub fn connect(host: &Host, feeder: &Feeder, messages: &Messages, qos: u8) -> Subscriber {
    thread::scope(|scope| {
        let accepted = scope.spawn(|| feeder.accept(messages, qos));
        host.wait_until_ready();
        accepted.join().expect("the feeder does not panic")
    })
    .expect("the host has subscribed")
}
