//! Where Cargo puts what it builds, found from where the running test itself lies.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the profile that the tests were built with, e.g. `target/release`.
pub fn profile_folder() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of the running test is known");
    let folder = exe.parent().expect("an executable lies in a folder");
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    folder.to_path_buf()
}

/// Cargo's target folder.
pub fn folder() -> PathBuf {
    profile_folder().parent().expect("a profile's folder lies in the target folder").to_path_buf()
}

/// The folder of this package's sources.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Builds with Cargo into the same target folder.
pub fn cargo_build(arguments: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(package())
        .args(["build", "--quiet"])
        .args(arguments)
        .arg("--target-dir")
        .arg(folder())
        .output()
        .expect("cargo starts: it also runs these tests");
    assert!(
        output.status.success(),
        "`cargo build {}` failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}
