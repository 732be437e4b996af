//! Apache Kafka's jars, fetched once through Maven into Cargo's target folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::target;

/// The release that is tested with; `pom.xml` names the same as its default.
pub const VERSION: &str = "3.9.1";

/// What to do when something is missing.
const CURE: &str = "needed by the end-to-end tests (Debian: \
                    apt-get install openjdk-17-jre-headless maven)";

/// The folder with the jars.
///
/// # Panics
/// If they are missing and cannot be fetched.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let kafka = target::folder().join("kafka");
        let jars = kafka.join(VERSION);
        std::fs::create_dir_all(&kafka).expect("the target folder can be written to");
        // Another test run may be fetching them at this moment.
        let lock = File::create(kafka.join("lock")).expect("the target folder can be written to");
        lock.lock().expect("a file can be locked");
        if !jars.exists() {
            fetch(&jars);
        }
        let java = Command::new("java").arg("-version").output();
        assert!(java.is_ok_and(|java| java.status.success()), "`java` does not work: {CURE}");
        jars
    })
}

fn fetch(jars: &Path) {
    let partial = jars.with_file_name("partial");
    let output = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "dependency:copy-dependencies"])
        .arg("--file")
        .arg(target::package().join("pom.xml"))
        .arg(format!("-Dkafka.version={VERSION}"))
        .args(["-DincludeScope=runtime", "-Dmdep.copyPom=false"])
        .arg(format!("-DoutputDirectory={}", partial.display()))
        .output();
    let output = output.unwrap_or_else(|error| panic!("`mvn` does not start ({error}): {CURE}"));
    assert!(
        output.status.success(),
        "Maven cannot fetch Apache Kafka's jars; is a Maven repository reachable?\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::rename(&partial, jars).expect("a folder beside it can be renamed");
}
