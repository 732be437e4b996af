//! `host plugin bench`: how long plugins take for a message, and whether their memory grows.

use std::time::{Duration, Instant};

use serde_json::json;

use super::messages::{self, Placed};
use super::{Desk, Ended, shown, transform};
use crate::case::Sample;
use crate::config::Messages;
use crate::message::Batch;
use crate::plugin::Plugins;
use crate::transform::Transform;

/// Messages that travel together.
const SIZES: [usize; 3] = [1, 8, 64];

/// Parts that a measurement is made of; their median counts, since machines have hiccups.
const PARTS: u64 = 20;

pub fn run(desk: &mut Desk<'_>, messages: &Messages, count: u64) -> Result<(), Ended> {
    let plugins = desk.load()?;
    let stream = messages::each(messages, Some(messages::sample()))?;
    let samples: Vec<Sample> = stream
        .map(|placed| placed.map(|Placed { sample, .. }| sample))
        .collect::<Result<_, _>>()?;
    let Some(largest) = SIZES.last().and_then(|size| batch(&samples, *size).transpose()) else {
        return Err(Ended::Unusable("there are no messages; give some with --input".to_owned()));
    };
    let largest = largest.map_err(Ended::Unusable)?;
    let bytes = largest.size() / largest.len();
    let mut with = transform(&plugins);
    let mut without = transform(&Plugins::default());
    let start = memory(&mut with);
    let mut measured = Vec::new();
    for size in SIZES {
        let Some(batch) = batch(&samples, size).map_err(Ended::Unusable)? else { continue };
        let (own, builtin) = (each(&mut with, &batch, count), each(&mut without, &batch, count));
        measured.push(Measured { size, own, builtin, memory: memory(&mut with) });
    }
    if desk.json {
        let sizes = measured.iter().map(|measured| {
            json!({
                "batch": measured.size,
                "ns_per_message": shown::nanos(measured.own),
                "without_plugins_ns_per_message": shown::nanos(measured.builtin),
                "memory_bytes": measured.memory,
            })
        });
        let sizes: Vec<_> = sizes.collect();
        desk.json(&json!({
            "messages": count,
            "bytes_per_message": bytes,
            "entry_ns": entry(&measured).map(shown::nanos),
            "start_memory_bytes": start,
            "batches": sizes,
        }))?;
        return Ok(());
    }
    writeln!(desk.out, "{count} messages of {bytes} bytes, with headers, for each batch size")?;
    writeln!(
        desk.out,
        "  batch   a message   without plugins   memory (at first {})",
        shown::size(start)
    )?;
    for Measured { size, own, builtin, memory } in &measured {
        let (own, builtin) = (shown::time(*own), shown::time(*builtin));
        writeln!(desk.out, "  {size:>5}  {own:>10}  {builtin:>16}   {}", shown::size(*memory))?;
    }
    if let Some(entry) = entry(&measured) {
        writeln!(
            desk.out,
            "  to enter the plugins takes {} a batch, whatever its size",
            shown::time(entry)
        )?;
    }
    Ok(())
}

/// What was measured for one batch size.
struct Measured {
    size: usize,
    /// For one message, with the plugins.
    own: Duration,
    /// For one message, without.
    builtin: Duration,
    memory: usize,
}

/// What a call costs that does not depend on how many messages are in it: what is saved for each
/// message when many share it.
fn entry(measured: &[Measured]) -> Option<Duration> {
    let (first, last) = (measured.first()?, measured.last()?);
    let one = first.own.saturating_sub(first.builtin);
    let many = last.own.saturating_sub(last.builtin);
    (last.size > 1).then(|| one.saturating_sub(many) * last.size as u32 / (last.size as u32 - 1))
}

/// The first messages, over and over.
fn batch(samples: &[Sample], size: usize) -> Result<Option<Batch>, String> {
    let mut batch = Batch::new();
    for (number, sample) in samples.iter().cycle().take(size).enumerate() {
        sample.push(&mut batch, number as u64, messages::now())?;
    }
    Ok((!batch.is_empty()).then_some(batch))
}

/// How long a message takes.
fn each(transform: &mut Transform, batch: &Batch, count: u64) -> Duration {
    let calls = (count / PARTS / batch.len() as u64).max(1);
    let mut parts: Vec<Duration> = (0..PARTS)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..calls {
                transform.each(batch, |_, verdict| {
                    std::hint::black_box(&verdict);
                });
            }
            began.elapsed()
        })
        .collect();
    parts.sort_unstable();
    let messages = calls * batch.len() as u64;
    let median = parts.get(parts.len() / 2).copied().unwrap_or_default();
    Duration::from_nanos(shown::nanos(median) / messages)
}

fn memory(transform: &mut Transform) -> usize {
    transform.plugins().memory().map(|(_, bytes)| bytes).sum()
}
