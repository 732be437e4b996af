//! Watches the running `host` from outside: whether it is silent while messages wait, and what it
//! needs.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::tap::Tap;
use super::traffic::Confirmed;
use crate::host::Host;
use crate::process::Written;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

/// What was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// The longest time without a line in the log and without an acknowledgement, while messages
    /// waited.
    pub silence: Duration,
    pub resident_bytes: u64,
    pub descriptors: usize,
    pub threads: usize,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    /// The process that runs now, if any.
    subject: Mutex<Option<(u32, Written)>>,
    tap: Arc<Tap>,
    confirmed: Confirmed,
}

impl Shared {
    fn subject(&self) -> MutexGuard<'_, Option<(u32, Written)>> {
        self.subject.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) -> Seen {
        let (mut seen, mut known, mut since) = (Seen::default(), None, Instant::now());
        while !self.stop.load(Relaxed) {
            let subject = self.subject().clone();
            let waiting = self.confirmed.count() > self.tap.acknowledged_count();
            let signs = subject
                .as_ref()
                .filter(|_| waiting)
                .map(|(id, written)| (*id, written.lines(), self.tap.answers()));
            if signs.is_none() || signs != known {
                (known, since) = (signs, Instant::now());
            }
            seen.silence = seen.silence.max(since.elapsed());
            if let Some((id, _)) = subject {
                seen.measure(id);
            }
            std::thread::sleep(LOOK);
        }
        seen
    }
}

impl Seen {
    /// A process that ends at this moment has nothing to measure.
    fn measure(&mut self, id: u32) {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let number = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let descriptors = std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count);
        let resident = number("VmHWM:").unwrap_or_default() * 1024;
        self.resident_bytes = self.resident_bytes.max(resident);
        self.descriptors = self.descriptors.max(descriptors);
        self.threads = self.threads.max(number("Threads:").unwrap_or_default() as usize);
    }

    /// The worst of two rounds.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        Self {
            silence: self.silence.max(other.silence),
            resident_bytes: self.resident_bytes.max(other.resident_bytes),
            descriptors: self.descriptors.max(other.descriptors),
            threads: self.threads.max(other.threads),
        }
    }
}

/// A thread that watches.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    thread: JoinHandle<Seen>,
}

impl Watch {
    pub fn start(tap: Arc<Tap>, confirmed: Confirmed) -> Self {
        let stop = AtomicBool::new(false);
        let shared = Arc::new(Shared { stop, subject: Mutex::default(), tap, confirmed });
        let watched = Arc::clone(&shared);
        Self { shared, thread: std::thread::spawn(move || watched.watch()) }
    }

    /// Which process is watched from now on.
    pub fn on(&self, host: Option<&Host>) {
        *self.shared.subject() = host.map(|host| (host.id(), host.written()));
    }

    /// # Panics
    /// If the thread did.
    pub fn finish(self) -> Seen {
        self.shared.stop.store(true, Relaxed);
        self.thread.join().expect("looking does not fail")
    }
}
