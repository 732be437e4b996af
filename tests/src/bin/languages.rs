//! What a call costs in each language: `plugins/json-key` and its likes on the same messages, through
//! the loader that the bridge uses. `make bench-languages` builds them and runs it.
//!
//! Prints a table for `docs/plugin-languages.md`. What takes milliseconds is counted in processor
//! time; of the rest the best of many rounds counts, since the machine does other things, too.
#![allow(clippy::expect_used, reason = "as in the harness: a panic says what did not run")]
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use host::message::{Batch, Publish, Qos};
use host::plugin::{Ability, Answer, Answers, Limits, Loader, Plugins, Setters, Spec};
use tests::scratch::Folder;
use tests::usage::Usage;

const ROUNDS: usize = 40;
/// Few, so that some rounds are not interrupted.
const CALLS: u64 = 100;
const INSTANCES: usize = 8;

fn main() {
    println!(
        "| plugin | size KiB | compiled ms | from the cache ms | start ms | µs per call | ms for 1 MiB | MiB per instance |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for file in env::args_os().skip(1).map(PathBuf::from) {
        measure(&file);
    }
}

fn measure(file: &Path) {
    let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
    let size = fs::metadata(file).expect("a built plugin").len() >> 10;
    let cache = Folder::new("cache");
    // On as many threads as there are processors.
    let before = Usage::own().cpu;
    load(file, &cache);
    let compiled = Usage::own().cpu.saturating_sub(before);
    let plugins = load(file, &cache);
    let cached = worked(|| drop(load(file, &cache)));

    let small = batch(CALLS, &payload(200));
    let large = batch(1, &payload(1 << 20));
    let before = resident();
    let mut started = Vec::new();
    let mut all: Vec<Setters> = (0..INSTANCES)
        .map(|_| {
            let mut setters = plugins.instantiate();
            let one = batch(1, &payload(200));
            started.push(call(&mut setters, &one));
            setters
        })
        .collect();
    let resident = (resident().saturating_sub(before)) / INSTANCES;
    let setters = &mut all[0];
    let per_call = best(setters, &small) / u32::try_from(CALLS).expect("few");
    let per_mib = worked(|| {
        call(setters, &large);
    });
    let start = started.iter().min().expect("several");
    println!(
        "| {name} | {size} | {:.0} | {:.1} | {:.2} | {:.2} | {:.1} | {:.1} |",
        millis(compiled),
        millis(cached),
        millis(*start),
        millis(per_call) * 1e3,
        millis(per_mib),
        resident as f64 / 1024.0,
    );
}

fn load(file: &Path, cache: &Folder) -> Plugins {
    let config = Some(r#"{"pointer": "/_key"}"#.to_owned());
    let spec = Spec { config, ..Spec::from(file) };
    let limits = Limits { call: Duration::from_secs(5), ..Limits::default() };
    Loader::with_cache(limits, Some(cache.path().to_owned()))
        .load(&[spec])
        .expect("a plugin that loads")
}

/// A JSON object of about this size, with a key in its middle.
fn payload(size: usize) -> String {
    let half = "x".repeat(size / 2 - 25);
    format!(r#"{{"a": "{half}", "_key": "dev42", "t": 21.5, "b": "{half}"}}"#)
}

fn batch(messages: u64, payload: &str) -> Batch {
    let mut batch = Batch::new();
    for sequence in 0..messages {
        let publish = Publish {
            topic: "plant/dev42/temp",
            payload: payload.as_bytes(),
            qos: Qos::AtLeastOnce,
            retain: false,
            dup: false,
            packet_id: 1,
            properties: None,
        };
        batch.push(sequence, 1_700_000_000_000, &publish);
    }
    batch
}

fn call(setters: &mut Setters, batch: &Batch) -> Duration {
    let mut answers = Answers::new();
    let (time, ()) = timed(|| setters.call(Ability::Key, batch, 0..batch.len(), &mut answers));
    let right = |answer: &Answer| matches!(answer, Answer::Bytes(range) if answers.bytes[range.clone()] == *b"dev42");
    assert!(answers.items.iter().all(right), "{:?}", answers.items.first());
    time
}

fn best(setters: &mut Setters, batch: &Batch) -> Duration {
    (0..ROUNDS).map(|_| call(setters, batch)).min().expect("several rounds")
}

fn timed<R>(run: impl FnOnce() -> R) -> (Duration, R) {
    let began = Instant::now();
    let result = run();
    (began.elapsed(), result)
}

/// Processor time of this thread, which the system counts in milliseconds.
fn worked(mut run: impl FnMut()) -> Duration {
    let spent = || {
        let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
        let first = stat.split(' ').next().expect("a number");
        Duration::from_nanos(first.parse().expect("a number"))
    };
    let began = spent();
    (0..10).for_each(|_| run());
    spent().saturating_sub(began) / 10
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Memory that this process has, in KiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
