//! Files that are kept for later: compiled code, and versions of plugins. They appear as a whole, belong to
//! this user alone, and go when nobody has used them for long.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// What was not used for so long is removed.
const UNUSED: Duration = Duration::from_hours(24 * 90);

/// Makes the folder of a place if it is missing, and puts a file there as a whole.
///
/// # Errors
/// If the system refuses it.
pub(super) fn write(place: &Path, bytes: &[u8]) -> io::Result<()> {
    /// Tells files apart that are written at the same time, with the time what others have left behind:
    /// in containers all processes may have the same number.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if let Some(folder) = place.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        remove_unused(folder);
    }
    let (count, now) = (COUNT.fetch_add(1, Ordering::Relaxed), SystemTime::now());
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let new = place.with_extension(format!("new-{}-{count}-{now}", std::process::id()));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let done = written.and_then(|()| fs::rename(&new, place));
    done.inspect_err(|_| drop(fs::remove_file(&new)))
}

/// Says that a file has been used. Whether it is there.
pub(super) fn touch(place: &Path) -> bool {
    let Ok(file) = File::options().append(true).open(place) else { return false };
    // One that cannot be dated goes earlier, which costs time and nothing else.
    let _ = file.set_modified(SystemTime::now());
    true
}

fn remove_unused(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.map(|modified| modified.elapsed().unwrap_or_default());
        if age.is_ok_and(|age| age > UNUSED) {
            // Another one may have removed it.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::plugin::tests::guests;

    #[test]
    fn what_is_kept_is_there_as_a_whole_for_nobody_else_until_nobody_uses_it() {
        let file = guests::File::new("x", b"");
        let folder = file.path().with_file_name("kept");
        let place = |name: &str| folder.join(name);
        assert!(!touch(&place("a")));
        for text in ["one", "two"] {
            write(&place("a"), text.as_bytes()).expect("a kept file");
            assert_eq!(fs::read_to_string(place("a")).expect("a file"), text);
        }
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode();
        assert_eq!((mode(&folder) & 0o777, mode(&place("a")) & 0o777), (0o700, 0o600));

        for (name, age) in [("b", UNUSED * 2), ("c", UNUSED / 2), ("d", UNUSED * 2)] {
            let kept = File::create(place(name)).expect("a file");
            kept.set_modified(SystemTime::now() - age).expect("a time");
        }
        assert!(touch(&place("d")));
        write(&place("e"), b"").expect("a kept file");
        let left = ["a", "b", "c", "d", "e"].map(|name| place(name).exists());
        assert_eq!(left, [true, false, true, true, true]);
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 4, "and nothing else");
    }
}
