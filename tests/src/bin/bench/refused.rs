//! What it costs when Kafka refuses records: a compacted topic takes none without a key.

use std::time::Duration;

use tests::host::Host;
use tests::kafka::{self, Kafka};
use tests::usage::Usage;

use crate::Load;
use crate::feeder::Feeder;
use crate::messages::Messages;
use crate::speed::connect;
use crate::table::{CPU, RATE, Sample, Table};
use crate::topic::Topic;

const NONE: &str = "none refused";
const SOME: &str = "2 in 100 refused";

pub fn run(load: &Load, kafka: &Kafka) -> usize {
    let without_key = |_: &mut String, payload: &mut Vec<u8>| {
        let rest = payload.iter().position(|&byte| byte == b',').expect("members follow `_key`");
        let removed: Vec<u8> = payload.splice(..rest, *br#"{"_key":null"#).collect();
        // As long as before, so that the two differ in nothing else.
        let (end, shorter) = (payload.len() - 2, removed.len() - br#"{"_key":null"#.len());
        payload.splice(end..end, std::iter::repeat_n(b'x', shorter));
    };
    let good = Messages::new(load.size);
    let bad = Messages::new(load.size).change_each(50, without_key);
    let mut table = Table::default();
    for round in 1..=load.rounds {
        eprintln!("refused: round {round} of {}", load.rounds);
        table.add(NONE, measure(load, kafka, &good));
        table.add(SOME, measure(load, kafka, &bad));
    }
    println!("\nrefused: QoS 1, {} unacknowledged, a compacted topic", load.window);
    print!("{}", table.show("", &[RATE, CPU]));
    let share = table.median(SOME, RATE).zip(table.median(NONE, RATE)).map(|(a, b)| a / b);
    println!("with refusals: {:.3} x the rate without", share.unwrap_or(f64::NAN));
    table.missing()
}

fn measure(load: &Load, kafka: &Kafka, messages: &Messages) -> Sample {
    let topic = Topic::new(kafka, "refused", &[("cleanup.policy", "compact")]);
    let letters = Topic::named(kafka, kafka::dead_letters(&topic.name), &[]);
    let feeder = Feeder::listen(0).expect("a port is free");
    let host = Host::between_ports(feeder.port(), "plant/#", kafka.address(), &topic.name).launch();
    let mut subscriber = connect(&host, &feeder, messages, 1);
    let before = Usage::of(host.id());
    let time = Duration::from_secs_f64(load.seconds);
    let fed = subscriber
        .feed_for(time, load.messages, load.window)
        .unwrap_or_else(|error| panic!("the feeder: {error}\n{}", host.errors()));
    let cpu = Usage::of(host.id()).cpu.saturating_sub(before.cpu);
    host.stop().assert_clean();
    let mut sample = Sample::of(fed.count, fed.ended - fed.began, cpu);
    sample.missing = fed.count.saturating_sub(topic.count() + letters.count());
    sample
}
