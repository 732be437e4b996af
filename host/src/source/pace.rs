//! How long to let messages gather before reading on, as network cards moderate interrupts.
//!
//! Every read wakes this thread, and twice the thread of a broker in Kafka's client, which costs more
//! than a message does. Where messages come so fast that some come meanwhile, a rest lets one such round
//! serve several of them. A server that waits for acknowledgements sends less for it, though, so the
//! rests are left out for a moment now and then: if more comes without them, they stay out.

use std::time::{Duration, Instant};

/// How long a round takes without a rest, about.
const ROUND: Duration = Duration::from_micros(200);
/// How many messages one round is to serve.
const ENOUGH: f64 = 512.0;
/// A rest in which fewer messages come gathers nothing.
const FEW: f64 = 1.12;
/// How long it takes to see that more than a few messages come.
const PERIOD: Duration = Duration::from_secs(1);
/// How long the rate is measured with rests, and as many rests as that takes at least.
const TICK: Duration = Duration::from_millis(200);
const RESTS: u32 = 4;
/// How long rests are left out to see whether they are in the way, and for as many messages as should come
/// at least. It costs a round for each message, so it is done after as many ticks as this at the latest: after
/// one at first, and twice as many each time that they have not been in the way.
const TRIAL: Duration = Duration::from_millis(25);
const TRIED: f64 = 16.0;
const CALM: u32 = 32;
/// How many times as much has to come without rests for them to be what holds it back.
const MORE: f64 = 1.3;
/// How long rests stay out when they have been found to hold the server back: longer each time.
const OUT: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(10),
];

/// How long what holds the server back stays out that has been found to so many times before.
pub fn stays_out(times: usize) -> Duration {
    OUT[times.min(OUT.len() - 1)]
}

/// How long rests are left out at so many messages a second.
fn trial(rate: f64) -> Duration {
    TRIAL.max(Duration::from_secs_f64(TRIED / rate.max(1.0)))
}

/// Whether it rests, and what it measures.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// It does not: little comes.
    Free,
    /// It does, as long as this rate asks for, for so many ticks.
    Resting { rate: f64, ticks: u32 },
    /// It does not, to see whether more comes than at this rate, with rests.
    Trying { rested: f64 },
    /// It does not, since the server has been found to wait.
    Out { times: usize },
}

/// See the [module's documentation](self).
#[derive(Debug)]
pub struct Pace {
    /// The longest rest: half of it is what it adds to the latency of a message.
    longest: Duration,
    phase: Phase,
    /// When the phase began, and how many messages have come since.
    since: Instant,
    messages: u32,
    /// How many times in a row rests were found to be in the way.
    found: usize,
    /// Ticks until they are left out again to see that.
    calm: u32,
    /// What is due before the next read.
    rest: Option<Duration>,
}

impl Pace {
    /// No message is to wait longer than `max_delay` for others.
    pub fn new(max_delay: Duration, now: Instant) -> Self {
        let longest = max_delay.saturating_sub(ROUND);
        let (phase, since) = (Phase::Free, now);
        Self { longest, phase, since, messages: 0, found: 0, calm: 1, rest: None }
    }

    /// How long to rest now, once after each read.
    pub fn rest(&mut self) -> Option<Duration> {
        self.rest.take()
    }

    /// Whether it does not rest since little comes.
    pub fn is_free(&self) -> bool {
        self.phase == Phase::Free
    }

    /// So many messages have been read at once; `all`: nothing is left to be read.
    pub fn read(&mut self, messages: u32, all: bool, now: Instant) {
        self.messages += messages;
        let elapsed = now.saturating_duration_since(self.since);
        let rate = f64::from(self.messages) / elapsed.as_secs_f64().max(1e-6);
        match self.phase {
            Phase::Free if elapsed >= PERIOD => {
                self.begin(self.after(rate), now);
            }
            Phase::Resting { rate: known, ticks } if elapsed >= self.tick() => {
                // What was no hindrance may be one to more.
                let is_more = rate > known * MORE;
                if is_more {
                    self.calm = 1;
                }
                let next = match self.after(rate) {
                    Phase::Resting { .. } if !is_more && ticks > 1 => {
                        Phase::Resting { rate, ticks: ticks - 1 }
                    }
                    // There may be so few because it rests.
                    _ => Phase::Trying { rested: rate },
                };
                self.begin(next, now);
            }
            Phase::Trying { rested } if elapsed >= trial(rested) => {
                if rate > rested * MORE {
                    let times = self.found;
                    (self.found, self.calm) = (self.found + 1, 1);
                    self.begin(Phase::Out { times }, now);
                } else {
                    (self.found, self.calm) = (0, (self.calm * 2).min(CALM));
                    self.begin(self.after(rested), now);
                }
            }
            Phase::Out { times } if elapsed >= stays_out(times) => {
                self.begin(Phase::Resting { rate, ticks: 1 }, now);
            }
            Phase::Free | Phase::Resting { .. } | Phase::Trying { .. } | Phase::Out { .. } => {}
        }
        self.rest = match self.phase {
            Phase::Resting { rate, .. } if all => {
                Some(Duration::from_secs_f64(ENOUGH / rate.max(1.0)).min(self.longest))
            }
            Phase::Free | Phase::Resting { .. } | Phase::Trying { .. } | Phase::Out { .. } => None,
        };
    }

    /// What is right for so many messages a second, as far as is known.
    fn after(&self, rate: f64) -> Phase {
        let few = rate * self.longest.as_secs_f64() < FEW;
        if few { Phase::Free } else { Phase::Resting { rate, ticks: self.calm } }
    }

