//! What the host says about itself: log lines on standard error, and the ledger of what became of
//! every message.
//!
//! A line only goes into a queue: who logs never waits for who reads. Standard output is not for this. No line holds a payload or a password: whoever logs sees to
//! that.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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

/// What became of every message since the start. Its parts are changed by different threads, so
/// it balances exactly only when nothing is moving.
#[derive(Debug, Default)]
pub struct Ledger {
    received: AtomicU64,
    delivered: AtomicU64,
    dead_lettered: AtomicU64,
    skipped: AtomicU64,
    dropped: AtomicU64,
    in_flight: AtomicU64,
    let_go: AtomicU64,
    acknowledged: AtomicU64,
    timestamp_unusable: AtomicU64,
    reconnected: AtomicU64,
    disconnected: AtomicU64,
}

impl Ledger {
    /// Messages were taken: they are in flight.
    pub fn received(&self, messages: u64) {
        self.in_flight.fetch_add(messages, Relaxed);
        self.received.fetch_add(messages, Relaxed);
    }

    /// Kafka confirmed every record of messages in flight.
    pub fn delivered(&self, messages: u64) {
        self.settle(&self.delivered, messages);
    }

    /// Kafka confirmed the dead letters of messages in flight.
    pub fn dead_lettered(&self, messages: u64) {
        self.settle(&self.dead_lettered, messages);
    }

    /// Messages in flight become no records: a plugin or `--on-error skip` said so.
    pub fn skipped(&self, messages: u64) {
        self.settle(&self.skipped, messages);
    }

    /// Messages of quality of service 0 were received and lost at once, for lack of room.
    pub fn dropped(&self, messages: u64) {
        self.received.fetch_add(messages, Relaxed);
        self.dropped.fetch_add(messages, Relaxed);
    }

    /// Messages were read but neither taken nor acknowledged, for lack of room: the MQTT server
    /// sends them again, and only then are they received.
    pub fn let_go(&self, messages: u64) {
        self.let_go.fetch_add(messages, Relaxed);
    }

    /// Acknowledgements were sent to the MQTT server.
    pub fn acknowledged(&self, messages: u64) {
        self.acknowledged.fetch_add(messages, Relaxed);
    }

    /// Messages had a `_timestamp` that names no time.
    pub fn timestamp_unusable(&self, messages: u64) {
        self.timestamp_unusable.fetch_add(messages, Relaxed);
    }

    /// The MQTT connection was made again after it broke.
    pub fn reconnected(&self) {
        self.reconnected.fetch_add(1, Relaxed);
    }

    /// An MQTT connection broke, or was made: without it nothing that Kafka confirms is counted.
    pub fn connection(&self, connected: bool) {
        if connected {
            self.disconnected.fetch_sub(1, Relaxed);
        } else {
            self.disconnected.fetch_add(1, Relaxed);
        }
    }

    /// How many messages are on their way.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// All counts at this moment.
    pub fn counts(&self) -> Counts {
        Counts {
            received: self.received.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            dead_lettered: self.dead_lettered.load(Relaxed),
            skipped: self.skipped.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            let_go: self.let_go.load(Relaxed),
            acknowledged: self.acknowledged.load(Relaxed),
            timestamp_unusable: self.timestamp_unusable.load(Relaxed),
            reconnected: self.reconnected.load(Relaxed),
            disconnected: self.disconnected.load(Relaxed),
        }
    }

    fn settle(&self, fate: &AtomicU64, messages: u64) {
        fate.fetch_add(messages, Relaxed);
        self.in_flight.fetch_sub(messages, Relaxed);
    }
}

/// Shows [`Counts`].
impl fmt::Display for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts().fmt(formatter)
    }
}

/// A [`Ledger`] at one moment; its methods say what each count means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub received: u64,
    pub delivered: u64,
    pub dead_lettered: u64,
    pub skipped: u64,
    pub dropped: u64,
    pub in_flight: u64,
    pub let_go: u64,
    pub acknowledged: u64,
    pub timestamp_unusable: u64,
    pub reconnected: u64,
    /// MQTT connections that are away now.
    pub disconnected: u64,
}

impl Counts {
    /// Checks that everything received is somewhere, once.
    ///
    /// # Errors
    /// If messages were lost or settled twice, which is a defect of this program.
    pub fn balance(&self) -> Result<(), Imbalance> {
        let fates =
            [self.delivered, self.dead_lettered, self.skipped, self.dropped, self.in_flight];
        let settled: u128 = fates.into_iter().map(u128::from).sum();
        if settled == u128::from(self.received) { Ok(()) } else { Err(Imbalance(*self)) }
    }
}

/// The line that is printed at exit.
impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { received, delivered, dead_lettered, skipped, dropped, in_flight, .. } = self;
        write!(
            formatter,
            "received={received} delivered={delivered} dead_lettered={dead_lettered} \
             skipped={skipped} dropped={dropped} in_flight={in_flight}"
        )
    }
}

/// A ledger whose sides differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger does not balance, which is a defect of this program: {0}")]
pub struct Imbalance(pub Counts);

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

    #[test]
    fn the_ledger_follows_every_message() {
        let ledger = Ledger::default();
        ledger.received(10);
        assert_eq!(ledger.in_flight(), 10);
        ledger.delivered(4);
        ledger.dead_lettered(3);
        ledger.skipped(2);
        ledger.dropped(5);
        ledger.let_go(100);
        ledger.acknowledged(9);
        ledger.timestamp_unusable(6);
        ledger.reconnected();
        assert_eq!(
            ledger.to_string(),
            "received=15 delivered=4 dead_lettered=3 skipped=2 dropped=5 in_flight=1"
        );
        let counts = ledger.counts();
        assert_eq!((counts.let_go, counts.acknowledged), (100, 9));
        assert_eq!((counts.timestamp_unusable, counts.reconnected), (6, 1));
        assert_eq!(counts.balance(), Ok(()));
    }

    #[test]
    fn a_message_that_is_settled_twice_or_lost_unbalances_the_ledger() {
        let ledger = Ledger::default();
        ledger.received(1);
        ledger.delivered(2);
        assert!(ledger.counts().balance().is_err());
        let lost = Counts { received: 2, delivered: 1, ..Counts::default() };
        let error = lost.balance().expect_err("one is lost").to_string();
        assert!(error.contains("received=2 delivered=1"), "{error}");
    }

    #[test]
    fn the_ledger_is_exact_across_threads() {
        let ledger = Ledger::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        ledger.received(2);
                        ledger.delivered(1);
                    }
                });
            }
        });
        let counts = ledger.counts();
        assert_eq!((counts.received, counts.delivered, counts.in_flight), (8000, 4000, 4000));
        assert_eq!(counts.balance(), Ok(()));
    }
}
