//! What the host says about itself: log lines on standard error.
//!
//! A line only goes into a queue: who logs never waits for who reads. Standard output is not for this. No
//! line holds a payload or a password: whoever logs sees to that.

use std::fmt;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};
use crate::output;

/// What is logged unless the user says otherwise: the host and its plugins, and the troubles of
/// libraries.
const DEFAULT_FILTER: &str = "warn,host=info,plugin=info";

/// Starts logging to standard error, coloured on a terminal unless `NO_COLOR` is set.
///
/// # Errors
/// If the filter means nothing; the text is for the user.
pub fn init(log: &Log) -> Result<(), String> {
    let colour =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    // Another logger is there only in a test that started its own.
    dispatch(log, colour, output::stderr)?.try_init().unwrap_or_default();
    Ok(())
}

fn dispatch<W>(log: &Log, colour: bool, writer: W) -> Result<Dispatch, String>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = log.filter.as_deref().unwrap_or(DEFAULT_FILTER);
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        format!("--log {filter:?} is no filter ({error}): write a level, or levels by module as in warn,host=debug")
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // By itself it would panic where standard error is closed.
        .log_internal_errors(false);
    Ok(match log.format {
        LogFormat::Human => lines.with_ansi(colour).into(),
        LogFormat::Json => lines.json().flatten_event(true).into(),
    })
}

/// Keeps a line that may repeat from flooding the log: it is written at once, then at most every
/// ten seconds, with how often it was held back in between.
#[derive(Debug, Default)]
pub struct RateLimited {
    written: Option<Instant>,
    held_back: u64,
}

impl RateLimited {
    const PAUSE: Duration = Duration::from_secs(10);

    /// Logs a warning, or only counts it.
    pub fn warn(&mut self, text: impl fmt::Display) {
        match self.admit(Instant::now()) {
            Some(0) => tracing::warn!("{text}"),
            Some(held_back) => tracing::warn!("{text} (and {held_back} more like it)"),
            None => {}
        }
    }

    /// How many lines were held back before this one, if this one may be written.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.written.is_some_and(|before| now.duration_since(before) < Self::PAUSE) {
            self.held_back += 1;
            return None;
        }
        self.written = Some(now);
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged, by default or with a filter, while something runs.
    fn logged(format: LogFormat, filter: Option<&str>, colour: bool, run: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = Log { format, filter: filter.map(Into::into) };
        let dispatch = dispatch(&log, colour, move || writer.clone()).expect("a valid filter");
        tracing::dispatcher::with_default(&dispatch, run);
        let bytes = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("log lines are text")
    }

    #[test]
    fn people_get_a_plain_line_when_it_is_piped() {
        let text = logged(LogFormat::Human, None, false, || {
            tracing::warn!(broker = "a:1", "cannot connect");
        });
        assert!(
            text.contains("WARN") && text.contains("cannot connect") && text.contains("a:1"),
            "{text}"
        );
        assert!(text.ends_with('\n') && !text.contains('\x1b'), "{text:?}");
    }

    #[test]
    fn a_terminal_gets_colour() {
        let text = logged(LogFormat::Human, None, true, || {
            tracing::warn!("cannot connect");
        });
        assert!(text.contains('\x1b'), "{text:?}");
    }

    #[test]
    fn json_lines_are_objects_with_level_and_message() {
        let text = logged(LogFormat::Json, None, true, || {
            tracing::warn!(broker = "a:1", "cannot \"connect\"");
            tracing::info!("second");
        });
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(lines[0]["message"], "cannot \"connect\"");
        assert_eq!(lines[0]["broker"], "a:1");
    }

    #[test]
    fn by_default_libraries_are_heard_only_when_in_trouble() {
        let text = logged(LogFormat::Human, None, false, || {
            tracing::info!(target: "host::bridge", "ours");
            tracing::info!(target: "plugin", "a plugin's");
            tracing::debug!(target: "host::bridge", "detail");
            tracing::info!(target: "rumqttd", "chatter");
            tracing::warn!(target: "rumqttd", "trouble");
        });
        for (part, expected) in [
            ("ours", true),
            ("a plugin's", true),
            ("detail", false),
            ("chatter", false),
            ("trouble", true),
        ] {
            assert_eq!(text.contains(part), expected, "{part}: {text}");
        }
    }

    #[test]
    fn a_filter_replaces_the_default() {
        let text = logged(LogFormat::Human, Some("error,host::sink=debug"), false, || {
            tracing::debug!(target: "host::sink", "detail");
            tracing::warn!(target: "host::source", "trouble");
        });
        assert!(text.contains("detail") && !text.contains("trouble"), "{text}");
    }

    #[test]
    fn a_filter_that_means_nothing_is_refused() {
        let log = Log { format: LogFormat::Human, filter: Some("host=loud".into()) };
        let error = dispatch(&log, false, io::sink).expect_err("no filter");
        assert!(
            error.contains("--log") && error.contains("host=loud") && !error.contains('\n'),
            "{error}"
        );
    }

    #[test]
    fn a_repeating_line_is_written_at_once_and_then_with_a_count() {
        let start = Instant::now();
        let mut limit = RateLimited::default();
        assert_eq!(limit.admit(start), Some(0));
        assert_eq!(limit.admit(start), None);
        assert_eq!(limit.admit(start + RateLimited::PAUSE / 2), None);
        assert_eq!(limit.admit(start + RateLimited::PAUSE), Some(2));
        assert_eq!(limit.admit(start + RateLimited::PAUSE), None);
        assert_eq!(limit.admit(start + 3 * RateLimited::PAUSE), Some(1));
        assert_eq!(limit.admit(start + 5 * RateLimited::PAUSE), Some(0));
    }

    #[test]
    fn a_line_that_was_held_back_is_counted_in_the_next() {
        let mut limit = RateLimited { written: None, held_back: 3 };
        let text = logged(LogFormat::Human, None, false, || {
            limit.warn("refused");
            limit.warn("refused");
        });
        assert_eq!(text.matches("refused (and 3 more like it)").count(), 1, "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
