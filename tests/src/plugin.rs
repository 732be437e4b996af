//! Plugins for tests: example plugins and bad guests of this workspace, built for WebAssembly.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::target;

const TARGET: &str = "wasm32-unknown-unknown";

/// The `.wasm` file of a package of this workspace, built once per run.
///
/// # Panics
/// If it does not build.
pub fn plugin(package: &str) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    let path = built.entry(package.to_owned()).or_insert_with(|| {
        target::cargo_build(&["--profile", "plugin", "--target", TARGET, "--package", package]);
        let file = format!("{}.wasm", package.replace('-', "_"));
        target::folder().join(TARGET).join("plugin").join(file)
    });
    assert!(path.exists(), "the build of {package} has made {}", path.display());
    path.clone()
}
