//! Whether a route whose plugin takes its time takes that of another route.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tests::host::Host;
use tests::kafka::Kafka;
use tests::scratch::Folder;

use crate::Load;
use crate::carrier::{FILTER, Running};
use crate::measure;
use crate::messages::Messages;
use crate::routes::configured;
use crate::table::{CPU, MEDIAN, P99, PERCENT, RATE, Table};
use crate::topic::Topic;

const ALONE: &str = "without slow messages";
const BESIDE: &str = "beside slow messages";
/// What remains if the plugin takes nothing from the other route but the processor.
const OUTSIDE: &str = "beside a program as busy as the plugin";

/// Slow messages a second: their plugin is busy for four tenths of the time.
const SLOW: f64 = 10.0;
const BUSY: Duration = Duration::from_millis(40);

pub fn run(load: &Load, kafka: &Kafka) -> usize {
    let plugin = tests::plugin::plugin("misbehave");
    let folder = Folder::new("slow-plugin");
    let step = (load.rate / SLOW).ceil() as usize;
    let make_slow = |topic: &mut String, payload: &mut Vec<u8>| {
        "plant/slow/telemetry".clone_into(topic);
        payload.splice(..8, format!("busy {} ", BUSY.as_millis()).into_bytes());
    };
    let fast = Messages::new(load.size);
    let mixed = Messages::new(load.size).change_each(step, make_slow);
    let mut table = Table::default();
    for round in 1..=load.rounds {
        eprintln!("slow-plugin: round {round} of {}", load.rounds);
        for (name, messages) in [(ALONE, &fast), (BESIDE, &mixed), (OUTSIDE, &fast)] {
            let slow = Topic::new(kafka, "slow", &[]);
            let start = |mosquitto: &_, topic: &str| {
                let text = format!(
                    "topic = [\"{FILTER}\"]\n\
                     [[route]]\ntopic = \"plant/slow/#\"\nkafka_topic = \"{}\"\nplugin = [\"{}\"]\n\
                     [[route]]\ntopic = \"plant/#\"\nkafka_topic = \"{topic}\"\n",
                    slow.name,
                    plugin.display()
                );
                let host = Host::between(mosquitto, FILTER, kafka, topic)
                    .flag("plugin-clock", true)
                    .flag("plugin-time-limit", 2_000);
                Running::host(&configured(host, &folder.write("host.toml", text)))
            };
            let measure = || measure::paced(load, kafka, load.rate, messages, start);
            let mut sample = if name == OUTSIDE { beside_busy(measure) } else { measure() };
            sample.missing = sample.missing.saturating_sub(slow.count());
            table.add(name, sample);
        }
    }
    println!(
        "\nslow-plugin: {} messages/s on one route, {SLOW}/s on another whose plugin takes 40 ms",
        load.rate
    );
    print!("{}", table.show("", &[RATE, CPU, PERCENT, MEDIAN, P99]));
    for name in [BESIDE, OUTSIDE] {
        let moved = table.median(name, P99).zip(table.median(ALONE, P99)).map(|(a, b)| a - b);
        println!("{name}, p99 moves by {:+.1} ms", moved.unwrap_or(f64::NAN));
    }
    table.missing()
}

/// Runs something beside a thread that is busy as often and as long as the plugin.
fn beside_busy<T>(run: impl FnOnce() -> T) -> T {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let began = Instant::now();
                while began.elapsed() < BUSY {
                    std::hint::black_box(began);
                }
                thread::sleep(Duration::from_secs_f64(1.0 / SLOW).saturating_sub(BUSY));
            }
        });
        let result = run();
        ended.store(true, Ordering::Relaxed);
        result
    })
}
