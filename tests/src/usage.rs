//! What a running process has cost so far.

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
}
