//! The WebAssembly engine, and the clock that ends calls which run too long.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{env, io, thread};

use wasmtime::{Cache, CacheConfig, Config, Engine, WasmBacktraceDetails};

/// Functions of a trap's backtrace that are kept.
const FRAMES: usize = 16;

/// An engine that keeps what it compiled in `cache`, as far as that directory can be written.
pub(super) fn engine(cache: Option<&Path>) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        // Makes every call four times as expensive, for what the contract does not use.
        .concurrency_support(false)
        .epoch_interruption(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        // The same message gets the same answer on every machine.
        .wasm_relaxed_simd(false)
        .cache(cache.and_then(compile_cache));
    Engine::new(&config)
}

/// A cache is a convenience: where it cannot be had, plugins are compiled at every start.
fn compile_cache(directory: &Path) -> Option<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(directory);
    Cache::new(config)
        .inspect_err(|error| tracing::debug!(%error, "compiled plugins are not kept"))
        .ok()
}

/// Where this user's caches are (XDG Base Directory Specification), if anywhere.
pub(super) fn cache_directory() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("mqtt-kafka-host"))
}

/// Advances the engine's clock until it is dropped. Calls are measured in its ticks.
#[derive(Debug)]
pub(super) struct Ticker {
    tick: Duration,
    /// Dropped to end the thread, which waits on its other half.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// A ticker that measures `call` to a tenth, between 1 and 10 ms.
    pub fn start(engine: &Engine, call: Duration) -> io::Result<Self> {
        let tick = (call / 10).clamp(Duration::from_millis(1), Duration::from_millis(10));
        let (stop, stopped) = mpsc::channel();
        let engine = engine.clone();
        let thread = thread::Builder::new().name("plugin-clock".into()).spawn(move || {
            while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        })?;
        Ok(Self { tick, stop: Some(stop), thread: Some(thread) })
    }

    /// How often the clock ticks.
    pub fn tick(&self) -> Duration {
        self.tick
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The thread only waits and counts: it has nothing to panic with.
            let _ = thread.join();
        }
    }
}
