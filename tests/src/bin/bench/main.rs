//! What `host` costs and how fast it is, side by side with the floor (what its two client libraries cost
//! by themselves) and with Telegraf, on the same messages, in the same run, on the same machine.
//! `make bench` runs all of it; each section can be run by itself.
//!
//! It compares; it does not judge. It fails only if records are missing or something does not run.
//! Processor time per message is what to look at: messages per second depend on what else the
//! machine does, and Kafka and the publisher run on it too.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "as in the harness: a panic says what did not run"
)]
#![allow(clippy::print_stdout, reason = "the tables are what this program is for")]

mod carrier;
mod everyday;
mod feeder;
mod floor;
mod measure;
mod messages;
mod paced;
mod producer;
mod refused;
mod routes;
mod slow_plugin;
mod speed;
mod speed_table;
mod table;
mod topic;
mod topics;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tests::kafka::Kafka;

/// Measures `host` beside the floor of its two client libraries, and beside Telegraf.
///
/// Without a section all of them run, for about forty minutes with three rounds.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(flatten)]
    load: Load,
    /// A package of this workspace to measure the speed of `host` with, too (repeatable).
    #[arg(long, global = true, value_name = "PACKAGE", default_value = "topic-level-key")]
    plugin: Vec<String>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What is carried in each measurement.
#[derive(Debug, Clone, clap::Args)]
struct Load {
    /// How often each measurement is repeated; they take turns.
    #[arg(long, global = true, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Size of a payload in bytes.
    #[arg(long, global = true, default_value_t = 200)]
    size: usize,
    /// Messages per measurement of `speed`.
    #[arg(long, global = true, default_value_t = 1_000_000)]
    messages: usize,
    /// Messages that may be unacknowledged at QoS 1, in `speed` and `refused`.
    #[arg(long, global = true, default_value_t = 1_000)]
    window: usize,
    /// Messages per second of `everyday`.
    #[arg(long, global = true, value_delimiter = ',', default_value = "100,1000,5000,25000")]
    rates: Vec<f64>,
    /// Messages per second of `topics`, `routes` and `slow-plugin`.
    #[arg(long, global = true, default_value_t = 1_000.0)]
    rate: f64,
    /// Kafka topics of `topics`, beside one.
    #[arg(long, global = true, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(2..=20_000))]
    topics: u16,
    /// Seconds per measurement at such a rate, and the most per measurement of `refused`.
    #[arg(long, global = true, default_value_t = 10.0)]
    seconds: f64,
    /// Publish at random moments (a Poisson process), not evenly.
    #[arg(long, global = true)]
    random: bool,
    /// Telegraf's program, to be measured too.
    #[arg(long, global = true, value_name = "PATH")]
    telegraf: Option<PathBuf>,
    /// An option of `host`, to be measured with it, too, in `everyday`, `window` and `idle`.
    #[arg(long, global = true, value_name = "OPTION", allow_hyphen_values = true)]
    with: Option<String>,
}

impl Load {
    fn arrivals(&self) -> &'static str {
        if self.random { "random" } else { "even" }
    }
}

/// A section, or what runs in one, by itself for a profiler.
#[derive(Debug, Subcommand)]
enum Part {
    /// As fast as it can be, fed by what costs next to nothing.
    Speed,
    /// At everyday rates through mosquitto: processor time, and latency to Kafka's append.
    Everyday,
    /// Through mosquitto as fast as it can, with a window of 20 and of 1,000 messages.
    Window,
    /// Connected at both ends, with nothing to do.
    Idle,
    /// With 2 in 100 records refused by Kafka, and with none.
    Refused,
    /// With 1 and with 10,000 Kafka topics by template.
    Topics,
    /// With 1 and with 50 routes.
    Routes,
    /// One route beside another whose plugin takes 40 ms per message.
    SlowPlugin,
    /// Serves messages to one MQTT subscriber after the other.
    Feed { port: u16, qos: u8 },
    /// Publishes to an MQTT server, at this rate and for the time of `--seconds`.
    Publish { port: u16, rate: f64 },
    /// Subscribes with rumqttc and drops what comes.
    Rumqttc { port: u16, qos: u8 },
    /// Produces with librdkafka.
    Librdkafka { brokers: String, topic: String },
    /// Subscribes with rumqttc and produces with librdkafka.
    Floor { port: u16, brokers: String, topic: String },
    /// Produces with librdkafka, at this rate.
    Produce { brokers: String, topic: String, rate: f64 },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let load = &arguments.load;
    match &arguments.part {
        Some(Part::Feed { port, qos }) => feed(load, *port, *qos),
        Some(Part::Publish { port, rate }) => publish(load, *port, *rate),
        Some(Part::Rumqttc { port, qos }) => {
            println!("{}", floor::rumqttc(*port, *qos, load.messages));
        }
        Some(Part::Librdkafka { brokers, topic }) => {
            let cost = floor::librdkafka(brokers, topic, load.messages, load.size);
            println!("{cost}");
        }
        Some(Part::Floor { port, brokers, topic }) => floor::both(*port, brokers, topic),
        Some(Part::Produce { brokers, topic, rate }) => {
            println!("{}", producer::produce(load, brokers, topic, *rate));
        }
        section => return measure(&arguments, section.as_ref()),
    }
    ExitCode::SUCCESS
}

/// The sections that are asked for.
fn measure(arguments: &Arguments, section: Option<&Part>) -> ExitCode {
    let load = &arguments.load;
    match &load.telegraf {
        Some(program) => println!("beside it: {}", carrier::telegraf_version(program)),
        None => println!("Telegraf is not measured: --telegraf names its program"),
    }
    println!("{} rounds: medians (lowest-highest)", load.rounds);
    let kafka = Kafka::start();
    // Kafka is slow at first, until its code is compiled.
    speed::librdkafka(load, &kafka);
    let all = [
        Part::Speed,
        Part::Everyday,
        Part::Window,
        Part::Idle,
        Part::Refused,
        Part::Topics,
        Part::Routes,
        Part::SlowPlugin,
    ];
    let sections = section.map_or(&all[..], std::slice::from_ref);
    let missing: usize = sections
        .iter()
        .map(|section| match section {
            Part::Speed => speed::run(load, &arguments.plugin, &kafka),
            Part::Everyday => everyday::run(load, &kafka),
            Part::Window => everyday::window(load, &kafka),
            Part::Idle => everyday::idle(load, &kafka),
            Part::Refused => refused::run(load, &kafka),
            Part::Topics => topics::run(load),
            Part::Routes => routes::run(load, &kafka),
            _ => slow_plugin::run(load, &kafka),
        })
        .sum();
    if missing > 0 {
        eprintln!("records are missing from Kafka");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
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

fn publish(load: &Load, port: u16, rate: f64) {
    let messages = messages::Messages::new(load.size);
    let mut publisher = paced::Publisher::connect(port, &messages);
    publisher.keep(&mut paced::Pace::new(rate, load.random), load.seconds);
    println!("{} messages confirmed", publisher.finish());
}
