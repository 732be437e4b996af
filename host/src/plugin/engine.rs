//! The WebAssembly engine, and the clock that ends calls which run too long.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{env, io, thread};

use wasmtime::{Config, Engine, WasmBacktraceDetails};

/// How long the clock goes on after the last call, so that it need not be woken for every one.
const REST: Duration = Duration::from_secs(1);

/// Functions of a trap's backtrace that are kept.
const FRAMES: usize = 16;

/// An engine that may count the instructions that it runs.
pub(super) fn engine(counting: bool) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        // Makes every call four times as expensive, for what the contract does not use.
        .concurrency_support(false)
        .epoch_interruption(true)
        .consume_fuel(counting)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        // The same message gets the same answer on every machine.
        .wasm_relaxed_simd(false)
        // What compilers of plugins do not use needs not be trusted. Several memories in a module are
        // for the engine's own code between the parts of a component.
        .wasm_memory64(false)
        .wasm_tail_call(false);
    Engine::new(&config)
}

/// Where this user's caches are (XDG Base Directory Specification), if anywhere.
pub(super) fn cache_directory() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("mqtt-kafka-host"))
}

/// Advances the engine's clock while plugins are called. When it ticks, a call that goes on lets others
/// have its processor, and it is looked whether it has used up its time.
#[derive(Debug)]
pub(super) struct Ticker {
    pub calls: Arc<Calls>,
    thread: Option<JoinHandle<()>>,
}

/// What the ticker's thread knows of the calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// How often the clock ticks.
    pub tick: Duration,
    running: AtomicUsize,
    begun: AtomicUsize,
    /// The thread sleeps until somebody wakes it.
    parked: AtomicBool,
    ended: AtomicBool,
}

/// A call that may take so long is measured to a tenth. And whoever waits for the processor of a longer one
/// waits no longer than a scheduler gives at a time.
fn tick(call: Duration) -> Duration {
    (call / 10).clamp(Duration::from_millis(1), Duration::from_millis(2))
}

impl Ticker {
    /// A ticker for calls that may take so long, and longer.
    pub fn start(engine: &Engine, call: Duration) -> io::Result<Self> {
        let calls = Arc::new(Calls { tick: tick(call), ..Calls::default() });
        let (engine, seen) = (engine.clone(), Arc::clone(&calls));
        let run = move || seen.tick(&engine);
        let thread = thread::Builder::new().name("plugin-clock".into()).spawn(run)?;
        Ok(Self { calls, thread: Some(thread) })
    }

    /// Keeps the clock ticking until the answer is dropped.
    pub fn running(&self) -> Running<'_> {
        self.calls.running.fetch_add(1, SeqCst);
        self.calls.begun.fetch_add(1, SeqCst);
        if self.calls.parked.load(SeqCst) {
            self.wake();
        }
        Running(&self.calls)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Calls {
    /// Ticks, and rests when there has been no call for a while: an idle program should be idle.
    fn tick(&self, engine: &Engine) {
        let (mut begun, mut idle_since) = (0, Instant::now());
        while !self.ended.load(SeqCst) {
            thread::park_timeout(self.tick);
            engine.increment_epoch();
            if self.running.load(SeqCst) > 0 || self.begun.load(SeqCst) != begun {
                (begun, idle_since) = (self.begun.load(SeqCst), Instant::now());
            } else if idle_since.elapsed() > REST {
                self.parked.store(true, SeqCst);
                // A call that began before this was set has not woken the thread.
                if self.running.load(SeqCst) == 0 && !self.ended.load(SeqCst) {
                    thread::park();
                }
                self.parked.store(false, SeqCst);
            }
        }
    }
}

/// A call, or several, for which the clock ticks.
#[derive(Debug)]
pub(super) struct Running<'a>(&'a Calls);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.calls.ended.store(true, SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // The thread only waits and counts: it has nothing to panic with.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eventually(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(Instant::now() < deadline, "{what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// What JavaScript's components do.
    #[test]
    fn components_within_a_component_may_hand_texts_to_each_other() {
        let memory = r#"(memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))"#;
        let component = format!(
            r#"(component
              (component $inner
                (core module $m {memory} (func (export "f") (param i32 i32)))
                (core instance $i (instantiate $m))
                (func (export "f") (param "s" string) (canon lift (core func $i "f")
                  (memory $i "memory") (realloc (func $i "realloc")))))
              (component $outer
                (import "f" (func $f (param "s" string)))
                (core module $memory {memory})
                (core instance $memory (instantiate $memory))
                (core func $f (canon lower (func $f) (memory $memory "memory")))
                (core module $m (import "" "f" (func (param i32 i32))))
                (core instance (instantiate $m (with "" (instance (export "f" (func $f)))))))
              (instance $i (instantiate $inner))
              (instance (instantiate $outer (with "f" (func $i "f")))))"#
        );
        let bytes = wat::parse_str(component).expect("WebAssembly text");
        let engine = engine(false).expect("an engine");
        assert!(wasmtime::component::Component::from_binary(&engine, &bytes).is_ok());
    }

    #[test]
    fn the_clock_measures_a_short_time_limit_to_a_tenth_and_ticks_often_enough_for_others() {
        let ticks = [1, 15, 50, 60_000].map(|limit| tick(Duration::from_millis(limit)));
        assert_eq!(ticks, [1_000, 1_500, 2_000, 2_000].map(Duration::from_micros));
    }

    #[test]
    fn the_clock_rests_when_nothing_is_called_and_goes_on_with_the_next_call() {
        let engine = engine(false).expect("an engine");
        let ticker = Ticker::start(&engine, Duration::from_millis(10)).expect("a thread");
        eventually("the clock rests", || ticker.calls.parked.load(SeqCst));
        let running = ticker.running();
        eventually("the clock goes on", || !ticker.calls.parked.load(SeqCst));
        drop(running);
        eventually("the clock rests again", || ticker.calls.parked.load(SeqCst));
    }
}
