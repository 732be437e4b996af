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

/// Linux tells user space about time in hundredths of a second, whatever it counts in itself.
const TICK: Duration = Duration::from_millis(10);

impl Usage {
    /// Of the process with this id.
    ///
    /// # Panics
    /// If there is no such process, or it has ended.
    pub fn of(id: u32) -> Self {
        let read = |name: &str| {
            let file = format!("/proc/{id}/{name}");
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
        };
        let (stat, status) = (read("stat"), read("status"));
        Self {
            cpu: cpu(&stat).expect("proc(5) says what is in stat"),
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

/// Fields 14 and 15; the second one is a name in brackets, which may hold spaces.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (ticks()? + ticks()?))
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
    fn user_and_kernel_time_are_added_up_whatever_the_process_is_called() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 25 9 9 20 0 1 0 5 0 0";
        assert_eq!(cpu(stat), Some(Duration::from_millis(1_750)));
    }

    #[test]
    fn a_process_knows_what_it_has_cost() {
        let usage = Usage::own();
        assert!(usage.peak_resident_bytes > 100_000);
        assert!(usage.cpu <= Usage::own().cpu);
    }
}
