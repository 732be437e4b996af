//! For tests: what is kept of a fuzzer's findings.

use std::path::Path;

/// All files of a fuzz target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = std::fs::read_dir(folder).expect("a corpus");
    let found: Vec<_> =
        files.map(|file| std::fs::read(file.expect("a file").path()).expect("a file")).collect();
    assert!(!found.is_empty());
    found
}
