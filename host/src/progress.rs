//! Beside the path: says when nothing gets into Kafka, or Kafka is away, and why.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::ledger::{Counts, Ledger};
use crate::output;
use crate::sink::Health;

const GLANCE: Duration = Duration::from_secs(1);
/// How long it may be silent without a word here.
const SILENCE: Duration = Duration::from_secs(10);
/// A little less than the half a minute that is promised.
const REPEAT: Duration = Duration::from_secs(25);

/// Says when nothing gets confirmed although messages wait, or no broker is connected, again at
/// least every half a minute, and when it goes on.
pub async fn watch(
    ledger: Arc<Ledger>,
    health: Arc<Health>,
    why_it_pauses: impl Fn() -> Option<String>,
) -> Infallible {
    let mut progress = Progress::new(Instant::now());
    let mut to_blame = "Kafka";
    loop {
        sleep(GLANCE).await;
        // With --print=wait only.
        let unread = output::waiting_for_reader();
        // A reason is known a moment before it is noticed that there is trouble.
        let reason = |since: Instant| {
            let since = since.checked_sub(SILENCE).unwrap_or(since);
            health.reason(since).unwrap_or_default()
        };
        let stands = health.away_since().into_iter().chain(unread).min();
        match progress.look(Instant::now(), &ledger.counts(), stands) {
            Some(News::Trouble { since, what }) => {
                let (who, why) = match (unread, why_it_pauses()) {
                    (Some(_), _) => ("the reader of standard output", String::new()),
                    (None, Some(why)) => ("the plugin", why),
                    (None, None) => ("Kafka", reason(since)),
                };
                to_blame = who;
                let what = unread.map_or(what, |unread| {
                    let seconds = unread.elapsed().as_secs();
                    format!("no message is taken, since standard output has not been read for {seconds} s (--print=wait)")
                });
                match why.as_str() {
                    "" => tracing::warn!("{what}; nothing is lost or acknowledged meanwhile"),
                    why => {
                        tracing::warn!("{what}: {why}; nothing is lost or acknowledged meanwhile");
                    }
                }
            }
            Some(News::Over { since }) => {
                tracing::info!("{to_blame} works again, after {} s", since.elapsed().as_secs());
            }
            None => {}
        }
    }
}

/// What there is to say.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Trouble { since: Instant, what: String },
    Over { since: Instant },
}

/// What was seen and said last.
struct Progress {
    settled: u64,
    /// When a message was confirmed last, or none was waiting.
    confirmed: Instant,
    /// Since when there has been trouble that was said, and when that was.
    said: Option<(Instant, Instant)>,
}

impl Progress {
    fn new(now: Instant) -> Self {
        Self { settled: 0, confirmed: now, said: None }
    }

    fn look(&mut self, now: Instant, counts: &Counts, away: Option<Instant>) -> Option<News> {
        let settled = counts.delivered + counts.dead_lettered + counts.skipped;
        let settles = settled != self.settled || counts.in_flight == 0;
        if settles {
            (self.settled, self.confirmed) = (settled, now);
        }
        let since = match away {
            away if settles => away,
            away => Some(away.map_or(self.confirmed, |away| away.min(self.confirmed))),
        };
        // A trouble that began later is another one.
        if let Some((said, _)) = self.said
            && since.is_none_or(|since| since > said)
        {
            self.said = None;
            return Some(News::Over { since: said });
        }
        let since = since.filter(|since| now.duration_since(*since) >= SILENCE)?;
        if self.said.is_some_and(|(_, at)| now.duration_since(at) < REPEAT) {
            return None;
        }
        self.said = Some((since, now));
        let seconds = now.duration_since(since).as_secs();
        let what = if settles {
            format!("no broker of Kafka has been connected for {seconds} s")
        } else {
            let waiting = counts.in_flight;
            format!("{waiting} messages wait, and Kafka has confirmed nothing for {seconds} s")
        };
        Some(News::Trouble { since, what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What there is to say after so many seconds.
    struct Story {
        start: Instant,
        progress: Progress,
    }

    impl Story {
        fn new() -> Self {
            let start = Instant::now();
            Self { start, progress: Progress::new(start) }
        }

        fn at(&self, second: u64) -> Instant {
            self.start + Duration::from_secs(second)
        }

        /// Who is in flight, how many were delivered, and since when Kafka is away.
        fn look(
            &mut self,
            second: u64,
            in_flight: u64,
            delivered: u64,
            away: Option<u64>,
        ) -> String {
            let away = away.map(|second| self.at(second));
            let counts = Counts { delivered, in_flight, ..Counts::default() };
            match self.progress.look(self.at(second), &counts, away) {
                None => String::new(),
                Some(News::Trouble { what, .. }) => what,
                Some(News::Over { since }) => format!("over {}", (since - self.start).as_secs()),
            }
        }
    }

    #[test]
    fn messages_that_wait_are_said_after_ten_seconds_and_at_least_every_thirty_and_when_they_go_on()
    {
        let mut story = Story::new();
        assert_eq!(story.look(1, 3, 5, None), "");
        assert_eq!(story.look(10, 3, 5, None), "");
        assert!(story.look(11, 3, 5, None).starts_with("3 messages wait"));
        assert_eq!(story.look(35, 3, 5, None), "");
        assert!(story.look(36, 4, 5, None).ends_with("for 35 s"));
        assert_eq!(story.look(42, 2, 7, None), "over 1");
        assert_eq!(story.look(43, 0, 9, None), "");
    }

    #[test]
    fn a_kafka_that_is_away_is_said_while_nothing_waits() {
        let mut story = Story::new();
        assert_eq!(story.look(9, 0, 0, Some(5)), "");
        assert!(story.look(15, 0, 0, Some(5)).contains("no broker of Kafka"));
        // That a message comes meanwhile does not end it.
        assert_eq!(story.look(16, 1, 0, Some(5)), "");
        assert!(story.look(45, 1, 0, Some(5)).ends_with("for 40 s"));
        assert_eq!(story.look(46, 0, 1, None), "over 5");
    }

    #[test]
    fn a_silence_that_ends_by_itself_is_not_said() {
        let mut story = Story::new();
        for second in 1..60 {
            assert_eq!(story.look(second, 1, second / 9, None), "");
        }
        assert_eq!(story.look(61, 0, 7, Some(60)), "");
        assert_eq!(story.look(62, 0, 7, None), "");
    }
}
