//! The files of a new plugin project, in each language: templates with what was asked for filled in.
//!
//! A template is an ordinary file with `{{name}}` (as given), `{{file}}` (as a file's stem) and `{{sdk}}`
//! (where the Rust SDK is), and lines that are only there for one ability, between lines `{{#key}}` and `{{/key}}`.
//! Nothing here touches a disk.

use std::path::PathBuf;

use crate::plugin::Ability;

mod templates;

pub use templates::RUST_SDK;

/// What a plugin can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Rust,
    C,
    Go,
    JavaScript,
    Python,
}

impl Language {
    pub const ALL: [Self; 5] = [Self::Rust, Self::C, Self::Go, Self::JavaScript, Self::Python];

    /// As it is written on a command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Go => "go",
            Self::JavaScript => "javascript",
            Self::Python => "python",
        }
    }
}

/// The paths and texts of a project that decides what `abilities` say. The name is letters, digits and
/// hyphens, and begins with a letter.
#[must_use]
pub fn files(name: &str, language: Language, abilities: &[Ability]) -> Vec<(PathBuf, String)> {
    let project = Project { name, file: name.replace('-', "_"), abilities };
    let templates = templates::of(language).iter();
    let filled =
        templates.map(|(path, text)| (PathBuf::from(project.placed(path)), project.filled(text)));
    let copied = templates::copied(language).iter();
    filled.chain(copied.map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))).collect()
}

struct Project<'a> {
    name: &'a str,
    file: String,
    abilities: &'a [Ability],
}

impl Project<'_> {
    fn filled(&self, template: &str) -> String {
        let mut text = String::with_capacity(template.len());
        let mut wanted = true;
        for line in template.split_inclusive('\n') {
            if let Some(block) = tag(line, "{{#") {
                wanted = self.has(block);
            } else if tag(line, "{{/").is_some() {
                wanted = true;
            } else if wanted {
                text += &self.placed(line);
            }
        }
        text
    }

    fn placed(&self, text: &str) -> String {
        text.replace("{{name}}", self.name)
            .replace("{{file}}", &self.file)
            .replace("{{sdk}}", RUST_SDK)
    }

    fn has(&self, block: &str) -> bool {
        let any = |wanted: &[Ability]| wanted.iter().any(|one| self.abilities.contains(one));
        match block {
            "deserializer" => any(&[Ability::Json]),
            "key" => any(&[Ability::Key]),
            "value" => any(&[Ability::Value]),
            "timestamp" => any(&[Ability::Timestamp]),
            "transformer" => any(&[Ability::Transformer]),
            // What needs a package of Go's library: encoding/json, strings, or any.
            "library" => {
                any(&[Ability::Json, Ability::Value, Ability::Transformer, Ability::Timestamp])
            }
            "json" => any(&[Ability::Json, Ability::Timestamp]),
            "text" => any(&[Ability::Value, Ability::Transformer]),
            _ => false,
        }
    }
}

fn tag<'a>(line: &'a str, opening: &str) -> Option<&'a str> {
    line.trim().strip_prefix(opening)?.strip_suffix("}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(files: &[(PathBuf, String)], path: &str) -> String {
        let found = files.iter().find(|(at, _)| at.to_str() == Some(path));
        found.unwrap_or_else(|| panic!("{path} in {files:?}")).1.clone()
    }

    #[test]
    fn a_project_has_only_what_was_asked_for() {
        for language in Language::ALL {
            for ability in Ability::ALL {
                let files = files("my-key", language, &[ability]);
                let cases = text(&files, "cases.jsonl");
                assert_eq!(cases.lines().count(), 1, "{language:?} {cases}");
                let readme = text(&files, "README.md");
                assert!(readme.starts_with("# my-key\n") && readme.contains("my_key.wasm"));
                let all: String = files.iter().map(|(_, text)| text.as_str()).collect();
                assert!(!all.contains("{{#") && !all.contains("{{/"), "{language:?}");
                for word in ["{{name}}", "{{file}}", "{{sdk}}"] {
                    assert!(!all.contains(word), "{language:?} {word}");
                }
            }
        }
    }

    #[test]
    fn all_that_was_asked_for_is_in_one_file() {
        let files = files("my-key", Language::C, &Ability::ALL);
        let source = text(&files, "my_key.c");
        for what in ["DESERIALIZER", "KEY", "VALUE", "TIMESTAMP", "TRANSFORMER"] {
            assert!(source.contains(&format!("\nPLUGIN_{what}(")), "{what} is not in {source}");
        }
        assert_eq!(text(&files, "cases.jsonl").lines().count(), 5);
    }

    #[test]
    fn golden_cases_are_json() {
        let files = files("my-key", Language::Rust, &Ability::ALL);
        for case in text(&files, "cases.jsonl").lines() {
            let case: serde_json::Value = serde_json::from_str(case).expect("JSON");
            assert!(case["topic"].is_string() && case["expect"].is_object(), "{case}");
        }
    }

    #[test]
    fn the_contract_is_there_where_tools_want_it() {
        for language in [Language::JavaScript, Language::Python] {
            let files = files("my-key", language, &[Ability::Key]);
            assert_eq!(text(&files, "wit/plugin.wit"), crate::plugin::CONTRACT);
            let world = text(&files, "wit/world.wit");
            assert!(world.contains("export key-setter;") && !world.contains("value-setter"));
        }
    }

    #[test]
    fn every_file_of_the_sdk_that_a_project_needs_is_copied() {
        let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-sdk/");
        for (language, folder, into) in [(Language::C, "c", "sdk"), (Language::Go, "go", "sdk")] {
            let copied = files("my-key", language, &[Ability::Key]);
            let mut open = vec![PathBuf::from(sdk).join(folder)];
            while let Some(folder_or_file) = open.pop() {
                if folder_or_file.is_dir() {
                    let entries = std::fs::read_dir(&folder_or_file).expect("a folder");
                    open.extend(entries.map(|entry| entry.expect("an entry").path()));
                    continue;
                }
                let path = folder_or_file.strip_prefix(sdk.to_owned() + folder).expect("below it");
                if path.extension().is_none_or(|kind| kind == "md") {
                    continue;
                }
                let path = PathBuf::from(into).join(path);
                let path = path.to_str().expect("text");
                let original = std::fs::read_to_string(&folder_or_file).expect("text");
                assert_eq!(text(&copied, path), original, "{path}");
            }
        }
    }
}
