//! Watches the running `host` from outside: whether it is silent while messages wait, and what it
//! needs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::tap::Tap;
use super::traffic::Confirmed;
use crate::host::Host;
use crate::process::Written;
use crate::usage::{Thread, threads, try_cpu};

/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The longest time without a line in the log and without an acknowledgement, while messages
    /// waited.
    pub silence: Duration,
    /// The largest share of a processor, in percent, while nothing was acknowledged although messages
    /// waited.
    pub spin: u8,
    /// The thread that used most of that.
    pub spinner: String,
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
        let mut standstill: Option<Standstill> = None;
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
            let stands = signs.map(|(id, _, answers)| (id, answers));
            standstill = match (standstill, stands) {
                (Some(it), Some(stands)) if it.stands == stands => Some(it),
                (_, stands) => stands.map(|stands| Standstill::begin(stands, Instant::now())),
            };
            if let Some(standstill) = &mut standstill
                && let Some(used) = try_cpu(standstill.stands.0)
            {
                let share = standstill.share(Instant::now(), used);
                if share > seen.spin {
                    (seen.spin, seen.spinner) = (share, standstill.busiest());
                }
            }
            if let Some((id, _)) = subject {
                seen.measure(id);
            }
            std::thread::sleep(LOOK);
        }
        seen
    }
}

/// How long `host` has to stand still before what it uses is looked at: it may be busy with what it
/// has taken.
const SETTLING: Duration = Duration::from_secs(1);

/// A time in which nothing is acknowledged.
struct Standstill {
    /// Which process, and how many acknowledgements it has sent.
    stands: (u32, usize),
    begun: Instant,
    /// What it had used when it had settled, all of it and by thread, and when that was.
    settled: Option<(Instant, Duration)>,
    threads: BTreeMap<u32, Thread>,
}

impl Standstill {
    fn begin(stands: (u32, usize), begun: Instant) -> Self {
        Self { stands, begun, settled: None, threads: BTreeMap::new() }
    }

    /// How much of a processor is used, in percent, by a process that has used so much until now.
    fn share(&mut self, now: Instant, used: Duration) -> u8 {
        if now.duration_since(self.begun) < SETTLING {
            return 0;
        }
        if self.settled.is_none() {
            self.threads = threads(self.stands.0);
        }
        let (since, before) = *self.settled.get_or_insert((now, used));
        let time = now.duration_since(since);
        if time < SETTLING {
            return 0;
        }
        let share = used.saturating_sub(before).as_secs_f64() / time.as_secs_f64();
        (share * 100.0).round().clamp(0.0, 255.0) as u8
    }

    /// The name of the thread that has used most since then.
    fn busiest(&self) -> String {
        let before = |id| self.threads.get(id).map_or(Duration::ZERO, |thread| thread.cpu);
        let now = threads(self.stands.0);
        let busiest = now.iter().max_by_key(|(id, thread)| thread.cpu.saturating_sub(before(id)));
        busiest.map_or_else(String::new, |(_, thread)| thread.name.clone())
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
    pub fn worst(self, other: &Self) -> Self {
        let spinner = if other.spin > self.spin { other.spinner.clone() } else { self.spinner };
        Self {
            silence: self.silence.max(other.silence),
            spin: self.spin.max(other.spin),
            spinner,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_while_nothing_moves_is_noticed() {
        let begun = Instant::now();
        let mut standstill = Standstill::begin((1, 0), begun);
        // Seconds since then, seconds used, and the share that is seen.
        for (after, used, share) in
            [(0.5, 5.0, 0), (1.0, 5.5, 0), (1.5, 6.0, 0), (2.0, 6.5, 100), (3.0, 6.5, 50)]
        {
            let now = begun + Duration::from_secs_f64(after);
            assert_eq!(standstill.share(now, Duration::from_secs_f64(used)), share, "{after}");
        }
    }
}
