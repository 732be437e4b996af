//! A circuit breaker for one ability of a plugin: a plugin that is broken is left alone for a while,
//! in place of condemning one message after the other.
//!
//! While the circuit is closed, failures are counted, and after many in a row it is to be found out
//! whose fault they are (see [`broken`](super::broken)). While it is open, nobody calls the plugin until
//! a pause is over; then it is tried again. If that works the circuit closes; if not, the next pause
//! is longer. Time is told from outside, and only where something has failed.

use std::time::{Duration, Instant};

use super::Ability;
use crate::backoff::Backoff;
use crate::message::{Reason, Sequence};

/// The first and the longest pause.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// What becomes of messages while a plugin that they need is broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnBroken {
    /// The program ends.
    Stop,
    /// They are carried as if the plugin had nothing to say about them.
    Default,
    /// They wait.
    #[default]
    Pause,
}

/// Why messages have to wait, and how long at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Then one of them may try the plugin again.
    pub until: Instant,
    /// In one line.
    pub why: String,
}

/// See the [module's documentation](self).
#[derive(Debug)]
pub(super) struct Breaker {
    ability: Ability,
    /// Messages in a row after which it is to be found out whose fault they are.
    limit: u64,
    /// Messages in a row that failed, since that was last found out.
    pub failed: u64,
    /// The last of them in this batch. Each of a message's records may fail, but the message counts once.
    last: Option<Sequence>,
    pub open: Option<Open>,
    /// When it was last said that the messages are to blame.
    said: Option<Instant>,
}

/// An open circuit.
#[derive(Debug)]
pub(super) struct Open {
    pub since: Instant,
    /// When the plugin may be tried again.
    pub until: Instant,
    /// Why, and what went wrong last, in one line each.
    pub why: String,
    pub error: String,
    backoff: Backoff,
}

impl Breaker {
    pub fn new(ability: Ability, limit: u32) -> Self {
        Self { ability, limit: limit.into(), failed: 0, last: None, open: None, said: None }
    }

    /// If the circuit is open, when the plugin may be tried again.
    pub fn until(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.until)
    }

    /// The next batch of messages has sequence numbers of its own.
    pub fn begin(&mut self) {
        self.last = None;
    }

    /// The plugin has failed for this message. Whether it has for so many in a row that they may not be
    /// to blame.
    pub fn fail(&mut self, message: Sequence) -> bool {
        if self.last.replace(message) != Some(message) || self.open.is_some() {
            self.failed += 1;
        }
        self.open.is_some() || self.failed >= self.limit
    }

    /// As [`Self::open`], since it failed for so many messages.
    pub fn open_after_failures(&mut self, error: &str, now: Instant) -> Duration {
        let why = format!("its {} failed for {} messages in a row", self.ability, self.failed);
        self.open(why, error, now)
    }

    /// The messages that failed are to blame. How many there were, if that is to be said: it is not
    /// said again at once.
    pub fn acquit(&mut self, now: Instant) -> Option<u64> {
        let failed = std::mem::take(&mut self.failed);
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < PAUSES.1) {
            return None;
        }
        self.said = Some(now);
        Some(failed)
    }

    /// The plugin is broken: the circuit is open from now on, for the pause that is the answer.
    pub fn open(&mut self, why: String, error: &str, now: Instant) -> Duration {
        let open = self.open.get_or_insert_with(|| Open {
            since: now,
            until: now,
            why: String::new(),
            error: String::new(),
            backoff: Backoff::new(PAUSES.0, PAUSES.1),
        });
        open.why = why;
        error.clone_into(&mut open.error);
        let pause = open.backoff.next_pause();
        open.until = now + pause;
        pause
    }

    /// The plugin has done its work for a message. If the circuit was open, the answer is since when.
    pub fn succeed(&mut self) -> Option<Instant> {
        if self.failed == 0 && self.open.is_none() {
            return None;
        }
        (self.failed, self.last) = (0, None);
        self.open.take().map(|open| open.since)
    }
}

