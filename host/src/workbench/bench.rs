//! `host plugin bench`: how long plugins take for a message, and for what; and whether their memory
//! grows.
//!
//! The way into a plugin and back is measured with a plugin that answers at once: what it takes for
//! empty messages is the entry, what it takes more for real ones is the copy. What the plugins take
//! beyond that is theirs.

use std::time::{Duration, Instant};

use serde_json::json;

use super::messages::{self, Placed};
use super::{Desk, Ended, shown, transform};
use crate::case::Sample;
use crate::config::Messages;
use crate::message::{Batch, Qos, now_ms};
use crate::plugin::{Answers, Calls, Loader, Plugins, Setters, idle_ability};
use crate::setup;
use crate::transform::Transform;

/// Messages that travel together.
const SIZES: [usize; 3] = [1, 8, 64];

/// Parts that a measurement is made of; their median counts, since machines have hiccups.
const PARTS: u64 = 20;

pub fn run(desk: &mut Desk<'_>, messages: &Messages, count: u64) -> Result<(), Ended> {
    let mut loader = Loader::new(setup::limits(&desk.limits));
    let plugins = desk.load_by(&mut loader, setup::spec)?;
    let idle = loader.idle().map_err(|error| Ended::Unusable(error.to_string()))?;
    let stream = messages::each(messages, Some(messages::sample()))?;
    let samples: Vec<Sample> = stream
        .map(|placed| placed.map(|Placed { sample, .. }| sample))
        .collect::<Result<_, _>>()?;
    if samples.is_empty() {
        return Err(Ended::Unusable("there are no messages; give some with --input".to_owned()));
    }
    let mut bench = Bench {
        calls: plugins.describe().flat_map(|plugin| plugin.abilities).map(|(_, how)| how).collect(),
        with: transform(&plugins),
        without: transform(&Plugins::default()),
        idle: idle.instantiate(),
        count,
    };
    let (start, mut bytes) = (bench.memory(), 0);
    let mut measured = Vec::new();
    for size in SIZES {
        let batch = batch(&samples, size).map_err(Ended::Unusable)?;
        bytes = batch.size() / size;
        measured.push(bench.measure(&batch).map_err(Ended::Unusable)?);
    }
    if desk.json {
        let batches: Vec<_> = measured.iter().map(Measured::json).collect();
        desk.json(&json!({
            "messages": count,
            "bytes_per_message": bytes,
            "start_memory_bytes": start,
            "batches": batches,
        }))?;
        return Ok(());
    }
    writeln!(desk.out, "{count} messages of {bytes} bytes, with headers, for each batch size")?;
    writeln!(
        desk.out,
        "  batch   a message   without plugins   entry      copy       plugins    memory (at first {})",
        shown::size(start)
    )?;
    for measured in &measured {
        let Measured { size, own, builtin, entry, copy, memory } = measured;
        let [own, builtin, entry, copy, rest] =
            [*own, *builtin, *entry, *copy, measured.rest()].map(shown::time);
        let memory = shown::size(*memory);
        writeln!(
            desk.out,
            "  {size:>5}  {own:>10}  {builtin:>16}   {entry:<10} {copy:<10} {rest:<10} {memory}"
        )?;
    }
    Ok(())
}

/// What was measured for one batch size; times are for one message.
struct Measured {
    size: usize,
    /// With the plugins.
    own: Duration,
    /// Without.
    builtin: Duration,
    /// To enter and leave the plugins for nothing.
    entry: Duration,
    /// To copy the message into them.
    copy: Duration,
    memory: usize,
}

impl Measured {
    /// What the plugins take for themselves.
    fn rest(&self) -> Duration {
        self.own.saturating_sub(self.builtin + self.entry + self.copy)
    }

    fn json(&self) -> serde_json::Value {
        let Self { size, own, builtin, entry, copy, memory } = self;
        json!({
            "batch": size,
            "ns_per_message": shown::nanos(*own),
            "without_plugins_ns_per_message": shown::nanos(*builtin),
            "entry_ns_per_message": shown::nanos(*entry),
            "copy_ns_per_message": shown::nanos(*copy),
            "plugins_ns_per_message": shown::nanos(self.rest()),
            "memory_bytes": memory,
        })
    }
}

struct Bench {
    /// How the plugins are called, for each of their abilities.
    calls: Vec<Calls>,
    with: Transform,
    without: Transform,
    idle: Setters,
    /// Messages for each measurement.
    count: u64,
}

impl Bench {
    fn measure(&mut self, batch: &Batch) -> Result<Measured, String> {
        let size = batch.len();
        let empty = Sample::new("t", &[], Qos::AtLeastOnce, false);
        let empty = self::batch(&[empty], size)?;
        let [entry, whole] = [&empty, batch].map(|batch| self.idle(batch));
        let own = each(self.count, size, || all(&mut self.with, batch));
        let builtin = each(self.count, size, || all(&mut self.without, batch));
        let copy = whole.saturating_sub(entry);
        Ok(Measured { size, own, builtin, entry, copy, memory: self.memory() })
    }

    /// What calls of all abilities take that find nothing to do.
    fn idle(&mut self, batch: &Batch) -> Duration {
        let mut answers = Answers::default();
        let mut all = Duration::ZERO;
        for how in [Calls::Packed, Calls::Typed] {
            let abilities = self.calls.iter().filter(|called| **called == how).count();
            if abilities > 0 {
                let ability = idle_ability(how);
                let one = each(self.count, batch.len(), || {
                    self.idle.call(ability, batch, 0..batch.len(), &mut answers);
                });
                all += one * abilities as u32;
            }
        }
        all
    }

    fn memory(&mut self) -> usize {
        self.with.plugins().memory().map(|(_, bytes)| bytes).sum()
    }
}

fn all(transform: &mut Transform, batch: &Batch) {
    transform.each(batch, |_, verdict| {
        std::hint::black_box(&verdict);
    });
}

/// The first messages, over and over.
fn batch(samples: &[Sample], size: usize) -> Result<Batch, String> {
    let mut batch = Batch::new();
    for (number, sample) in samples.iter().cycle().take(size).enumerate() {
        sample.push(&mut batch, number as u64, now_ms())?;
    }
    Ok(batch)
}

/// How long a message takes of which `size` are done with at once, `count` in all.
fn each(count: u64, size: usize, mut once: impl FnMut()) -> Duration {
    let calls = (count / PARTS / size as u64).max(1);
    let mut parts: Vec<Duration> = (0..PARTS)
        .map(|_| {
            let began = Instant::now();
            (0..calls).for_each(|_| once());
            began.elapsed()
        })
        .collect();
    parts.sort_unstable();
    let median = parts.get(parts.len() / 2).copied().unwrap_or_default();
    Duration::from_nanos(shown::nanos(median) / (calls * size as u64))
}
