//! What the fuzzers of `host/fuzz` call, and the tests that go through what they have found.
//!
//! Each function takes bytes from which a plugin could be made, or that a plugin could answer, and
//! panics where a promise of this module is broken: that nothing in them makes the host panic, and
//! that what comes of them is within the limits.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wasmtime::Engine;

use super::answers::Judge;
use super::compile::Code;
use super::compiler::Compiler;
use super::engine::{self, Ticker};
use super::instance::Instance;
use super::load::{Plugin, Spec};
use super::log::PluginLog;
use super::packed::{self, Rest};
use super::slot::Slot;
use super::{Ability, Answer, Answers, Clock, Draft, DraftHeader, Limits, Plugins};
use crate::message::{Batch, PluginName, Publish, Qos};

/// Small enough that a fuzzer soon exceeds each of them.
fn limits() -> Limits {
    Limits {
        call: Duration::from_millis(10),
        start: Duration::from_millis(10),
        memory: 1 << 20,
        output: 64,
        records: 4,
        log_lines_per_second: 1,
        ..Limits::default()
    }
}

/// A file as a plugin: it is refused, or it starts and answers for each of its messages.
pub fn load(bytes: &[u8]) {
    static RUNNING: OnceLock<(Engine, Arc<Ticker>)> = OnceLock::new();
    let (engine, clock) = RUNNING.get_or_init(|| {
        let engine = engine::engine(false).expect("an engine");
        let clock = Ticker::start(&engine, limits().call).expect("a thread");
        (engine, Arc::new(clock))
    });
    let running = clock.running();
    let Ok(code) = Code::compile(engine, &Compiler::default(), bytes) else { return };
    let name = plugin_name();
    let plugin = Plugin {
        clock: Clock::Denied,
        log: Arc::new(PluginLog::new(Arc::clone(&name), limits().log_lines_per_second)),
        name,
        file: PathBuf::new(),
        config: None,
        limits: limits(),
        code,
        tally: Arc::default(),
    };
    if Instance::start(&plugin).is_err() {
        return;
    }
    drop(running);
    let slot = Slot::new(Spec::default(), Arc::new(plugin));
    let plugins = Plugins {
        loaded: vec![Arc::new(slot)],
        clock: Some(Arc::clone(clock)),
        ..Plugins::default()
    };
    let (mut setters, batch) = (plugins.instantiate(), messages());
    let mut answers = Answers::new();
    for ability in Ability::ALL {
        if ability == Ability::Transformer {
            let drafts = vec![Draft::default(); batch.len()];
            (0..setters.transformers())
                .for_each(|number| setters.transform(number, &batch, &drafts, 0, &mut answers));
        } else {
            setters.call(ability, &batch, 0..batch.len(), &mut answers);
        }
        assert!(answers.items.is_empty() || answers.items.len() == batch.len());
        check(&answers);
    }
}

/// The answer of a packed call. The first byte says which ability was called, and for how many
/// messages.
pub fn packed(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let ability = Ability::ALL[usize::from(first) % Ability::ALL.len()];
    let count = usize::from(first) / Ability::ALL.len();
    let (name, limits) = (plugin_name(), limits());
    let judge = Judge { plugin: &name, ability, limits: &limits };
    let (before, at) = (b"before".to_vec(), vec![Answer::Bytes(0..6)]);
    let mut answers = Answers { bytes: before, items: at, in_records: 0 };
    let read = packed::read(&judge, count, bytes, &mut answers);
    assert_eq!(answers.items.len(), 1 + if read.is_ok() { count } else { 0 });
    assert_eq!(answers.items.remove(0), Answer::Bytes(0..6));
    assert!(answers.bytes.starts_with(b"before"));
    check(&answers);
}

/// A packed record: what can be read is written as it was.
pub fn draft(bytes: &[u8]) {
    let mut rest = Rest::new(bytes, limits().memory);
    let Ok(draft) = Draft::read(&mut rest) else { return };
    let mut written = Vec::new();
    draft.write(&mut written);
    assert_eq!(written, bytes[..bytes.len() - rest.left()]);
    let headers = draft.headers.as_ref().map_or(0, Vec::len);
    assert!(headers * size_of::<DraftHeader>() <= limits().memory);
}

/// No answer is beyond its limits, or somewhere else than in the bytes.
fn check(answers: &Answers) {
    let limits = limits();
    for answer in &answers.items {
        match answer {
            Answer::Bytes(range) => {
                assert!(answers.bytes[range.clone()].len() <= limits.output);
            }
            Answer::Timestamp(milliseconds) => assert!(*milliseconds > 0),
            Answer::Records(records) => {
                assert!((1..=limits.records).contains(&records.len()));
                assert!(records.iter().map(Draft::size).sum::<usize>() <= limits.output);
            }
            Answer::Skip(text) => one_line(text),
            Answer::Reject(rejection) | Answer::Fatal(rejection) => one_line(&rejection.error),
            Answer::Default | Answer::Wait | Answer::Null => {}
        }
    }
}

fn one_line(text: &str) {
    assert!(text.len() < 4096 && !text.contains(char::is_control), "{text:?}");
}

fn plugin_name() -> Arc<PluginName> {
    Arc::new(PluginName { name: "fuzzed".to_owned(), sha256: String::new() })
}

fn messages() -> Batch {
    let mut batch = Batch::new();
    for payload in [&b"21.5"[..], b"", b"{\"_key\":\"k\"}"] {
        let publish = Publish {
            topic: "plant/a",
            payload,
            qos: Qos::AtLeastOnce,
            retain: false,
            dup: false,
            packet_id: 1,
            properties: None,
        };
        batch.push(0, 1_700_000_000_000, &publish);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;
    use crate::dice::Dice;

    #[test]
    fn everything_that_was_found_to_be_interesting_as_an_answer_does_no_harm() {
        for answer in corpus::of("packed") {
            packed(&answer);
        }
        for record in corpus::of("draft") {
            draft(&record);
        }
    }

    #[test]
    fn everything_that_was_found_to_be_interesting_as_a_file_does_no_harm() {
        for file in corpus::of("load") {
            load(&file);
        }
    }

    #[test]
    fn an_answer_that_is_damaged_anywhere_or_ends_anywhere_does_no_harm() {
        corpus::damaged("packed", packed);
    }

    /// Says how many mutants there are of each file, instead of some that take a moment.
    const MUTANTS: &str = "HOST_TEST_MUTANTS";

    impl Dice {
        /// The file with a few small changes.
        fn mutant(&mut self, file: &[u8]) -> Vec<u8> {
            let mut mutant = file.to_vec();
            for _ in 0..=self.below(4) {
                let at = 8 + self.below(mutant.len().saturating_sub(9));
                let Some(byte) = mutant.get_mut(at) else { break };
                match self.below(5) {
                    0 => *byte ^= 1 << self.below(8),
                    1 => *byte = self.below(256) as u8,
                    2 => *byte = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                    3 => mutant.insert(at, self.below(256) as u8),
                    _ => {
                        let (from, size) = (self.below(mutant.len()), self.below(8));
                        let to = (from + size).min(mutant.len());
                        let copied = mutant[from..to].to_vec();
                        let end = (at + copied.len()).min(mutant.len());
                        mutant.splice(at..end, copied);
                    }
                }
            }
            mutant
        }
    }

    #[test]
    fn files_with_small_changes_do_no_harm() {
        let mutants = std::env::var(MUTANTS).map_or(30, |count| count.parse().expect("a number"));
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        for file in corpus::of("load") {
            for _ in 0..mutants {
                load(&dice.mutant(&file));
            }
        }
    }
}
