//! Versions of plugins on disk, so that a restart does not bring back one that had to give way: a copy of
//! what has stood its trial, and a note of what has not, for each file.
//!
//! Copies are named by their SHA-256, and checked against it when they are read. Nothing here keeps a
//! plugin from running: what cannot be written is said, and a restart takes the file as it is then.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::kept;
use super::load::{read, sha256};
use super::text::short;

/// Where versions are kept.
#[derive(Debug, Clone)]
pub(super) struct Versions(PathBuf);

/// A version of a file that had to give way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GaveWay {
    pub file: PathBuf,
    pub sha256: String,
    /// The version that runs in its place.
    pub runs: String,
    /// What happened, in one line.
    pub why: String,
}

impl Versions {
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Keeps a copy of a file, if it still is this version.
    ///
    /// # Errors
    /// Why there is none.
    pub fn keep(&self, file: &Path, version: &str) -> io::Result<()> {
        let copy = self.copy(version);
        if kept::touch(&copy) {
            return Ok(());
        }
        let bytes = read(file)?;
        if sha256(&bytes) != version {
            return Err(io::Error::other("the file has changed"));
        }
        kept::write(&copy, &bytes)
    }

    /// Notes that a version had to give way. Where that is noted.
    ///
    /// # Errors
    /// Why it is not.
    pub fn note(&self, gave_way: &GaveWay) -> io::Result<PathBuf> {
        // It is as old as the program has run, and must not go for that.
        if !kept::touch(&self.copy(&gave_way.runs)) {
            return Err(io::Error::other("there is no copy of the version that runs"));
        }
        let note = self.place(&gave_way.file);
        kept::write(&note, &serde_json::to_vec(gave_way)?)?;
        Ok(note)
    }

    /// If this version of a file had to give way: what is noted of it, where, and the bytes of what is to
    /// run in its place.
    pub fn instead(&self, file: &Path, version: &str) -> Option<(GaveWay, PathBuf, Vec<u8>)> {
        let note = self.place(file);
        let gave_way: GaveWay = serde_json::from_slice(&fs::read(&note).ok()?).ok()?;
        if gave_way.sha256 != version {
            return None;
        }
        let copy = self.copy(&gave_way.runs);
        let bytes = read(&copy).ok().filter(|bytes| sha256(bytes) == gave_way.runs);
        let Some(bytes) = bytes else {
            tracing::warn!(
                "plugin {}: version {} had to give way before, and runs again, since there is no copy of \
                 version {} any more: {}",
                file.display(),
                short(version),
                short(&gave_way.runs),
                copy.display()
            );
            return None;
        };
        for used in [&note, &copy] {
            kept::touch(used);
        }
        Some((gave_way, note, bytes))
    }

    /// Another version has taken over: what is noted of a file says nothing any more.
    pub fn forget(&self, file: &Path) {
        // There is none as a rule.
        let _ = fs::remove_file(self.place(file));
    }

    /// Where it is noted what had to give way.
    pub fn place(&self, file: &Path) -> PathBuf {
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        self.0.join(sha256(file.as_os_str().as_encoded_bytes())).with_extension("json")
    }

    fn copy(&self, version: &str) -> PathBuf {
        self.0.join(version).with_extension("wasm")
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::plugin::tests::guests;

    const BAD: &str = "bad";

    #[test]
    fn a_version_that_gave_way_is_known_with_what_runs_in_its_place() {
        let (file, folder) = (guests::File::new("key.wasm", b"good"), guests::File::new("x", b""));
        let versions = Versions::new(folder.path().with_file_name("versions"));
        let good = sha256(b"good");
        let gave_way = |runs: &str| GaveWay {
            file: file.path().to_owned(),
            sha256: BAD.to_owned(),
            runs: runs.to_owned(),
            why: "errors".to_owned(),
        };
        assert!(versions.note(&gave_way(&good)).is_err(), "there is no copy");
        assert!(versions.keep(file.path(), "other").is_err(), "it is another one");
        versions.keep(file.path(), &good).expect("a copy");
        file.replace(b"bad");
        versions.keep(file.path(), &good).expect("it is there");
        let note = versions.note(&gave_way(&good)).expect("a note");
        let (known, place, bytes) = versions.instead(file.path(), BAD).expect("it is noted");
        assert_eq!((known.runs, known.why.as_str(), place), (good.clone(), "errors", note));
        assert_eq!(bytes, b"good");
        assert!(versions.instead(file.path(), "third").is_none());
        assert!(versions.instead(folder.path(), BAD).is_none(), "it is another file");

        // Both are used, however old they are.
        let places = [versions.place(file.path()), versions.copy(&good)];
        let old = SystemTime::now() - Duration::from_hours(24 * 365);
        let age = || {
            for place in &places {
                let kept = fs::File::options().append(true).open(place).expect("it is there");
                kept.set_modified(old).expect("a time");
            }
        };
        let is_young = |place: &PathBuf| {
            fs::metadata(place).and_then(|kept| kept.modified()).is_ok_and(|time| time > old)
        };
        age();
        versions.note(&gave_way(&good)).expect("a note");
        assert!(places.iter().all(is_young));
        age();
        versions.instead(file.path(), BAD).expect("it is noted");
        assert!(places.iter().all(is_young));

        fs::write(versions.copy(&good), b"damaged").expect("a written file");
        assert!(versions.instead(file.path(), BAD).is_none(), "the copy is another one");
        versions.forget(file.path());
        assert!(!versions.place(file.path()).exists());
    }
}
