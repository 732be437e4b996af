//! A producer alone that writes at the same pace, without delay: nothing in front of Kafka can be sooner.

use std::time::SystemTime;

use rdkafka::producer::{BaseRecord, Producer};
use tests::A_WHILE;
use tests::kafka::Kafka;
use tests::process::Process;

use crate::Load;
use crate::carrier::own;
use crate::floor::{Cost, client, send, while_polled};
use crate::measure::WARM_UP;
use crate::messages::{self, Messages};
use crate::paced::Pace;
use crate::table::Sample;
use crate::topic::{TIMED, Topic};

/// What the process says of itself when it is done.
const DONE: &str = "produced ";

/// Runs it in a process of its own.
pub fn measure(load: &Load, kafka: &Kafka, rate: f64) -> Sample {
    let topic = Topic::new(kafka, "producer", &[TIMED]);
    let mut command = own();
    command.args(["produce", kafka.address(), &topic.name, &rate.to_string()]);
    command.arg(format!("--size={}", load.size)).arg(format!("--seconds={}", load.seconds));
    if load.random {
        command.arg("--random");
    }
    let process = Process::start("producer", &command);
    let line = process.wait_for_line("what it cost", A_WHILE, |line| line.starts_with(DONE));
    let mut words = line[DONE.len()..].splitn(4, ' ');
    let mut number = || words.next()?.parse::<u64>().ok();
    let (all, measured, since) =
        (number().expect("a count"), number().expect("a count"), number().expect("a time"));
    let cost = words.next().and_then(Cost::parse).expect("a cost");
    topic.wait_for(all as usize, || {});
    let found = topic.read(since);
    let mut sample = Sample::of(measured as usize, cost.elapsed, cost.cpu);
    sample.missing = (all as usize).saturating_sub(found.distinct);
    sample.latency = found.latency;
    sample
}

/// What that process does; gives what it has to say.
pub fn produce(load: &Load, brokers: &str, topic: &str, rate: f64) -> String {
    let (producer, delivered) = client(brokers, &[("linger.ms", "0")]);
    producer.client().fetch_metadata(Some(topic), tests::SOON).expect("Kafka answers");
    let all = Messages::new(load.size);
    let mut sent = 0;
    while_polled(&producer, || {
        let mut pace = Pace::new(rate, load.random);
        let mut keep = |seconds| {
            while let Some(count) = pace.due(seconds) {
                for _ in 0..count {
                    let (key, payload) = all.record(sent);
                    let mut payload = payload.to_vec();
                    messages::stamp(&mut payload, SystemTime::now());
                    send(&producer, BaseRecord::to(topic).key(key).payload(&payload[..]));
                    sent += 1;
                }
            }
            sent
        };
        let before = keep(WARM_UP);
        let (since, start) = (messages::micros(SystemTime::now()), Cost::start());
        let after = keep(WARM_UP + load.seconds);
        let cost = start.end();
        delivered.wait_for(after);
        format!("{DONE}{after} {} {since} {cost}", after - before)
    })
}
