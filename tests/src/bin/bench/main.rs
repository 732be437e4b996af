//! How fast `host` is, beside the floor: what rumqttc and librdkafka cost by themselves on the same
//! messages, in the same run, on the same machine. `make bench` runs it.
//!
//! It compares; it does not judge. It fails only if records are missing or something does not run.
//! Processor time per message is what to look at: messages per second depend on what else the
//! machine does, and Kafka and the feeder run on it too.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "as in the harness: a panic says what did not run"
)]
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod feeder;
mod floor;
mod messages;
mod report;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tests::kafka::Kafka;

use report::{Row, Subject};

/// Measures `host` beside the floor of its two client libraries.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(flatten)]
    load: Load,
    /// How often each measurement is repeated; they take turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// A package of this workspace to measure `host` with, too (repeatable).
    #[arg(long, value_name = "PACKAGE", default_value = "topic-level-key")]
    plugin: Vec<String>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What is carried in each measurement.
#[derive(Debug, Clone, clap::Args)]
struct Load {
    /// Messages per measurement.
    #[arg(long, global = true, default_value_t = 1_000_000)]
    messages: usize,
    /// Size of a payload in bytes.
    #[arg(long, global = true, default_value_t = 200)]
    size: usize,
    /// Messages that may be unacknowledged at QoS 1.
    #[arg(long, global = true, default_value_t = 1_000)]
    window: usize,
}

/// A part of the bench by itself, as the bench runs it, or for a profiler.
#[derive(Debug, Subcommand)]
enum Part {
    /// Serves messages to one MQTT subscriber after the other.
    Feed { port: u16, qos: u8 },
    /// Subscribes with rumqttc and drops what comes.
    Rumqttc { port: u16, qos: u8 },
    /// Produces with librdkafka.
    Librdkafka { brokers: String, topic: String },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let load = &arguments.load;
    match &arguments.part {
        None => return compare(&arguments),
        Some(Part::Feed { port, qos }) => feed(load, *port, *qos),
        Some(Part::Rumqttc { port, qos }) => {
            println!("{}", floor::rumqttc(*port, *qos, load.messages));
        }
        Some(Part::Librdkafka { brokers, topic }) => {
            let cost = floor::librdkafka(brokers, topic, load.messages, load.size);
            println!("{cost}");
        }
    }
    ExitCode::SUCCESS
}

/// The whole comparison.
fn compare(arguments: &Arguments) -> ExitCode {
    let load = &arguments.load;
    let plugins: Vec<(&String, PathBuf)> =
        arguments.plugin.iter().map(|package| (package, tests::plugin::plugin(package))).collect();
    let kafka = Kafka::start();
    // Kafka is slow at first, until its code is compiled.
    run::librdkafka(load, &kafka);
    let mut rows: Vec<Row> = Vec::new();
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        // One measurement stands in both tables: Kafka's client knows nothing of QoS.
        let librdkafka = run::librdkafka(load, &kafka);
        for qos in [0, 1] {
            let mut add = |subject, sample| add(&mut rows, subject, qos, sample);
            add(Subject::Rumqttc, run::rumqttc(load, qos));
            add(Subject::Librdkafka, librdkafka);
            add(Subject::Builtin, run::host(load, qos, None, &kafka));
            for (name, file) in &plugins {
                let sample = run::host(load, qos, Some(file), &kafka);
                add(Subject::Plugin((*name).clone()), sample);
            }
        }
    }
    println!(
        "{} messages of {} bytes, {} rounds: medians (lowest-highest) of thousands of messages per\n\
         second and CPU time per message in us; most memory; records in Kafka at the end",
        load.messages, load.size, arguments.rounds
    );
    for qos in [0, 1] {
        print!("\n{}", report::table(&rows, qos));
    }
    let mut samples = rows.iter().flat_map(|row| &row.samples);
    if samples.any(|sample| !sample.is_whole()) {
        eprintln!("records are missing from Kafka, or are there twice");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn add(rows: &mut Vec<Row>, subject: Subject, qos: u8, sample: run::Sample) {
    let known = rows.iter_mut().find(|row| row.subject == subject && row.qos == qos);
    match known {
        Some(row) => row.samples.push(sample),
        None => rows.push(Row { subject, qos, samples: vec![sample] }),
    }
}

fn feed(load: &Load, port: u16, qos: u8) {
    let feeder = feeder::Feeder::listen(port).expect("the port is free");
    let messages = messages::Messages::new(load.size);
    loop {
        let subscriber = feeder.accept(&messages, qos);
        let fed = subscriber.and_then(|mut subscriber| {
            let fed = subscriber.feed(load.messages, load.window)?;
            let seconds = (fed.ended - fed.began).as_secs_f64();
            println!("{:.0} messages/s", load.messages as f64 / seconds);
            subscriber.stay()
        });
        if let Err(error) = fed {
            println!("{error}");
        }
    }
}
