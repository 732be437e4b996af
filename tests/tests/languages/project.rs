//! A project from the template is built and tested by the command in its README, and works.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use host::plugin::{Ability, Content, Draft};
use serde_json::Value;
use tests::host::Host;
use tests::scratch::Folder;

use crate::support::{Said, ask, bytes, load, plain};

pub fn works(language: &str) {
    let folder = Folder::new("project");
    let plugin = |what: &str| Host::bare().argument("plugin").argument(what).within(folder.path());
    let new = plugin("new").argument("my-plugin").flag("lang", language);
    let begun = new.flag("ability", "deserializer,key,value,timestamp,transformer").run();
    assert_eq!(begun.code, Some(0), "{}", begun.errors);
    let project = folder.path().join("my-plugin");
    let readme = fs::read_to_string(project.join("README.md")).expect("a README");
    run(&project, between(&readme, "```console\n", "\n```"));

    let file = project.join(between(&readme, "--plugin ", "`"));
    let path = file.display().to_string();
    // To compile an interpreter takes its time.
    let patience = Duration::from_mins(5);
    let checked = plugin("check").argument(&path).launch().wait(patience);
    assert_eq!(checked.code, Some(0), "{}{}", checked.output, checked.errors);
    let cases = project.join("cases.jsonl");
    let test = plugin("test").argument(&path).flag("cases", cases.display());
    let tested = test.launch().wait(patience);
    assert_eq!(tested.code, Some(0), "{}{}", tested.output, tested.errors);
    assert!(tested.output.contains("5 passed, 0 failed"), "{}", tested.output);

    let mut setters = load(file, None).expect("a good plugin").instantiate();
    let mut said = |ability, payload| ask(&mut setters, ability, &[plain(payload)]).remove(0);
    let Said::Bytes(json) = said(Ability::Json, "\u{1}_^\u{10}\0\0d") else { panic!("no JSON") };
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["_timestamp"], 1_600_000_000_000_u64);
    assert_eq!(json["celsius"].as_f64(), Some(10.0));
    assert_eq!(said(Ability::Json, "21.5"), Said::Default);
    assert_eq!(said(Ability::Key, "21.5"), bytes("dev42"));
    assert_eq!(said(Ability::Value, " 21.5 "), bytes("21.5"));
    let time = r#"{"time": 1700000000}"#;
    assert_eq!(said(Ability::Timestamp, time), Said::Timestamp(1_700_000_000_000));
    assert_eq!(said(Ability::Timestamp, "x"), Said::Default);
    let line = |text: &str| Draft { value: Content::Bytes(text.into()), ..Draft::default() };
    assert_eq!(said(Ability::Transformer, "a\nb"), Said::Records(vec![line("a"), line("b")]));
    assert!(matches!(said(Ability::Transformer, ""), Said::Skip(_)));
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before} in {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("{after} in {text}")).0
}

fn run(folder: &Path, command: &str) {
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        // What this test inherits from the commands that run it.
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .env_remove("RUSTFLAGS")
        .output()
        .expect("a shell");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "`{command}` failed:\n{said}{complained}");
}
