//! Bounds on the work of the compiler. What it has to do for a file may be out of all proportion to
//! the file, and it cannot be interrupted: so it works on a thread of its own, which is left behind
//! when a bound is exceeded, and goes on until it is done or the program ends, which at the start is at
//! once.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::error::Problem;
use super::text::size;

/// How long it may take, and with how much memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub time: Duration,
    pub memory: usize,
}

impl Default for Bounds {
    /// A file of 50 MB takes some minutes of one slow processor, and less than a gibibyte.
    fn default() -> Self {
        Self { time: Duration::from_mins(10), memory: 4 << 30 }
    }
}

/// How often the bounds are looked at.
const OFTEN: Duration = Duration::from_millis(50);

/// As deep as the main thread's.
const STACK: usize = 8 << 20;

impl Bounds {
    /// Does the work, and panics of it are errors.
    pub fn keep<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (sender, result) = mpsc::channel();
        let (began, before) = (Instant::now(), resident());
        let thread = thread::Builder::new().name("plugin-compiler".to_owned()).stack_size(STACK);
        // Nobody listens any more when a bound has been exceeded.
        let work = move || drop(sender.send(work()));
        thread.spawn(work).map_err(|error| Problem::Engine(error.to_string()))?;
        loop {
            match result.recv_timeout(OFTEN) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Problem::Engine("the compiler has failed".to_owned()));
                }
            }
            if began.elapsed() > self.time {
                let seconds = self.time.as_secs();
                return Err(Problem::TooMuch(format!("it takes more than {seconds} s to compile")));
            }
            if resident().saturating_sub(before) > self.memory {
                let most = size(self.memory);
                return Err(Problem::TooMuch(format!("it takes more than {most} to compile")));
            }
        }
    }
}

/// Bytes of memory that this process has; 0 where Linux does not say.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.as_deref().and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or_default().saturating_mul(4096)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    /// Work that goes on until the test is over.
    fn endless(
        work: impl FnOnce() + Send + 'static,
    ) -> impl FnOnce() -> Result<(), Problem> + Send {
        move || {
            work();
            loop {
                thread::park();
            }
        }
    }

    fn refusal(
        bounds: Bounds,
        work: impl FnOnce() -> Result<(), Problem> + Send + 'static,
    ) -> String {
        bounds.keep(work).expect_err("a refusal").to_string()
    }

    #[test]
    fn work_that_takes_too_long_is_left_behind() {
        let bounds = Bounds { time: Duration::from_secs(1), ..Bounds::default() };
        let said = refusal(bounds, endless(|| {}));
        assert!(said.contains("more than 1 s to compile"), "{said}");
    }

    #[test]
    fn work_that_takes_too_much_memory_is_left_behind() {
        let bounds = Bounds { memory: 256 << 20, ..Bounds::default() };
        let much = endless(|| std::mem::forget(black_box(vec![1_u8; 512 << 20])));
        let said = refusal(bounds, much);
        assert!(said.contains("more than 256 MiB to compile"), "{said}");
    }

    #[test]
    fn a_compiler_that_panics_is_an_error_and_nothing_worse() {
        let said = refusal(Bounds::default(), || panic!("a bug"));
        assert!(said.contains("the compiler has failed"), "{said}");
    }

    #[test]
    fn what_the_work_comes_to_is_handed_back() {
        assert!(matches!(Bounds::default().keep(|| Ok(7)), Ok(7)));
        let refused = Bounds::default().keep(|| Err::<(), _>(Problem::NoContract));
        assert!(matches!(refused, Err(Problem::NoContract)));
    }
}
