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

/// Tries each file of a fuzz target as far as each of its bytes, and with that byte changed.
pub fn damaged(target: &str, attempt: impl Fn(&[u8])) {
    for whole in of(target) {
        for at in 0..whole.len() {
            attempt(&whole[..at]);
            let mut damaged = whole.clone();
            for byte in [0, 1, 2, 7, 0x7f, 0x80, 0xff, !whole[at], whole[at].wrapping_add(1)] {
                damaged[at] = byte;
                attempt(&damaged);
            }
        }
    }
}
