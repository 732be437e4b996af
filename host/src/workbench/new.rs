//! `host plugin new`: a project for a plugin that builds, with tests and golden cases.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::Ended;
use crate::config::{Language, New, Setter};
use crate::plugin::Ability;
use crate::scaffold;

/// Writes the project into a folder of its own.
pub fn run(new: &New, out: &mut dyn Write) -> Result<(), Ended> {
    let language = match new.language {
        Language::Rust => scaffold::Language::Rust,
        Language::C => scaffold::Language::C,
        Language::Go => scaffold::Language::Go,
        Language::Js => scaffold::Language::JavaScript,
        Language::Python => scaffold::Language::Python,
    };
    let ability = |setter: &Setter| match setter {
        Setter::Deserializer => Ability::Json,
        Setter::Key => Ability::Key,
        Setter::Value => Ability::Value,
        Setter::Timestamp => Ability::Timestamp,
        Setter::Transformer => Ability::Transformer,
    };
    let abilities: Vec<_> = new.abilities.iter().map(ability).collect();
    let folder = Path::new(&new.name);
    fs::create_dir(folder).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Ended::Unusable(format!(
            "{} is there already; choose another name, or remove it",
            new.name
        )),
        _ => unwritable(folder, &error),
    })?;
    let files = scaffold::files(&new.name, language, &abilities);
    for (path, text) in &files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| unwritable(&path, &error))?;
    }
    let missing = Some(scaffold::RUST_SDK)
        .filter(|sdk| language == scaffold::Language::Rust && !Path::new(sdk).exists());
    if new.json {
        let files: Vec<_> = files.iter().map(|(path, _)| folder.join(path)).collect();
        let begun = json!({
            "folder": folder, "language": language.as_str(), "files": files, "missing_sdk": missing,
        });
        writeln!(out, "{begun}")?;
        return Ok(());
    }
    writeln!(
        out,
        "{} is a plugin in {}; its README.md says how to test, build and use it",
        folder.display(),
        language.as_str()
    )?;
    if let Some(sdk) = missing {
        writeln!(
            out,
            "its Cargo.toml looks for the SDK in {sdk}, which is not there: write the path of plugin-sdk in \
             host's sources"
        )?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> Ended {
    Ended::Unusable(format!("{} cannot be written: {error}", path.display()))
}
