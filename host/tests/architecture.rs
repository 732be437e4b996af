//! What `host/src` promises about itself: each outside library is named in one place, and nothing
//! points up.

#![allow(clippy::expect_used, reason = "a test that cannot read the sources fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// A module and what it may use of the others; `main`, `setup`, `checkup`, `demo` and `workbench` may use all.
const USES: [(&str, &[&str]); 23] = [
    ("account", &["message"]),
    ("backoff", &[]),
    (
        "bridge",
        &[
            "account",
            "backoff",
            "case",
            "filter",
            "hook",
            "kafka_topic",
            "ledger",
            "message",
            "output",
            "print",
            "progress",
            "reject",
            "sink",
            "source",
            "sync",
            "telemetry",
            "transform",
        ],
    ),
    ("case", &["message", "reject"]),
    ("config", &["filter", "kafka_topic", "message", "output", "transform"]),
    ("control", &["plugin", "swap"]),
    ("filter", &[]),
    ("hook", &["message"]),
    ("kafka_topic", &[]),
    ("ledger", &[]),
    ("message", &[]),
    ("output", &[]),
    ("plugin", &["backoff", "message"]),
    ("print", &["case", "message", "output", "sink"]),
    ("progress", &["ledger", "output", "sink"]),
    ("reject", &["message", "transform"]),
    ("scaffold", &["plugin"]),
    ("sink", &["backoff", "message", "telemetry"]),
    ("source", &["account", "backoff", "filter", "message", "telemetry"]),
    ("swap", &["case", "filter", "message", "plugin", "transform"]),
    ("sync", &[]),
    ("telemetry", &["config", "output"]),
    ("transform", &["message", "plugin"]),
];

/// A library and the only modules that may name it. `demo` embeds brokers of its own.
const NAMED_IN: [(&str, &[&str]); 12] = [
    ("clap", &["config"]),
    ("rdkafka", &["sink", "demo"]),
    ("rumqttc", &["source", "demo"]),
    ("rumqttd", &["demo"]),
    ("strsim", &["config"]),
    ("tokio_rustls", &["source"]),
    ("tokio_tungstenite", &["source"]),
    ("toml", &["config"]),
    ("wasmparser", &["plugin"]),
    ("wasmtime", &["plugin"]),
    ("wit_component", &["plugin"]),
    ("wit_parser", &["plugin"]),
];

/// Every source file with the top-level module it belongs to.
fn sources() -> Vec<(String, PathBuf, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the sources are readable") {
            let path = entry.expect("the sources are readable").path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    let read = files.into_iter().map(|path| {
        let inside = path.strip_prefix(&root).expect("the file is below the root");
        let first =
            inside.components().next().expect("a file has a name").as_os_str().to_string_lossy();
        let text = fs::read_to_string(&path).expect("the sources are readable");
        (first.trim_end_matches(".rs").to_owned(), path, text)
    });
    read.collect()
}

/// The code of a file, without its comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"))
}

#[test]
fn each_outside_library_is_named_in_one_place() {
    for (module, path, text) in sources() {
        for (library, allowed) in NAMED_IN {
            let names = code(&text).any(|line| line.contains(&format!("{library}::")));
            assert!(
                !names || allowed.contains(&module.as_str()),
                "{} names {library}, which belongs in {allowed:?}",
                path.display()
            );
        }
    }
}

#[test]
fn nothing_points_up() {
    let modules: Vec<_> = USES.iter().map(|(module, _)| *module).collect();
    for (module, path, text) in sources() {
        let Some((_, allowed)) = USES.iter().find(|(name, _)| *name == module) else { continue };
        for other in modules.iter().filter(|other| **other != module) {
            let uses = code(&text).any(|line| line.contains(&format!("crate::{other}")));
            assert!(
                !uses || allowed.contains(other),
                "{} uses {other}; {module} may use only {allowed:?}",
                path.display()
            );
        }
    }
}
