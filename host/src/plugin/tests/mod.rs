//! Plugins as a whole: files are loaded and called as the bridge does it.

mod broken;
mod calls;
mod clock;
pub(crate) mod guests;
mod hooks;
mod hostile;
mod limits;
mod refusals;
mod swap;
mod systems;
mod transformers;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::interfaces::Indices;
use super::load::Plugin;
use super::slot::Slot;
use super::{Ability, Answer, Answers, Draft, Limits, Loader, Plugins, Setters, Spec};
use crate::message::{Batch, Publish, Qos};

/// Runs something, and gives back what it logged.
pub(super) fn logged<R>(run: impl FnOnce() -> R) -> (String, R) {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    let result = tracing::subscriber::with_default(subscriber, run);
    let bytes = lines.0.lock().expect("no writer panicked").clone();
    (String::from_utf8(bytes).expect("lines are text"), result)
}

/// The committed `NAME.bin` beside `NAME.wat` is that text, assembled. With the variable `update` it is
/// written.
pub(super) fn assert_assembled(name: &str, text: &str, update: &str) {
    let file = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/plugin/{}.bin"), name);
    let assembled = guests::binary(text);
    if std::env::var_os(update).is_some() {
        std::fs::write(&file, &assembled).expect("a written file");
    }
    assert!(
        std::fs::read(&file).is_ok_and(|bin| bin == assembled),
        "{name}.bin is not {name}.wat: {update}=1 cargo test -p host --lib committed"
    );
}

/// Limits that a loaded machine keeps, but for a plugin that loops.
fn limits() -> Limits {
    Limits { call: Duration::from_millis(500), start: Duration::from_secs(2), ..Limits::default() }
}

fn load(files: &[PathBuf], limits: &Limits) -> Plugins {
    let specs: Vec<_> = files.iter().map(|file| Spec::from(file.as_path())).collect();
    Loader::with_cache(limits.clone(), None).load(&specs).expect("a good plugin")
}

fn setters(file: &std::path::Path) -> Setters {
    load(&[file.to_owned()], &limits()).instantiate()
}

/// The same plugins, as if they had no packed interfaces.
fn typed_only(plugins: &Plugins) -> Plugins {
    changed(plugins, |plugin| {
        let typed = plugin.code.indices.clone();
        plugin.code.indices =
            Indices { jsons: None, keys: None, values: None, timestamps: None, ..typed };
    })
}

fn changed(plugins: &Plugins, change: impl Fn(&mut Plugin)) -> Plugins {
    let mut plugins = plugins.clone();
    for slot in &mut plugins.loaded {
        let mut other = (*slot.plugin()).clone();
        change(&mut other);
        *slot = Arc::new(Slot::new(slot.spec(), Arc::new(other)));
    }
    plugins
}

fn batch<P: AsRef<[u8]>>(payloads: impl IntoIterator<Item = P>) -> Batch {
    batch_at(0, payloads)
}

/// A batch that came in this second.
fn batch_at<P: AsRef<[u8]>>(second: i64, payloads: impl IntoIterator<Item = P>) -> Batch {
    let mut batch = Batch::new();
    for (sequence, payload) in payloads.into_iter().enumerate() {
        let publish = Publish {
            topic: "plant/a",
            payload: payload.as_ref(),
            qos: Qos::AtLeastOnce,
            retain: false,
            dup: false,
            packet_id: 1,
            properties: None,
        };
        batch.push(sequence as u64, 1_700_000_000_000 + second * 1_000, &publish);
    }
    batch
}

/// What the setters answer for one message per payload.
fn answer<P: AsRef<[u8]>>(setters: &mut Setters, ability: Ability, payloads: &[P]) -> Vec<Said> {
    answer_batch(setters, ability, &batch(payloads))
}

fn answer_batch(setters: &mut Setters, ability: Ability, batch: &Batch) -> Vec<Said> {
    let mut answers = Answers::new();
    setters.call(ability, batch, 0..batch.len(), &mut answers);
    assert_eq!(answers.items.len(), batch.len());
    answers.items.iter().map(|item| Said::of(item, &answers)).collect()
}

/// An answer that can be compared at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Default,
    Null,
    Bytes(String),
    Timestamp(i64),
    Records(Vec<Draft>),
    Skip(String),
    Wait,
    Reject(&'static str, String),
    Fatal(String),
}

impl Said {
    fn of(answer: &Answer, answers: &Answers) -> Self {
        match answer {
            Answer::Default => Self::Default,
            Answer::Null => Self::Null,
            Answer::Bytes(range) => {
                Self::Bytes(String::from_utf8_lossy(&answers.bytes[range.clone()]).into_owned())
            }
            Answer::Timestamp(milliseconds) => Self::Timestamp(*milliseconds),
            Answer::Records(records) => Self::Records(records.clone()),
            Answer::Skip(why) => Self::Skip(why.clone()),
            Answer::Wait => Self::Wait,
            Answer::Reject(rejection) => {
                assert!(rejection.plugin.is_some());
                Self::Reject(rejection.reason.as_str(), rejection.error.clone())
            }
            Answer::Fatal(rejection) => Self::Fatal(rejection.error.clone()),
        }
    }
}

fn bytes(text: &str) -> Said {
    Said::Bytes(text.to_owned())
}
