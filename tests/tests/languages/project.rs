//! A project from the template is built and tested by the command in its README, and works.

use std::fs;
use std::path::Path;
use std::process::Command;

use host::plugin::{Ability, Content, Draft};
use host::scaffold::{Language, files};
use tests::scratch::Folder;

use crate::support::{Said, ask, bytes, load, plain};

const ABILITIES: [Ability; 4] =
    [Ability::Key, Ability::Value, Ability::Timestamp, Ability::Transformer];

pub fn works(language: &str) {
    let language = Language::ALL.into_iter().find(|one| one.as_str() == language);
    let language = language.expect("a language");
    let folder = Folder::new("project");
    for (path, text) in files("my-plugin", language, &ABILITIES) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
        fs::write(path, text).expect("a new file");
    }
    let readme = fs::read_to_string(folder.path().join("README.md")).expect("a README");
    run(folder.path(), between(&readme, "```console\n", "\n```"));

    let file = folder.path().join(between(&readme, "--plugin ", "`"));
    let mut setters = load(file, None).expect("a good plugin").instantiate();
    let mut said = |ability, payload| ask(&mut setters, ability, &[plain(payload)]).remove(0);
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