    fn tick(&self) -> Duration {
        TICK.max(self.longest * RESTS)
    }

    fn begin(&mut self, phase: Phase, now: Instant) {
        (self.phase, self.since, self.messages) = (phase, now, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up clock, and a server that sends at a rate, but never more than a window before it has
    /// heard of what it sent.
    struct Server {
        now: Instant,
        pace: Pace,
        /// Messages a second.
        rate: f64,
        window: f64,
        /// Between two reads, without a rest.
        round: Duration,
        /// Messages that it has to send.
        due: f64,
        rounds: u32,
        read: u32,
        rested: Duration,
    }

    impl Server {
        fn new(rate: f64, window: f64, round: Duration) -> Self {
            Self::with(USUAL, rate, window, round)
        }

        fn with(max_delay: Duration, rate: f64, window: f64, round: Duration) -> Self {
            let now = Instant::now();
            let pace = Pace::new(max_delay, now);
            let (due, rounds, read, rested) = (0.0, 0, 0, Duration::ZERO);
            Self { now, pace, rate, window, round, due, rounds, read, rested }
        }

        fn run(&mut self, time: Duration) {
            let until = self.now + time;
            (self.rounds, self.read, self.rested) = (0, 0, Duration::ZERO);
            while self.now < until {
                // It sleeps until something is there.
                let until_next = Duration::from_secs_f64((1.0 - self.due).max(0.0) / self.rate);
                self.pass(until_next.max(self.round));
                // As much as fits into one read.
                let messages = self.due.min(self.window).min(270.0) as u32;
                self.due -= f64::from(messages);
                self.rounds += 1;
                self.read += messages;
                self.pace.read(messages, messages < 270, self.now);
                if let Some(rest) = self.pace.rest() {
                    self.rested += rest;
                    self.pass(rest);
                }
            }
        }

        fn pass(&mut self, time: Duration) {
            self.now += time;
            self.due += self.rate * time.as_secs_f64();
        }

        fn messages_a_round(&self) -> f64 {
            f64::from(self.read) / f64::from(self.rounds)
        }
    }

    const MINUTE: Duration = Duration::from_mins(1);
    /// What is usual.
    const USUAL: Duration = Duration::from_millis(3);

    #[test]
    fn a_few_messages_a_second_are_read_as_they_come() {
        let mut server = Server::new(100.0, 20.0, Duration::from_micros(100));
        server.run(MINUTE);
        assert_eq!(server.rested, Duration::ZERO);
    }

    #[test]
    fn at_everyday_rates_a_round_serves_several_messages_and_none_waits_long() {
        for (rate, several) in [(2_000.0, 3.0), (5_000.0, 8.0), (25_000.0, 30.0)] {
            let mut server = Server::new(rate, 1_000.0, Duration::from_micros(100));
            server.run(Duration::from_secs(3));
            server.run(MINUTE);
            assert!(server.messages_a_round() >= several, "{}", server.messages_a_round());
            assert!(server.rested < MINUTE);
        }
    }

    #[test]
    fn whoever_lets_messages_gather_longer_has_fewer_rounds_at_lower_rates_as_well() {
        let max_delay = Duration::from_millis(50);
        for (rate, several) in [(100.0, 3.5), (1_000.0, 30.0)] {
            let mut server = Server::with(max_delay, rate, 1_000.0, Duration::from_micros(100));
            server.run(Duration::from_secs(3));
            server.run(MINUTE);
            assert!(server.messages_a_round() >= several, "{}", server.messages_a_round());
        }
    }

    #[test]
    fn whoever_lets_nothing_gather_has_every_message_read_as_it_comes() {
        let mut server = Server::with(Duration::ZERO, 5_000.0, 1_000.0, Duration::from_micros(100));
        server.run(MINUTE);
        assert_eq!(server.rested, Duration::ZERO);
    }

    /// With a server that sends so many messages a millisecond, if nothing rests, and waits for their
    /// acknowledgements.
    fn assert_hardly_held_back(max_delay: Duration, window: f64) {
        let mut server = Server::with(max_delay, 1e6, window, Duration::from_millis(1));
        // What it cannot send does not pile up.
        server.run(Duration::from_secs(2));
        server.run(MINUTE);
        let most = MINUTE.as_secs_f64() * 1_000.0 * window;
        assert!(f64::from(server.read) > most * 0.9, "{} of {most}", server.read);
    }

    #[test]
    fn a_server_that_waits_for_acknowledgements_is_hardly_held_back() {
        for max_delay in [USUAL, Duration::from_millis(100)] {
            assert_hardly_held_back(max_delay, 20.0);
        }
    }

    #[test]
    fn a_server_that_has_more_to_send_than_before_is_soon_not_held_back() {
        for max_delay in [USUAL, Duration::from_millis(50)] {
            let mut server = Server::with(max_delay, 1_000.0, 20.0, Duration::from_micros(100));
            server.run(MINUTE);
            server.rate = 1e6;
            server.run(Duration::from_secs(1));
            // 20 in each round; a tick is lost, and a second one after the first time out.
            let most = 200_000.0;
            assert!(f64::from(server.read) > most * 0.5, "{} of {most}", server.read);
        }
    }

    #[test]
    fn a_server_that_sends_one_message_at_a_time_is_hardly_held_back() {
        assert_hardly_held_back(USUAL, 1.0);
    }

    #[test]
    fn a_flood_that_fills_every_read_never_rests() {
        let mut server = Server::new(1e6, 1e6, Duration::from_micros(300));
        server.run(MINUTE);
        assert_eq!(server.rested, Duration::ZERO);
    }
}
