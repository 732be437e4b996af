//! What a running process has cost so far.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Processor time and memory of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Time of all its threads, in user and kernel mode.
    pub cpu: Duration,
    /// The most resident memory that it ever had, in bytes.
    pub peak_resident_bytes: u64,
}

impl Usage {
    /// Of the process with this id.
    ///
    /// # Panics
    /// If there is no such process, or it has ended.
    pub fn of(id: u32) -> Self {
        let file = format!("/proc/{id}/status");
        let status =
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        Self {
            cpu: cpu(id),
            peak_resident_bytes: peak(&status).expect("a running process has resident memory"),
        }
    }

    /// Of this process.
    ///
    /// # Panics
    /// If `/proc` is not there.
    pub fn own() -> Self {
        Self::of(std::process::id())
    }
}

/// How much of one processor each of these processes uses, measured over the same time.
///
/// # Panics
/// If one of them has ended.
pub fn shares(ids: &[u32], time: Duration) -> Vec<f64> {
    let spent = || ids.iter().map(|id| Usage::of(*id).cpu);
    let (start, before) = (Instant::now(), spent().collect::<Vec<_>>());
    std::thread::sleep(time);
    let elapsed = start.elapsed().as_secs_f64();
    let share =
        |(after, before): (Duration, _)| after.saturating_sub(before).as_secs_f64() / elapsed;
    spent().zip(before).map(share).collect()
}

fn cpu(id: u32) -> Duration {
    try_cpu(id).unwrap_or_else(|| panic!("process {id} runs, and has a clock"))
}

/// What the process with this id has used, if there is one: by its clock, in nanoseconds, since
/// `/proc/PID/stat` counts hundredths of a second, which is a third of what a hundred messages cost.
pub fn try_cpu(id: u32) -> Option<Duration> {
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    #[expect(unsafe_code, reason = "the standard library does not know this clock")]
    // SAFETY: both calls fill in the valid value that they are given, and keep nothing.
    let status = unsafe {
        match libc::clock_getcpuclockid(id as libc::pid_t, &raw mut clock) {
            0 => libc::clock_gettime(clock, &raw mut time),
            error => error,
        }
    };
    (status == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// What a thread has used so far, in hundredths of a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    pub name: String,
    pub cpu: Duration,
}

/// The threads of the process with this id, by their ids; none, if it has ended.
pub fn threads(id: u32) -> BTreeMap<u32, Thread> {
    let Ok(folder) = std::fs::read_dir(format!("/proc/{id}/task")) else { return BTreeMap::new() };
    let ids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let thread = |thread: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/task/{thread}/stat")).ok()?;
        Some((thread, parse_thread(&stat)?))
    };
    ids.filter_map(thread).collect()
}

/// From `ID (NAME) STATE ...`, where the name may contain anything; the 14th and 15th of all are what
/// it has used in user and kernel mode.
fn parse_thread(stat: &str) -> Option<Thread> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut times = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    let hundredths = times.next()?.ok()? + times.next()?.ok()?;
    Some(Thread { name: name.to_owned(), cpu: Duration::from_millis(hundredths * 10) })
}

fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_has_cost() {
        let before = Usage::own();
        assert!(before.peak_resident_bytes > 100_000);
        let worked = (0..1_000_000_u64).map(std::hint::black_box).sum::<u64>();
        assert!(worked > 0 && before.cpu < Usage::own().cpu);
    }

    #[test]
    fn a_thread_is_known_by_its_name_and_what_it_has_used() {
        let stat = "7 (rdk:broker (1)) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 13";
        let expected =
            Thread { name: "rdk:broker (1)".to_owned(), cpu: Duration::from_millis(1_750) };
        assert_eq!(parse_thread(stat), Some(expected));
        assert_eq!(parse_thread("7 (rdk"), None);
        assert!(threads(std::process::id()).contains_key(&std::process::id()));
        assert_eq!(threads(u32::MAX), BTreeMap::new());
    }
}
