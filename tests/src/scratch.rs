//! Folders and ports that belong to this test run alone.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A number that no other call in this run gets.
pub fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A temporary folder, removed when it goes out of scope.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = run_folder().join(format!("{name}-{}", unique()));
        std::fs::create_dir_all(&path)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }

    /// Puts a file into it, or in the place of another one, as a whole.
    pub fn replace(&self, name: &str, content: impl AsRef<[u8]>) {
        let new = self.write(&format!("{name}.new"), content);
        std::fs::rename(&new, self.0.join(name))
            .unwrap_or_else(|error| panic!("cannot move {}: {error}", new.display()));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A broker killed a moment ago may still be writing; the janitor gets what is left.
        let _: io::Result<()> = std::fs::remove_dir_all(&self.0);
    }
}

/// The folder of all folders of this run, and the process that removes it when the run is over,
/// however it ends: it waits for the end of a pipe that only this process holds open.
fn run_folder() -> &'static Path {
    static RUN: OnceLock<(PathBuf, Child)> = OnceLock::new();
    let (path, _janitor) = RUN.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("host-tests-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
        let janitor = Command::new("sh")
            .args(["-c", "trap '' INT TERM HUP; read -r _; sleep 1; rm -rf \"$1\"", "janitor"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`sh` starts");
        (path, janitor)
    });
    path
}

/// A port of 127.0.0.1 that nothing listens on.
///
/// It lies below the ports that the system gives to outgoing connections, so that a broker that
/// is down for a while finds its port still free.
pub fn free_port() -> u16 {
    static GIVEN: OnceLock<Mutex<HashSet<u16>>> = OnceLock::new();
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 15_000;
    let mut given =
        GIVEN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let start = std::process::id().wrapping_mul(37);
    (0..COUNT)
        .map(|step| (FIRST + start.wrapping_add(step) % COUNT) as u16)
        .find(|&port| {
            !given.contains(&port)
                && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
                && given.insert(port)
        })
        .expect("one of 15,000 ports is free")
}
