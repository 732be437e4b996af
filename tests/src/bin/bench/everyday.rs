//! What it costs, and how long it takes, at rates at which bridges run every day; and what it costs to
//! wait. The numbers of `host` stand beside Telegraf's and the floor's in the same run.

use std::time::Duration;

use tests::kafka::Kafka;

use crate::Load;
use crate::carrier::Carrier;
use crate::measure;
use crate::messages::Messages;
use crate::producer;
use crate::table::{CPU, Column, MEDIAN, P99, PERCENT, RATE, Sample, Table};

/// Messages as fast as mosquitto gives them, with each of these windows.
const FLOODS: [(u16, usize); 3] = [(1, 2_000), (20, 50_000), (1_000, 200_000)];
const IDLE: Duration = Duration::from_secs(20);

/// At each rate: processor time, and the latency from publishing to Kafka's append.
pub fn run(load: &Load, kafka: &Kafka) -> usize {
    let (messages, carriers) = (Messages::new(load.size), Carrier::all(load));
    let mut table = Table::default();
    for round in 1..=load.rounds {
        for &rate in &load.rates {
            eprintln!("everyday: round {round} of {}, {rate} messages/s", load.rounds);
            for carrier in &carriers {
                let sample = measure::paced(load, kafka, rate, &messages, |mosquitto, topic| {
                    carrier.start(mosquitto, kafka, topic)
                });
                table.add(format!("{} at {rate}/s", carrier.name()), sample);
            }
            let sample = producer::measure(load, kafka, rate);
            table.add(format!("producer alone at {rate}/s"), sample);
        }
    }
    let title = format!("\neveryday: through mosquitto at QoS 1, {} bytes", load.size);
    println!("{title}, {} s each, arrivals {}", load.seconds, load.arrivals());
    print!("{}", table.show("", &[RATE, CPU, PERCENT, MEDIAN, P99]));
    for rate in &load.rates {
        println!("{}", verdict(&table, *rate));
    }
    table.missing()
}

/// The relations that matter, in one line.
fn verdict(table: &Table, rate: f64) -> String {
    let median = |name: &str, column: Column| table.median(&format!("{name} at {rate}/s"), column);
    let times = |name| Some(median("host", CPU)? / median(name, CPU)?);
    let more = median("host", P99).zip(median("producer alone", P99)).map(|(a, b)| a - b);
    let shares = ["floor", "Telegraf"].into_iter().filter_map(|name| {
        let times = times(name)?;
        Some(format!("{times:.2} x the CPU of {name}, "))
    });
    format!(
        "host at {rate}/s: {}p99 {:+.1} ms beside a producer alone",
        shares.collect::<String>(),
        more.unwrap_or(f64::NAN)
    )
}

/// Through mosquitto, as fast as it can.
pub fn window(load: &Load, kafka: &Kafka) -> usize {
    let messages = Messages::new(load.size);
    let mut table = Table::default();
    for round in 1..=load.rounds {
        eprintln!("window: round {round} of {}", load.rounds);
        for (window, count) in FLOODS {
            for carrier in Carrier::all(load) {
                let sample = measure::flood(kafka, window, count, &messages, |mosquitto, topic| {
                    carrier.start(mosquitto, kafka, topic)
                });
                table.add(format!("{}, window {window}", carrier.name()), sample);
            }
        }
    }
    println!("\nwindow: through mosquitto at QoS 1, {} bytes, as fast as it can", load.size);
    print!("{}", table.show("", &[RATE, CPU, PERCENT]));
    table.missing()
}

/// Connected at both ends, with nothing to do.
pub fn idle(load: &Load, kafka: &Kafka) -> usize {
    const SHARE: Column = ("% of a core", 3, |sample| Some(sample.percent));
    let mut table = Table::default();
    for round in 1..=load.rounds {
        eprintln!("idle: round {round} of {}", load.rounds);
        for carrier in Carrier::all(load) {
            let share = measure::idle(kafka, IDLE, |mosquitto, topic| {
                carrier.start(mosquitto, kafka, topic)
            });
            let sample = Sample::of(0, IDLE, IDLE.mul_f64(share));
            table.add(carrier.name(), sample);
        }
    }
    println!("\nidle: connected at both ends, {} s each", IDLE.as_secs());
    print!("{}", table.show("", &[SHARE]));
    table.missing()
}
