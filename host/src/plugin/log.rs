//! What plugins write with `host.log`, passed on to the host's own log.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::Level;

use super::text::one_line;
use crate::message::PluginName;

const SECOND: Duration = Duration::from_secs(1);

/// The log of one plugin, shared by its instances on all lanes.
#[derive(Debug)]
pub(super) struct PluginLog {
    plugin: Arc<PluginName>,
    /// Lines that are kept per second.
    limit: u32,
    /// Nobody is to read any of it.
    muted: bool,
    second: Mutex<Second>,
    /// Lines not kept since the last line that said so.
    dropped: AtomicU32,
}

#[derive(Debug)]
struct Second {
    began: Instant,
    kept: u32,
}

impl PluginLog {
    pub fn new(plugin: Arc<PluginName>, limit: u32) -> Self {
        let second = Mutex::new(Second { began: Instant::now(), kept: 0 });
        Self { plugin, limit, muted: false, second, dropped: AtomicU32::new(0) }
    }

    /// For trying a plugin out, with messages that it has nothing more to say of.
    pub fn muted(plugin: Arc<PluginName>) -> Self {
        let mut log = Self::new(plugin, 0);
        log.muted = true;
        log
    }

    /// Writes one line, unless this second has had its share.
    pub fn write(&self, level: Level, target: &str, message: &str) {
        if self.muted || !enabled(level) {
            return;
        }
        self.settle();
        if self.take(Instant::now()) {
            emit(level, &self.plugin.name, &one_line(target), &one_line(message));
        } else {
            self.drop_line();
        }
    }

    /// Counts something that is not written.
    pub fn drop_line(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Says how many lines were dropped, once their second is over.
    pub fn settle(&self) {
        if self.dropped.load(Ordering::Relaxed) != 0 && self.is_over(Instant::now()) {
            self.confess();
        }
    }

    fn confess(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped != 0 {
            tracing::warn!(target: "plugin", plugin = self.plugin.name, "{dropped} lines dropped");
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        let second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        now.duration_since(second.began) >= SECOND
    }

    fn take(&self, now: Instant) -> bool {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(second.began) >= SECOND {
            *second = Second { began: now, kept: 0 };
        }
        second.kept += 1;
        second.kept <= self.limit
    }
}

impl Drop for PluginLog {
    fn drop(&mut self) {
        self.confess();
    }
}

fn enabled(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(target: "plugin", Level::ERROR),
        Level::WARN => tracing::enabled!(target: "plugin", Level::WARN),
        Level::INFO => tracing::enabled!(target: "plugin", Level::INFO),
        Level::DEBUG => tracing::enabled!(target: "plugin", Level::DEBUG),
        Level::TRACE => tracing::enabled!(target: "plugin", Level::TRACE),
    }
}

/// `tracing` wants the level of a line to be known as it is compiled.
fn emit(level: Level, plugin: &str, from: &str, message: &str) {
    match level {
        Level::ERROR => tracing::error!(target: "plugin", plugin, from, "{message}"),
        Level::WARN => tracing::warn!(target: "plugin", plugin, from, "{message}"),
        Level::INFO => tracing::info!(target: "plugin", plugin, from, "{message}"),
        Level::DEBUG => tracing::debug!(target: "plugin", plugin, from, "{message}"),
        Level::TRACE => tracing::trace!(target: "plugin", plugin, from, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tests::logged;

    fn log(limit: u32) -> PluginLog {
        let plugin = PluginName { name: "chatty".into(), sha256: String::new() };
        PluginLog::new(Arc::new(plugin), limit)
    }

    #[test]
    fn a_line_carries_level_plugin_and_target() {
        let (lines, ()) = logged(|| log(9).write(Level::WARN, "key", "odd\ntopic"));
        assert!(
            lines.contains("WARN plugin: odd\\ntopic plugin=\"chatty\" from=\"key\""),
            "{lines}"
        );
    }

    #[test]
    fn lines_over_the_limit_are_counted_and_confessed() {
        let (lines, ()) = logged(|| {
            let log = log(2);
            for number in 0..5 {
                log.write(Level::INFO, "key", &format!("line {number}"));
            }
            log.settle();
        });
        assert!(lines.contains("line 1") && !lines.contains("line 2"), "{lines}");
        assert_eq!(lines.matches("3 lines dropped").count(), 1, "{lines}");
    }

    #[test]
    fn a_new_second_has_a_new_share() {
        let log = log(1);
        let start = Instant::now();
        let taken = [0, 1, 2].map(|second| log.take(start + SECOND * second));
        assert_eq!(taken, [true, true, true]);
        assert!(!log.take(start + SECOND * 2));
    }

    #[test]
    fn lines_that_nobody_reads_cost_no_share() {
        let (lines, ()) = logged(|| {
            let log = log(1);
            log.write(Level::TRACE, "key", "detail");
            log.write(Level::INFO, "key", "news");
        });
        assert!(lines.contains("news") && !lines.contains("dropped"), "{lines}");
    }
}
