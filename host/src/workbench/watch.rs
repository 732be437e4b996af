//! `host plugin watch`: builds, checks and tries plugins again whenever something is saved.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use super::run::run as run_messages;
use super::{Desk, Ended, check, golden};
use crate::config::{Messages, Plugin, Tests, Watch};

/// How often files are looked at. What has changed has to stay the same for one look: a file may be in
/// the middle of being written.
const LOOK: Duration = Duration::from_millis(200);

/// Folders of what is built, not written.
const BUILT: [&str; 4] = ["target", "build", "node_modules", "__pycache__"];

/// What changes as files are saved.
type Stamps = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Goes on until the program is ended, or nobody reads what is found.
pub fn run(desk: &mut Desk<'_>, watch: &Watch) -> Result<(), Ended> {
    let mut tried = None;
    let mut seen = None;
    loop {
        let now = stamps(desk, watch);
        let settled = seen.replace(now.clone()).as_ref() == Some(&now);
        if settled && tried.as_ref() != Some(&now) {
            tried = Some(now);
            try_all(desk, watch)?;
        }
        thread::sleep(LOOK);
    }
}

fn stamps(desk: &Desk<'_>, watch: &Watch) -> Stamps {
    let mut stamps = Stamps::new();
    for file in watch.input.iter().chain([&watch.tests.cases]) {
        look_at(file, &mut stamps);
    }
    if watch.build.is_some() {
        look_through(&watch.source, &mut stamps);
        // They are what is built.
        let is_built = |path: &Path| {
            let is_it =
                |plugin: &Plugin| path.canonicalize().ok() == plugin.file.canonicalize().ok();
            desk.plugins.iter().any(is_it)
        };
        stamps.retain(|path, _| !is_built(path));
    } else {
        desk.plugins.iter().for_each(|plugin| look_at(&plugin.file, &mut stamps));
    }
    stamps
}

/// Notes a file, if it is there.
fn look_at(file: &Path, stamps: &mut Stamps) {
    if let Ok(metadata) = fs::metadata(file) {
        stamps.insert(file.to_owned(), (metadata.modified().ok(), metadata.len()));
    }
}

/// Notes all files that people write in a folder. What cannot be read is passed over.
fn look_through(folder: &Path, stamps: &mut Stamps) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                if !name.starts_with('.') && !BUILT.contains(&name.as_ref()) {
                    look_through(&path, stamps);
                }
            }
            _ => look_at(&path, stamps),
        }
    }
}

/// Builds, checks, and tries messages and cases, as far as one step lets the next one be of use.
fn try_all(desk: &mut Desk<'_>, watch: &Watch) -> Result<(), Ended> {
    if let Some(command) = &watch.build {
        let status = Command::new("sh").arg("-c").arg(command).current_dir(&watch.source).status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => return Ok(writeln!(desk.out, "--build {command:?} failed: {status}")?),
            Err(error) => {
                return Err(Ended::Unusable(format!("--build {command:?} cannot be run: {error}")));
            }
        }
    }
    if !told(check::run(desk), desk)? {
        return Ok(());
    }
    if let Some(input) = &watch.input {
        let messages = Messages::Lines(input.clone());
        told(run_messages(desk, &messages), desk)?;
    }
    let Tests { cases, .. } = &watch.tests;
    if cases.exists() {
        told(golden::run(desk, &watch.tests), desk)?;
    }
    Ok(writeln!(desk.out, "waiting for a change")?)
}

/// Says what is wrong, and whether the next step is of use all the same.
fn told(ended: Result<(), Ended>, desk: &mut Desk<'_>) -> Result<bool, Ended> {
    match ended {
        Ok(()) | Err(Ended::Failed) => Ok(true),
        Err(Ended::Unusable(problem)) => {
            writeln!(desk.out, "{problem}")?;
            Ok(false)
        }
        Err(output) => Err(output),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_looked_at_and_what_is_built_is_not() {
        let folder = std::env::temp_dir().join(format!("host-watch-{}", std::process::id()));
        for path in ["src/lib.rs", "README.md", "target/release/x", ".git/HEAD", "a/build/y"] {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
            fs::write(path, "x").expect("a new file");
        }
        let mut stamps = Stamps::new();
        look_through(&folder, &mut stamps);
        let found: Vec<_> =
            stamps.keys().map(|path| path.strip_prefix(&folder).expect("within")).collect();
        assert_eq!(found, [Path::new("README.md"), Path::new("src/lib.rs")]);
        fs::remove_dir_all(folder).expect("it was there");
    }
}