/// Whether a message is rejected because the plugin failed, and not because of what it said of the message.
pub(super) fn is_failure(reason: Reason) -> bool {
    match reason {
        Reason::Trap
        | Reason::TimeOut
        | Reason::MemoryLimit
        | Reason::BadOutput
        | Reason::Fatal => true,
        Reason::BadMessage
        | Reason::TooLarge
        | Reason::InvalidRecord
        | Reason::BadTopic
        | Reason::BadPacket
        | Reason::NoRoute => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a pause is this long, but for its jitter.
    fn is_about(pause: Duration, seconds: u64) -> bool {
        let whole = Duration::from_secs(seconds);
        pause <= whole && pause >= whole.mul_f64(0.74)
    }

    /// The plugin has failed for one more message, and that is its own fault.
    fn fail(breaker: &mut Breaker, message: Sequence, now: Instant) -> Option<Duration> {
        breaker.fail(message).then(|| breaker.open_after_failures("e", now))
    }

    #[test]
    fn it_opens_when_so_many_messages_in_a_row_have_failed() {
        let (mut breaker, now) = (Breaker::new(Ability::Key, 3), Instant::now());
        assert!(!breaker.fail(1) && !breaker.fail(2));
        assert_eq!(breaker.succeed(), None);
        assert!(!breaker.fail(4) && !breaker.fail(5));
        assert!(breaker.fail(6) && breaker.open.is_none());
        let pause = breaker.open_after_failures("the last", now);
        assert!(is_about(pause, 1), "{pause:?}");
        let open = breaker.open.as_ref().expect("open");
        assert_eq!((open.since, open.until - now), (now, pause));
        assert_eq!((open.error.as_str(), breaker.failed), ("the last", 3));
        assert_eq!(open.why, "its key setter failed for 3 messages in a row");
    }

    #[test]
    fn records_of_one_message_that_fail_count_once() {
        let mut breaker = Breaker::new(Ability::Key, 2);
        for _ in 0..5 {
            assert!(!breaker.fail(7));
        }
        breaker.begin();
        assert!(breaker.fail(7));
    }

    #[test]
    fn pauses_grow_up_to_a_minute_while_it_is_tried_in_vain() {
        let (mut breaker, start) = (Breaker::new(Ability::Key, 1), Instant::now());
        let mut now = start;
        for (message, seconds) in (0..).zip([1, 2, 4, 8, 16, 32, 60, 60]) {
            let pause = fail(&mut breaker, message, now).expect("a pause");
            assert!(is_about(pause, seconds), "{pause:?} of {seconds} s");
            now += pause;
            assert_eq!(
                breaker.open.as_ref().map(|open| (open.since, open.until)),
                Some((start, now))
            );
        }
        assert_eq!(breaker.failed, 8);
    }

    #[test]
    fn one_success_closes_it_and_it_counts_from_the_start_with_short_pauses() {
        let (mut breaker, start) = (Breaker::new(Ability::Key, 2), Instant::now());
        for message in 0..6 {
            fail(&mut breaker, message, start);
        }
        assert_eq!((breaker.succeed(), breaker.succeed()), (Some(start), None));
        let later = start + Duration::from_mins(5);
        assert_eq!(fail(&mut breaker, 6, later), None);
        assert!(is_about(fail(&mut breaker, 7, later).expect("a pause"), 1));
        assert_eq!(breaker.open.as_ref().map(|open| open.since), Some(later));
    }

    #[test]
    fn messages_that_are_to_blame_leave_it_closed_and_that_is_said_once_a_minute() {
        let (mut breaker, start) = (Breaker::new(Ability::Key, 2), Instant::now());
        let mut said = |second| {
            let now = start + Duration::from_secs(second);
            let enough = [1, 2].map(|message| breaker.fail(message));
            assert_eq!(enough, [false, true]);
            breaker.acquit(now)
        };
        assert_eq!([0, 1, 59, 60, 61].map(&mut said), [Some(2), None, None, Some(2), None]);
        assert!(breaker.open.is_none());
    }

    #[test]
    fn what_a_plugin_says_about_a_message_is_no_failure_of_its_own() {
        assert!(is_failure(Reason::Trap) && is_failure(Reason::BadOutput));
        assert!(!is_failure(Reason::BadMessage) && !is_failure(Reason::BadTopic));
    }
}
