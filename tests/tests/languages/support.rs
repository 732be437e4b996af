//! Building and calling.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use host::message::{Batch, Publish, Qos};
use host::plugin::{Ability, Answer, Answers, Draft, Limits, Loader, Plugins, Setters, Spec};
use tests::target;

/// The folder of the example plugin.
pub fn example(language: &str) -> PathBuf {
    target::package().join("../plugins").join(format!("json-key-{language}"))
}

/// The folder of the plugin that has every ability.
pub fn guest(language: &str) -> PathBuf {
    target::package().join("guests").join(format!("everything-{language}"))
}

/// Runs `make` in a plugin's folder, with results and tools in Cargo's target folder.
pub fn make(folder: &Path, goals: &[&str]) {
    // Tools are installed once, and builds write the same files.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let name = folder.file_name().expect("a name");
    let output = Command::new("make")
        .arg("--directory")
        .arg(folder)
        .arg(format!("BUILT={}", built(folder).display()))
        .arg(format!("TOOLS={}", target::folder().join("tools").display()))
        .args(goals)
        // They belong to the `make` that runs these tests.
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .output()
        .expect("make is installed: see .ci/deps");
    assert!(
        output.status.success(),
        "`make {}` in {} failed:\n{}{}",
        goals.join(" "),
        name.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn built(folder: &Path) -> PathBuf {
    target::folder().join("languages").join(folder.file_name().expect("a name"))
}

/// The `.wasm` file that a plugin's folder builds.
pub fn wasm(folder: &Path) -> PathBuf {
    make(folder, &[]);
    let name = folder.file_name().expect("a name").to_string_lossy().replace('-', "_");
    built(folder).join(name + ".wasm")
}

/// Limits as they are by default, but for time: other tests run beside these.
fn limits() -> Limits {
    Limits { call: Duration::from_secs(2), start: Duration::from_secs(20), ..Limits::default() }
}

/// Loads a plugin as the bridge does.
pub fn load(file: PathBuf, config: Option<&str>) -> Result<Plugins, String> {
    load_spec(Spec { file, config: config.map(str::to_owned), ..Spec::default() })
}

pub fn load_spec(spec: Spec) -> Result<Plugins, String> {
    let cache = Some(target::folder().join("languages/cache"));
    Loader::with_cache(limits(), cache).load(&[spec]).map_err(|error| error.to_string())
}

/// A message with everything that a message can have.
pub fn full<'a>(payload: &'a str, properties: &'a [u8]) -> Publish<'a> {
    Publish {
        topic: "plant/ü/temp",
        payload: payload.as_bytes(),
        qos: Qos::ExactlyOnce,
        retain: true,
        dup: true,
        packet_id: 513,
        properties: Some(properties),
    }
}

pub fn plain(payload: &str) -> Publish<'_> {
    Publish {
        topic: "plant/dev42",
        payload: payload.as_bytes(),
        qos: Qos::AtMostOnce,
        retain: false,
        dup: false,
        packet_id: 0,
        properties: None,
    }
}

/// What a plugin said about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Default,
    Null,
    Bytes(String),
    Timestamp(i64),
    Records(Vec<Draft>),
    Skip(String),
    Reject(&'static str, String),
    Fatal(String),
}

pub fn bytes(text: &str) -> Said {
    Said::Bytes(text.to_owned())
}

/// Asks about one message after the other.
pub fn ask(setters: &mut Setters, ability: Ability, messages: &[Publish<'_>]) -> Vec<Said> {
    let mut batch = Batch::new();
    for (sequence, message) in (0..).zip(messages) {
        batch.push(sequence, 1_700_000_000_123, message);
    }
    ask_batch(setters, ability, &batch)
}

pub fn ask_batch(setters: &mut Setters, ability: Ability, batch: &Batch) -> Vec<Said> {
    let mut answers = Answers::new();
    setters.call(ability, batch, 0..batch.len(), &mut answers);
    answers.items.iter().map(|answer| said(answer, &answers)).collect()
}

fn said(answer: &Answer, answers: &Answers) -> Said {
    match answer {
        Answer::Default | Answer::Wait => Said::Default,
        Answer::Null => Said::Null,
        Answer::Bytes(range) => {
            bytes(std::str::from_utf8(&answers.bytes[range.clone()]).expect("text"))
        }
        Answer::Timestamp(ms) => Said::Timestamp(*ms),
        Answer::Records(records) => Said::Records(records.clone()),
        Answer::Skip(why) => Said::Skip(why.clone()),
        Answer::Reject(why) => Said::Reject(why.reason.as_str(), why.error.clone()),
        Answer::Fatal(why) => Said::Fatal(why.error.clone()),
    }
}
