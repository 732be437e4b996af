//! Beside the path: what is known of the way to Kafka, whether a broker is connected, and if not, since when and
//! why.
//!
//! librdkafka says why a connection fails once, then keeps quiet about the same failure for half a
//! minute; that "all brokers are down" comes after the reason and names none. So the reason is
//! kept here until a better one comes or Kafka answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::explain;
use crate::telemetry::RateLimited;

/// How long a reason is worth more than a vague one. librdkafka repeats itself every 30 s.
const FRESH: Duration = Duration::from_mins(1);

/// How long a reason that trying again does not cure hides others, which follow from it.
const DECISIVE: Duration = Duration::from_secs(10);

/// What is known now; threads of Kafka's client and that of reports write it, the others read it.
pub struct Health {
    brokers: String,
    /// Whether `away_since` is set, for who asks with each record.
    away: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Kafka has answered: from now on, what keeps it away is said here. Before, the probe says it.
    reached: bool,
    away_since: Option<Instant>,
    reason: Option<Reason>,
    said: Option<Code>,
    lines: RateLimited,
}

struct Reason {
    at: Instant,
    /// For the user, with the cure.
    line: String,
    /// Trying again with the same options does not cure it.
    permanent: bool,
}

impl Health {
    pub(super) fn new(brokers: &str) -> Self {
        let away = AtomicBool::new(false);
        Self { brokers: brokers.to_owned(), away, state: Mutex::default() }
    }

    /// Since when no broker has been connected, if none is.
    pub fn away_since(&self) -> Option<Instant> {
        self.lock().away_since
    }

    /// What went wrong last, if that was after `since`, in one line that names the cure.
    pub fn reason(&self, since: Instant) -> Option<String> {
        let state = self.lock();
        let reason = state.reason.as_ref().filter(|reason| reason.at >= since)?;
        Some(reason.line.clone())
    }

    /// Somebody else knows what is wrong, in one line that names the cure.
    pub fn blame(&self, line: String) {
        self.lock().reason = Some(Reason { at: Instant::now(), line, permanent: false });
    }

    /// What trying again with the same options does not cure, if that is what keeps Kafka away.
    pub(super) fn permanent(&self) -> Option<String> {
        let state = self.lock();
        let reason = state.reason.as_ref().filter(|reason| reason.permanent)?;
        Some(reason.line.clone())
    }

    /// Kafka has answered.
    pub(super) fn answered(&self) {
        let mut state = self.lock();
        (state.reached, state.away_since, state.reason) = (true, None, None);
        self.away.store(false, Ordering::Relaxed);
    }

    /// Kafka has confirmed a record: it is not away, whatever the statistics said a moment ago.
    pub(super) fn delivered(&self) {
        if self.away.load(Ordering::Relaxed) {
            self.answered();
        }
    }

    /// Whether a broker is connected at this moment.
    pub(super) fn connected(&self, connected: bool) {
        let mut state = self.lock();
        if connected {
            state.away_since = None;
        } else {
            state.away_since.get_or_insert_with(Instant::now);
        }
        self.away.store(!connected, Ordering::Relaxed);
    }

    /// A connection failed, which librdkafka only logs.
    pub(super) fn failed(&self, text: &str) {
        self.learn(Code::BrokerTransportFailure, text);
    }

    /// librdkafka reports an error. It is said at once, unless it was said a moment ago.
    pub(super) fn error(&self, code: Code, text: &str) {
        if code == Code::AllBrokersDown {
            self.connected(false);
        }
        let Some(line) = self.learn(code, text) else { return };
        let mut state = self.lock();
        if !state.reached {
            return;
        }
        if state.said != Some(code) {
            (state.said, state.lines) = (Some(code), RateLimited::default());
        }
        state.lines.warn(format_args!("{line}; nothing is lost, trying again"));
    }

    /// Keeps what went wrong, unless something is known that says more.
    fn learn(&self, code: Code, text: &str) -> Option<String> {
        let permanent = explain::is_permanent(code, text);
        let mut state = self.lock();
        if let Some(known) = &state.reason {
            let age = known.at.elapsed();
            let decisive = known.permanent && !permanent && age < DECISIVE;
            let vague = code == Code::AllBrokersDown && age < FRESH;
            if decisive || vague {
                return None;
            }
        }
        // In which state librdkafka lost a broker that has worked says nothing about wrong options.
        let text = match text.split_once(" (after ") {
            Some((reason, _)) if state.reached => reason,
            _ => text,
        };
        let line = explain::explain(&self.brokers, code, text);
        state.reason = Some(Reason { at: Instant::now(), line: line.clone(), permanent });
        Some(line)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> (Health, Instant) {
        (Health::new("a:1"), Instant::now())
    }

    #[test]
    fn a_reason_is_not_hidden_by_what_follows_from_it() {
        let (health, start) = health();
        health.error(Code::AllBrokersDown, "1/1 brokers are down");
        assert!(health.reason(start).is_some_and(|text| text.contains("1/1 brokers")));
        health.failed("b: Connection refused (after 0ms in state CONNECT)");
        health.error(Code::AllBrokersDown, "1/1 brokers are down");
        let reason = health.reason(start).expect("a reason");
        assert!(reason.contains("a:1") && reason.ends_with("b: Connection refused"), "{reason}");
        assert_eq!(health.permanent(), None);
    }

    #[test]
    fn a_refusal_for_good_is_not_hidden_by_the_disconnection_that_follows() {
        let (health, start) = health();
        health.error(Code::Authentication, "b: Authentication failed");
        health.failed("b: Disconnected");
        assert!(health.permanent().is_some_and(|text| text.contains("sasl.password")));
        assert_eq!(health.permanent(), health.reason(start));
    }

    #[test]
    fn an_answer_ends_it_and_what_is_old_is_no_reason() {
        let (health, start) = health();
        health.connected(false);
        health.failed("b: Connection refused");
        assert!(health.away_since().is_some() && health.reason(start).is_some());
        assert_eq!(health.reason(Instant::now()), None);
        health.answered();
        assert_eq!((health.away_since(), health.reason(start)), (None, None));
    }

    #[test]
    fn a_confirmation_ends_it_before_the_statistics_do() {
        let (health, _) = health();
        health.connected(false);
        assert!(health.away_since().is_some());
        health.delivered();
        assert_eq!(health.away_since(), None);
        health.error(Code::AllBrokersDown, "1/1 brokers are down");
        assert!(health.away_since().is_some());
        health.delivered();
        assert_eq!(health.away_since(), None);
    }

    #[test]
    fn a_broker_that_has_worked_is_not_suspected_of_wanting_other_options() {
        let (health, start) = health();
        let text = "b: Disconnected (after 3ms in state APIVERSION_QUERY)";
        health.failed(text);
        assert!(health.reason(start).is_some_and(|line| line.contains("security.protocol=ssl")));
        health.answered();
        health.failed(text);
        let reason = health.reason(start).expect("a reason");
        assert!(reason.ends_with("does not answer: b: Disconnected"), "{reason}");
    }

    #[test]
    fn kafka_is_away_since_the_last_broker_went() {
        let (health, _) = health();
        health.connected(false);
        let since = health.away_since();
        health.error(Code::AllBrokersDown, "1/1 brokers are down");
        health.connected(false);
        assert!(since.is_some());
        assert_eq!(health.away_since(), since);
        health.connected(true);
        assert_eq!(health.away_since(), None);
    }
}
